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
    Iodine.listen(**place, service: :http) { |env| [200, {}, [env["rack.url_scheme"]]] }
    Iodine.listen(**place, service: :raw) { Echo.new("raw") }
    Iodine.start
  RUBY
  serve_script script, listeners: 2

  def speak(port, *names, &block)
    server.connect_tls(port: port, **(names.empty? ? {} : { alpn_protocols: names }), &block)
  end

  it "lead to their handlers, on every kind of listener" do
    server.ports.each do |port|
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
