# frozen_string_literal: true

module Support
  # Asks a server of spec/apps/everything.rb for all there is, and raises when an answer is not the expected one. For
  # watchers of the server's process, under which everything takes its time.
  class Tour
    # An answer was another one.
    class Surprise < StandardError; end

    PARTS = %i[requests pipeline bodies produced files documents mistakes hijacked hints web_socket events raw_upgrade
               publications raw tls timers clients].freeze
    BODY = "line one\nline two\n"
    DOCUMENT = '{"a":[1,2.5,null,{"b":"c"}],"d":{}}'

    # Starts the server; +through+ is a command that runs it, +env+ its variables. Without gems, which would only be
    # more objects for the collector to look at.
    def self.start(*through, env: {}, within: Waiting::DEADLINE)
      command = [*through, RbConfig.ruby, "--disable=gems", "-I#{ROOT}/lib", "#{ROOT}/spec/apps/everything.rb"]
      Server.new(command, env: env, listeners: 3, within: within)
    end

    # +within+ seconds each answer has to come.
    def initialize(server, within: Waiting::DEADLINE)
      @server = server
      @within = within
    end

    def run(parts = PARTS) = parts.each { |part| send(part) }

    private

    def requests
      expect(get("/env?a=1", "X-Own: 7", "Cookie: a=1").body, /QUERY_STRING.*a=1.*HTTP_X_OWN.*7.*HTTP_COOKIE/)
      # The same fields again and again: what requests have in common is kept.
      connect { |peer| 4.times { expect(ask(peer, Server.get("/env?b=2", "Accept: */*")).body, /b=2/) } }
    end

    def pipeline
      connect do |peer|
        peer.write(%w[/env?1 /fields /env?2 /raise /env?3].map { |target| Server.get(target) }.join)
        statuses = Array.new(5) { peer.read_response(within: @within).status }
        expect(statuses, [200, 200, 200, 500, 200])
      end
    end

    def bodies
      large = "0123456789" * 20_000
      [Server.post("/echo", BODY), Server.post_chunked("/echo", BODY, chunk: 3)].each do |bytes|
        expect(request(bytes).body, BODY)
      end
      expect(request(Server.post_chunked("/echo", large)).body, large)
      expect(request(Server.post("/lines", BODY)).body, BODY.upcase)
    end

    def produced
      expect(get("/each").body, "one#{"two" * 10_000}three")
      expect(get("/enumerator").body, "part 0;part 1;part 2;")
      expect(request(Server.post("/call", BODY)).body, "read #{BODY}")
      expect(get("/large").body.bytesize, 100_000)
    end

    def files = expect(get("/file").body, "from a file")

    def documents
      expect(request(Server.post("/json", DOCUMENT)).body, DOCUMENT)
      expect(get("/page").body, "a:! b: <end>")
    end

    def mistakes
      expect(%w[/raise /wrong /nowhere].map { |path| get(path).status }, [500] * 3)
      expect(request("GET / HTTP/1.1\r\nHost : x\r\n\r\n").status, 400)
    end

    def hijacked
      connect do |peer|
        peer.write("#{Server.get("/hijack")}word\n")
        expect(peer.read_to_end(within: @within), "hijacked word\n")
      end
      connect { |peer| expect(peer.write(Server.get("/partial")).read_to_end(within: @within), /\r\n\r\npartly\z/) }
    end

    def hints
      connect do |peer|
        peer.write(Server.get("/hints"))
        expect([peer.read_head(within: @within).status, peer.read_response(within: @within).body], [103, "hinted"])
      end
    end

    def web_socket
      visit do |socket|
        expect(say(socket, "hello"), "hello")
        expect(say(socket, "x" * 70_000).bytesize, 70_000)
        expect(say(socket, "swap"), "other")
        expect(say(socket, "hello"), "other hello")
      end
      visit { |socket| socket.text("close").then { expect(socket.read_frame(within: @within).opcode, :close) } }
    end

    def publications
      visit do |one|
        visit do |other|
          one.text("publish all to all")
          expect([one, other].map { |socket| socket.read_message(within: @within) }, ["to all"] * 2)
          expect(say(other, "leave"), "left")
          one.text("publish block.a to a block")
          expect([one, other].map { |socket| socket.read_message(within: @within) }, ["block.a: to a block"] * 2)
        end
      end
      expect(get("/engine").body, "QUIET")
      get("/subscriptions?3")
    end

    def events
      connect do |peer|
        peer.write(Server.get("/events", "Accept: text/event-stream"))
        expect(peer.read_to_end(within: @within), /event: ?greeting/)
      end
    end

    def raw_upgrade
      connect do |peer|
        peer.write(Server.get("/raw", "Connection: upgrade", "Upgrade: own"))
        expect(peer.read_head(within: @within).status, 101)
        expect(peer.read(4, within: @within), "open")
      end
    end

    def raw
      connect(port: @server.ports[2]) do |peer|
        expect(peer.read(4, within: @within), "open")
        expect(peer.write("hello").read(5, within: @within), "hello")
        expect(peer.write("swap").read(5, within: @within), "other")
        peer.close_write
        expect(peer.eof?(within: @within), true)
      end
    end

    def tls
      @server.connect_tls(port: @server.ports[1]) do |peer|
        expect(ask(peer, Server.post("/echo", BODY)).body, BODY)
        expect(ask(peer, Server.get("/large")).body.bytesize, 100_000)
      end
      @server.connect_tls(port: @server.ports[1]) { |peer| hijack_encrypted(peer) }
    end

    def hijack_encrypted(peer)
      peer.write("#{Server.get("/hijack")}word\n")
      expect(peer.read_to_end(within: @within), "hijacked word\n")
    end

    def timers = expect(get("/timers?2").status, 204)

    def clients
      expect(get("/connect?#{@server.port}").body, "open closed")
      expect(get("/connect-raw?#{@server.ports[2]}").body, "open closed")
    end

    def connect(**where, &block) = @server.connect(**where, &block)

    def visit
      connect do |peer|
        socket = WebSocket.new(peer, "/socket", within: @within)
        expect(socket.read_message(within: @within), "open")
        yield socket
      end
    end

    def say(socket, text)
      socket.text(text)
      socket.read_message(within: @within)
    end

    def ask(peer, bytes)
      peer.write(bytes)
      peer.read_response(within: @within)
    end

    def request(bytes) = connect { |peer| ask(peer, bytes) }
    def get(target, *fields) = request(Server.get(target, *fields))

    def expect(answer, expected)
      # rubocop:disable Style/CaseEquality
      raise Surprise, "expected #{expected.inspect}, got #{answer.inspect[0, 500]}" unless expected === answer
      # rubocop:enable Style/CaseEquality
    end
  end
end
