# frozen_string_literal: true

require "iodine"
require "json"

# The cases of the Mustache specification, its optional modules included. They are read from a folder beside the
# project and no part of it.
RSpec.describe Iodine::Mustache do
  folder = File.expand_path("../shared/mustache-spec", Support::ROOT)
  files = Dir.glob("#{folder}/*.json").sort

  # The specification's tag of a lambda, with its code in several languages.
  def with_lambdas(data)
    case data
    when Hash
      return eval(data.fetch("ruby")) if data["__tag__"] == "code" # rubocop:disable Security/Eval

      data.transform_values { |value| with_lambdas(value) }
    when Array then data.map { |value| with_lambdas(value) }
    else data
    end
  end

  def failure_of(test)
    $calls = nil # rubocop:disable Style/GlobalVars -- a lambda of the specification counts in it
    template = described_class.new(template: test.fetch("template"), partials: test.fetch("partials", {}))
    text = template.render(with_lambdas(test.fetch("data")))
    "#{test["name"]}: expected #{test["expected"].inspect}, got #{text.inspect}" if text != test.fetch("expected")
  end

  it "renders 194 of the specification's 194 cases as they are expected" do
    skip "no Mustache specification in #{folder}" if files.empty?

    tests = files.flat_map { |file| JSON.parse(File.read(file, encoding: "UTF-8")).fetch("tests") }
    failures = tests.filter_map { |test| failure_of(test) }
    expect(failures).to be_empty, failures.join("\n")
    expect(tests.size).to eq(194)
  end
end
