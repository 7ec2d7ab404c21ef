# frozen_string_literal: true

require "iodine"
require "json"

RSpec.describe "Iodine::JSON" do
  def parse(...) = Iodine::JSON.parse(...)
  def generate(...) = Iodine::JSON.generate(...)

  # Each with a seed that the failure names.
  def trials(count)
    count.times { |seed| yield Support::RandomJSON.new(seed), "seed #{seed}" }
  end

  let(:endless) { [].tap { |array| array << array } }

  describe ".parse" do
    it "makes UTF-8 Strings, and frozen names" do
      name, string = parse('{"é": "\u00e9"}').first
      expect([name.encoding, name.frozen?, string.encoding,
              string.frozen?]).to eq [Encoding::UTF_8, true, Encoding::UTF_8, false]
      expect([name, string]).to all be_valid_encoding
    end

    it "shares the names that are repeated" do
      names = parse('[{"repeated name":1},{"repeated name":2}]').map { |object| object.keys.first }
      expect(names[0]).to equal names[1]
    end

    it "does not share values" do
      first, second = parse('["value","value"]')
      first << "s"
      expect(second).to eq "value"
    end

    it "takes binary text for UTF-8, and converts from other encodings" do
      expect(parse('["é"]'.b)).to eq ["é"]
      expect(parse('["é"]'.encode("UTF-16LE"))).to eq ["é"]
      expect(parse('["é"]'.encode("ISO-8859-1"))).to eq ["é"]
    end

    it "leaves the source alone" do
      source = '{"a":"b"}'.b
      parse(source)
      expect([source, source.encoding, source.frozen?]).to eq ['{"a":"b"}', Encoding::BINARY, false]
    end

    it "symbolizes names" do
      text = '{"a":{"b c":[{"":1}]}}'
      expected = { a: { "b c": [{ "": 1 }] } }
      expect(parse(text, symbolize_names: true)).to eq expected
      expect(parse(text, { symbolize_names: true })).to eq expected
      expect(parse(text, symbolize_names: false)).to eq JSON.parse(text)
    end

    it "bounds nesting" do
      expect(parse("[[1]]", max_nesting: 2)).to eq [[1]]
      expect { parse("[[1]]", max_nesting: 1) }.to raise_error(EncodingError, /nesting of 2 is too deep/)
      expect { parse('{"a":{}}', max_nesting: 1) }.to raise_error(EncodingError, /nesting of 2 is too deep/)
    end

    [nil, false, 0].each do |any|
      it "nests without bound when max_nesting is #{any.inspect}" do
        inner = parse(("[" * 50_000) + ("]" * 50_000), max_nesting: any)
        depth = 1
        depth += 1 while (inner = inner.first)
        expect(depth).to eq 50_000
      end
    end

    it "reads NaN and the infinities when asked to" do
      expect(parse("[Infinity,-Infinity]", allow_nan: true)).to eq [Float::INFINITY, -Float::INFINITY]
      expect(parse("NaN", allow_nan: true)).to be_nan
      expect { parse("-NaN", allow_nan: true) }.to raise_error(EncodingError)
    end

    it "tells where the text is malformed" do
      expect do
        parse("[1,\n  x]")
      end.to raise_error(EncodingError, "Malformed JSON format. expected value at line 2 column 3")
    end

    it "warns of options it does not know" do
      expect { parse("[]", object_class: Hash, create_additions: true) }
        .to output(/json_spec\.rb:\d+: warning: .* ignores create_additions, object_class/).to_stderr
      expect { parse("[]", create_additions: false) }.not_to output.to_stderr
    end

    it "raises TypeError for other objects" do
      [nil, 1, :a, []].each { |source| expect { parse(source) }.to raise_error(TypeError) }
    end

    it "forgets names when there are too many" do
      text = generate(Array.new(2000) { |number| { "name #{number}" => number, "x" * number => nil } })
      2.times { expect(parse(text)).to eq JSON.parse(text) }
    end
  end

  describe ".parse!" do
    it "trusts the document" do
      expect(Iodine::JSON.parse!(("[" * 101) + ("]" * 101)).flatten).to eq []
      expect(Iodine::JSON.parse!("NaN")).to be_nan
    end

    it "names members by Strings, unless told otherwise" do
      expect(Iodine::JSON.parse!('{"a":1}')).to eq("a" => 1)
      expect(Iodine::JSON.parse!('{"a":1}', symbolize_names: true)).to eq(a: 1)
    end

    it "takes its options back" do
      expect { Iodine::JSON.parse!("NaN", allow_nan: false) }.to raise_error(EncodingError)
      expect { Iodine::JSON.parse!("[[]]", max_nesting: 1) }.to raise_error(EncodingError)
    end
  end

  describe ".generate" do
    it "writes compact UTF-8" do
      document = generate({ "a" => [1, 2.5, nil, true, false], b: "é" })
      expect([document, document.encoding]).to eq ['{"a":[1,2.5,null,true,false],"b":"é"}', Encoding::UTF_8]
    end

    it "writes as Ruby's json does what it knows" do
      [nil, true, false, 0, -1, 2**62, 2**64, -(2**200), 1.5, -0.0, 1e14, 1e15, 1e16, 1e22, 1e-3, 1e-4, 1e-5, 5e-324,
       Float::MAX, 0.1 + 0.2, "", "a", :symbol, :"sym bol",
       [], {}, [[]], { nil => 1, :a => 2, 3 => 4, 1.5 => 5, [1] => 6 },
       "\"\\/\b\f\n\r\t\0\x1f\x7fé\u2028", 1r, 2i, 1..2, Object, Time.at(0).utc].each do |value|
        expect(generate(value)).to eq(JSON.generate(value)), value.inspect
      end
    end

    it "takes binary text for UTF-8, and converts from other encodings" do
      expect(generate(["é".b, "é".encode("UTF-16LE"), "é".encode("ISO-8859-1"),
                       "a".encode("US-ASCII")])).to eq '["é","é","é","a"]'
    end

    it "refuses Strings that are not text" do
      ["\xff", "\xff".b, "\xe2\x82", { "\xff" => 1 }].each do |value|
        expect { generate(value) }.to raise_error(EncodingError, /not valid UTF-8/)
      end
    end

    it "refuses numbers that JSON does not have, unless told otherwise" do
      { Float::NAN => "NaN", Float::INFINITY => "Infinity", -Float::INFINITY => "-Infinity" }.each do |number, text|
        expect { generate([number]) }.to raise_error(EncodingError, /#{text} is not allowed/)
        expect(generate([number], allow_nan: true)).to eq "[#{text}]"
      end
    end

    it "bounds nesting" do
      expect(generate([[1]], max_nesting: 2)).to eq "[[1]]"
      expect { generate([{ "a" => [] }], max_nesting: 2) }.to raise_error(EncodingError, /nesting of 3 is too deep/)
      expect { generate(endless) }.to raise_error(EncodingError, /nesting of 101 is too deep/)
    end

    it "ends before the stack does" do
      attempt = lambda do
        generate(endless, max_nesting: 0)
      rescue EncodingError => e
        e.message
      end
      expect([attempt.call, Thread.new(&attempt).value, Fiber.new(&attempt).resume])
        .to all match(/nesting of \d+ is too deep for the stack/)
    end

    it "asks other objects for to_json" do
      point = Struct.new(:x, :y) { def to_json(*state) = { "x" => x, "y" => y }.to_json(*state) }
      value = [point.new(1, [2]), { "p" => point.new(nil, {}) }]
      expect(generate(value)).to eq JSON.generate(value)
      filled = [point.new(1, [2]), { "p" => [point.new(nil, [3])] }]
      expect(Iodine::JSON.pretty_generate(filled)).to eq JSON.pretty_generate(filled)
    end

    it "asks subclasses of what it knows for to_json too" do
      text = Class.new(String) { def to_json(*) = "1" }
      list = Class.new(Array)
      table = Class.new(Hash)
      value = [text.new("a"), list.new([1]), table[1, 2], Class.new(String).new("é")]
      expect(generate(value)).to eq JSON.generate(value)
    end

    it "does not need Ruby's json" do
      process = Support::ChildProcess.run_ruby(<<~RUBY)
        require "iodine"
        abort "json is loaded" if defined?(::JSON)
        plain, own = Class.new { def to_s = "plain" }, Class.new { def to_json = "[1]" }
        puts Iodine::JSON.generate([plain.new, own.new, Class.new(String).new("s"), Class.new(Hash)[1, 2], Class.new(Array)[3]])
      RUBY
      process.wait
      expect([process.out.text, process.log.text]).to eq [%(["plain",[1],"s",{"1":2},[3]]\n), ""]
    end

    it "raises what to_json raises, and TypeError when it returns no String" do
      broken = Class.new { def to_json(*) = raise(IOError, "closed") }
      number = Class.new { def to_json(*) = 1 }
      expect { generate([{ a: broken.new }]) }.to raise_error(IOError, "closed")
      expect { generate([number.new]) }.to raise_error(TypeError)
    end

    it "bears that to_json changes what is being written" do
      list = []
      list.push(Class.new { define_method(:to_json) { |*| list.clear && "1" } }.new, 2, 3)
      expect(generate(list)).to eq "[1]"
    end

    it "escapes what a script element could not hold" do
      expect(generate("</script>\u2028\u2029é", script_safe: true)).to eq '"<\/script>\u2028\u2029é"'
    end

    it "escapes all that is not ASCII" do
      expect(generate({ "é" => "\u{1F600}/\n" }, ascii_only: true)).to eq '{"\u00e9":"\ud83d\ude00/\n"}'
    end
  end

  describe ".pretty_generate" do
    it "writes a line for each member and element" do
      expect(Iodine::JSON.pretty_generate({ "a" => [1, { "b" => nil }], "c" => [], "d" => {} })).to eq <<~JSON.chomp
        {
          "a": [
            1,
            {
              "b": null
            }
          ],
          "c": [],
          "d": {}
        }
      JSON
    end

    it "takes the options of .generate" do
      expect(Iodine::JSON.pretty_generate([1], indent: "\t")).to eq "[\n\t1\n]"
    end
  end

  describe "beside Ruby's json" do
    it "parses what that generates" do
      trials(300) do |random, seed|
        text = JSON.generate([random.value])
        expect(parse(text).inspect).to eq(JSON.parse(text).inspect), seed
        expect(parse(text, symbolize_names: true)).to eq(JSON.parse(text, symbolize_names: true)), seed
      end
    end

    it "generates the same" do
      trials(300) do |random, seed|
        value = random.value
        expect(generate(value)).to eq(JSON.generate(value)), seed
        expect(generate(value, ascii_only: true)).to eq(JSON.generate(value, ascii_only: true)), seed
      end
    end

    it "lays out the same" do
      layouts = [{ indent: "  ", object_nl: "\n", array_nl: "\n" }, { space: " " }, { space_before: "\t", space: "  " },
                 { indent: "--" }, { indent: "\t", array_nl: "\n" }, { object_nl: "\n" }]
      trials(100) do |random, seed|
        value = random.filled_value
        expect(Iodine::JSON.pretty_generate(value)).to eq(JSON.pretty_generate(value)), seed
        layouts.each do |layout|
          expect(generate(value, **layout)).to eq(JSON.generate(value, layout)), "#{seed}, #{layout}"
        end
      end
    end

    it "agrees on what is JSON" do
      judge = lambda do |parser, text|
        parser.parse(text).inspect
      rescue EncodingError, JSON::ParserError
        :refused
      end
      trials(3000) do |random, seed|
        text = random.damaged(JSON.generate([random.value(2)]).delete("/\\\\"))
        expect(judge.call(Iodine::JSON, text)).to eq(judge.call(JSON, text)), "#{seed}: #{text.inspect}"
      end
    end
  end

  # In processes of their own: a run of the collector takes as long as the heap is large, and not every library that
  # specs load survives moving objects.
  describe "and the garbage collector" do
    # What it prints, and what it logs.
    def outcome_of(source)
      process = Support::ChildProcess.run_ruby(<<~RUBY, "#{Support::ROOT}/spec/support/random_json", within: 60)
        require "iodine"
        require "json"
        require ARGV.fetch(0)
        def with_gc_stress
          GC.stress = true
          yield
        ensure
          GC.stress = false
        end
        #{source}
      RUBY
      [process.out.text, process.log.text]
    end

    it "parses while it runs at every allocation" do
      outcome = outcome_of(<<~'RUBY')
        5.times do |seed|
          value = [Support::RandomJSON.new(seed).value(2),
                   { "a" => "b" * 30, "c" => [2**80, 1.5e300, { "new name #{seed}" => "\u{1F600}" }] }]
          text = JSON.generate(value)
          parsed = with_gc_stress { [Iodine::JSON.parse(text), Iodine::JSON.parse(text, symbolize_names: true)] }
          puts seed if parsed == [JSON.parse(text), JSON.parse(text, symbolize_names: true)]
        end
      RUBY
      expect(outcome).to eq ["0\n1\n2\n3\n4\n", ""]
    end

    it "generates while it runs at every allocation" do
      outcome = outcome_of(<<~'RUBY')
        value = [Support::RandomJSON.new(1).value(3), 2**80, 1e300, :symbol, { 1.5 => Time.at(0).utc },
                 "\u00e9".encode("UTF-16LE")]
        expected = JSON.generate(value)
        puts with_gc_stress { Iodine::JSON.generate(value) } == expected
      RUBY
      expect(outcome).to eq ["true\n", ""]
    end

    it "keeps the names it shares when objects move" do
      process = Support::ChildProcess.run_ruby(<<~'RUBY')
        require "iodine"
        text = '[{"a moved name":{"another":1}}]'
        parse = -> { [Iodine::JSON.parse(text), Iodine::JSON.parse(text, symbolize_names: true)] }
        expected = parse.call.inspect
        GC.compact if GC.respond_to?(:compact)
        puts parse.call.inspect == expected
      RUBY
      process.wait
      expect([process.out.text, process.log.text]).to eq ["true\n", ""]
    end

    it "gives back what a refused document took" do
      text = "[#{"[\"text\",{\"a\":1.5}]," * 2000}"
      2.times { expect { parse(text) }.to raise_error(EncodingError) }
      GC.start
      before = GC.stat(:heap_live_slots)
      20.times { expect { parse(text) }.to raise_error(EncodingError) }
      GC.start
      expect(GC.stat(:heap_live_slots) - before).to be < 5000
    end
  end

  it "serves several threads" do
    texts = Array.new(4) { |seed| JSON.generate(Array.new(50) { Support::RandomJSON.new(seed).value }) }
    answers = texts.map { |text| Thread.new { Array.new(20) { generate(parse(text)) }.uniq } }.map(&:value)
    expect(answers).to eq(texts.map { |text| [JSON.generate(JSON.parse(text))] })
  end
end
