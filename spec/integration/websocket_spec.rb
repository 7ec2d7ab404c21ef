# frozen_string_literal: true

require "zlib"

RSpec.describe "WebSocket" do
  get = Support::Server.method(:get)
  web_socket = Support::WebSocket
  fields = Support::WebSocket::FIELDS

  # Opens a WebSocket on a connection of its own.
  def open_socket(target = "/echo", *fields, **options)
    server.connect { |peer| yield Support::WebSocket.new(peer, target, *fields, **options) }
  end

  describe "the offer" do
    serve "realtime.ru"

    it "is :websocket for a request that asks for it, and nil for others" do
      offers = {
        fields => ":websocket",
        [*fields.drop(2), "Connection: keep-alive, Upgrade", "Upgrade: h2c, WebSocket"] => ":websocket",
        fields.drop(1) => "nil",
        ["Connection: Upgrade", "Upgrade: h2c"] => "nil",
        [] => "nil"
      }

      offers.each { |given, offer| expect(server.get("/offer", *given).body).to eq(offer) }
    end

    it "can be declined, and the connection serves on" do
      server.connect do |peer|
        2.times do
          peer.write(get["/offer", *fields] + get["/offer"])

          expect(peer.read_response.body).to eq(":websocket")
          expect(peer.read_response.body).to eq("nil")
        end
      end
    end

    it "is not taken by a status from 300 on" do
      expect(server.get("/echo?404", *fields).body).to eq("body")
    end

    it "is taken by statuses below 300" do
      %w[0 -1 101 299].each do |status|
        open_socket("/echo?#{status}") { |socket| expect(socket.head.status).to eq(101) }
      end
    end
  end

  describe "the handshake" do
    serve "realtime.ru"

    it "is answered with the application's headers" do
      open_socket do |socket|
        head = socket.head

        expect([head.status, head["sec-websocket-accept"]]).to eq([101, web_socket::ACCEPT])
        expect([head["upgrade"], head["connection"]]).to eq(%w[websocket Upgrade])
        expect([head["x-app"], head.all("set-cookie")]).to eq(["yes", ["a=1", "b=2"]])
        expect(head.names).not_to include("content-length", "transfer-encoding", "sec-websocket-extensions")
      end
    end

    it "answers a header that cannot be sent by 500" do
      expect(server.get("/bad-header", *fields).status).to eq(500)
    end

    it "follows other requests of the same packet" do
      server.connect do |peer|
        peer.write(get["/offer"] + web_socket.handshake("/echo") + web_socket.frame(:text, "early"))

        expect(peer.read_response.body).to eq("nil")
        expect(peer.read_head.status).to eq(101)
        expect(peer.read(7)).to eq("\x81\x05early".b)
      end
    end

    it "keeps what comes in its packet" do
      open_socket("/echo?greet", behind: web_socket.frame(:text, "one") + web_socket.frame(:text, "two")) do |socket|
        expect(Array.new(3) { socket.read_message }).to eq(["open /echo websocket", "one", "two"])
      end
    end

    it "keeps what comes in its packet when nothing follows" do
      server.connect do |peer|
        peer.write(web_socket.handshake("/echo") + web_socket.frame(:text, "close"))
        peer.close_write

        expect(peer.read_head.status).to eq(101)
        server.wait_for_log(/close gives nil false -1/)
      end
    end

    {
      "no version" => [fields.grep_v(/Version/), 400],
      "another version" => [fields.grep_v(/Version/) + ["Sec-WebSocket-Version: 8"], 426],
      "no key" => [fields.grep_v(/Key/), 400],
      "a short key" => [fields.grep_v(/Key/) + ["Sec-WebSocket-Key: c2hvcnQ="], 400],
      "two keys" => [fields + ["Sec-WebSocket-Key: #{web_socket::KEY}"], 400],
      "malformed extensions" => [fields + ["Sec-WebSocket-Extensions: ;"], 400]
    }.each do |mistake, (given, status)|
      it "is refused by #{status} with #{mistake}" do
        response = server.get("/echo", *given)

        expect(response.status).to eq(status)
        expect(response["sec-websocket-version"]).to eq("13") if status == 426
        server.wait_for_log(%r{closed /echo 1006 ".+" false -1 false nil})
      end
    end

    it "is refused by 400 with POST" do
      expect(server.request(Support::Server.post("/echo", "", *fields)).status).to eq(400)
    end
  end

  describe "messages" do
    serve "realtime.ru", "-max-msg", "64"

    it "keep their kind and their bytes" do
      open_socket do |socket|
        payloads = ["", "é", "a" * 125, "a" * 126, "b" * 65_535, "b" * 65_536]
        %i[text binary].product(payloads).push([:binary, "\xff\x00"]).each do |kind, payload|
          socket.send_frame(kind, payload)
          frame = socket.read_frame

          expect([frame.opcode, frame.payload]).to eq([kind, payload.b])
        end
      end
    end

    it "are put together from fragments, with a ping between them" do
      open_socket do |socket|
        socket.send_frame(:text, "on", final: false)
        socket.send_frame(:ping, "alive?")
        socket.send_frame(:continuation, "e")

        expect(socket.read_frame.to_h).to eq(opcode: :pong, payload: "alive?", final: true)
        expect(socket.read_message).to eq("one")
      end
    end

    it "may come one byte at a time" do
      server.connect do |peer|
        bytes = web_socket.handshake("/echo") + web_socket.frame(:text, "slow") + web_socket.frame(:ping, "x")
        bytes.each_char { |byte| peer.write(byte).wait_until_read }

        expect(peer.read_head.status).to eq(101)
        # The pong may overtake the echo, for which Ruby runs.
        expect(["\x81\x04slow\x8a\x01x".b, "\x8a\x01x\x81\x04slow".b]).to include(peer.read(9))
      end
    end

    it "are text when they are UTF-8, in a String that says so, and else binary" do
      open_socket do |socket|
        socket.text("encodings")
        frames = Array.new(4) { socket.read_frame }

        expect(frames.map(&:opcode)).to eq(%i[text binary binary binary])
        expect(frames.map(&:payload)).to eq(["encodings", "encodings", "\xff".b, "7"])
      end
      server.wait_for_log(/given no String/)
    end

    it "may have as many bytes as max_msg says" do
      open_socket do |socket|
        socket.send_frame(:binary, "x" * 65_536)
        expect(socket.read_message.bytesize).to eq(65_536)
        socket.peer.offer(web_socket.frame(:binary, "x" * 65_537))
        expect(socket.read_frame.code).to eq(1009)
        expect(socket.peer).to be_eof
      end
    end

    {
      "an unmasked frame" => [[web_socket.frame(:text, "x", mask: nil)], 1002],
      "reserved bits" => [[web_socket.frame(:text, "x", first: 0xC1)], 1002],
      "an unknown opcode" => [[web_socket.frame(:text, "x", first: 0x83)], 1002],
      "a stray continuation" => [[web_socket.frame(:continuation, "x")], 1002],
      "a fragmented ping" => [[web_socket.frame(:ping, "x", final: false)], 1002],
      "a long ping" => [[web_socket.frame(:ping, "x" * 126)], 1002],
      "a close frame of one byte" => [[web_socket.frame(:close, "x")], 1002],
      "a close code that must not be sent" => [[web_socket.frame(:close, web_socket.closing(1005))], 1002],
      "text that is not UTF-8" => [[web_socket.frame(:text, "\xff")], 1007],
      "text that is cut" => [[web_socket.frame(:text, "\xe2\x82")], 1007],
      "fragments too big together" => [[web_socket.frame(:text, "x" * 60_000, final: false),
                                        web_socket.frame(:continuation, "x" * 6_000)], 1009]
    }.each do |mistake, (frames, code)|
      it "end the connection with #{code} for #{mistake}" do
        open_socket do |socket|
          socket.peer.offer(frames.join)

          expect(socket.read_frame.code).to eq(code)
          expect(socket.peer).to be_eof
        end
        server.wait_for_log(%r{closed /echo #{code}})
      end
    end
  end

  describe "the client object" do
    serve "realtime.ru", threads: 3

    it "tells its state" do
      open_socket do |socket|
        socket.text("facts")

        expect(socket.read_message).to eq("[true, 0, 40, 0, true, nil, true]")
      end
    end

    it "closes with a code and a reason" do
      open_socket do |socket|
        socket.text("close 4001 enough")
        frame = socket.read_frame
        expect([frame.opcode, frame.code, frame.reason]).to eq([:close, 4001, "enough"])
        socket.send_frame(:close, frame.payload)
        expect(socket.peer).to be_eof
      end
      server.wait_for_log(%r{closed /echo 4001 "enough" false -1 false :websocket})
    end

    it "closes without a code, and takes no more writes" do
      open_socket do |socket|
        socket.text("close")

        expect(socket.read_frame.to_h).to eq(opcode: :close, payload: "", final: true)
        server.wait_for_log(/close gives nil false -1/)
      end
    end

    it "gives up on a peer that does not answer a close frame" do
      open_socket do |socket|
        socket.text("close 4002")

        expect(socket.read_frame.code).to eq(4002)
        expect(socket.peer).to be_eof
      end
      server.wait_for_log(%r{closed /echo 1006})
    end

    it "refuses codes that must not be sent" do
      open_socket do |socket|
        socket.text("bad code")

        expect(socket.read_message).to eq("ArgumentError")
      end
    end

    it "survives a callback that raises" do
      open_socket do |socket|
        socket.text("raise")
        socket.text("after")

        expect(socket.read_message).to eq("after")
      end
      server.wait_for_log(/on_message of a connection raised: RuntimeError: raised on purpose/)
    end

    it "is written to by any thread, each in its order" do
      open_socket do |socket|
        socket.text("threads 4")
        messages = Array.new(200) { socket.read_message.split.map(&:to_i) }

        expect(messages.group_by(&:first).transform_values { |all| all.map(&:last) })
          .to eq((0..3).to_h { |thread| [thread, [*0...50]] })
      end
    end

    it "changes its handler" do
      open_socket do |socket|
        socket.text("swap")
        socket.text("one")

        expect(Array.new(3) { socket.read_message }).to eq(["x", "other open", "other one"])
        server.wait_for_log(%r{closed /echo nil nil true \d true :websocket})
        socket.close
      end
      server.wait_for_log(/other closed/)
    end

    it "closes when it loses its handler" do
      open_socket do |socket|
        socket.text("nil")

        expect(socket.read_frame.opcode).to eq(:close)
      end
    end

    it "takes a module, and an object without callbacks, as handlers" do
      open_socket("/module") { |socket| expect(socket.read_message).to eq("other open") }
      open_socket("/empty") do |socket|
        socket.text("ignored")
        expect(socket.close.code).to eq(1000)
      end
    end

    it "calls back in order and never twice at a time" do
      open_socket("/orderly", behind: web_socket.frame(:text, "0")) do |socket|
        (1..300).each { |number| socket.text(number.to_s) }
        socket.text("report")

        expect(socket.read_message).to eq("open #{[*0..300].join(" ")} report")
        socket.close
      end
      server.wait_for_log(/orderly report close/)
    end

    it "tells when all has left" do
      open_socket("/drained") do |socket|
        server.wait_for_log(/drained 0/)
        socket.text("x" * 1000)
        socket.read_message
        server.wait_for_log(/drained 0\n.*drained 0/m)
      end
    end
  end

  describe "the end" do
    serve "realtime.ru", threads: 2

    it "is agreed on by close frames" do
      open_socket do |socket|
        socket.send_frame(:close, web_socket.closing(4500, "bye"))

        expect(socket.read_frame.code).to eq(4500)
        expect(socket.peer).to be_eof
      end
      server.wait_for_log(%r{closed /echo 4500 "bye"})
    end

    it "is agreed on without a code" do
      open_socket do |socket|
        socket.send_frame(:close)

        expect(socket.read_frame.payload).to eq("")
        expect(socket.peer).to be_eof
      end
      server.wait_for_log(%r{closed /echo 1005})
    end

    it "is told when the peer vanishes" do
      open_socket("/module", &:read_message)

      server.wait_for_log(/other closed/)
    end

    it "is told when the peer closes its side" do
      open_socket do |socket|
        socket.peer.close_write

        expect(socket.peer.read_to_end).to eq("")
      end
      server.wait_for_log(%r{closed /echo 1006 ""})
    end

    it "waits for the messages before it" do
      open_socket("/slow") do |socket|
        socket.text("wait")
        socket.text("more")
        socket.send_frame(:close, web_socket.closing(1000))
        server.get("/release")

        expect(socket.read_frame.opcode).to eq(:close)
      end
    end

    it "holds back a peer whose messages are not taken" do
      open_socket("/slow") do |socket|
        socket.text("wait")
        500.times { socket.send_frame(:binary, "x" * 100) }
        server.get("/release")

        expect(Array.new(501) { socket.read_message }).to eq(["4"] + (["100"] * 500))
      end
    end
  end

  describe "silence" do
    serve "realtime.ru", "-ping", "1"

    it "is broken by a ping, and answers keep the connection" do
      open_socket do |socket|
        2.times do
          expect(socket.read_frame.opcode).to eq(:ping)
          socket.send_frame(:pong)
        end
        socket.text("still here")
        expect(socket.read_message).to eq("still here")
      end
    end

    it "ends the connection when the ping is not answered" do
      open_socket do |socket|
        expect(socket.read_frame.opcode).to eq(:ping)
        expect(socket.peer).to be_eof
      end
      server.wait_for_log(%r{closed /echo 1006})
    end
  end

  describe "compression" do
    serve "realtime.ru", "-deflate", "-deflate-min", 2000

    it "is agreed to, and used in both directions" do
      open_socket("/echo", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits") do |socket|
        expect(socket.head["sec-websocket-extensions"]).to start_with("permessage-deflate")
        deflated = Zlib::Deflate.new(nil, -15).deflate("x" * 5000, Zlib::SYNC_FLUSH).delete_suffix("\x00\x00\xff\xff".b)
        socket.send_frame(:text, deflated, first: 0xC1)
        first, length = socket.peer.read(2).unpack("CC")

        expect([first, length < 100]).to eq([0xC1, true])
        inflated = Zlib::Inflate.new(-15).inflate(socket.peer.read(length) + "\x00\x00\xff\xff".b)
        expect(inflated).to eq("x" * 5000)
      end
    end

    it "begins at the size that was set" do
      open_socket("/echo", "Sec-WebSocket-Extensions: permessage-deflate") do |socket|
        { 1999 => 0x81, 2000 => 0xC1 }.each do |size, first|
          socket.text("x" * size)
          head = socket.peer.read(2).unpack("CC")
          socket.peer.read(head[1] == 126 ? socket.peer.read(2).unpack1("n") : head[1])

          expect(head[0]).to eq(first)
        end
      end
    end

    it "is limited by what a message inflates to" do
      bomb = Zlib::Deflate.new(nil, -15).deflate("x" * 300_000, Zlib::SYNC_FLUSH).delete_suffix("\x00\x00\xff\xff".b)
      open_socket("/echo", "Sec-WebSocket-Extensions: permessage-deflate") do |socket|
        socket.send_frame(:text, bomb, first: 0xC1)

        expect(socket.read_frame.code).to eq(1009)
      end
    end

    it "keeps no context, and says so" do
      open_socket("/echo", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits") do |socket|
        expect(socket.head["sec-websocket-extensions"])
          .to eq("permessage-deflate; server_no_context_takeover; client_no_context_takeover")
      end
    end

    it "is not agreed to unless it is offered" do
      open_socket { |socket| expect(socket.head.names).not_to include("sec-websocket-extensions") }
    end
  end

  describe "compression with context" do
    serve "realtime.ru", "-deflate", "-deflate-min", 1, "-deflate-write-context", "-deflate-read-context",
          "-deflate-write-bits", 10, "-deflate-read-bits", 11

    # A message that cannot be compressed but by reference to an earlier one.
    noise = Random.new(3).bytes(200).unpack1("H*")
    tail = "\x00\x00\xff\xff".b
    offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"

    # Reads a compressed frame: the bytes it has.
    def read_deflated(socket)
      first, length = socket.peer.read(2).unpack("CC")
      expect(first).to eq(0xC1)
      socket.peer.read(length == 126 ? socket.peer.read(2).unpack1("n") : length)
    end

    it "is agreed to with the windows that were set, and each end refers to earlier messages" do
      open_socket("/echo", offer) do |socket|
        expect(socket.head["sec-websocket-extensions"])
          .to eq("permessage-deflate; server_max_window_bits=10; client_max_window_bits=11")
        deflate = Zlib::Deflate.new(nil, -11)
        inflate = Zlib::Inflate.new(-10)
        sizes = Array.new(3) do
          data = deflate.deflate(noise, Zlib::SYNC_FLUSH).delete_suffix(tail)
          socket.send_frame(:text, data, first: 0xC1)
          answer = read_deflated(socket)
          expect(inflate.inflate(answer + tail)).to eq(noise)
          [data.bytesize, answer.bytesize]
        end
        expect(sizes[0].min).to be > 200
        expect((sizes[1] + sizes[2]).max).to be < 50
      end
    end

    it "keeps within the window that the client has asked for" do
      open_socket("/echo", "#{offer}; server_max_window_bits=9; server_no_context_takeover") do |socket|
        expect(socket.head["sec-websocket-extensions"]).to eq(
          "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits=11"
        )
        2.times do
          socket.text("#{noise}#{"y" * 2000}")
          expect(Zlib::Inflate.new(-9).inflate(read_deflated(socket) + tail)).to eq("#{noise}#{"y" * 2000}")
        end
      end
    end

    it "sends publications without reference to what was before, in step with the other messages" do
      open_socket("/echo", offer) do |socket|
        inflate = Zlib::Inflate.new(-10)
        [noise, "subscribe", noise, "publish #{noise}", noise].each do |text|
          socket.text(text)
          expected = text.delete_prefix("publish ")
          expect(inflate.inflate(read_deflated(socket) + tail)).to eq(expected)
        end
      end
    end
  end

  describe "the windows of compression" do
    it "are from 8 to 15 bits" do
      process = Support::ChildProcess.run_ruby(<<~RUBY)
        require "iodine"
        %i[deflate_write_bits deflate_read_bits].product([7, 8, 15, 16, "x"]).each do |option, bits|
          Iodine.listen(service: :http, address: "127.0.0.1", port: 0, deflate: true, option => bits) { }
          puts "\#{option} \#{bits}"
        rescue RangeError, TypeError => e
          puts "\#{e.class} \#{e.message}"
        end
      RUBY
      expected = %w[deflate_write_bits deflate_read_bits].flat_map do |option|
        ["RangeError #{option} must be from 8 to 15; got 7", "#{option} 8", "#{option} 15",
         "RangeError #{option} must be from 8 to 15; got 16", "TypeError #{option} must be a number; got \"x\""]
      end
      expect(process.out.lines).to eq(expected)
    end
  end

  describe "a peer that does not read" do
    serve "realtime.ru", "-max-pending", 1

    it "is closed when too much waits for it" do
      open_socket do |socket|
        socket.text("flood 500")

        server.wait_for_log(/a client reads too slowly/)
        server.wait_for_log(%r{closed /echo 1006})
      end
    end
  end

  describe "a peer that reads" do
    app = <<~RUBY
      class Client
        def on_open(client) = client.subscribe("all")
      end
      Iodine.subscribe("go") { Iodine.publish("all", "\n" * (4 << 20)); 20.times { |n| Iodine.publish("all", n.to_s) } }
      run(lambda { |env|
        env["rack.upgrade"] = Client.new if env["rack.upgrade?"]
        Iodine.publish("go", "") if env["PATH_INFO"] == "/go"
        [200, {}, []]
      })
    RUBY
    serving { Support::Server.rackup(app, "-max-pending", 1) }

    it "gets a publication that is larger than what may wait, and small ones behind it" do
      server.connect do |peer|
        socket = web_socket.new(peer, "/")
        server.get("/go")
        expect(socket.read_message.bytesize).to eq(4 << 20)
        expect(Array.new(20) { socket.read_message }).to eq(Array.new(20, &:to_s))
      end
      expect(server.log).not_to include("too slowly")
    end

    it "gets the same as an event, which is eight times as large when it is all line ends" do
      server.connect do |peer|
        peer.write(Support::Server.get("/", "Accept: text/event-stream"))
        peer.read_until("\r\n\r\n")
        server.get("/go")
        expect(peer.read((8 * ((4 << 20) + 1)) + 2)).to eq("#{"data: \r\n" * ((4 << 20) + 1)}\r\n")
        expect(peer.read_until("data: 19\r\n\r\n")).to start_with("data: 0\r\n\r\n")
      end
    end
  end

  describe "a server that stops" do
    it "says so while the client can be written to, and closes with 1001" do
      server = Support::Server.rackup("realtime.ru")
      server.connect do |peer|
        socket = web_socket.new(peer, "/echo")
        socket.text("ready")
        socket.read_message
        server.kill("INT")

        expect(socket.read_message).to eq("shutdown true")
        expect(socket.read_frame.code).to eq(1001)
        socket.send_frame(:close, web_socket.closing(1001))
        expect(peer).to be_eof
      end
      expect(server.wait).to be_success
      expect(server.log).to match(%r{closed /echo 1001})
    ensure
      server&.stop
    end

    it "does not wait for those who do not answer longer than its deadline" do
      server = Support::Server.rackup("realtime.ru", "-shutdown-timeout", "1")
      server.connect do |peer|
        web_socket.new(peer, "/module").read_message
        server.kill("INT")

        expect(server.wait).to be_success
      end
      expect(server.log).to match(/other closed/)
    ensure
      server&.stop
    end
  end
end
