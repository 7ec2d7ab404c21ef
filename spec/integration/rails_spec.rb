# frozen_string_literal: true

require "digest"
require "json"
require "uri"

RSpec.describe "Rails", if: Gem::Specification.any? { |gem| gem.name == "railties" } do
  # A copy of the application, for Rails makes folders in it.
  def application
    @folder = Dir.mktmpdir("iodine-rails")
    FileUtils.cp_r(File.join(Support::ROOT, "spec/apps/rails"), @folder)
    File.join(@folder, "rails")
  end

  after(:all) { FileUtils.rm_rf(@folder) if @folder }

  shared_examples "a Rails application" do
    def post(target, body, *fields) = server.request(Support::Server.post(target, body, *fields))

    # The value to send back of each cookie that a response sets.
    def cookies(response) = "Cookie: #{response.all("set-cookie").map { |cookie| cookie[/\A[^;]+/] }.join("; ")}"

    it "takes a form with its token, keeps it in the session and redirects" do
      form = server.get("/")
      token = form.body[/name="authenticity_token" value="([^"]+)"/, 1]
      body = URI.encode_www_form("authenticity_token" => token, "text" => "a & b")
      saved = post("/notes", body, "Content-Type: application/x-www-form-urlencoded", cookies(form))

      expect([saved.status, saved["location"]]).to eq([302, "http://a.test/notes/7"])
      expect(server.get("/notes/7", cookies(saved)).body).to eq("7: a & b, flash saved")
    end

    it "refuses a form without its token" do
      expect(post("/notes", "text=x", "Content-Type: application/x-www-form-urlencoded").status).to eq(422)
    end

    it "streams what a live controller writes when it writes it" do
      server.connect do |peer|
        peer.write(Support::Server.get("/live"))

        expect(peer.read_head.status).to eq(200)
        expect(peer.read_chunk).to eq("before")
        expect(server.get("/live/release").status).to eq(204)
        expect([peer.read_chunk, peer.read_chunk]).to eq(["after", nil])
      end
    end

    it "streams server-sent events" do
      response = server.get("/live/events")

      expect(response["content-type"]).to start_with("text/event-stream")
      expect(response.body).to eq(Array.new(3) { |number| "event: note\ndata: {\"number\":#{number}}\n\n" }.join)
    end

    it "takes an upload" do
      content = Random.new(6).bytes(1_000_000)
      response = server.request(Support::Server.upload("/upload", "data.bin", content))

      expect(JSON.parse(response.body))
        .to eq("name" => "data.bin", "size" => 1_000_000, "sum" => Digest::SHA256.hexdigest(content))
    end

    it "sends a file" do
      source = "#{Support::ROOT}/spec/apps/rails/app/controllers/notes_controller.rb"

      expect(server.get("/file").body).to eq(File.binread(source))
    end

    it "answers conditional requests" do
      etag = server.get("/cached")["etag"]
      again = server.get("/cached", "If-None-Match: #{etag}")

      expect([again.status, again.body]).to eq([304, ""])
    end

    it "answers HEAD" do
      expect(server.request("HEAD /cached HTTP/1.1\r\nHost: a.test\r\n\r\n").status).to eq(200)
    end

    it "answers errors" do
      expect(server.get("/nowhere").status).to eq(404)
      expect(server.get("/raise").status).to eq(500)
    end
  end

  describe "started by the command" do
    serving { Support::Server.rackup("rails/config.ru", threads: 5, env: { "RAILS_ENV" => "production" }) }

    it_behaves_like "a Rails application"
  end

  describe "started by the command with two workers" do
    serving do
      Support::Server.rackup("rails/config.ru", workers: 2, threads: 1, env: { "RAILS_ENV" => "production" })
    end

    it "answers" do
      expect(server.get("/cached").body).to eq("cached")
    end
  end

  describe "started by rails server -u iodine" do
    serving do
      folder = application
      Support::Server.new([RbConfig.ruby, "-I#{Support::ROOT}/lib", "-riodine", "bin/rails", "server", "-u", "iodine",
                           "-b", "127.0.0.1", "-p", "0", "-e", "production"],
                          chdir: folder)
    end

    it_behaves_like "a Rails application"
  end
end
