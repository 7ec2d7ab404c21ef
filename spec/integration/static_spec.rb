# frozen_string_literal: true

require "fileutils"
require "time"
require "tmpdir"

RSpec.describe "Static files" do
  before(:all) do
    @folder = Dir.mktmpdir("iodine-static")
    write("index.html", "<p>top</p>")
    write("a.txt", "plain text")
    write("app-0a1b2c3d.js", "plain")
    write("app-0a1b2c3d.js.gz", "zipped")
    write("app-0a1b2c3d.js.br", "brotli")
    write("sub/index.html", "<p>sub</p>")
    write("page.tpl", "template")
    write("large.bin", large)
    write("413.html", "<p>too much</p>")
    write("500.html", "<p>sorry</p>")
  end

  after(:all) { FileUtils.rm_rf(@folder) }

  def write(name, content)
    path = File.join(@folder, name)
    FileUtils.mkdir_p(File.dirname(path))
    File.binwrite(path, content)
  end

  def large = @large ||= Random.new(1).bytes(3_000_000)

  app = <<~RUBY
    run lambda { |env|
      raise "on purpose" if env["PATH_INFO"] == "/raise"

      [200, { "content-type" => "text/plain" }, [env.values_at("REQUEST_METHOD", "PATH_INFO", "sendfile.type").join(" ")]]
    }
  RUBY

  describe "with an application" do
    serving { Support::Server.rackup(app, "-www", @folder, "-maxbd", "1", "-v") }

    it "are served without asking it" do
      response = server.get("/a.txt?v=1")
      expect(response).to have_attributes(status: 200, body: "plain text")
      expect(response["content-type"]).to eq("text/plain")
      expect(response["cache-control"]).to eq("max-age=3600")
      expect(response["last-modified"]).to eq(File.mtime("#{@folder}/a.txt").httpdate)
      expect(response["etag"]).to match(/\A"[^"]+"\z/)
    end

    it "have a line in the request log" do
      server.get("/sub/?logged")
      server.wait_for_log(%r{^127\.0\.0\.1 - - \[[^\]]+\] "GET /sub/ HTTP/1\.1" 200 10b \d+ms$})
    end

    it "say so in the log" do
      expect(server.log).to include("INFO: Serving static files from #{@folder}\n")
    end

    it "have index files" do
      expect(["/", "/sub/"].map { |path| server.get(path).body }).to eq(["<p>top</p>", "<p>sub</p>"])
    end

    it "leave other requests to it" do
      expect(server.get("/none").body).to eq("GET /none X-Sendfile")
      expect(server.get("/sub").body).to eq("GET /sub X-Sendfile")
      expect(server.request(Support::Server.post("/a.txt", "")).body).to eq("POST /a.txt X-Sendfile")
      %w[PUT DELETE PATCH OPTIONS].each do |method|
        response = server.request("#{method} /a.txt HTTP/1.1\r\nHost: a\r\n\r\n")
        expect(response.body).to eq("#{method} /a.txt X-Sendfile")
      end
    end

    it "answer HEAD" do
      response = server.request("HEAD /a.txt HTTP/1.1\r\nHost: a\r\n\r\n")
      expect(response).to have_attributes(status: 200, body: "")
      expect(response["content-length"]).to eq("10")
      expect(response["content-type"]).to eq("text/plain")
    end

    it "come in the coding that the client prefers" do
      { nil => "plain", "gzip" => "zipped", "gzip, br" => "brotli", "gzip, br;q=0.1" => "zipped",
        "gzip;q=0" => "plain" }.each do |accepted, body|
        response = server.get("/app-0a1b2c3d.js", *("Accept-Encoding: #{accepted}" if accepted))
        expect(response.body).to eq(body)
        expect(response["vary"]).to eq("accept-encoding")
        expect(response["content-type"]).to eq("text/javascript")
        expect(response["cache-control"]).to eq("public, max-age=31536000, immutable")
      end
    end

    it "are not sent to a client that has them" do
      first = server.get("/a.txt")
      ["If-None-Match: #{first["etag"]}", "If-None-Match: W/#{first["etag"]}, \"x\"", "If-None-Match: *",
       "If-Modified-Since: #{first["last-modified"]}"].each do |field|
        response = server.get("/a.txt", field)
        expect(response).to have_attributes(status: 304, body: "")
        expect(response["etag"]).to eq(first["etag"])
      end
      expect(server.get("/a.txt", 'If-None-Match: "x"').status).to eq(200)
      expect(server.get("/a.txt", 'If-Match: "x"').status).to eq(412)
    end

    it "are sent in parts" do
      response = server.get("/large.bin", "Range: bytes=1000000-1999999")
      expect(response).to have_attributes(status: 206, body: large[1_000_000, 1_000_000])
      expect(response["content-range"]).to eq("bytes 1000000-1999999/3000000")
      expect(server.get("/a.txt", "Range: bytes=-4").body).to eq("text")
      expect(server.get("/a.txt", "Range: bytes=6-").body).to eq("text")
      expect(server.get("/a.txt", "Range: bytes=0-0").body).to eq("p")
    end

    it "are sent in several parts at once" do
      response = server.get("/large.bin", "Range: bytes=0-9,2999990-")
      boundary = response["content-type"][%r{\Amultipart/byteranges; boundary=(\w+)\z}, 1]
      type = "content-type: application/octet-stream"
      expect(response.body).to eq(
        "--#{boundary}\r\n#{type}\r\ncontent-range: bytes 0-9/3000000\r\n\r\n".b + large[0, 10] +
        "\r\n--#{boundary}\r\n#{type}\r\ncontent-range: bytes 2999990-2999999/3000000\r\n\r\n".b + large[-10, 10] +
        "\r\n--#{boundary}--\r\n".b
      )
    end

    it "have no part beyond their end" do
      response = server.get("/a.txt", "Range: bytes=10-")
      expect(response.status).to eq(416)
      expect(response["content-range"]).to eq("bytes */10")
    end

    it "are large and small, and answered in order with what the application answers" do
      targets = %w[/large.bin /none /a.txt /a.txt /other /large.bin /last]
      server.connect do |peer|
        peer.write(targets.map { |target| Support::Server.get(target) }.join)
        bodies = targets.map { peer.read_response.body }
        expect(bodies).to eq([large, "GET /none X-Sendfile", "plain text", "plain text", "GET /other X-Sendfile", large,
                              "GET /last X-Sendfile"])
      end
    end

    it "wait for a client that asks for more than it reads" do
      requests = Support::Server.get("/large.bin") * 400
      server.connect do |peer|
        peer.write(requests)
        sizes = Array.new(400) { peer.read_response.body.bytesize }
        expect(sizes.uniq).to eq([large.bytesize])
      end
    end

    it "close the connection when the client asks for it" do
      server.connect do |peer|
        peer.write(Support::Server.get("/a.txt", "Connection: close"))
        expect(peer.read_response["connection"]).to eq("close")
        expect(peer).to be_eof
      end
    end

    it "are seen to change" do
      write("changing.txt", "one")
      expect(server.get("/changing.txt").body).to eq("one")
      write("changing.txt", "two")
      wait_until("new content") { server.get("/changing.txt").body == "two" }
      FileUtils.rm("#{@folder}/changing.txt")
      wait_until("absence") { server.get("/changing.txt").body.start_with?("GET") }
    end

    it "are kept open up to a bound" do
      held = -> { server.process.open_files.count { |path| path.start_with?("#{@folder}/many/") } }
      FileUtils.mkdir_p("#{@folder}/many")
      server.connect do |peer|
        400.times do |number|
          write("many/#{number}", "x" * 66_000)
          peer.write(Support::Server.get("/many/#{number}"))
          expect(peer.read_response.body.bytesize).to eq(66_000)
        end
      end
      expect(held.call).to be_between(100, 256)
    end

    it "are the pages of the server's own errors" do
      response = server.get("/raise")
      expect(response).to have_attributes(status: 500, body: "<p>sorry</p>")
      expect(response["content-type"]).to eq("text/html")
      %w[PUT DELETE OPTIONS].each do |method|
        response = server.request("#{method} /raise HTTP/1.1\r\nHost: a\r\n\r\n")
        expect(response).to have_attributes(status: 500, body: "<p>sorry</p>")
      end
      response = server.request("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n")
      expect(response).to have_attributes(status: 413, body: "<p>too much</p>")
      expect(server.request("GET / HTTP/1.1\r\n\r\n")).to have_attributes(status: 400, body: "400 Bad Request")
    end
  end

  describe "alone" do
    serving do
      write("404.html", "<p>lost</p>")
      Support::Server.new([RbConfig.ruby, "-I#{Support::ROOT}/lib", "#{Support::ROOT}/exe/iodine", "-b", "127.0.0.1",
                           "-p", "0", "-t", "1", "-w", "1", "-www", @folder])
    end

    after(:all) { FileUtils.rm("#{@folder}/404.html") }

    it "need no application" do
      expect(server.get("/a.txt").body).to eq("plain text")
    end

    it "have a page for all that is not there" do
      response = server.get("/none")
      expect(response).to have_attributes(status: 404, body: "<p>lost</p>")
      expect(response["content-type"]).to eq("text/html")
    end
  end

  describe "as Iodine.listen is told" do
    serving do
      write(".hidden/a.txt", "hidden")
      Support::Server.script(<<~RUBY, @folder, env: { "HOME" => @folder }, listeners: 2)
        require "iodine"
        app = ->(_) { [200, {}, ["app"]] }
        Iodine.threads = Iodine.workers = 1
        Iodine.listen(service: :http, address: "127.0.0.1", port: 0, public: ARGV[0], dotfiles: true, immutable: "",
                      cache_control: "no-cache", mime_types: { ".tpl" => "text/x-template" }, handler: app)
        Iodine.listen(service: :http, address: "127.0.0.1", port: 0, public: "~/sub", cache_control: false, handler: app)
        Iodine.start
      RUBY
    end

    it "have the fields that were set" do
      response = server.get("/page.tpl")
      expect([response["content-type"], response["cache-control"]]).to eq(["text/x-template", "no-cache"])
      expect(server.get("/app-0a1b2c3d.js")["cache-control"]).to eq("no-cache")
    end

    it "may be hidden ones" do
      expect(server.get("/.hidden/a.txt").body).to eq("hidden")
    end

    it "may be below the user's home" do
      response = server.get("/", port: server.ports.last)
      expect(response.body).to eq("<p>sub</p>")
      expect(response.names).not_to include("cache-control")
    end
  end

  {
    "public: '/nonesuch'" => %r{the folder of public: cannot be used: /nonesuch},
    "public: '/', cache_control: \"a\\r\\nb: c\"" => /cache_control: is no header value/,
    "public: '/', mime_types: { 'x' => \"a\\nb\" }" => /media type of "x"/,
    "sendfile_root: '/nonesuch'" => /the folder of sendfile_root: cannot be used/
  }.each do |options, message|
    it "are refused with #{options}" do
      process = Support::ChildProcess.run_ruby(<<~RUBY)
        require "iodine"
        begin
          Iodine.listen(service: :http, address: "127.0.0.1", port: 0, #{options}) { |_| [200, {}, []] }
        rescue ArgumentError => e
          puts e.message
        end
      RUBY
      expect(process.out.text).to match(message)
    end
  end

  it "end the command when their folder cannot be used" do
    process = Support::ChildProcess.new(RbConfig.ruby, "-I#{Support::ROOT}/lib", "#{Support::ROOT}/exe/iodine", "-www",
                                        "/nonesuch", "-p", "0")
    expect(process.wait.exitstatus).to eq(1)
    expect(process.log.text).to match(%r{error: the folder of public: cannot be used: /nonesuch: No such file})
  ensure
    process&.kill_group
  end
end
