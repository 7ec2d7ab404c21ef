# frozen_string_literal: true

require "iodine"
require_relative "cases"

RSpec.describe "Iodine::JSON and RFC 8259" do
  def refuse(message = nil) = raise_error(EncodingError, message)

  let(:place) { /\AMalformed JSON format\. .* at line \d+ column \d+\z/ }

  # What a value is, and not only what it equals: 1 is not 1.0, 0.0 is not -0.0.
  def be_exactly(value) = have_attributes(inspect: value.inspect, class: value.class)

  JSONCases::ACCEPTED.each do |name, (text, value)|
    it("accepts #{name}") { expect(Iodine::JSON.parse(text)).to be_exactly(value) }
  end

  JSONCases::REFUSED.each do |name, text|
    it("refuses #{name}") { expect { Iodine::JSON.parse(text) }.to refuse(place) }
  end

  JSONCases::OPEN.each do |name, (text, value)|
    if value == :refused
      it("refuses #{name}, as it may") { expect { Iodine::JSON.parse(text) }.to refuse }
    else
      it("accepts #{name}, as it may") { expect(Iodine::JSON.parse(text)).to be_exactly(value) }
    end
  end

  it "gives every accepted value again for what it generates" do
    JSONCases::ACCEPTED.each_value do |(_, value)|
      expect(Iodine::JSON.parse(Iodine::JSON.generate(value))).to be_exactly(value)
    end
  end

  it "refuses every beginning of a document" do
    text = '{"a":[1.5e3,"\u00e9é\n",true,null,{}],"b":-0}'.b
    text.bytesize.times { |size| expect { Iodine::JSON.parse(text[0, size]) }.to refuse }
    expect(Iodine::JSON.parse(text)).to eq("a" => [1500.0, "éé\n", true, nil, {}], "b" => 0)
  end
end
