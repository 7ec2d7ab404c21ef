# frozen_string_literal: true

require "cgi"
require "iodine"
require "mustache"

# The mustache gem renders the same text, but for what is listed here.
RSpec.describe Iodine::Mustache do
  # A page of the gem with partials from a Hash.
  page = Class.new(Mustache) do
    attr_writer :partials

    def partial(name) = @partials.fetch(name.to_s)
  end

  define_method(:by_gem) do |template, data, partials = {}|
    page.new.tap { |view| view.partials = partials }.render(template, data)
  end

  def by_iodine(template, data,
                partials = {}) = described_class.new(template: template, partials: partials).render(data)

  it "renders generated templates as the mustache gem does" do
    1000.times do |seed|
      random = Support::RandomMustache.new(seed)
      given = [random.template, random.data, random.partials]
      expect([given, by_iodine(*given)]).to eq([given, by_gem(*given)])
    end
  end

  # What, the template, the data, the text of iodine, and that of the gem.
  differences = [
    ["false is nothing to print", "{{a}}", { "a" => false }, "", "false"],
    ["so is what is looked for in it", "{{a.b}}", { "a" => false }, "", "false"],
    ["an empty String is a value", "{{^a}}no{{/a}}", { "a" => "" }, "", "no"],
    ["so is an empty Hash", "{{^a}}no{{/a}}", { "a" => {} }, "", "no"],
    ["true is what its section is about", "{{#a}}{{.}}{{/a}}", { "a" => true }, "true",
     CGI.escapeHTML({ "a" => true }.to_s)],
    ["methods of Integers and Strings are no data", "{{#a}}{{b}}{{/a}}", { "a" => "x", "b" => 1 }, "1", "x"],
    ["blanks after an empty line stay", "x\n\n  {{a}}", { "a" => 1 }, "x\n\n  1", "x\n\n1"],
    ["a partial within a line is not indented", " {{>p}}.", {}, " x.", "  x."],
    ["a partial's line ends behind its blanks", "{{>p}} \n.", {}, "x.", "x \n."]
  ]

  differences.each do |what, template, data, here, there|
    it "differs from the gem: #{what}" do
      given = [template, data, { "p" => "x" }]
      expect([by_iodine(*given), by_gem(*given)]).to eq([here, there])
    end
  end
end
