# frozen_string_literal: true

require "digest"
require "json"
require "rack"

RSpec.describe "Sinatra", if: Gem::Specification.any? { |gem| gem.name == "sinatra" } do
  form = "application/x-www-form-urlencoded"

  # Requests every way of starting the application must answer.
  shared_examples "a guestbook" do
    def post(target, body, *fields) = server.request(Support::Server.post(target, body, *fields))

    # The value to send back of each cookie that a response sets.
    def cookies(response) = response.all("set-cookie").map { |cookie| cookie[/\A[^;]+/] }.join("; ")

    it "answers" do
      expect(server.get("/").body).to eq("Hello from Sinatra")
      expect(server.get("/greet/Caf%C3%A9%20a?title=100%25+%26+more").body.force_encoding("UTF-8"))
        .to eq("Hello, Caf\u00e9 a, 100% & more")
    end

    it "reads forms" do
      body = "name=J%C3%BCrgen&text=a+b%26c%3D%0D%0Ad&list[]=1&list[]=2"

      expect(JSON.parse(post("/form", body, "Content-Type: #{form}").body))
        .to eq("name" => "J\u00fcrgen", "text" => "a b&c=\r\nd", "list" => %w[1 2])
    end

    it "sets and reads cookies" do
      first = server.get("/cookie")
      expect(first.body).to eq("nil")
      expect(cookies(first)).to eq("flavour=oat+%26+honey; second=2").or include("flavour=oat%20%26%20honey")

      expect(server.get("/cookie", "Cookie: #{cookies(first)}").body).to eq('"oat & honey"')
      expect(server.get("/cookie", *cookies(first).split("; ").map { |cookie| "Cookie: #{cookie}" }).body)
        .to eq('"oat & honey"')
    end

    it "keeps a session" do
      response = post("/count", "")
      counts = [response.body]
      3.times do
        response = post("/count", "", "Cookie: #{cookies(response)}")
        counts << response.body
      end

      expect(counts).to eq(%w[1 2 3 4])
    end

    it "redirects to the host and port of the request" do
      response = server.request("POST /old HTTP/1.1\r\nHost: a.test:8123\r\nContent-Length: 0\r\n\r\n")

      expect([response.status, response["location"]]).to eq([303, "http://a.test:8123/new"])
      expect(server.get("/new").body).to eq("arrived")
    end

    it "takes an upload of 5 MB" do
      content = Random.new(5).bytes(5_000_000)
      note = "Content-Disposition: form-data; name=\"note\"\r\n\r\na note"
      answer = "data.bin application/octet-stream 5000000 #{Digest::SHA256.hexdigest(content)} a note"

      expect(server.request(Support::Server.upload("/upload", "data.bin", content, note)).body).to eq(answer)
    end

    it "streams" do
      expect(server.get("/stream").body).to eq("part 0\npart 1\npart 2\n")
    end

    it "knows a proxy's scheme" do
      facts = JSON.parse(server.get("/json", "X-Forwarded-Proto: https").body)

      expect(facts).to eq("url" => "https://a.test/json", "secure" => true)
    end

    it "sends files, whole and in part" do
      source = File.binread("#{Support::ROOT}/spec/apps/sinatra.ru")
      range = server.get("/file", "Range: bytes=2-11")

      expect(server.get("/file").body).to eq(source)
      expect([range.status, range.body]).to eq([206, source[2..11]])
    end

    it "answers errors" do
      expect(server.get("/halt").status).to eq(418)
      expect(server.get("/nowhere").status).to eq(404)
      expect(server.get("/missing-file").status).to eq(404)
      expect(server.get("/raise").status).to eq(500)
    end
  end

  describe "started by the command" do
    serve "sinatra.ru", threads: 4

    it_behaves_like "a guestbook"
  end

  describe "started by the command with two workers" do
    serve "sinatra.ru", workers: 2, threads: 2

    it_behaves_like "a guestbook"
  end

  describe "started by rackup -s iodine" do
    serving { Support::Server.by_rackup("sinatra.ru", "-E", "none") }

    it_behaves_like "a guestbook"

    it "stops" do
      rackup = Support::Server.by_rackup("env.ru")

      expect(rackup.get("/").status).to eq(200)
      expect(rackup.stop).to be_success
    ensure
      rackup&.stop
    end
  end
end
