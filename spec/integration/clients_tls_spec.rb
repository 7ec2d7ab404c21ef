# frozen_string_literal: true

require "json"

RSpec.describe "Iodine.connect through TLS" do
  root = Support::Authority.new
  stranger = Support::Authority.new("Stranger")
  namesake = Support::Authority.new

  # What the client says, and what happens to it.
  client = <<~RUBY
    require "iodine"
    module Told
      def self.on_open(client) = puts("open \#{client.protocol}").then { client.write("hello") }
      def self.on_message(client, data) = puts("message \#{data}").then { client.close }
      def self.on_close(client) = puts("close \#{client&.close_reason.inspect}").then { Iodine.stop }
    end
    url, trust, certificate, verify = ARGV
    tls = Iodine::TLS.new
    tls.trust(trust) unless trust.to_s.empty?
    tls.use_certificate(certificate: certificate, private_key: certificate.sub(".crt", ".key")) unless certificate.to_s.empty?
    tls.verify = false if verify
    Iodine.connect(url: url, handler: Told, tls: trust && tls)
    Iodine.threads = 1
    Iodine.start
  RUBY

  before(:all) do
    issued = { localhost: root.issue("localhost", "127.0.0.1"), other: root.issue("other.test"), me: root.issue("me") }
    @folder = Support::TLS.write(Dir.mktmpdir("iodine-spec-tls"), root, **issued)
    File.write("#{@folder}/stranger.crt", stranger.certificate.to_pem)
    File.write("#{@folder}/namesake.crt", namesake.certificate.to_pem)
    system("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
           "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", "#{@folder}/itself.key",
           "-out", "#{@folder}/itself.crt", err: File::NULL, exception: true)
  end
  after(:all) { FileUtils.rm_rf(@folder) }

  # Starts a server with a WebSocket on its first port, and a raw one on its second.
  def self.serve_tls(name, trust: false)
    serving do
      Support::Server.script(<<~RUBY, listeners: 2)
        require "iodine"
        module Echo
          def self.on_message(client, data) = client.write("echo \#{data}")
        end
        tls = Iodine::TLS.new(certificate: "#{@folder}/#{name}.crt", private_key: "#{@folder}/#{name}.key")
        tls.trust("#{@folder}/root.crt") if #{trust}
        app = ->(env) { (env["rack.upgrade"] = Echo) && [200, {}, []] }
        Iodine.listen(service: :http, address: "127.0.0.1", port: 0, tls: tls, handler: app)
        Iodine.listen(service: :raw, address: "127.0.0.1", port: 0, tls: tls) { Echo }
        Iodine.start
      RUBY
    end
  end

  define_method(:told) do |scheme, host, *options|
    port = server.ports.fetch(scheme == "wss" ? 0 : 1)
    Support::ChildProcess.run_ruby(client, "#{scheme}://#{host}:#{port}", *options).then do |process|
      [process.out.lines, process.log.text]
    end
  end

  def file(name) = "#{@folder}/#{name}"

  describe "to a server of an authority that is trusted" do
    serve_tls("localhost")

    { "wss" => ["open websocket", "message echo hello", "close \"\""],
      "tls" => ["open raw", "message echo hello", "close nil"] }.each do |scheme, story|
      it "works by #{scheme}, by name and by address" do
        expect(told(scheme, "localhost", file("root.crt")).first).to eq(story)
        expect(told(scheme, "127.0.0.1", file("root.crt")).first).to eq(story)
      end
    end

    # More than the handshakes that go on in one turn, at both ends.
    it "works for many connections that begin at once" do
      process = Support::ChildProcess.run_ruby(<<~RUBY, server.ports.first.to_s, file("root.crt"))
        require "iodine"
        port, trust = ARGV
        closed = 0
        handler = Class.new do
          define_method(:on_open) { |client| client.write("x") }
          define_method(:on_message) { |client, _| client.close }
          define_method(:on_close) { |_| puts(40) || Iodine.stop if (closed += 1) == 40 }
        end
        tls = Iodine::TLS.new.trust(trust)
        Iodine.on_state(:on_start) do
          40.times { Iodine.connect(url: "wss://127.0.0.1:\#{port}/", handler: handler.new, tls: tls) }
        end
        Iodine.threads = Iodine.workers = 1
        Iodine.start
      RUBY
      expect(process.out.text).to eq("40\n")
    end

    it "works without verification, with a warning" do
      lines, log = told("wss", "127.0.0.1", "", "", "no")
      expect(lines.first).to eq("open websocket")
      expect(log).to match(/WARNING: .*verify/)
    end

    it "fails when nobody has said to trust it" do
      lines, log = told("wss", "localhost")
      expect(lines).to match([/\Aclose ".*certificate/])
      expect(log).to match(/INFO: no WebSocket was opened: .*certificate/)

      lines, log = told("tls", "localhost", file("stranger.crt"))
      expect(lines).to eq(["close nil"])
      expect(log).to match(/INFO: no connection was opened: .*certificate/)

      lines, log = told("tls", "localhost", file("namesake.crt"))
      expect(lines).to eq(["close nil"])
      expect(log).to match(/WARNING: localhost is not spoken to: .* by another of that name\. .* Iodine::TLS#trust/)
    end
  end

  describe "to a server that nobody has said to trust, again and again" do
    serve_tls("localhost")

    persistent = <<~RUBY
      require "iodine"
      url, trust = ARGV
      tls = Iodine::TLS.new.trust(trust)
      handler = Class.new do
        define_method(:connect) { Iodine.connect(url: url, handler: self, tls: tls) }
        def on_open(client) = puts("open").then { client.close }
        def on_close(client) = client ? Iodine.stop : puts("refused").then { Iodine.run_after(50) { connect } }
      end
      Iodine.threads = Iodine.workers = 1
      handler.new.connect
      Iodine.start
    RUBY

    it "warns once, says what to do, and reads the authorities again at HUP" do
      FileUtils.cp(file("stranger.crt"), file("changing.crt"))
      url = "tls://localhost:#{server.ports.last}"
      process = Support::ChildProcess.ruby(persistent, url, file("changing.crt"))
      process.out.wait_for(/\A(refused\n){4}/)
      FileUtils.cp(file("root.crt"), file("changing.crt"))
      process.kill("HUP")
      process.wait
      expect(process.out.lines.last).to eq("open")
      expect(process.log.text.scan(/^WARNING: .*/)).to eq(
        ["WARNING: localhost is not spoken to: no trusted authority vouches for the peer's certificate. " \
         "If it is the right one, name the file of its authority by Iodine::TLS#trust"]
      )
      expect(process.log.text).to include("reloading the TLS of clients")
    ensure
      process&.kill_group
    end
  end

  describe "to a server whose certificate vouches for itself, as openssl makes them" do
    serve_tls("itself")

    it "works when that is trusted, and is for the name" do
      expect(told("tls", "localhost", file("itself.crt")).first).to eq(["open raw", "message echo hello", "close nil"])
      lines, log = told("tls", "127.0.0.1", file("itself.crt"))
      expect(lines).to eq(["close nil"])
      expect(log).to match(/WARNING: 127\.0\.0\.1 is not spoken to: .* is not for 127\.0\.0\.1.* Connect to a name/)
    end
  end

  describe "to a server with another name" do
    serve_tls("other")

    it "fails" do
      expect(told("wss", "localhost", file("root.crt")).first).to match([/\Aclose ".*other\.test/])
      expect(told("tls", "localhost", file("root.crt")).first).to eq(["close nil"])
    end
  end

  describe "to a server that asks who we are" do
    serve_tls("localhost", trust: true)

    it "works with a certificate, and not without" do
      expect(told("wss", "localhost", file("root.crt"), file("me.crt")).first).to include("message echo hello")
      expect(told("wss", "localhost", file("root.crt")).first.last).to match(/\Aclose/)
    end
  end

  it "fails when the server does not speak TLS" do
    Support::FakeServer.use(->(peer) { peer.offer("HTTP/1.1 400 Bad Request\r\n\r\n").read_to_end }) do |server|
      process = Support::ChildProcess.run_ruby(client, "wss://localhost:#{server.port}", file("root.crt"))
      expect(process.out.lines.size).to eq(1)
      expect(process.out.text).to eq("close \"what the peer sends is not TLS\"\n")
    end
  end

  describe "to a server that does not finish the handshake" do
    # Whoever connects is told of the end at the time that the options set, and not at a default.
    patient = <<~RUBY
      require "iodine"
      require "json"
      module Told
        def self.on_open(_client) = puts("open")
        def self.on_close(client) = puts("close \#{client&.close_reason.inspect}").then { Iodine.stop }
      end
      Iodine.threads = Iodine.workers = 1
      Iodine.connect(handler: Told, tls: Iodine::TLS.new.trust(ARGV[1]), **JSON.parse(ARGV[0], symbolize_names: true))
      Iodine.start
    RUBY
    # One says nothing, the other begins with an endless record.
    servers = {
      "silent" => ->(peer) { peer.read_to_end },
      "slow" => lambda do |peer|
        peer.write("\x16\x03\x03\x3f\xff\x02\x00\x3f\x00")
        100.times { peer.write("\0") && sleep(0.05) }
      rescue Errno::EPIPE, Errno::ECONNRESET
        nil
      end
    }
    waits = {
      { url: "tls://localhost", connect_timeout: 0.5 } => "nil", { url: "tls://localhost", ping: 1 } => "nil",
      { url: "wss://localhost", connect_timeout: 0.5 } => /not finished in time/,
      { url: "wss://localhost", handshake_timeout: 0.5 } => /not finished in time/
    }
    servers.each do |kind, serve|
      it "gives up in time when that is #{kind}, and says why" do
        Support::FakeServer.use(serve) do |server|
          waits.each do |options, reason|
            options = { **options, url: "#{options[:url]}:#{server.port}" }
            process = nil
            took = seconds { process = Support::ChildProcess.run_ruby(patient, options.to_json, file("root.crt")) }
            expect(took).to be < 8
            expect(process.out.text).to match(/\Aclose #{reason.is_a?(Regexp) ? /".*#{reason}.*"/ : reason}\n\z/)
            expect(process.log.text).to match(/no \w+ was opened: the TLS handshake was not finished in time/)
          end
        end
      end
    end
  end

  it "raises for what is no Iodine::TLS" do
    process = Support::ChildProcess.run_ruby(<<~RUBY)
      require "iodine"
      begin Iodine.connect(url: "wss://localhost", handler: Object, tls: true) rescue puts($!.class) end
    RUBY
    expect(process.out.text).to eq("TypeError\n")
  end
end
