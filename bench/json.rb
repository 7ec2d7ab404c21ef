# frozen_string_literal: true

# Iodine::JSON beside Ruby's json: `ruby bench/json.rb`. Both take turns, and the medians of the turns are compared, so
# that a busy machine slows both.

$LOAD_PATH.unshift File.expand_path("../lib", __dir__)

require "iodine"
require "json"
require_relative "lib/bench/duel"

# Documents of about a megabyte, but the last, which is what a small API answers with.
module Documents
  MEGABYTE = 1 << 20

  module_function

  def all
    random = Random.new(1)
    {
      "records" => list { |id| record(id, random) },
      "strings" => list { "word " * random.rand(1..40) },
      "other scripts" => list { "Straße Ελλάδα 東京 \u{1F600} " * random.rand(1..10) },
      "escapes" => list { "line\n\t\"quoted\" \\ " * random.rand(1..10) },
      "integers" => list { random.rand(1_000_000) },
      "floats" => list { random.rand * 1000 },
      "coordinates" => list { [random.rand(180.0).round(6), random.rand(90.0).round(6)] },
      "distinct names" => { "all" => list { |id| { "name #{id}" => id, "other #{id}" => nil } } },
      "small (300 bytes)" => record(1, random)
    }
  end

  def record(id, random)
    { "id" => id, "name" => "User #{id}", "email" => "user#{id}@example.com", "active" => id.even?,
      "score" => random.rand, "tags" => %w[alpha beta gamma], "visits" => random.rand(1000),
      "address" => { "street" => "Long Street #{id}", "city" => "Town", "zip" => nil },
      "created_at" => "2024-05-06T07:08:09Z" }
  end

  def list
    size = 0
    list = []
    while size < MEGABYTE
      list << yield(list.size)
      size += JSON.generate(list.last).bytesize + 1
    end
    list
  end
end

puts "Ruby #{RUBY_VERSION}, json #{JSON::VERSION}"
Bench::Duel.report("parse", Documents.all.transform_values { |value| JSON.generate(value) },
                   "json" => ->(text) { JSON.parse(text) }, "iodine" => ->(text) { Iodine::JSON.parse(text) })
Bench::Duel.report("generate", Documents.all,
                   "json" => ->(value) { JSON.generate(value) }, "iodine" => ->(value) { Iodine::JSON.generate(value) })
