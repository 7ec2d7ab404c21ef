# frozen_string_literal: true

RSpec.describe "Protocols by ALPN" do
  script = <<~RUBY
    require "iodine"
    class Echo
      def initialize(name) = @name = name
      def on_open(client) = client.write("\#{@name}:")
      def on_message(client, data) = client.write(data.upcase)
    end
    tls = Iodine::TLS.self_signed
    tls.on_protocol("echo/1") { Echo.new("one") }.on_protocol("echo/2") { Echo.new("two") }
       .on_protocol("nobody") { nil }
    Iodine.threads = Iodine.workers = 1
    place = { address: "127.0.0.1", port: 0, tls: tls }
    Iodine.listen(**place, service: :http) do |env|
      env["rack.upgrade"] = Echo.new("socket") if env["rack.upgrade?"]
      [200, {}, [env["rack.url_scheme"]]]
    end
    Iodine.listen(**place, service: :raw) { Echo.new("raw") }
    Iodine.listen(**place, service: :raw, tls: Iodine::TLS.self_signed) { Echo.new("none") }
    Iodine.start
  RUBY
  serve_script script, listeners: 3

  def speak(port, *names, &block)
    server.connect_tls(port: port, **(names.empty? ? {} : { alpn_protocols: names }), &block)
  end

  it "lead to their handlers, on every kind of listener" do
    server.ports.first(2).each do |port|
      { "echo/1" => "one:", "echo/2" => "two:" }.each do |name, greeting|
        speak(port, name) do |peer|
          expect(peer.io.alpn_protocol).to eq(name)
          expect(peer.read(4)).to eq(greeting)
          peer.write("hello")
          expect(peer.read(5)).to eq("HELLO")
        end
      end
      speak(port, "nobody") { |peer| expect(peer).to be_eof }
    end
  end

  it "are what the server prefers of several" do
    speak(server.ports[0], "echo/2", "http/1.1") { |peer| expect(peer.io.alpn_protocol).to eq("http/1.1") }
    speak(server.ports[1], "echo/2", "echo/1") { |peer| expect(peer.io.alpn_protocol).to eq("echo/1") }
  end

  it "leave the others to the listener" do
    [[], ["http/1.1"], ["http/1.0"]].each do |names|
      speak(server.ports[0], *names) do |peer|
        peer.write(Support::Server.get("/"))
        expect(peer.read_response.body).to eq("https")
      end
    end
    speak(server.ports[1]) do |peer|
      expect(peer.read(4)).to eq("raw:")
      peer.write("x")
      expect(peer.read(1)).to eq("X")
    end
  end

  it "refuse a client that offers only others" do
    expect { speak(server.ports[0], "h2") }.to raise_error(OpenSSL::SSL::SSLError, /no application protocol/)
    expect { speak(server.ports[1], "http/1.1") }.to raise_error(OpenSSL::SSL::SSLError, /no application protocol/)
  end

  describe "of clients" do
    # A client that offers names, "nobody" and "raises" among them, and says who is told what.
    client = <<~RUBY
      require "iodine"
      Told = Struct.new(:name) do
        def on_open(_client) = puts("\#{name} open")
        def on_message(client, data) = puts("\#{name} \#{data}").then { client.close }
        def on_close(client) = puts("\#{name} close\#{" nil" unless client}").then { Iodine.stop }
      end
      url, maker, *names = ARGV
      tls = Iodine::TLS.new
      tls.verify = false
      names.each do |name|
        tls.on_protocol(name) { maker == "raises" ? raise("on purpose") : (Told.new(name) unless maker == "nobody") }
      end
      Iodine.threads = Iodine.workers = 1
      Iodine.connect(url: url, handler: Told.new("default"), tls: tls)
      Iodine.start
    RUBY

    define_method(:told) do |url, *arguments|
      process = Support::ChildProcess.run_ruby(client, url, *arguments)
      [process.out.lines, process.log.text]
    end

    def raw = "tls://127.0.0.1:#{server.ports[1]}"

    it "are offered, and the block of the one that the server takes makes the handler" do
      expect(told(raw, "", "echo/2", "unknown", "echo/1").first).to eq(["echo/1 open", "echo/1 one:", "echo/1 close"])
      expect(told(raw, "", "echo/2").first).to eq(["echo/2 open", "echo/2 two:", "echo/2 close"])
    end

    it "leave the connection to the handler when the server takes none" do
      expect(told(raw, "").first).to eq(["default open", "default raw:", "default close"])
      lines, = told("tls://127.0.0.1:#{server.ports[2]}", "", "echo/1")
      expect(lines).to eq(["default open", "default none:", "default close"])
    end

    it "close the connection when the block has no handler, and tell the other one" do
      expect(told(raw, "nobody", "echo/1").first).to eq(["default close nil"])
      lines, log = told(raw, "raises", "echo/1")
      expect(lines).to eq(["default close nil"])
      expect(log).to match(/ERROR: the block of Iodine::TLS#on_protocol raised.*on purpose/)
    end

    it "are not offered for a WebSocket, which begins as HTTP" do
      lines, = told("wss://127.0.0.1:#{server.ports[0]}", "", "echo/1")
      expect(lines).to eq(["default open", "default socket:", "default close"])
    end

    it "end the connection when the server knows none of them" do
      lines, log = told(raw, "", "unknown")
      expect(lines).to eq(["default close nil"])
      expect(log).to match(/no connection was opened: .*NoApplicationProtocol/)
    end
  end

  it "have names that can be sent, and only once" do
    process = Support::ChildProcess.run_ruby(<<~RUBY)
      require "iodine"
      tls = Iodine::TLS.new.on_protocol("x" * 255) { nil }
      [[""], ["x" * 256], ["x" * 255], ["http/1.1"], [:a]].each do |arguments|
        tls.on_protocol(*arguments) { nil }
        puts "taken"
      rescue ArgumentError, TypeError => e
        puts e.class
      end
      begin
        tls.on_protocol("y")
      rescue ArgumentError => e
        puts e.message
      end
    RUBY
    expect(process.out.lines)
      .to eq(%w[ArgumentError ArgumentError ArgumentError ArgumentError TypeError] +
             ["no block given (Iodine::TLS#on_protocol)"])
  end
end
