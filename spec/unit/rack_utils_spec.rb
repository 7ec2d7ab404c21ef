# frozen_string_literal: true

require "iodine"
require "rack"
require "rack/utils"

RSpec.describe "Iodine's Rack utilities" do
  describe "Iodine::Rack::Utils" do
    let(:utils) { Iodine::Rack::Utils }

    it "decodes URLs" do
      decoded = utils.decode_url("a+b%20c%2B%C3%A9%00")
      expect([decoded, decoded.encoding]).to eq ["a b c+é\0".b, Encoding::BINARY]
    end

    it "decodes paths" do
      decoded = utils.decode_path("/a+b%2fc")
      expect([decoded, decoded.encoding]).to eq ["/a+b/c".b, Encoding::BINARY]
    end

    it "decodes in place" do
      url = +"é+%C3%A9"
      path = "a+%41".b
      expect(utils.decode_url!(url)).to equal url
      expect(utils.decode_path!(path)).to equal path
      expect([url, path]).to eq ["é é", "a+A"]
    end

    %i[decode_url decode_path decode_url! decode_path!].each do |name|
      it "refuses malformed escapes in #{name}, and leaves the String as it was" do
        ["%", "a%2", "%4x", "%41%zz", "%%41"].each do |text|
          given = text.dup
          expect do
            utils.public_send(name, given)
          end.to raise_error(RuntimeError, /\AMalformed URL string - couldn't decode\./)
          expect(given).to eq text
        end
      end

      it "raises TypeError for what is no String in #{name}" do
        [nil, 1, :a].each { |object| expect { utils.public_send(name, object) }.to raise_error(TypeError) }
      end
    end

    it "leaves a frozen String as it was" do
      frozen = "a%41"
      expect { utils.decode_url!(frozen) }.to raise_error(FrozenError)
      expect { utils.decode_path!(frozen) }.to raise_error(FrozenError)
      expect(frozen).to eq "a%41"
    end

    it "writes dates" do
      [1_000_000_000, 1_000_000_000.9, Time.at(1_000_000_000, in: "+05:00")].each do |time|
        expect(utils.time2str(time)).to eq "Sun, 09 Sep 2001 01:46:40 GMT"
        expect(utils.rfc2109(time)).to eq "Sun, 09-Sep-2001 01:46:40 GMT"
        expect(utils.rfc2822(time)).to eq "Sun, 09 Sep 2001 01:46:40 -0000"
      end
    end

    it "writes the time it is" do
      before = Time.now.to_i
      dates = [utils.time2str, utils.time2str(nil), utils.time2str(0)]
      expect(dates.map { |date| Time.httpdate(date).to_i }).to all be_between(before, Time.now.to_i)
    end

    it "raises TypeError for what is no time" do
      %i[time2str rfc2109 rfc2822].each { |name| expect { utils.public_send(name, :noon) }.to raise_error(TypeError) }
    end
  end

  describe "Iodine.patch_rack" do
    # A copy, so that other specs find Rack as it is.
    let(:patched) do
      Rack::Utils.clone.tap { |copy| copy.singleton_class.prepend(Iodine::Base::MonkeyPatch::RackUtils) }
    end

    # A result with its class and encoding, or the class and message of the exception.
    def outcome(utils, name, *arguments)
      result = utils.public_send(name, *arguments)
      [result, result.class, result.encoding]
    rescue StandardError => e
      [e.class, e.message]
    end

    def expect_equal(name, *arguments)
      expect(outcome(patched, name, *arguments)).to eq(outcome(Rack::Utils, name, *arguments)),
                                                    "#{name} #{arguments.inspect}"
    end

    # Text in which much is encoded, some of it wrongly, in some encoding.
    def text(random)
      pieces = ["a", "Z", "0", "+", "%", "%%", "%2", "%20", "%2B", "%e9", "%C3%A9", "%ff", "%zz", "%4", "é", "€",
                "\xff", "&", "=", "/"]
      well_formed = pieces - ["%", "%%", "%2", "%zz", "%4", "\xff"]
      text = Array.new(random.rand(12)) { (random.rand(3).zero? ? pieces : well_formed).sample(random: random) }.join
      text.force_encoding(random.rand(4).zero? ? "BINARY" : "UTF-8")
    end

    it "decodes as Rack does" do
      3000.times do |seed|
        given = text(Random.new(seed))
        expect_equal(:unescape, given)
        expect_equal(:unescape_path, given)
      end
    end

    it "decodes into other encodings as Rack does" do
      [Encoding::ISO_8859_1, Encoding::BINARY, Encoding::UTF_16LE, "ISO-8859-1", "no such encoding",
       nil].each do |encoding|
        ["a+%E9", "a", "%"].each { |given| expect_equal(:unescape, given, encoding) }
      end
    end

    it "decodes from other encodings as Rack does" do
      ["\xE9+%E9".dup.force_encoding("ISO-8859-1"), "a+%20".encode("UTF-16LE"), "%C3%A9".encode("US-ASCII"),
       Class.new(String).new("a%20"), "\x82\xA0%20".dup.force_encoding("Shift_JIS")].each do |given|
        expect_equal(:unescape, given)
        expect_equal(:unescape_path, given)
      end
    end

    it "fails as Rack does" do
      expect { patched.unescape("%zz") }.to raise_error(ArgumentError, /invalid %-encoding/)
      [nil, 1, :a, []].each do |given|
        expect { patched.unescape(given) }.to raise_error(StandardError)
        expect { patched.unescape_path(given) }.to raise_error(StandardError)
      end
      expect { patched.unescape }.to raise_error(ArgumentError)
      expect { patched.unescape("a", "UTF-8", 1) }.to raise_error(ArgumentError)
    end

    it "returns new Strings" do
      given = "plain"
      answers = [patched.unescape(given), patched.unescape_path(given)]
      expect(answers).to eq [given, given]
      answers.each { |answer| expect(answer).not_to equal(given) }
    end

    # Rack 3 has no rfc2109 any more.
    dates = %i[rfc2822 rfc2109] & Rack::Utils.singleton_methods

    dates.each do |name|
      it "writes #{name} as Rack does" do
        random = Random.new(1)
        zones = ["UTC", "+00:00", "+02:00", "-03:30", "+14:00", "-00:00", nil]
        2000.times do
          # From the year -1200 to 5100; sometimes between two seconds.
          seconds = random.rand(-(10**11)..(10**11)) + [0, 0.25].sample(random: random)
          time = Time.at(seconds, in: zones.sample(random: random))
          expect(patched.public_send(name, time)).to eq(Rack::Utils.public_send(name, time)), time.inspect
        end
        [Time.utc(0), Time.utc(-1), Time.utc(12_345, 12, 31), Time.new(2000, 1, 1, 1, 1, 1, -90)].each do |time|
          expect(patched.public_send(name, time)).to eq(Rack::Utils.public_send(name, time)), time.inspect
        end
      end

      it "leaves #{name} of other objects to Rack" do
        require "date"
        [DateTime.new(2001, 2, 3, 4, 5, 6), 5, nil].each do |given|
          expect(outcome(patched, name, given).first).to eq outcome(Rack::Utils, name, given).first
        end
      end
    end

    # In a process whose heap is small, for the collector walks through all of it.
    it "serves while the garbage collector runs at every allocation" do
      process = Support::ChildProcess.run_ruby(<<~RUBY)
        require "iodine"
        patched = Iodine::Base::MonkeyPatch::RackUtils
        GC.stress = true
        answers = [patched.unescape("a+%C3%A9" * 5), patched.unescape_path("a+%C3%A9" * 5),
                   patched.rfc2822(Time.at(0).utc)]
        GC.stress = false
        p answers
      RUBY
      answers = ["a \u00e9" * 5, "a+\u00e9" * 5, "Thu, 01 Jan 1970 00:00:00 -0000"]
      expect([process.out.text, process.log.text]).to eq ["#{answers.inspect}\n", ""]
    end

    it "changes Rack::Utils, and what Rack makes of it" do
      process = Support::ChildProcess.run_ruby(<<~RUBY)
        $VERBOSE = true
        require "iodine"
        abort "Rack is loaded" if defined?(Rack)
        p Iodine.patch_rack.sort
        p Rack::Utils.method(:unescape).owner, Rack::Utils.unescape("a+b"), Rack::Utils.parse_query("a+b=%C3%A9").to_a
        begin
          Rack::Utils.unescape("%")
        rescue ArgumentError
          puts "ArgumentError"
        end
      RUBY
      process.wait
      expect(process.out.text).to eq <<~TEXT
        [:rfc2109, :rfc2822, :unescape, :unescape_path]
        Iodine::Base::MonkeyPatch::RackUtils
        "a b"
        [["a b", "é"]]
        ArgumentError
      TEXT
    end

    it "can be called without Rack" do
      utils = Iodine::Base::MonkeyPatch::RackUtils
      expect([utils.unescape("a+b"), utils.unescape_path("a+b"), utils.rfc2109(Time.at(0).utc)])
        .to eq ["a b", "a+b", "Thu, 01-Jan-1970 00:00:00 GMT"]
    end
  end
end
