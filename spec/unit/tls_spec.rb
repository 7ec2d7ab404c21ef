# frozen_string_literal: true

require "iodine"
require "tmpdir"

RSpec.describe Iodine::TLS do
  root = Support::Authority.new
  folder = Support::TLS.write(Dir.mktmpdir("iodine-spec-tls"), root, a: root.issue("a.test"))
  after(:all) { FileUtils.rm_rf(folder) }

  def settings(tls) = tls.send(:settings)

  describe "a copy" do
    it "goes its own way" do
      %i[dup clone].each do |way|
        original = described_class.new
        original.on_protocol("first") { nil }
        copy = original.public_send(way)
        copy.use_certificate("a.test")
        copy.verify = false
        copy.on_protocol("second") { nil }
        original.on_protocol("third") { nil }

        expect(settings(copy).certificate?).to be(true)
        expect(settings(original).certificate?).to be(false)
        expect([copy, original].map(&:verify?)).to eq([false, true])
        expect([copy, original].map { |tls| tls.send(:protocols).keys }).to eq([%w[first second], %w[first third]])
      end
    end

    it "of a frozen one can be changed, unless it is frozen as well" do
      original = described_class.new.freeze
      expect(original.dup.use_certificate("a.test")).to be_a(described_class)
      expect { original.clone.use_certificate("a.test") }.to raise_error(FrozenError)
      expect(original.clone(freeze: false).use_certificate("a.test")).to be_a(described_class)
    end
  end

  it "takes nothing more when it is frozen" do
    tls = described_class.new.freeze
    [
      -> { tls.use_certificate("a.test") }, -> { tls.add_cert(nil, "#{folder}/a.crt", "#{folder}/a.key") },
      -> { tls.trust("#{folder}/root.crt") }, -> { tls.on_protocol("x") { nil } }, -> { tls.verify = false }
    ].each { |change| expect(&change).to raise_error(FrozenError, /frozen Iodine::TLS/) }
    expect(settings(tls).certificate?).to be(false)
    expect([tls.verify?, tls.send(:protocols)]).to eq([true, {}])
  end

  describe "names" do
    good = ["a.test", "A.Test", "*.a.test", "localhost", "my_host", "127.0.0.1", "::1", "xn--mnchen-3ya.de", "a" * 63]
    bad = ["", " ", "a b", "a\0b", "a\nb", "*", "*.", "a.*.test", "*.127.0.0.1", "münchen.de", "a..test", "-", ".a",
           "a" * 64, "#{"a." * 127}test", "http://a.test", "a.test:443", "a/b"]

    it "that can be in a certificate are taken" do
      good.each { |name| expect(described_class.new(name)).to be_a(described_class) }
    end

    it "that cannot are refused, alone and with a certificate" do
      bad.each do |name|
        [[name], [name, "#{folder}/a.crt", "#{folder}/a.key"]].each do |arguments|
          expect { described_class.new(*arguments) }
            .to raise_error(described_class::Error, /cannot be a name for TLS/), name.inspect
        end
      end
      expect { described_class.new("\xff") }.to raise_error(StandardError)
    end
  end

  it "refuses files without a name" do
    expect { described_class.new(nil, "") }.to raise_error(described_class::Error, /path of a PEM file is empty/)
    expect { described_class.new.trust("") }.to raise_error(described_class::Error, /path of a PEM file is empty/)
    expect { described_class.new(nil, "a\0b") }.to raise_error(ArgumentError, /null byte/)
  end

  it "says what is missing when it is not initialized" do
    [-> { described_class.allocate.use_certificate("a.test") }, -> { described_class.allocate.verify? },
     -> { described_class.allocate.dup }].each do |use|
      expect(&use).to raise_error(described_class::Error, /uninitialized Iodine::TLS/)
    end
  end

  it "reads files that begin with a byte order mark" do
    %w[a.crt a.key root.crt].each do |name|
      File.write("#{folder}/bom-#{name}", "\uFEFF#{File.read("#{folder}/#{name}")}")
    end
    tls = described_class.new(nil, "#{folder}/bom-a.crt", "#{folder}/bom-a.key")
    expect(tls.trust("#{folder}/bom-root.crt")).to be(tls)
  end

  it "waits for a handshake as long as a number says" do
    secure = settings(described_class.new("a.test"))
    listen = lambda do |timeout|
      Iodine::Base::Socket.bind_raw([nil, "127.0.0.1", 0], { tls_timeout: timeout }, secure, nil).close
    end
    [nil, 0, 1, 0.25, 2**62].each { |timeout| listen[timeout] }
    ["x", "1", :a, [], true].each do |timeout|
      expect { listen[timeout] }.to raise_error(TypeError, /tls_timeout must be/)
    end
    [-1, -0.1, 1e300, Float::NAN, Float::INFINITY].each do |timeout|
      expect { listen[timeout] }.to raise_error(RangeError, /tls_timeout must be/)
    end
  end
end
