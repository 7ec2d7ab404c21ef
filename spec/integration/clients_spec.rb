# frozen_string_literal: true

require "json"

RSpec.describe "Iodine.connect" do
  fake = Support::FakeServer
  web_socket = Support::WebSocket

  # Starts a process with these connections, for the time of the block.
  def connecting(*connections, env: {})
    source = File.read("#{Support::ROOT}/spec/apps/clients.rb")
    process = Support::ChildProcess.ruby(source, *connections.map { |options| JSON.generate(options) }, env: env)
    yield process
  ensure
    process&.stop
  end

  # The lines about a connection, once the last of them is there.
  def story(process, name = "it", last: /close/)
    process.wait_for_log(/^#{name}: #{last}.*\n/)
    process.log.lines.filter_map { |line| line[/\A#{name}: (.*)/, 1] }
  end

  describe "for a WebSocket" do
    serve "realtime.ru"

    def url(target = "/echo") = "ws://127.0.0.1:#{server.port}#{target}"

    it "opens it, sends, receives and closes by a handshake" do
      connecting({ name: "it", url: url("/echo?greet"), say: "hello", close: 2 }) do |process|
        expect(story(process)).to eq(
          ["open :websocket nil 0 true", "message \"open /echo websocket\" #<Encoding:UTF-8>",
           "message \"hello\" #<Encoding:UTF-8>", "close false -1 false :websocket 1005 \"\""]
        )
        expect(process.log.text).to include("connected Iodine\n")
      end
    end

    it "sends messages of all sizes" do
      sizes = [0, 1, 125, 126, 65_535, 65_536, 200_000]
      connecting({ name: "it", url: url, say: sizes.map { |size| ["x", size] }, close: sizes.size }) do |process|
        messages = story(process).grep(/message/).map { |line| line[/message (\d+|"x*")/, 1] }
        expect(messages).to eq(["\"\"", "\"x\"", *sizes.drop(2).map(&:to_s)])
      end
    end

    it "sends the fields and cookies it is told to" do
      fields = { headers: { "X-One" => "1", "X-Two" => %w[a b], origin: "http://a.test" }, cookies: { a: 1, b: "x y" } }
      heads = Queue.new
      fake.use(->(peer) { heads << peer.read_until("\r\n\r\n") }) do |server|
        connecting({ name: "it", service: "ws", address: "127.0.0.1", port: server.port, path: "/p?q=1", **fields }) do
          lines = heads.pop.split("\r\n")
          expect(lines.first).to eq("GET /p?q=1 HTTP/1.1")
          expect(lines).to include("host: 127.0.0.1:#{server.port}", "X-One: 1", "X-Two: a", "X-Two: b",
                                   "origin: http://a.test", "cookie: a=1; b=x y", "sec-websocket-version: 13")
          expect(lines.grep(/\Acookie|extensions|content-length/)).to eq(["cookie: a=1; b=x y"])
        end
      end
    end

    it "uses new keys and masks each time" do
      bytes = Queue.new
      fake.use(lambda { |peer|
        head = peer.read_until("\r\n\r\n")
        peer.write(fake.accept(head))
        bytes << [head[/key: (\S+)/, 1], *Array.new(3) { peer.read(6 + 4)[2, 4] }]
      }) do |server|
        plan = { name: "it", url: "ws://127.0.0.1:#{server.port}", say: %w[same same same] }
        connecting(plan, plan) { expect((bytes.pop + bytes.pop).uniq.size).to eq(8) }
      end
    end

    it "compresses, if both want to" do
      server = Support::Server.script(<<~RUBY)
        require "iodine"
        echo = Module.new { def self.on_message(client, data) = client.write(data) }
        Iodine.listen(service: :http, address: "127.0.0.1", port: 0, deflate: true) do |env|
          warn env["HTTP_SEC_WEBSOCKET_EXTENSIONS"].inspect
          env["rack.upgrade"] = echo
          [200, {}, []]
        end
        Iodine.start
      RUBY
      url = "ws://127.0.0.1:#{server.port}"
      connecting({ name: "it", url: url, deflate: true, say: [["y", 100_000]] * 2, close: 2 }) do |process|
        expect(story(process).grep(/message 100000/).size).to eq(2)
        server.wait_for_log(/"permessage-deflate/)
      end
    ensure
      server&.stop
    end

    it "gets messages that come with the answer" do
      fake.use(lambda { |peer|
        accept = fake.accept(peer.read_until("\r\n\r\n"))
        peer.write(accept.b + web_socket.frame(:text, "early", mask: nil) + web_socket.frame(:close, "", mask: nil))
        peer.read_to_end
      }) do |server|
        connecting({ name: "it", url: "ws://127.0.0.1:#{server.port}" }) do |process|
          expect(story(process)[1..]).to eq(["message \"early\" #<Encoding:UTF-8>",
                                             "close false -1 false :websocket 1005 \"\""])
        end
      end
    end

    it "answers pings and the close of the server, masked" do
      frames = Queue.new
      fake.use(lambda { |peer|
        peer.write(fake.accept(peer.read_until("\r\n\r\n")).b + web_socket.frame(:ping, "there?", mask: nil))
        frames << web_socket.read_masked(peer)
        peer.write(web_socket.frame(:close, web_socket.closing(1000, "done"), mask: nil))
        frames << web_socket.read_masked(peer)
        # The server is the one to close.
        frames << peer.eof?
      }) do |server|
        connecting({ name: "it", url: "ws://127.0.0.1:#{server.port}" }) do |process|
          expect(story(process).last).to eq("close false -1 false :websocket 1000 \"done\"")
          expect([frames.pop.payload, frames.pop.code, frames.pop]).to eq(["there?", 1000, true])
        end
      end
    end

    it "sends pings, and leaves a server that answers none" do
      fake.use(->(peer) { peer.write(fake.accept(peer.read_until("\r\n\r\n"))) && peer.read_to_end }) do |server|
        connecting({ name: "it", url: "ws://127.0.0.1:#{server.port}", ping: 1 }) do |process|
          expect(story(process)).to eq(["open :websocket nil 1 true", "close false -1 false :websocket 1006 \"\""])
        end
      end
    end

    it "refuses frames that are masked" do
      frames = Queue.new
      fake.use(lambda { |peer|
        peer.write(fake.accept(peer.read_until("\r\n\r\n")).b + web_socket.frame(:text, "x"))
        frames << web_socket.read_masked(peer)
      }) do |server|
        connecting({ name: "it", url: "ws://127.0.0.1:#{server.port}" }) do |process|
          expect(story(process).last).to match(/close false -1 false :websocket 1002/)
          expect(frames.pop.code).to eq(1002)
        end
      end
    end

    it "refuses messages above its limit" do
      connecting({ name: "it", url: url, max_msg: 1, say: "x" * 1025 }) do |process|
        expect(story(process).last).to match(/close false -1 false :websocket 1009/)
      end
    end

    answers = {
      "status 200" => [->(_) { "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi" }, /status 200/],
      "status 404" => [->(_) { "HTTP/1.1 404 Not Found\r\n\r\n" }, /status 404/],
      "a redirect" => [->(_) { "HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n" }, /status 302/],
      "garbage" => [->(_) { "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n" }, /not HTTP/],
      "another protocol" => [->(head) { fake.accept(head).sub("websocket", "h2c") }, /does not change to/],
      "the accept of another key" => [->(_) { fake.accept("Sec-WebSocket-Key: x") }, /Accept does not answer/],
      "no accept" => [->(head) { fake.accept(head).sub(/^Sec-.*\r\n/, "") }, /Accept does not answer/],
      "an extension" => [->(head) { fake.accept(head).sub("\r\n\r\n", "\r\nSec-WebSocket-Extensions: x\r\n\r\n") },
                         /extension that was not offered/],
      "half a head" => [->(head) { fake.accept(head)[0..-10] }, /closed the connection without an answer/],
      "nothing" => [->(_) { "" }, /closed the connection without an answer/],
      "too large a head" => [->(_) { "HTTP/1.1 101 x\r\n#{"X-Fill: #{"y" * 8000}\r\n" * 5}\r\n" }, /too large/],
      "too many fields" => [->(_) { "HTTP/1.1 101 x\r\n#{"X: y\r\n" * 129}\r\n" }, /too large/],
      "a head without end" => [->(_) { "HTTP/1.1 101 x\r\n#{"X-Fill: #{"y" * 8000}\r\n" * 5}" }, /too large/]
    }
    it "tells the handler why the server did not open it" do
      fake.use(lambda { |peer|
        head = peer.read_until("\r\n\r\n")
        answer = answers.fetch(head[/x-case: (.*)\r/i, 1])[0].call(head)
        peer.offer(answer).close_write
        peer.read_to_end
      }) do |server|
        url = "ws://127.0.0.1:#{server.port}"
        plans = answers.keys.map { |name| { name: name, url: url, headers: { "X-Case": name } } }
        connecting(*plans) do |process|
          answers.each do |name, (_, reason)|
            expect(story(process, name)).to match([/\Aclose false -1 false :websocket 1006 ".*#{reason}/])
          end
        end
      end
    end

    it "gives up on a server that does not answer" do
      fake.use(->(peer) { peer.read_to_end }) do |server|
        connecting({ name: "it", url: "ws://127.0.0.1:#{server.port}", handshake_timeout: 1 }) do |process|
          expect(story(process)).to match([/close .* 1006 "the server does not answer"/])
        end
      end
    end
  end

  describe "for a raw connection" do
    it "opens it, sends and receives, by TCP and by a Unix socket" do
      fake.use(->(peer) { peer.write(peer.read(5).upcase) && peer.read_to_end }) do |server|
        path = "#{Dir.mktmpdir}/x.sock"
        unix = UNIXServer.new(path)
        by_unix = Thread.new { unix.accept.then { |peer| peer.write(peer.readpartial(5).upcase) && peer.read } }
        connecting({ name: "tcp", url: "tcp://127.0.0.1:#{server.port}", say: "hello", close: 1 },
                   { name: "unix", service: "unix", address: path, say: "hello", close: 1 }) do |process|
          %w[tcp unix].each do |name|
            expect(story(process, name)).to eq(
              ["open :raw nil 0 true", "message \"HELLO\" #<Encoding:ASCII-8BIT>", "close false -1 false :raw nil nil"]
            )
          end
        end
        by_unix.join
      end
    end

    it "tells the handler by on_close(nil) that there is none" do
      closed = TCPServer.new("127.0.0.1", 0).then { |server| server.addr[1].tap { server.close } }
      connecting({ name: "tcp", url: "raw://127.0.0.1:#{closed}" }, { name: "unix", url: "unix:///nowhere/at.all" },
                 { name: "ws", url: "ws://127.0.0.1:#{closed}" }) do |process|
        expect([story(process, "tcp"), story(process, "unix")]).to eq([["close nil"], ["close nil"]])
        expect(story(process, "ws")).to match([/close .* 1006 "127.0.0.1:#{closed}: Connection refused/])
        process.wait_for_log(/WARNING: could not connect to 127.0.0.1:#{closed}: Connection refused/)
      end
    end

    it "tries every address of a name" do
      # A name with ::1 and 127.0.0.1, of which one takes connections.
      fake.use(->(peer) { peer.write("hi") }) do |server|
        connecting({ name: "it", url: "raw://localhost:#{server.port}" }) do |process|
          expect(story(process)).to include("message \"hi\" #<Encoding:ASCII-8BIT>")
        end
      end
    end

    it "waits for a Unix socket whose queue is full" do
      path = "#{Dir.mktmpdir}/x.sock"
      full = Socket.new(:UNIX, :STREAM)
      full.bind(Addrinfo.unix(path)) && full.listen(0)
      ahead = UNIXSocket.new(path)
      connecting({ name: "late", url: "unix://#{path}", connect_timeout: 1 },
                 { name: "it", url: "unix://#{path}" }) do |process|
        expect(story(process, "late")).to eq(["close nil"])
        process.wait_for_log(/could not connect to #{path}: no answer in time/)
        2.times { full.accept }
        process.wait_for_log(/^it: open :raw/)
      end
    ensure
      [full, ahead].each { |socket| socket&.close }
    end

    it "gives up after its time" do
      # A full backlog leaves the handshakes of others unanswered.
      full = Socket.new(:INET, :STREAM)
      full.bind(Addrinfo.tcp("127.0.0.1", 0)) && full.listen(0)
      port = full.local_address.ip_port
      held = Array.new(4) { Socket.new(:INET, :STREAM) }
      held.each { |socket| socket.connect_nonblock(full.local_address, exception: false) }
      connecting({ name: "it", url: "raw://127.0.0.1:#{port}", ping: 1 }) do |process|
        expect(story(process)).to eq(["close nil"])
        process.wait_for_log(/could not connect to 127.0.0.1:#{port}: no answer in time/)
      end
    ensure
      [full, *held].each { |socket| socket&.close }
    end
  end

  it "raises for what cannot be" do
    process = Support::ChildProcess.run_ruby(<<~RUBY)
      require "iodine"
      class Handler
        def on_close(client)
          puts("closed \#{client.class} \#{client.open?} \#{client.close_code} \#{client.close_reason}")
        end
      end
      [[7],
       [{ url: "ws://127.0.0.1:1" }], [{ url: "ws://127.0.0.1:1", handler: true }],
       [{ url: "xyz://a", handler: 1 }], [{ url: "ws://no.such.name.invalid", handler: Handler.new }],
       [{ url: "raw://no.such.name.invalid:1", handler: 1 }],
       [{ address: "a", port: "x", handler: 1 }], [{ url: "ws://a:1", headers: { "a b" => "" }, handler: 1 }],
       [{ url: "ws://127.0.0.1:1", headers: { "a" => "b\\r\\nc: d" }, handler: 1 }],
       [{ url: "ws://127.0.0.1:1", cookies: { "a" => "b;c" }, handler: 1 }],
       [{ service: :ws, address: "127.0.0.1", path: "/a b", handler: 1 }],
       [{ url: "ws:///x", handler: 1 }], [{ url: "http://:0/x", handler: 1 }],
       [{ url: "ws://127.0.0.1:1", connect_timeout: "x", handler: 1 }],
       [{ url: "raw://127.0.0.1:1", max_pending: [1], handler: 1 }],
       [{ url: "ws://127.0.0.1:1", handshake_timeout: -1, handler: 1 }],
       [{ url: "ws://127.0.0.1:1", ping: "x", handler: 1 }]].each do |arguments|
        Iodine.connect(*arguments)
        puts "connected"
      rescue StandardError => e
        puts "\#{e.class} \#{e.message}"
      end
      begin Iodine.connect(url: "raw://127.0.0.1:1", handler: 1) {} rescue puts("\#{$!.class} \#{$!.message}") end
    RUBY
    expect(process.out.lines).to match(
      [/\ATypeError/, /\AArgumentError a :handler is required/, /\AArgumentError a :handler/,
       /\AArgumentError .*scheme/,
       /\Aclosed Iodine::Connection false 1006 Couldn't open client socket. no.such.name.invalid:80: /,
       /\ARuntimeError Couldn't open client socket\. no.such.name.invalid:80: /,
       /\ARuntimeError Couldn't open client socket\. no.such.name.invalid:1: /,
       /\ARuntimeError .*port must be a number/,
       /\AArgumentError .*name of a field/, /\AArgumentError .*value of a field/, /\AArgumentError the cookie "a=b;c"/,
       /\AArgumentError .*target is not a path/,
       /\AArgumentError the URL of a WebSocket has no host/, /\AArgumentError the URL of a WebSocket has no host/,
       /\ATypeError connect_timeout must be a number/, /\ATypeError max_pending must be a number/,
       /\ARangeError handshake_timeout must be/, "connected", /\AArgumentError .*no block/]
    )
    expect(process.log.text).to include('WARNING: an option is ignored: ping must be a number; got "x"')
  end

  describe "in a cluster" do
    it "before the start belongs to the master alone, and workers hold nothing of it" do
      peers = Queue.new
      fake.use(->(peer) { peers << peer.read(4) && peers << peer.read_to_end }) do |fake_server|
        server = Support::Server.script(<<~RUBY)
          require "iodine"
          client = Class.new do
            def on_open(client) = client.write("open")
            def on_close(client) = warn("closed in \#{Iodine.master? ? "master" : "worker"}")
          end
          Iodine.connect(url: "raw://127.0.0.1:#{fake_server.port}", handler: client.new)
          Iodine.listen(service: :http, address: "127.0.0.1", port: 0) { |env| [200, {}, [Process.pid.to_s]] }
          Iodine.workers = 2
          Iodine.start
        RUBY
        expect(peers.pop).to eq("open")
        # A worker that is forked while the connection stands does not keep it.
        Process.kill("KILL", server.get("/").body.to_i)
        server.wait_for_log(/Respawning.*is running/m)
        Process.kill("KILL", server.pid)
        expect(peers.pop).to eq("")
        expect(server.log).not_to include("closed in worker")
      ensure
        server&.stop
      end
    end
  end
end

RSpec.describe "Iodine.attach_fd" do
  it "makes connections of sockets and pipes, before the start and after" do
    process = Support::ChildProcess.run_ruby(<<~RUBY)
      require "iodine"
      require "socket"
      class Told
        def initialize(name) = @name = name
        def on_open(client) = puts("\#{@name} open \#{client.protocol} \#{client.env.inspect} \#{client.write("hi")}")
        def on_message(client, data) = puts("\#{@name} \#{data} \#{data.encoding}")
        def on_close(client) = puts("\#{@name} close \#{client.open?}").then { Iodine.stop if @name == "after" }
      end
      ours, theirs = UNIXSocket.pair
      told = Told.new("before")
      puts Iodine.attach_fd(ours.fileno, told).equal?(told)
      ours.close
      theirs.write("one")
      puts "nothing yet"
      Iodine.on_state(:on_start) { puts "start" }
      Iodine.run_after(1) do
        puts theirs.readpartial(2)
        theirs.close
        ours, theirs = UNIXSocket.pair
        Iodine.attach_fd(ours.fileno, Told.new("after"))
        puts "attached"
        theirs.write("two")
        theirs.close
      end
      Iodine.threads = 1
      Iodine.start
    RUBY
    lines = process.out.lines
    expect(lines.first(3)).to eq(["true", "nothing yet", "start"])
    expect(lines.grep(/before/)).to eq(["before open raw nil true", "before one ASCII-8BIT", "before close false"])
    expect(lines.grep(/after|attached/)).to eq(["after open raw nil true", "attached", "after two ASCII-8BIT",
                                                "after close false"])
  end

  it "raises for what is none" do
    process = Support::ChildProcess.run_ruby(<<~RUBY)
      require "iodine"
      [["1", 1], [nil, 1], [1, nil], [1, true], [999, 1], [-1, 1]].each do |arguments|
        Iodine.attach_fd(*arguments)
      rescue StandardError => e
        puts "\#{e.class} \#{e.message}"
      end
    RUBY
    expect(process.out.lines).to match([/\ATypeError/, /\ATypeError/, /\AArgumentError/, /\AArgumentError/,
                                        "IOError invalid fd.", "IOError invalid fd."])
  end

  it "raises for what cannot be waited for, and tells its handler nothing" do
    process = Support::ChildProcess.run_ruby(<<~RUBY)
      require "iodine"
      handler = Class.new do
        def on_open(_client) = puts("opened")
        def on_close(_client) = puts("closed")
      end
      attach = lambda do
        [File.open("file", "w+"), File.open("/"), File.open("/dev/null")].each do |io|
          Iodine.attach_fd(io.fileno, handler.new)
        rescue IOError => e
          puts e.message
        end
      end
      attach.call
      Iodine.run { attach.call.then { Iodine.stop } }
      Iodine.workers = 1
      Iodine.start
    RUBY
    expect(process.out.lines).to match([/\Athe fd cannot be waited for, as a socket or a pipe can: /] * 6)
  end
end
