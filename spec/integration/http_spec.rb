# frozen_string_literal: true

require "digest"
require "time"

RSpec.describe "HTTP/1.1" do
  get = Support::Server.method(:get)
  post = Support::Server.method(:post)
  post_chunked = Support::Server.method(:post_chunked)

  describe "with default settings" do
    serve "http.ru", threads: 4

    # What the default application answers: method, path, query, protocol and Host.
    def facts(response) = eval(response.body) # rubocop:disable Security/Eval

    describe "connections" do
      it "keeps an HTTP/1.1 connection" do
        server.connect do |peer|
          3.times do |turn|
            peer.write(get["/#{turn}"])
            response = peer.read_response

            expect(facts(response)[1]).to eq("/#{turn}")
            expect(response["connection"]).to be_nil.or eq("keep-alive")
          end
        end
      end

      it "closes when the request says so" do
        server.connect do |peer|
          peer.write(get["/", "Connection: close"])

          expect(peer.read_response["connection"]).to eq("close")
          expect(peer).to be_eof
        end
      end

      it "finds close in a list, in any case" do
        server.connect do |peer|
          peer.write(get["/", "Connection: x-hop, Close"])

          expect(peer.read_response["connection"]).to eq("close")
          expect(peer).to be_eof
        end
      end

      it "closes when the application says so" do
        server.connect do |peer|
          peer.write(get["/close"] + get["/never"])
          response = peer.read_response

          expect([response.body, response["connection"]]).to eq(%w[closing close])
          expect(peer).to be_eof
        end
      end

      it "reads nothing after a request that asked to close" do
        server.connect do |peer|
          peer.write(get["/last", "Connection: close"] + get["/never"])

          expect(facts(peer.read_response)[1]).to eq("/last")
          expect(peer).to be_eof
        end
      end

      it "answers a client that has closed its half" do
        server.connect do |peer|
          peer.write(get["/slow?half"])
          peer.close_write

          expect(peer.read_response.body).to eq("slow half")
          expect(peer).to be_eof
        end
      end

      it "answers 16 pipelined requests, slow and fast, in order" do
        server.connect do |peer|
          targets = Array.new(16) { |turn| turn % 3 == 1 ? "/slow?#{turn}" : "/fast?#{turn}" }
          peer.write(targets.map { |target| get[target] }.join)
          answers = targets.map { peer.read_response.body }

          answers.zip(targets).each_with_index do |(answer, target), turn|
            expect(answer).to target.start_with?("/slow") ? eq("slow #{turn}") : include(%("/fast", "#{turn}"))
          end
        end
      end

      it "answers pipelined requests with bodies" do
        server.connect do |peer|
          bodies = Array.new(16) { |turn| turn.to_s * turn * 100 }
          peer.write(bodies.map do |body|
            body.size.odd? ? post_chunked["/echo", body, chunk: 7] : post["/echo", body]
          end.join)

          expect(bodies.map { peer.read_response.body }).to eq(bodies)
        end
      end

      it "reads the next request after a body that the application left unread" do
        server.connect do |peer|
          peer.write(post["/unread", "x" * 200_000] + get["/next"])

          expect(peer.read_response.body).to eq("unread")
          expect(facts(peer.read_response)[1]).to eq("/next")
        end
      end
    end

    describe "HTTP/1.0" do
      it "answers without Host and closes" do
        server.connect do |peer|
          peer.write("GET /old HTTP/1.0\r\n\r\n")
          response = peer.read_response

          expect(facts(response)).to eq(["GET", "/old", "", "HTTP/1.0", nil])
          expect(response["connection"]).to be_nil.or eq("close")
          expect(peer).to be_eof
        end
      end

      it "answers with Host" do
        response = server.request("GET /old HTTP/1.0\r\nHost: a.test\r\n\r\n")

        expect(facts(response).last).to eq("a.test")
      end

      it "keeps the connection when asked to" do
        server.connect do |peer|
          2.times do
            peer.write("GET /old HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
            response = peer.read_response

            expect(response.status).to eq(200)
            expect(response["connection"]).to eq("keep-alive")
          end
        end
      end

      it "ends a body of unknown length by closing, even when asked to keep the connection" do
        server.connect do |peer|
          peer.write("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
          response = peer.read_response

          expect(response["transfer-encoding"]).to be_nil
          expect(response["connection"]).to be_nil.or eq("close")
          expect(response.body).to eq("part 0;part 1;part 2;")
          expect(peer).to be_eof
        end
      end
    end

    describe "methods and targets" do
      it "answers HEAD without body, with the length of the body" do
        server.connect do |peer|
          peer.write("HEAD /x HTTP/1.1\r\nHost: a.test\r\n\r\n")
          head = peer.read_response(to: "HEAD")
          peer.write(get["/x"])

          expect(head["content-length"]).to eq((peer.read_response.body.bytesize + 1).to_s)
        end
      end

      it "answers HEAD of a body of unknown length without body" do
        server.connect do |peer|
          peer.write("HEAD /stream HTTP/1.1\r\nHost: a.test\r\n\r\n#{get["/next"]}")

          expect(peer.read_response(to: "HEAD").status).to eq(200)
          expect(facts(peer.read_response)[1]).to eq("/next")
        end
      end

      it "takes OPTIONS *" do
        response = server.request("OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n")

        expect(facts(response).first(2)).to eq(["OPTIONS", "*"])
      end

      it "takes absolute-form, whose host overrides Host" do
        response = server.request("GET http://b.test:81/a/b?c=d HTTP/1.1\r\nHost: a.test\r\n\r\n")

        expect(facts(response)).to eq(["GET", "/a/b", "c=d", "HTTP/1.1", "b.test:81"])
      end

      it "takes absolute-form without a path" do
        response = server.request("GET http://b.test?c HTTP/1.1\r\nHost: b.test\r\n\r\n")

        expect(facts(response)[1..2]).to eq(["/", "c"])
      end

      it "leaves percent-encoding, methods and queries as they came" do
        response = server.request("get /a%2Fb//c?d?e=%7a+ HTTP/1.1\r\nHost: a.test\r\n\r\n")

        expect(facts(response).first(3)).to eq(["get", "/a%2Fb//c", "d?e=%7a+"])
      end
    end

    describe "response heads" do
      it "consist of lower-case names, a colon and a space" do
        server.connect do |peer|
          peer.write(get["/capitals", "Connection: close"])
          lines = peer.read_to_end.split("\r\n\r\n").first.split("\r\n")

          expect(lines.shift).to eq("HTTP/1.1 200 OK")
          expect(lines).to all match(/\A[a-z-]+: \S.*\z/)
          expect(lines).to include("content-type: text/plain", "x-some-field: Some Value", "content-length: 8")
        end
      end

      it "carry the date" do
        date = server.get("/")["date"]

        expect(date).to match(/\A\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\z/)
        expect(Time.httpdate(date)).to be_within(5).of(Time.now)
      end

      it "carry a date that moves on" do
        first = server.get("/")["date"]

        expect(wait_until("another date") { (date = server.get("/")["date"]) != first && date }).not_to eq(first)
      end

      [204, 304].each do |status|
        it "announce no body with #{status}" do
          server.connect do |peer|
            peer.write(get["/status/#{status}"] + get["/next"])
            response = peer.read_response

            expect(response.status).to eq(status)
            expect(response.names).not_to include("content-length", "transfer-encoding")
            expect(facts(peer.read_response)[1]).to eq("/next")
          end
        end
      end

      it "announce no body with 101" do
        server.connect do |peer|
          peer.write(get["/status/101"])
          head = peer.read_head

          expect(head.names).not_to include("content-length", "transfer-encoding")
        end
      end

      it "announce an empty body with 205" do
        expect(server.get("/status/205")["content-length"]).to eq("0")
      end
    end

    describe "request bodies" do
      memory = 64 * 1024
      sizes = [0, 1, 5, 8191, 8192, 8193, memory - 1, memory, memory + 1, 3 * memory + 17]

      # Bytes without a pattern, the same in each run.
      def noise(size) = Random.new(size).bytes(size)

      sizes.each do |size|
        it "of #{size} bytes come through with Content-Length" do
          expect(server.request(post["/echo", noise(size)]).body).to eq(noise(size))
        end

        it "of #{size} bytes come through in chunks" do
          expect(server.request(post_chunked["/echo", noise(size), chunk: 4099]).body).to eq(noise(size))
        end
      end

      it "of 20 MB come through" do
        body = noise(20_000_000)
        expected = "#{body.bytesize} #{Digest::SHA256.hexdigest(body)}"

        expect(server.request(post["/digest", body]).body).to eq(expected)
        expect(server.request(post_chunked["/digest", body, chunk: 65_521]).body).to eq(expected)
      end

      it "come through from several clients at the same time" do
        answers = together(8) { |index| server.request(post["/echo", noise(100_000 + index)]).body }

        expect(answers).to eq(Array.new(8) { |index| noise(100_000 + index) })
      end

      it "leave no file behind, not even while they come" do
        before = server.process.temporary_files
        body = noise(400_000)
        server.connect do |peer|
          bytes = post["/digest", body]
          peer.write(bytes.byteslice(0, 300_000))
          wait_until("a spooled body") { spooled.any? }

          expect(server.process.temporary_files).to eq(before)
          peer.write(bytes.byteslice(300_000..))
          expect(peer.read_response.body).to eq("#{body.bytesize} #{Digest::SHA256.hexdigest(body)}")
        end
        expect(server.process.temporary_files).to eq(before)
        wait_until("the file is closed") { spooled.empty? }
      end

      it "are given up with the connection" do
        server.connect { |peer| peer.write(post["/digest", noise(400_000)].byteslice(0, 300_000)) }

        wait_until("the file is closed") { spooled.empty? }
        expect(server.get("/").status).to eq(200)
      end

      # Open files of the server that have no name.
      def spooled = server.process.open_files.select { |path| path.end_with?("(deleted)") }
    end

    describe "Expect: 100-continue" do
      head = "POST /echo HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\n"

      it "is answered when the body is awaited" do
        server.connect do |peer|
          peer.write("#{head}Content-Length: 5\r\n\r\n")
          interim = peer.read_head
          peer.write("hello")
          response = peer.read_head

          expect([interim.status, interim.fields]).to eq([100, []])
          expect([response.status, peer.read(5)]).to eq([200, "hello"])
        end
      end

      it "is answered for a chunked body" do
        server.connect do |peer|
          peer.write("#{head.sub("100-continue", "100-Continue")}Transfer-Encoding: chunked\r\n\r\n")

          expect(peer.read_head.status).to eq(100)
          peer.write("5\r\nhello\r\n0\r\n\r\n")
          expect(peer.read_response.body).to eq("hello")
        end
      end

      it "is not answered when the body came with the head" do
        server.connect do |peer|
          peer.write("#{head}Content-Length: 5\r\n\r\nhello")

          expect(peer.read_head.status).to eq(200)
        end
      end

      it "is not answered without a body" do
        server.connect do |peer|
          peer.write("#{head}Content-Length: 0\r\n\r\n")

          expect(peer.read_head.status).to eq(200)
        end
      end

      it "is not answered to HTTP/1.0" do
        server.connect do |peer|
          peer.write("#{head.sub("/1.1", "/1.0")}Content-Length: 5\r\n\r\nhel")
          peer.write("lo")

          expect(peer.read_head.status).to eq(200)
        end
      end

      it "is refused by 413 at once when the body would be too large" do
        server.connect do |peer|
          peer.write("#{head}Content-Length: 999999999\r\n\r\n")

          expect(peer.read_head.status).to eq(413)
        end
      end

      it "is not answered by 100 after a refusal" do
        server.connect do |peer|
          peer.write("#{head}Content-Length: 5\r\nContent-Length: 6\r\n\r\n")

          expect(peer.read_head.status).to eq(400)
        end
      end
    end

    it "keeps trailers out of the environment" do
      trailers = "X-Trailer: 1\r\nContent-Length: 3\r\nHost: b.test\r\n"
      request = "POST /trailer HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n" \
                "5\r\nhello\r\n0\r\n#{trailers}\r\n"

      expect(server.request(request).body).to end_with("hello")
    end
  end

  describe "on a Unix socket" do
    before(:all) do
      @folder = Dir.mktmpdir("iodine-unix")
      @server = Support::Server.rackup("http.ru", "-b", "#{@folder}/http.sock", threads: 2)
    end

    after(:all) do
      @server&.stop
      FileUtils.rm_rf(@folder)
    end

    attr_reader :server

    it "answers" do
      expect(server.path).to eq("#{@folder}/http.sock")
      expect(server.get("/slow?unix").body).to eq("slow unix")
    end

    it "takes a chunked body with extensions and trailers, cut at every byte" do
      body = "1;a=b\r\nh\r\n004;c;d=\"e;f\"\r\nello\r\n0;last=1\r\nX-One: 1\r\nX-Two: 2\r\n\r\n"
      bytes = "POST /echo HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n#{body}"
      answers = (1...bytes.size).map do |cut|
        server.connect do |peer|
          peer.write(bytes[0, cut]).wait_until_read
          peer.write(bytes[cut..] + get["/unread"])
          [peer.read_response.body, peer.read_response.body]
        end
      end

      expect(answers.uniq).to eq([%w[hello unread]])
    end

    it "takes a request byte by byte" do
      server.connect do |peer|
        post_chunked["/echo", "hello, world", chunk: 5].each_char { |byte| peer.write(byte).wait_until_read }

        expect(peer.read_response.body).to eq("hello, world")
      end
    end

    it "removes the socket when it stops" do
      path = File.join(Dir.mktmpdir("iodine-unix"), "gone.sock")
      unix = Support::Server.rackup("http.ru", "-b", path)
      expect(File).to be_socket(path)
      expect(unix.get("/slow?unix").body).to eq("slow unix")

      expect(unix.stop.exitstatus).to eq(0)
      expect(File).not_to exist(path)
    ensure
      unix&.stop
      FileUtils.rm_rf(File.dirname(path))
    end

    it "replaces a socket left by a dead process" do
      path = File.join(Dir.mktmpdir("iodine-unix"), "left.sock")
      UNIXServer.new(path).close
      unix = Support::Server.rackup("http.ru", "-b", path)

      expect(unix.get("/slow?again").body).to eq("slow again")
    ensure
      unix&.stop
      FileUtils.rm_rf(File.dirname(path))
    end
  end

  describe "limits" do
    serve "http.ru", "-maxbd", "1", "-maxhd", "1"

    mebibyte = 1024 * 1024

    [mebibyte - 1, mebibyte].each do |size|
      it "take a body of #{size} bytes with -maxbd 1" do
        expect(server.request(post["/digest", "x" * size]).body).to start_with("#{size} ")
        expect(server.request(post_chunked["/digest", "x" * size]).body).to start_with("#{size} ")
      end
    end

    it "refuse a body of one byte more, declared or counted" do
      declared = "POST /digest HTTP/1.1\r\nHost: a.test\r\nContent-Length: #{mebibyte + 1}\r\n\r\n"
      statuses = [declared, post_chunked["/digest", "x" * (mebibyte + 1)]].map do |bytes|
        server.connect { |peer| peer.offer(bytes).read_response.status }
      end

      expect(statuses).to eq([413, 413])
    end

    # A GET request whose head has this many bytes.
    define_method(:head_of) do |size|
      get["/size", "X-Fill: "].sub("X-Fill: ") { |field| field.ljust(size - get["/size"].bytesize - 2, "f") }
    end

    it "take a head of 1024 bytes with -maxhd 1" do
      expect(head_of(1024).bytesize).to eq(1024)
      expect(server.request(head_of(1023)).status).to eq(200)
      expect(server.request(head_of(1024)).status).to eq(200)
    end

    it "refuse a larger head" do
      expect(server.request(head_of(1025)).status).to eq(431)
    end
  end

  describe "deadlines" do
    serve "http.ru", "--header-timeout", "1", "--body-timeout", "1", "-k", "1", threads: 2

    # Seconds from now until the connection ends, and what came before that.
    def ending(peer)
      bytes = nil
      took = seconds { bytes = peer.read_to_end(within: 15) }
      [took, bytes]
    end

    it "answer 408 to a head that does not come to its end" do
      server.connect do |peer|
        peer.write("GET / HTTP/1.1\r\nHost: a.te")
        took, bytes = ending(peer)

        expect(bytes).to start_with("HTTP/1.1 408 ")
        expect(bytes).to include("\r\nconnection: close\r\n")
        expect(took).to be_between(0.5, 10)
      end
    end

    it "answer 408 to a slow loris, however busily it sends" do
      server.connect do |peer|
        began = monotonic
        feeder = Thread.new do
          "GET / HTTP/1.1\r\nX-Slow: #{"s" * 60}".each_char do |byte|
            peer.offer(byte)
            sleep 0.5
          end
        end
        bytes = peer.read_to_end(within: 15)
        feeder.kill

        expect(bytes).to start_with("HTTP/1.1 408 ")
        expect(monotonic - began).to be < 10
      end
    end

    it "answer 408 to a body that does not come to its end" do
      server.connect do |peer|
        peer.write("POST /echo HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhel")
        took, bytes = ending(peer)

        expect(bytes).to start_with("HTTP/1.1 408 ")
        expect(took).to be_between(0.5, 10)
      end
    end

    it "close an idle connection without an answer" do
      server.connect do |peer|
        peer.write(get["/slow?idle"])
        expect(peer.read_response.body).to eq("slow idle")
        took, bytes = ending(peer)

        expect(bytes).to eq("")
        expect(took).to be_between(0.5, 10)
      end
    end

    it "close a connection that never sends" do
      server.connect { |peer| expect(ending(peer).first).to be < 10 }
    end

    it "do not count while the application works" do
      expect(server.get("/very-slow").body).to eq("at last")
    end
  end

  describe "several listeners" do
    serve_script <<~RUBY, listeners: 3
      require "iodine"
      require "tmpdir"
      answer = ->(text) { ->(_env) { [200, { "content-type" => "text/plain" }, [text]] } }
      Iodine.threads = 1
      Iodine.workers = 1
      Iodine.listen(service: :http, address: "127.0.0.1", port: 0, handler: answer["one"])
      Iodine.listen(service: :http, address: "127.0.0.1", port: 0, handler: answer["two"])
      Iodine.listen(service: :http, address: File.join(Dir.tmpdir, "three.sock"), port: 0, &answer["three"])
      Iodine.start
    RUBY

    it "serve their own applications" do
      expect(server.ports.map { |port| server.get("/", port: port).body }).to eq(%w[one two])
      expect(server.get("/", path: server.path).body).to eq("three")
    end
  end
end
