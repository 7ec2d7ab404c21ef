# frozen_string_literal: true

require "json"
require "rack"

RSpec.describe "Grape", if: Gem::Specification.any? { |gem| gem.name == "grape" } do
  shared_examples "a library" do
    def json(response) = JSON.parse(response.body)

    def send_json(target, value)
      server.request(Support::Server.post(target, value.to_json, "Content-Type: application/json"))
    end

    it "answers, by type" do
      response = server.get("/api/books/1")
      expect([response.status, response["content-type"]]).to eq([200, "application/json"])
      expect(json(response)).to eq("id" => 1, "title" => "A Pattern Language")
      expect(server.get("/api/books")["content-length"].to_i).to be_positive
    end

    it "takes JSON, and refuses what is missing" do
      response = send_json("/api/books", title: "Caf\u00e9")
      expect([response.status, response["location"]]).to match([201, %r{\A/api/books/\d+\z}])
      expect(send_json("/api/books", {})).to have_attributes(status: 400, body: include("title is missing"))
      expect(server.get("/api/books/x")).to have_attributes(status: 400, body: include("id is invalid"))
    end

    it "takes an upload" do
      request = Support::Server.upload("/api/books/1/cover", "cover.png", "x" * 200_000)
                               .sub("POST ", "PUT ").sub('name="file"', 'name="cover"')
      request = request.sub(/Content-Length: \d+/, "Content-Length: #{request.split("\r\n\r\n", 2).last.bytesize}")
      expect(json(server.request(request))).to eq("name" => "cover.png", "size" => 200_000)
    end

    it "streams" do
      expect(server.get("/api/lines").body).to eq("line 0\nline 1\nline 2\n")
    end

    it "knows header fields, and methods that are not allowed" do
      expect(json(server.get("/api/echo", "X-Name: Ada"))).to eq("host" => "a.test", "x-name" => "Ada")
      response = server.request("DELETE /api/books HTTP/1.1\r\nHost: a.test\r\n\r\n")
      expect([response.status, response["allow"]]).to match([405, /GET/])
    end

    it "answers errors" do
      expect(server.get("/api/books/999")).to have_attributes(status: 404, body: include("no such book"))
      expect(server.get("/api/nowhere").status).to eq(404)
      expect(server.get("/api/failure").status).to eq(500)
    end
  end

  describe "started by the command" do
    serve "grape.ru", threads: 4

    it_behaves_like "a library"
  end

  describe "started by rackup -s iodine" do
    serving { Support::Server.by_rackup("grape.ru", "-E", "none") }

    it_behaves_like "a library"
  end
end
