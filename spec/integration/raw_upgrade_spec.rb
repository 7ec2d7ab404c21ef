# frozen_string_literal: true

RSpec.describe "A request that becomes a raw connection" do
  serve <<~RUBY
    module Echo
      def self.on_open(client) = client.write("raw \#{client.protocol} \#{client.env.inspect} \#{client.timeout};")
      def self.on_message(client, data) = client.write(data)
      def self.on_close(_client) = warn("closed")
    end

    run(lambda { |env|
      answer = {
        "/tcp" => ["upgrade.tcp", 101, { "upgrade" => "echo", "connection" => "upgrade" }],
        "/rack" => ["rack.upgrade", 200, { "x-app" => "yes", "content-length" => "4" }],
        "/odd" => ["rack.upgrade", -1, {}],
        "/no" => ["upgrade.tcp", 404, {}],
        "/both" => ["upgrade.tcp", 200, {}],
        "/bad" => ["upgrade.tcp", 200, { "x-bad" => "a\\rb" }]
      }[env["PATH_INFO"]] or next [200, {}, ["plain"]]
      key, status, headers = answer
      env[key] = Echo
      env["rack.upgrade"] = 7 if env["PATH_INFO"] == "/both"
      [status, headers, ["body"]]
    })
  RUBY

  get = Support::Server.method(:get)
  greeting = "raw raw nil 0;"

  it "is one by upgrade.tcp, with the application's head" do
    server.connect do |peer|
      peer.write(get["/tcp", "Connection: Upgrade", "Upgrade: echo"])
      head = peer.read_head
      expect([head.status, head["upgrade"], head["content-length"]]).to eq([101, "echo", nil])
      expect(peer.read(greeting.bytesize)).to eq(greeting)
      peer.write("GET / HTTP/1.1\r\n\r\n")
      expect(peer.read(18)).to eq("GET / HTTP/1.1\r\n\r\n")
      peer.close_write
      expect(peer.eof?).to be(true)
    end
  end

  it "is one by rack.upgrade on a request for nothing else" do
    server.connect do |peer|
      peer.write(get["/rack"])
      head = peer.read_head
      expect([head.status, head["x-app"], head["content-length"]]).to eq([200, "yes", "0"])
      expect(peer.read(greeting.bytesize)).to eq(greeting)
    end
  end

  it "is one by upgrade.tcp before rack.upgrade, even on a WebSocket's handshake" do
    server.connect do |peer|
      peer.write(get["/both", *Support::WebSocket::FIELDS])
      expect(peer.read_head.status).to eq(200)
      expect(peer.read(greeting.bytesize)).to eq(greeting)
    end
  end

  it "is answered by 200 for a status that is none" do
    server.connect { |peer| expect(peer.write(get["/odd"]).read_head.status).to eq(200) }
  end

  it "is none with a status from 300 on" do
    expect(server.get("/no").body).to eq("body")
  end

  it "is answered by 500 with a header that cannot be sent" do
    expect(server.get("/bad").status).to eq(500)
  end

  post = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nworld"
  {
    "bytes" => "hello", "what looks like a request" => get["/plain"], "a binary packet" => "\0\x16\x03\r\n\r\n".b,
    "a request with a body" => get["/a"] + post + get["/b"], "the beginning of one" => post[0..-3],
    "much" => "x" * 200_000
  }.each do |name, bytes|
    it "gets #{name} that came behind it" do
      server.connect do |peer|
        sender = Thread.new { peer.write(get["/tcp"] + bytes).close_write }
        expect(peer.read_head.status).to eq(101)
        expect(peer.read_to_end).to eq(greeting + bytes)
        sender.join
      end
    end

    it "gets #{name} behind requests that were answered before it" do
      server.connect do |peer|
        sender = Thread.new { peer.write(get["/"] + get["/"] + get["/tcp"] + bytes) }
        2.times { expect(peer.read_response.body).to eq("plain") }
        expect(peer.read_head.status).to eq(101)
        expect(peer.read(greeting.bytesize + bytes.bytesize)).to eq(greeting + bytes)
        sender.join
      end
    end
  end
end
