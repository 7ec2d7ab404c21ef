# frozen_string_literal: true

# Peers of WebSockets that misbehave, and handlers that do.
RSpec.describe "WebSocket" do
  web_socket = Support::WebSocket

  # Opens a WebSocket on a connection of its own.
  def open_socket(target = "/echo", **options)
    server.connect { |peer| yield Support::WebSocket.new(peer, target, **options) }
  end

  def await_ends(text, count)
    wait_until("#{count} times #{text.inspect} in the log", within: 60) { server.log.scan(text).size == count }
  end

  def expect_service
    open_socket do |socket|
      socket.text("alive")
      expect(socket.read_message).to eq("alive")
    end
  end

  describe "peers that vanish" do
    serve "realtime.ru", threads: 2

    it "may do so within a frame, at any byte of it" do
      frame = web_socket.frame(:text, "x" * 200)
      cuts = [*0..8, 100, frame.bytesize - 1]
      cuts.each { |cut| open_socket("/module") { |socket| socket.peer.write(frame[0, cut]) } }

      await_ends("other closed", cuts.size)
      expect_service
    end

    it "may do so within a message of fragments" do
      open_socket("/orderly") do |socket|
        socket.send_frame(:text, "a part", final: false)
        socket.send_frame(:ping)
        socket.read_frame
      end
      server.wait_for_log(/orderly open close/)
      expect_service
    end

    it "may do so a thousand at a time, closed or reset" do
      peers = Array.new(1000) do
        socket = TCPSocket.new("127.0.0.1", server.port)
        socket.write(web_socket.handshake("/drop"))
        socket
      end
      peers.each { |socket| expect(socket.readpartial(4096)).to start_with("HTTP/1.1 101") }
      reset = [1, 0].pack("ii")
      peers.each_with_index do |socket, at|
        socket.setsockopt(Socket::SOL_SOCKET, Socket::SO_LINGER, reset) if at.even?
        socket.close
      end

      await_ends("closed /drop 1006", 1000)
      expect_service
    end
  end

  describe "peers that do not read" do
    serve "realtime.ru", "-write-timeout", 1

    it "are closed when they have taken nothing for too long" do
      open_socket do |socket|
        socket.text("flood 200")

        server.wait_for_log(/a peer stopped reading: its connection is closed/)
        server.wait_for_log(%r{closed /echo 1006})
      end
      expect_service
    end
  end

  describe "handshakes that are refused" do
    serve "realtime.ru"

    it "are told which version is spoken" do
      others = web_socket::FIELDS.grep_v(/Version/)
      { others => 400, [*others, "Sec-WebSocket-Version: 14"] => 426 }.each do |fields, status|
        response = server.get("/echo", *fields)

        expect([response.status, response["sec-websocket-version"]]).to eq([status, "13"])
        expect(response["upgrade"]).to eq("websocket") if status == 426
      end
    end

    it "take no frames" do
      server.connect do |peer|
        fields = web_socket::FIELDS.grep_v(/Key/)
        peer.write(Support::Server.get("/echo", *fields).b << web_socket.frame(:text, "x"))

        expect(peer.read_response.status).to eq(400)
        expect(peer.read_to_end).to eq("")
      end
      expect_service
    end
  end

  describe "handlers that raise in every callback" do
    serve "realtime.ru"

    it "keep their connections, and are logged" do
      open_socket("/raising") do |socket|
        2.times { socket.text("x") }
        expect(socket.close.code).to eq(1000)
      end
      server.wait_for_log(/on_close of a connection raised: RuntimeError: on_close on purpose/)
      expect(server.log.scan(/on_message of a connection raised: RuntimeError: on_message on purpose/).size).to eq(2)
      expect(server.log).to match(/on_open of a connection raised: RuntimeError: on_open on purpose/)
        .and match(/on_drained of a connection raised: RuntimeError: on_drained on purpose/)
      expect_service
    end

    it "do so when the server stops, which stops all the same" do
      server = Support::Server.rackup("realtime.ru")
      server.connect do |peer|
        socket = web_socket.new(peer, "/raising")
        server.wait_for_log(/on_open on purpose/)
        server.kill("INT")

        expect(socket.read_frame.code).to eq(1001)
        socket.send_frame(:close, web_socket.closing(1001))
        expect(server.wait).to be_success
      end
      expect(server.log).to match(/on_shutdown on purpose/).and match(/on_close on purpose/)
    ensure
      server&.stop
    end
  end
end
