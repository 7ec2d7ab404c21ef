# frozen_string_literal: true

# The methods of Iodine.patch_rack beside Rack's own: `ruby bench/rack_utils.rb`.

$LOAD_PATH.unshift File.expand_path("../lib", __dir__)

require "iodine"
require "rack"
require "rack/utils"
require_relative "lib/bench/duel"

patched = Rack::Utils.clone
patched.singleton_class.prepend(Iodine::Base::MonkeyPatch::RackUtils)

# Rack 3 has no rfc2109.
text = {
  "a word" => "username",
  "a sentence" => "the+quick+brown+fox+jumps+over+the+lazy+dog",
  "another script" => "%E6%9D%B1%E4%BA%AC%E9%83%BD" * 3,
  "8 KB, plain" => "plain text " * 744,
  "8 KB, encoded" => "caf%C3%A9+%26+" * 585
}
time = { "UTC" => Time.now.utc, "+02:00" => Time.now.localtime("+02:00") }
inputs = { unescape: text, unescape_path: text, rfc2822: time, rfc2109: time }

puts "Ruby #{RUBY_VERSION}, Rack #{Rack.release}"
inputs.slice(*Rack::Utils.singleton_methods).each do |name, examples|
  ways = { "rack" => Rack::Utils, "iodine" => patched }
  Bench::Duel.report(name.to_s, examples, ways.transform_values { |utils| utils.method(name) })
end

Bench::Duel.report("parse_query", { "12 parameters" => "name=J%C3%B6rg+M%C3%BCller&page=2&sort=-date&" * 4 },
                   "rack" => ->(query) { Rack::Utils.parse_query(query) },
                   "iodine" => ->(query) { Rack::Utils.parse_query(query) { |part| patched.unescape(part) } })
