# frozen_string_literal: true

require "rack"

RSpec.describe "Rack requests" do
  get = Support::Server.method(:get)
  post = Support::Server.method(:post)
  post_chunked = Support::Server.method(:post_chunked)

  # What the application of env.ru answers to these bytes.
  def probe(bytes, **where)
    response = server.request(bytes, **where)
    raise "answered #{response.status}: #{server.log}" unless response.status == 200

    Marshal.load(response.body) # rubocop:disable Security/MarshalLoad
  end

  describe "environment" do
    serve "env.ru", threads: 2

    it "has what Rack requires" do
      env = probe("GET /path/of?query=1&b HTTP/1.1\r\nHost: a.test:8080\r\n\r\n")

      expect(env).to include(
        "REQUEST_METHOD" => "GET", "SCRIPT_NAME" => "", "PATH_INFO" => "/path/of", "QUERY_STRING" => "query=1&b",
        "SERVER_NAME" => "a.test", "SERVER_PORT" => "8080", "SERVER_PROTOCOL" => "HTTP/1.1",
        "HTTP_HOST" => "a.test:8080", "HTTP_VERSION" => "HTTP/1.1", "REMOTE_ADDR" => "127.0.0.1",
        "rack.url_scheme" => "http", "rack.run_once" => false, "rack.hijack?" => true, "rack.version" => Array
      )
      expect([true, false]).to include(env["rack.multithread"]).and include(env["rack.multiprocess"])
      expect(env.values_at("rack.input", "rack.errors", "rack.hijack")).to all start_with("an ")
      expect(env.keys).not_to include("CONTENT_LENGTH", "CONTENT_TYPE", "HTTP_CONTENT_LENGTH", "rack.hijack_io")
    end

    it "has iodine's keys" do
      env = probe(get["/"])

      expect(env).to have_key("rack.upgrade?").and have_key("rack.upgrade")
      expect(env.values_at("rack.upgrade?", "rack.upgrade")).to eq([nil, nil])
    end

    it "offers the upgrade that the client asks for" do
      env = probe(get["/", *Support::WebSocket::FIELDS])
      expect(env.values_at("rack.upgrade?", "rack.upgrade")).to eq([:websocket, nil])
      expect(probe(get["/", "Accept: text/event-stream"])["rack.upgrade?"]).to eq(:sse)
    end

    it "has the content fields without HTTP_" do
      env = probe(post["/", "hello", "Content-Type: text/plain"])

      expect(env).to include("CONTENT_LENGTH" => "5", "CONTENT_TYPE" => "text/plain", "REQUEST_METHOD" => "POST")
      expect(env.keys).not_to include("HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE")
    end

    it "has the decoded length of a chunked body" do
      expect(probe(post_chunked["/", "hello", chunk: 2])).to include("CONTENT_LENGTH" => "5")
    end

    it "joins a repeated field by commas, Cookie by semicolons" do
      env = probe(get["/", "X-Many: one", "Cookie: a=1", "x-many: two, three", "X-Other: o", "Cookie: b=2; c=3",
                      "X-MANY: four"])

      expect(env).to include("HTTP_X_MANY" => "one, two, three, four", "HTTP_COOKIE" => "a=1; b=2; c=3",
                             "HTTP_X_OTHER" => "o")
    end

    it "drops names with an underscore" do
      env = probe(get["/", "X_Forged: 1", "X-Forged: 2", "Content_Length: 5", "Only_Underscored: 3"])

      expect(env["HTTP_X_FORGED"]).to eq("2")
      expect(env.keys).not_to include("HTTP_CONTENT_LENGTH", "CONTENT_LENGTH", "HTTP_ONLY_UNDERSCORED")
    end

    it "strips blanks around values and keeps those within" do
      env = probe(get["/", "X-Blanks: \t  a  b\tc \t", "X-Tight:d", "X-Empty:"])

      expect(env).to include("HTTP_X_BLANKS" => "a  b\tc", "HTTP_X_TIGHT" => "d", "HTTP_X_EMPTY" => "")
    end

    it "has binary Strings" do
      env = probe(get["/caf%C3%A9?\u00e9".b, "X-Latin: caf\xe9".b])

      expect(env.values_at("PATH_INFO", "QUERY_STRING", "HTTP_X_LATIN", "HTTP_HOST").map(&:encoding).uniq)
        .to eq([Encoding::BINARY])
      expect(env["HTTP_X_LATIN"]).to eq("caf\xe9".b)
    end

    it "has no query for a dangling question mark" do
      expect(probe(get["/path?"])).to include("PATH_INFO" => "/path", "QUERY_STRING" => "")
    end

    it "keeps a double slash, dots and percent-encoding" do
      expect(probe(get["//a/../b/%2e%2e/c%20d"])["PATH_INFO"]).to eq("//a/../b/%2e%2e/c%20d")
    end

    it "always has a SERVER_PORT" do
      expect(probe(get["/"])["SERVER_PORT"]).to match(/\A\d+\z/)
      expect(probe("GET / HTTP/1.0\r\n\r\n")).to include("SERVER_PORT" => /\A\d+\z/, "SERVER_NAME" => /./)
    end

    it "splits an IPv6 Host" do
      env = probe("GET / HTTP/1.1\r\nHost: [::1]:3000\r\n\r\n")

      expect(env).to include("SERVER_NAME" => "[::1]", "SERVER_PORT" => "3000", "HTTP_HOST" => "[::1]:3000")
      expect(probe("GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n")).to include("SERVER_NAME" => "[::1]",
                                                                        "SERVER_PORT" => /\A\d+\z/)
    end

    {
      "X-Forwarded-Proto: https" => "https",
      "X-Forwarded-Proto: http" => "http",
      "Forwarded: proto=https" => "https",
      "Forwarded: for=192.0.2.1;Proto=https;by=192.0.2.2" => "https",
      "Forwarded: for=192.0.2.1" => "http"
    }.each do |field, scheme|
      it "has the scheme #{scheme} for #{field}" do
        expect(probe(get["/", field])["rack.url_scheme"]).to eq(scheme)
      end
    end

    it "prefers X-Forwarded-Proto to Forwarded" do
      env = probe(get["/", "Forwarded: proto=http", "X-Forwarded-Proto: https"])

      expect(env).to include("rack.url_scheme" => "https", "HTTP_X_FORWARDED_PROTO" => "https",
                             "HTTP_FORWARDED" => "proto=http")
    end

    it "is new for each request" do
      server.connect do |peer|
        peer.write(get["/mutate?first"] + get["/next?second"])
        peer.read_response
        env = Marshal.load(peer.read_response.body) # rubocop:disable Security/MarshalLoad

        expect(env).to include("QUERY_STRING" => "second", "SERVER_NAME" => "a.test")
        expect(env).not_to have_key("spec.marker")
      end
    end
  end

  describe "environment of a mounted server" do
    { "/mounted" => "/mounted", "/" => "" }.each do |given, name|
      it "has SCRIPT_NAME #{name.inspect} of the process environment #{given.inspect}" do
        @server = Support::Server.rackup("env.ru", env: { "SCRIPT_NAME" => given })

        expect(probe(get["/path"])).to include("SCRIPT_NAME" => name, "PATH_INFO" => "/path")
      ensure
        @server&.stop
      end
    end

    attr_reader :server
  end

  describe "environment on a Unix socket" do
    it "has the socket's path as REMOTE_ADDR" do
      folder = Dir.mktmpdir("iodine-unix")
      @server = Support::Server.rackup("env.ru", "-b", "#{folder}/env.sock")

      expect(probe(get["/"])).to include("REMOTE_ADDR" => "#{folder}/env.sock", "SERVER_PORT" => /\A\d+\z/)
    ensure
      @server&.stop
      FileUtils.rm_rf(folder)
    end

    attr_reader :server
  end

  describe "rack.input" do
    serve "env.ru"

    lines = "one\ntwo\r\nthree"
    # The same text, too long to be kept in memory.
    filler = "x" * 70_000

    {
      "/read" => [lines, "", nil, ""],
      "/read-sizes" => ["", "one", "\ntw", "o\r\nthree", nil, ""],
      "/read-nil" => [lines, ""],
      "/read-buffer" => [true, "one\n", "two\r\nthree", nil],
      "/read-negative" => ["RangeError", lines],
      "/read-three" => ["ArgumentError", lines],
      "/gets" => ["one\n", "two\r\n", "three", nil],
      "/each" => [["one\n", "two\r\n", "three"], ["one\n", "two\r\n", "three"], true],
      "/rewind" => ["on", 0, lines, 0, "o"],
      "/size" => [lines.size, "o", lines.size],
      "/close" => ["o", nil, ""],
      "/encoding" => Array.new(4, "ASCII-8BIT"),
      "/mixed" => ["one\n", "tw", "o\r\n", "three"]
    }.each do |path, expected|
      it "does #{path.delete("/")} with a body" do
        expect(probe(post[path, lines])).to eq(expected)
      end

      it "does #{path.delete("/")} with a chunked body" do
        expect(probe(post_chunked[path, lines, chunk: 2])).to eq(expected)
      end
    end

    it "does the same with a body in a file" do
      long = "#{lines}\n#{filler}"

      expect(probe(post["/gets", long])).to eq(["one\n", "two\r\n", "three\n", filler])
      expect(probe(post["/each", long])[0]).to eq(["one\n", "two\r\n", "three\n", filler])
      expect(probe(post["/rewind", long])).to eq(["on", 0, long, 0, "o"])
      expect(probe(post["/read-sizes", long])).to eq(["", "one", "\ntw", long[6, 100], long[106], long[107..]])
      expect(probe(post["/read-buffer", long])).to eq([true, "one\n", long[4..], nil])
      expect(probe(post["/size", long])).to eq([long.size, "o", long.size])
      expect(probe(post["/mixed", long])).to eq(["one\n", "tw", "o\r\n", "three\n#{filler}"])
      expect(probe(post["/read-negative", long])).to eq(["RangeError", long])
    end

    {
      "/read" => ["", "", nil, ""],
      "/read-nil" => ["", ""],
      "/gets" => [nil, nil, nil, nil],
      "/each" => [[], [], true],
      "/size" => [0, nil, 0],
      "/close" => [nil, nil, ""]
    }.each do |path, expected|
      it "does #{path.delete("/")} without a body" do
        expect(probe(get[path])).to eq(expected)
        expect(probe(post[path, ""])).to eq(expected)
      end
    end
  end

  describe "under Rack::Lint" do
    serve "lint.ru", threads: 2

    text = "one\ntwo\nthree\n"
    shapes = %w[array each enumerator file stringio]
    shapes << "call" if Rack.release.to_i >= 3

    shapes.each do |shape|
      %w[read read-sizes gets each].each do |reading|
        it "reads by #{reading} and answers by #{shape}" do
          [post["/#{reading}/#{shape}", text], post_chunked["/#{reading}/#{shape}", text]].each do |bytes|
            response = server.request(bytes)

            expect([response.status, response.body]).to eq([200, text])
          end
          expect(server.log).not_to include("Lint")
        end
      end

      it "answers GET by #{shape}" do
        expect(server.get("/none/#{shape}").status).to eq(200)
        expect(server.log).not_to include("Lint")
      end
    end

    it "answers HEAD" do
      expect(server.request("HEAD /none/array HTTP/1.1\r\nHost: a.test\r\n\r\n").status).to eq(200)
      expect(server.log).not_to include("Lint")
    end

    ["[::1]:80", "a.test", "a.test:65535", "192.0.2.1:80"].each do |host|
      it "accepts Host: #{host}" do
        expect(server.request("GET /none/array HTTP/1.1\r\nHost: #{host}\r\n\r\n").status).to eq(200)
      end
    end

    it "accepts HTTP/1.0 without Host" do
      expect(server.request("GET /none/array HTTP/1.0\r\n\r\n").status).to eq(200)
    end
  end
end
