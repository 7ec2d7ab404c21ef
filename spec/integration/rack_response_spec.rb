# frozen_string_literal: true

RSpec.describe "Rack responses" do
  serve "shapes.ru", threads: 2

  # How often the body of this name was closed.
  def closed(name)
    Hash[server.get("/closed").body.scan(/"([^"]+)"=>(\d+)|"([^"]+)" => (\d+)/).map(&:compact)][name].to_i
  end

  large = Random.new(1).bytes(3_000_000)

  # Shapes whose length the server can know: content-length, no chunks.
  {
    "array" => "array",
    "array-many" => "onetwothree",
    "array-empty" => "",
    "array-of-empty" => "",
    "string" => "a bare String",
    "string-empty" => "",
    "string-large" => "0123456789abcdef" * 200_000,
    "strings-large" => "#{"a" * 1_000_000}b#{"c" * 1_000_000}",
    "frozen" => "frozen",
    "each-length" => "onetwo",
    "to-path" => "from a file",
    "to-path-large" => large,
    "to-path-length" => "from a file",
    "file" => "from a file",
    "file-large" => large,
    "tempfile" => "from a temporary file"
  }.each do |shape, body|
    it "send #{shape} with its length" do
      response = server.get("/#{shape}")

      expect(response.status).to eq(200)
      expect(response.body == body).to be(true), "a body of #{response.body.size}, not #{body.size} bytes"
      expect(response["content-length"]).to eq(body.bytesize.to_s)
      expect(response.chunks).to be_nil
    end
  end

  # Shapes whose length shows at their end.
  {
    "each" => "onetwothree",
    "each-empty" => "",
    "each-of-empty" => "onetwo",
    "each-encodings" => "\u00e9".b + "\xff\0".b + "\u20ac".encode("UTF-16LE").b,
    "enumerator" => "012",
    "lazy" => "123",
    "to-ary" => "onetwo",
    "to-ary-nil" => "onetwo",
    "stringio" => "line one\nline two\n",
    "call" => "onetwothree",
    "call-proc" => "proc"
  }.each do |shape, body|
    it "send #{shape} completely, and keep the connection" do
      server.connect do |peer|
        peer.write(Support::Server.get("/#{shape}") + Support::Server.get("/string"))
        response = peer.read_response

        expect([response.status, response.body]).to eq([200, body])
        expect(peer.read_response.body).to eq("a bare String")
      end
    end

    it "send #{shape} without chunks to HTTP/1.0" do
      response = server.request("GET /#{shape} HTTP/1.0\r\n\r\n")

      expect([response.body, response.chunks]).to eq([body, nil])
    end
  end

  it "let a streaming body read the request" do
    expect(server.request(Support::Server.post("/call-reads", "hello")).body).to eq("read hello")
  end

  it "pass a body through that the application has chunked itself" do
    response = server.get("/prechunked")

    expect([response.body, response["transfer-encoding"]]).to eq(%w[one chunked])
  end

  it "answer 500 when the file of to_path is missing and each fails" do
    expect(server.get("/to-path-missing").status).to eq(500)
    expect(closed("to-path-missing")).to eq(1)
  end

  %w[array each each-length each-empty to-ary to-path to-path-large call].each do |shape|
    it "close #{shape} once" do
      before = closed(shape)
      server.get("/#{shape}")
      wait_until("close of #{shape}") { closed(shape) > before }

      expect(closed(shape)).to eq(before + 1)
    end
  end

  it "close a body that has no place in the response" do
    before = closed("no-content")
    expect(server.get("/no-content").status).to eq(204)

    wait_until("close") { closed("no-content") == before + 1 }
  end

  it "close the body of HEAD" do
    before = closed("each")
    expect(server.request("HEAD /each HTTP/1.1\r\nHost: a.test\r\n\r\n").status).to eq(200)

    wait_until("close") { closed("each") == before + 1 }
  end

  it "know the length of a file for HEAD" do
    response = server.request("HEAD /to-path-large HTTP/1.1\r\nHost: a.test\r\n\r\n")

    expect(response["content-length"]).to eq("3000000")
  end

  it "hold no open file when they are sent" do
    3.times { server.get("/to-path-large") }

    wait_until("the file is closed") { server.process.open_files.none? { |path| path.end_with?("large.bin") } }
  end

  it "answer other requests of the only thread while a client does not read its String" do
    single = Support::Server.rackup("shapes.ru", threads: 1)
    single.connect do |peer|
      peer.write(Support::Server.get("/string-huge"))
      expect(peer.read_head["content-length"]).to eq("64000000")

      expect(single.get("/string").body).to eq("a bare String")
      expect(peer.read(64_000_000) == "x" * 64_000_000).to be(true)
    end
  ensure
    single&.stop
  end

  describe "status" do
    [200, 201, 206, 299, 301, 399, 404, 418, 420, 451, 499, 503, 599].each do |status|
      it "#{status} passes through" do
        expect(server.get("/status/#{status}").status).to eq(status)
      end
    end

    it "may be a numeric String" do
      expect(server.get("/status-text").status).to eq(201)
    end

    it "has its reason" do
      reasons = [200, 404, 418, 451].to_h { |status| [status, server.get("/status/#{status}").reason] }

      expect(reasons).to include(200 => "OK", 404 => "Not Found", 451 => "Unavailable For Legal Reasons")
    end
  end

  describe "fields" do
    it "of an Array are one line each" do
      response = server.get("/fields-array")

      expect(response.all("set-cookie")).to eq(["a=1", "b=2; path=/"])
      expect(response["x-one"]).to eq("only")
    end

    it "of several lines are one line each" do
      expect(server.get("/fields-lines").all("set-cookie")).to eq(["a=1", "b=2; path=/"])
    end

    it "are made Strings, nil is left away" do
      response = server.get("/fields-other")

      expect([response["x-number"], response["x-symbol"], response["x-key"]]).to eq(%w[5 sym sym])
      expect(response.names).not_to include("x-nil")
    end

    it "may be frozen" do
      expect(server.get("/fields-frozen").body).to eq("x")
    end

    it "for the server are not sent" do
      expect(server.get("/fields-rack").names).not_to include("rack.private")
    end

    it "of the application are not doubled by the server's own" do
      expect(server.get("/fields-date")["date"]).to eq("Thu, 01 Jan 1970 00:00:00 GMT")
    end
  end
end
