# frozen_string_literal: true

require "fileutils"
require "tmpdir"
require "uri"

RSpec.describe "Files that an application names" do
  before(:all) do
    @folder = Dir.mktmpdir("iodine-sendfile")
    FileUtils.mkdir_p("#{@folder}/public")
    FileUtils.mkdir_p("#{@folder}/private/sub")
    File.binwrite("#{@folder}/private/a.txt", "a private text")
    File.binwrite("#{@folder}/private/b c.txt", "b c")
    File.binwrite("#{@folder}/private/sub/index.html", "index")
    File.binwrite("#{@folder}/private/zipped.txt", "plain")
    File.binwrite("#{@folder}/private/zipped.txt.gz", "zipped")
    File.binwrite("#{@folder}/outside.txt", "outside")
    File.symlink("../outside.txt", "#{@folder}/private/link.txt")
    File.mkfifo("#{@folder}/private/fifo")
    File.binwrite("#{@folder}/public/404.html", "lost")
  end

  after(:all) { FileUtils.rm_rf(@folder) }

  # The application answers with the header that the query names: name=value, after the path, which may be more headers.
  app = <<~'RUBY'
    require "uri"

    class Body
      def initialize(path) = @path = path
      def each = yield("by each")
      def to_path = @path
      def close = warn("closed")
    end

    run lambda { |env|
      query = URI.decode_www_form(env["QUERY_STRING"]).to_h
      status = query.delete("status").to_i.nonzero? || 200
      path = query.delete("to_path")
      [status, query, Body.new(path || "/nonesuch")]
    }
  RUBY

  def query(**fields) = "/?#{URI.encode_www_form(fields)}"
  def private_file(name) = "#{@folder}/private/#{name}"

  def send_file(name, *fields, **headers)
    server.get(query(**{ "X-Sendfile": private_file(name) }, **headers), *fields)
  end

  describe "by X-Sendfile" do
    serving { Support::Server.rackup(app, "-www", "#{@folder}/public") }

    %w[X-Sendfile x-sendfile X-SENDFILE].each do |name|
      it "are sent in the place of the body, and #{name} is not" do
        response = server.get(query(name.to_sym => private_file("a.txt")))
        expect(response).to have_attributes(status: 200, body: "a private text")
        expect(response["content-type"]).to eq("text/plain")
        expect(response["etag"]).to match(/\A"/)
        expect(response.names.grep(/sendfile/i)).to be_empty
      end
    end

    it "close the body" do
      closed = server.log.scan("closed").size
      send_file("a.txt")
      wait_until("close") { server.log.scan("closed").size > closed }
    end

    it "may be relative to the working directory" do
      response = server.get(query("X-Sendfile": File.join(*[".."] * 12, private_file("a.txt"))))
      expect(response.body).to eq("a private text")
    end

    it "may be an index file" do
      expect(send_file("sub/").body).to eq("index")
    end

    it "come in the coding that the client prefers, unless the application names one" do
      response = send_file("zipped.txt", "Accept-Encoding: gzip")
      expect([response.body, response["content-encoding"]]).to eq(%w[zipped gzip])
      response = send_file("zipped.txt", "Accept-Encoding: gzip", "content-encoding": "identity")
      expect([response.body, response["content-encoding"]]).to eq(%w[plain identity])
    end

    it "have the fields of the application, once" do
      response = send_file("a.txt", "content-type": "text/x", ETag: '"mine"', "Content-Length": "3", "x-other": "1")
      expect(response.body).to eq("a private text")
      expect(response["content-type"]).to eq("text/x")
      expect(response["etag"]).to eq('"mine"')
      expect(response["content-length"]).to eq("14")
      expect(response["x-other"]).to eq("1")
    end

    it "are sent in parts" do
      response = send_file("a.txt", "Range: bytes=2-8", "content-type": "text/x")
      expect(response).to have_attributes(status: 206, body: "private")
      expect(response["content-range"]).to eq("bytes 2-8/14")
      response = send_file("a.txt", "Range: bytes=0-0,-1", "content-type": "text/x")
      expect(response["content-type"]).to start_with("multipart/byteranges")
      expect(response.body).to include("content-type: text/x\r\ncontent-range: bytes 0-0/14\r\n\r\na\r\n")
      expect(send_file("a.txt", "Range: bytes=99-").status).to eq(416)
    end

    it "are not sent to a client that has them" do
      etag = send_file("a.txt")["etag"]
      expect(send_file("a.txt", "If-None-Match: #{etag}")).to have_attributes(status: 304, body: "")
      expect(send_file("a.txt", 'If-None-Match: "mine"', etag: '"mine"').status).to eq(304)
      expect(send_file("a.txt", "If-None-Match: #{etag}", etag: '"mine"').status).to eq(200)
    end

    it "are whole with another status than 200" do
      response = send_file("a.txt", "Range: bytes=0-1", status: 403)
      expect(response).to have_attributes(status: 403, body: "a private text")
    end

    it "answer HEAD and POST" do
      target = query("X-Sendfile": private_file("a.txt"))
      response = server.request("HEAD #{target} HTTP/1.1\r\nHost: a\r\n\r\n")
      expect([response["content-length"], response.body]).to eq(["14", ""])
      expect(server.request(Support::Server.post(target, "x")).body).to eq("a private text")
    end

    it "are 404 when they cannot be sent, and the log says why" do
      ["none", "sub", "fifo", "a.txt\0b", ""].each do |name|
        response = send_file(name)
        expect(response).to have_attributes(status: 404, body: "lost")
      end
      server.wait_for_log(/X-Sendfile #{private_file("none")} is no file that can be sent/)
    end

    # A path that ends in what a client has sent may have a line end in it.
    it "are 404 when there are two" do
      paths = [private_file("a.txt"), private_file("b c.txt")]
      expect(server.get(query("X-Sendfile": paths.join("\n")))).to have_attributes(status: 404, body: "lost")
      two_fields = query("X-Sendfile": paths[0], "x-sendfile": paths[1])
      expect(server.get(two_fields)).to have_attributes(status: 404, body: "lost")
      server.wait_for_log(/with several paths is no file that can be sent/)
    end

    it "leave X-Accel-Redirect to a server in front" do
      expect(server.get(query("X-Accel-Redirect": "/a.txt"))["x-accel-redirect"]).to eq("/a.txt")
    end
  end

  describe "below sendfile_root" do
    serving do
      Support::Server.script(<<~RUBY, @folder)
        require "iodine"
        app = nil
        define_singleton_method(:run) { |given| app = given }
        #{app}
        Iodine.threads = Iodine.workers = 1
        Iodine.listen(service: :http, address: "127.0.0.1", port: 0, sendfile_root: "\#{ARGV[0]}/private", handler: app)
        Iodine.start
      RUBY
    end

    it "are found by X-Accel-Redirect, whose path is encoded" do
      { "/a.txt" => "a private text", "/b%20c.txt" => "b c", "/sub/" => "index", "/a.txt?x" => "a private text" }
        .each do |location, body|
          response = server.get(query("X-Accel-Redirect": location))
          expect(response.body).to eq(body)
          expect(response.names).not_to include("x-accel-redirect")
        end
    end

    it "are found by X-Sendfile, relative to it and by their full path" do
      expect(server.get(query("X-Sendfile": "a.txt")).body).to eq("a private text")
      expect(send_file("b c.txt").body).to eq("b c")
    end

    it "are not elsewhere" do
      ["/../outside.txt", "/%2e%2e/outside.txt", "/link.txt", "/none", "a.txt"].each do |location|
        expect(server.get(query("X-Accel-Redirect": location)).status).to eq(404)
      end
      ["../outside.txt", "#{@folder}/outside.txt", "link.txt", "/etc/hostname", private_file("../outside.txt")]
        .each do |path|
          expect(server.get(query("X-Sendfile": path)).status).to eq(404)
        end
    end
  end

  describe "without a folder" do
    serving { Support::Server.rackup(app) }

    it "are not sent, and their path is not told" do
      2.times do
        response = send_file("a.txt")
        expect(response.body).to eq("by each")
        expect(response.names.grep(/sendfile/i)).to be_empty
      end
      server.wait_for_log(/WARNING: the application has set X-Sendfile/)
      expect(server.log.scan(/WARNING: the application has set X-Sendfile/).size).to eq(1)
    end

    it "are sent when they are behind a body" do
      response = server.get(query(to_path: private_file("a.txt")))
      expect(response.body).to eq("a private text")
      etag = response["etag"]
      response = server.get(query(to_path: private_file("a.txt")), "Range: bytes=2-8", "If-Range: #{etag}")
      expect(response).to have_attributes(status: 206, body: "private")
    end

    it "are read by each where the body is no regular file, or a part of one" do
      [{ to_path: private_file("fifo") }, { to_path: private_file("none") },
       { to_path: private_file("a.txt"), status: 203 },
       { to_path: private_file("a.txt"), "content-length": "7" }].each do |fields|
        expect(server.get(query(**fields)).body).to eq("by each")
      end
    end
  end
end
