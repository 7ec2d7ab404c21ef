# frozen_string_literal: true

require "json"
require "uri"

# What a new application has and spec/integration/rails_spec.rb has not: Bundler, a database, Action Cable, Active
# Storage, assets. Production forces TLS, so requests come as from a proxy that speaks it.
RSpec.describe "A new Rails application", if: Support::RailsApplication.available? do
  before(:all) { @application = Support::RailsApplication.new }
  after(:all) { @application&.remove }

  attr_reader :application

  secure = "X-Forwarded-Proto: https"

  shared_examples "an application of Rails" do
    def cable(peer)
      socket = Support::WebSocket.new(peer, "/cable", "Origin: https://a.test", "X-Forwarded-Proto: https",
                                      "Sec-WebSocket-Protocol: actioncable-v1-json")
      expect(socket.head.status).to eq(101)
      socket
    end

    # The next message that is no ping.
    def message(socket)
      loop do
        message = JSON.parse(socket.read_message)
        return message unless message["type"] == "ping"
      end
    end

    it "speaks Action Cable" do
      server.connect do |peer|
        socket = cable(peer)
        expect(message(socket)).to eq("type" => "welcome")
        channel = { channel: "EchoChannel" }.to_json
        socket.text({ command: "subscribe", identifier: channel }.to_json)
        expect(message(socket)).to include("type" => "confirm_subscription")
        socket.text({ command: "message", identifier: channel, data: { action: "speak", text: "hi" }.to_json }.to_json)
        expect(message(socket)).to eq("identifier" => channel, "message" => { "said" => "hi" })
      end
    end

    it "keeps an upload by Active Storage, and sends it" do
      content = Random.new(6).bytes(300_000)
      title = "Content-Disposition: form-data; name=\"title\"\r\n\r\na title"
      upload = Support::Server.upload("/documents", "data.bin", content, title)
      response = server.request(upload.sub("\r\n", "\r\n#{secure_field}\r\n"))
      2.times do
        expect(response.status).to eq(302)
        response = server.get(URI(response["location"]).request_uri, secure_field)
      end
      expect(response).to have_attributes(status: 200, body: content)
      expect(server.get("/documents", secure_field).body).to include("a title")
    end

    it "streams by ActionController::Live" do
      expect(server.get("/live", secure_field).body)
        .to eq(Array.new(3) { |number| "event: note\ndata: {\"number\":#{number}}\n\n" }.join)
    end

    it "links assets with a fingerprint" do
      link = server.get("/documents", secure_field).body[%r{/assets/application-\h+\.css}]
      response = server.get(link, secure_field)
      expect(response.status).to eq(200)
      expect(response["content-type"]).to start_with("text/css")
    end

    it "redirects to TLS" do
      expect(server.get("/documents")).to have_attributes(status: 301)
    end

    define_method(:secure_field) { secure }
  end

  describe "by bundle exec iodine" do
    serving { application.serve("iodine", "-b", "127.0.0.1", "-p", "0", "-www", "public") }

    it_behaves_like "an application of Rails"

    it "has assets that the reactor serves" do
      link = server.get("/documents", secure).body[%r{/assets/application-\h+\.css}]
      expect(server.get(link)["cache-control"]).to include("max-age")
      expect(server.get("/icon.png")["content-type"]).to eq("image/png")
    end

    it "has the threads and workers of the initializer" do
      server.wait_for_log(/ \* 1 Workers X 3 Threads per worker\.$/)
    end
  end

  describe "by bundle exec iodine with the variables of a deployment" do
    serving do
      application.serve("iodine", "-b", "127.0.0.1", "-p", "0",
                        env: { "RAILS_MAX_THREADS" => "4", "WEB_CONCURRENCY" => "2" })
    end

    it "has as many threads and workers, with a database each" do
      server.wait_for_log(/ \* 2 Workers X 4 Threads per worker\.$/)
      responses = Array.new(8) { Thread.new { server.get("/documents", secure).status } }.map(&:value)
      expect(responses).to all eq(200)
    end
  end

  describe "by rails server" do
    serving { application.serve("bin/rails", "server", "-b", "127.0.0.1", "-p", "0") }

    it_behaves_like "an application of Rails"
  end
end
