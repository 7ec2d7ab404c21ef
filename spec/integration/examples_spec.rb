# frozen_string_literal: true

RSpec.describe "examples/" do
  folder = "#{Support::ROOT}/examples"
  greeting = "Say something. \"bye\" to leave.\n"

  # An example for the command, with the flags that its first lines name.
  def self.rackup(name, *flags, **options)
    serving { Support::Server.rackup("../../examples/#{name}", *flags, **options) }
  end

  describe "hello.ru" do
    rackup "hello.ru"

    it "answers" do
      expect(server.get("/")).to have_attributes(status: 200, body: "Hello, world!\n")
    end
  end

  describe "echo.ru" do
    rackup "echo.ru"

    it "says back what it is sent" do
      server.connect do |peer|
        socket = Support::WebSocket.new(peer, "/")
        expect(socket.read_message).to eq("You are connected.")
        socket.text("hello")
        expect(socket.read_message).to eq("hello")
      end
    end

    it "has a page to try it by" do
      Support::Browser.open do |browser|
        tab = browser.tab("http://127.0.0.1:#{server.port}/")
        said = -> { tab.value("document.querySelector('pre').textContent") }
        wait_until("a connection", within: 30) { said.call == "You are connected.\n" }
        tab.type("input", "hello\n")
        wait_until("an answer", within: 30) { said.call == "You are connected.\nhello\n" }
      end
    end
  end

  describe "static_site/" do
    rackup "static_site/config.ru", "-www", "#{folder}/static_site/public"

    it "sends files, and asks the application for the rest" do
      page = server.get("/")
      style = page.body[/href="(.+?\.css)"/, 1]
      expect([page["content-type"], server.get(style)["cache-control"]]).to match(["text/html", /immutable/])
      expect(server.get("/time").body).to match(/\A\d{4}-.* UTC\n\z/)
      expect(server.get("/nowhere")).to have_attributes(status: 404, body: "There is no /nowhere.\n")
    end
  end

  describe "sendfile.ru" do
    rackup "sendfile.ru", "-www", "#{folder}/static_site/public"

    it "sends the file to those who may have it, ranges too" do
      source = File.binread("#{folder}/sendfile.ru")
      expect(server.get("/download?key=secret")).to have_attributes(status: 200, body: source)
      expect(server.get("/download?key=secret",
                        "Range: bytes=2-20")).to have_attributes(status: 206, body: source[2..20])
      expect(server.get("/download?key=guess").status).to eq(403)
      expect(server.get("/").status).to eq(200)
      expect(server.get("/else").status).to eq(404)
    end
  end

  describe "page.ru" do
    rackup "page.ru"

    it "renders its template, and escapes what comes from outside" do
      expect(server.get("/", "X-Name: <b>").body).to include("<h1>Your fields</h1>", "<b>X_NAME</b>: &lt;b&gt;")
      expect(server.get("/").body).to include("<li>none</li>")
    end
  end

  describe "timers.rb" do
    serving { Support::Server.new([RbConfig.ruby, "-I#{Support::ROOT}/lib", "#{folder}/timers.rb", "0"]) }

    it "does what is due, and serves" do
      expect(server.get("/").body).to start_with("1 requests")
      server.process.out.wait_for(/served: 1 requests/)
      server.process.out.wait_until("four timers") do |text|
        text.scan("once of three times").size == 3 && text.include?("half a second has passed")
      end
      wait_until("a measured second") { server.get("/").body.match?(/, [1-9]\d* in the last second/) }
    end
  end

  describe "hot_restart.rb" do
    rackup "hello.ru", "-C", "#{folder}/hot_restart.rb", workers: 2, env: { "RESTART_SECONDS" => "1" }

    it "replaces the workers by the clock, without a failed request" do
      wait_until("two workers") { server.children.size == 2 }
      first = server.children
      visitors = Support::Visitors.new(server, kept: 2, brief: 5)
      wait_until("other workers", within: 60) { server.children.size == 2 && (server.children & first).empty? }
      expect(visitors.finish.keys).to eq(["Hello, world!\n"])
      expect(visitors.failures).to be_empty
    end
  end

  describe "tls.rb" do
    define_method(:tls) do |*arguments|
      command = [RbConfig.ruby, "-I#{Support::ROOT}/lib", "#{folder}/tls.rb", *arguments]
      Support::Server.new(command, env: { "PORT" => "0" })
    end

    def body(server, **options)
      server.connect_tls(**options) { |peer| peer.write(Support::Server.get("/")).read_response.body }
    ensure
      server.stop
    end

    it "serves by a certificate that is made on the spot" do
      expect(body(tls)).to eq("Hello over https\n")
    end

    it "serves by the certificate it is given" do
      root = Support::Authority.new
      verified = { name: "a.test", verify_mode: OpenSSL::SSL::VERIFY_PEER, verify_hostname: true,
                   cert_store: root.store }
      Support::TLS.files(root, site: root.issue("a.test")) do |files|
        expect(body(tls("#{files}/site.crt", "#{files}/site.key"), **verified)).to eq("Hello over https\n")
      end
    end
  end

  describe "mtls.rb" do
    serving do
      command = [RbConfig.ruby, "-I#{Support::ROOT}/lib", "#{folder}/mtls.rb"]
      Support::Server.new(command, env: { "PORT" => "0" })
    end

    def body(**options)
      server.connect_tls(**options) { |peer| peer.write(Support::Server.get("/")).read_response.body }
    end

    it "serves who shows the certificate it has made, and nobody else" do
      pem = File.read(server.process.out.wait_for(/--cert (\S+)/)[1])
      alice = { cert: OpenSSL::X509::Certificate.new(pem), key: OpenSSL::PKey.read(pem) }
      expect(body(**alice)).to match(/\AHello CN=alice \(\h{64}\)\n\z/)
      # By an alert, unless the reset comes first.
      expect { body }.to(raise_error do |error|
        expect(error).to be_a(OpenSSL::SSL::SSLError).or be_a(SystemCallError).or be_a(Support::RawHTTP::MalformedError)
      end)
    end
  end

  describe "raw_echo.rb" do
    serving { Support::Server.script(File.read("#{folder}/raw_echo.rb"), "0") }

    it "says back what it is told" do
      server.connect do |peer|
        expect(peer.read(greeting.bytesize)).to eq(greeting)
        peer.write("hello\n")
        expect(peer.read(6)).to eq("hello\n")
        peer.write("bye\n")
        expect(peer.read_to_end).to eq("bye\n")
      end
    end
  end

  describe "raw_chat.rb" do
    serving { Support::Server.script(File.read("#{folder}/raw_chat.rb"), "0") }

    it "asks for a name, and tells everybody what is said" do
      server.connect do |ada|
        expect(ada.read_until("\n")).to eq("What is your name?\n")
        ada.write("not a name\nAda\nhello")
        expect(ada.read_until("here\n")).to eq("Just a word, please.\n* Ada is here\n")
        server.connect do |bob|
          bob.write("Ada\r\nBob\r\nhi there\r\n")
          expect(bob.read_until("there\n")).to eq("What is your name?\nAda is taken.\n* Bob is here\nBob: hi there\n")
          expect(ada.read_until("there\n")).to eq("* Bob is here\nBob: hi there\n")
          ada.write(" Bob\n")
          expect(bob.read_until("\n")).to eq("Ada: hello Bob\n")
          bob.write("/quit\n")
          expect(bob.read_to_end).to eq("")
        end
        expect(ada.read_until("left\n")).to eq("Ada: hello Bob\n* Bob has left\n")
        ada.write("x" * 2000)
        expect(ada.read_to_end).to eq("a line is longer than 1024 bytes\n")
      end
    end
  end

  describe "websocket_client.rb" do
    serve "realtime.ru"

    it "sends what is typed and prints what comes" do
      reader, writer = IO.pipe
      out, out_writer = IO.pipe
      pid = Process.spawn(RbConfig.ruby, "-I#{Support::ROOT}/lib", "#{folder}/websocket_client.rb",
                          "ws://127.0.0.1:#{server.port}/echo?greet", in: reader, out: out_writer)
      output = Support::Output.new(out)
      [reader, out_writer].each(&:close)
      output.wait_for(/< open/)
      writer.puts("hello", "close")
      output.wait_for(/< hello\n\(closed: 1005 ; again in 1 s\)\n\(connected/)
      writer.close
      expect(Process.wait2(pid).last).to be_success
    ensure
      output&.finish
    end
  end

  describe "clock.ru" do
    serving { Support::Server.rackup("../../examples/clock.ru", workers: 2, threads: 1) }

    # The ids of ticks, and their seconds, as an event stream that has seen +last+ gets them.
    def ticks(count, last: nil)
      fields = ["Accept: text/event-stream", *("Last-Event-ID: #{last}" if last)]
      server.connect do |peer|
        peer.write(Support::Server.get("/ticks", *fields))
        peer.read_until("\r\n\r\n")
        expect(peer.read_until("\r\n\r\n")).to eq("event: welcome\r\nretry: 500\r\ndata: \r\n\r\n")
        Array.new(count) { peer.read_until("\r\n\r\n")[/\Aid: (\S+)\r\ndata: \d\d:\d\d:\d\d\r\n/, 1] }
      end
    end

    it "misses no tick" do
      expect(server.get("/").body).to include("EventSource")
      first = ticks(1).first
      later = ticks(1, last: first).first
      all = ticks(3, last: first)

      expect(all.first).to eq(later)
      expect(all.map { |id| id[/\d+\z/].to_i }).to eq(Array.new(3) { |n| first[/\d+\z/].to_i + 1 + n })
    end
  end

  describe "pubsub.rb" do
    it "has the workers of a server hear what a script says" do
      Dir.mktmpdir("iodine-example") do |place|
        path = "#{place}/pubsub.sock"
        server = Support::ChildProcess.ruby(File.read("#{folder}/pubsub.rb"), "serve", path)
        server.wait_for_log(/Publishers may connect/)
        wait_until("two workers") { server.log.text.scan(/\d+ is running/).size == 2 }
        say = Support::ChildProcess.run_ruby(File.read("#{folder}/pubsub.rb"), "say", path, "hello")
        expect(say.wait).to be_success
        server.out.wait_until("what all have heard") do |text|
          text.scan(/^\d+ (?:by a pattern, )?news: hello$/).size == 6
        end
        server.kill("INT")
        expect(server.wait).to be_success
      ensure
        server&.kill_group
      end
    end
  end

  describe "engine.rb" do
    it "takes messages by way of a file" do
      Dir.mktmpdir("iodine-example") do |place|
        path = "#{place}/messages"
        server = Support::Server.script(File.read("#{folder}/engine.rb"), path, "0")
        server.connect do |peer|
          socket = Support::WebSocket.new(peer, "/")
          server.wait_for_log(/^listening for talk$/)
          socket.text("hello")
          expect(socket.read_message).to eq("hello")
          File.write(path, "[\"talk\",\"from elsewhere\"]\n", mode: "a")
          expect(socket.read_message).to eq("from elsewhere")
        end
        server.wait_for_log(/^no longer listening for talk$/)
      ensure
        server&.stop
      end
    end
  end

  describe "redis.ru" do
    it "is a chat of all servers, which counts what is said" do
      redis = Support::RedisServer.new
      servers = Array.new(2) { Support::Server.rackup("../../examples/redis.ru", "-r", redis.url) }
      peers = servers.map(&:connect)
      sockets = peers.map { |peer| Support::WebSocket.new(peer, "/") }
      wait_until("both subscriptions") { redis.call("PUBSUB", "NUMSUB", "chat") == ["chat", 2] }
      sockets.first.text("hello")
      expect(sockets.map(&:read_message)).to eq(["1: hello"] * 2)
      sockets.last.text("hi")
      expect(sockets.map(&:read_message)).to eq(["2: hi"] * 2)
    ensure
      peers&.each(&:close)
      servers&.each(&:stop)
      redis&.stop
    end
  end
end
