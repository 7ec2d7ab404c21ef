# frozen_string_literal: true

require "json"

RSpec.describe "Iodine.connections" do
  serving do
    Support::Server.script(<<~RUBY, listeners: 2)
      require "iodine"
      require "json"
      # Keeps its connection, and that to the raw listener.
      module Quiet; end

      warn "before: \#{Iodine.connections}"
      Iodine.listen(service: :http, address: "127.0.0.1", port: 0) do |env|
        env["rack.upgrade"] = Quiet if env["rack.upgrade?"]
        if env["PATH_INFO"] == "/connect"
          Iodine.connect(service: :raw, address: "127.0.0.1", port: env["QUERY_STRING"], handler: Quiet)
        end
        [200, {}, [JSON.generate(Iodine.connections)]]
      end
      Iodine.listen(service: :raw, address: "127.0.0.1", port: 0) { Quiet }
      Iodine.workers = Iodine.threads = 1
      Iodine.start
    RUBY
  end

  # Counts until they are these, on one connection.
  def expect_counts(peer, **expected)
    Support::Waiting.wait_until("connections #{expected}") do
      peer.write(Support::Server.get("/"))
      JSON.parse(peer.read_response.body, symbolize_names: true) == expected
    end
  end

  nothing = { http: 0, websocket: 0, sse: 0, raw: 0 }

  it "counts by what is spoken, at both ends" do
    server.connect do |peer|
      expect(server.log).to include("before: #{nothing}\n")
      expect_counts(peer, http: 1, websocket: 0, sse: 0, raw: 0)
      others = Array.new(2) { TCPSocket.new("127.0.0.1", server.port) }
      others[0].write(Support::WebSocket.handshake("/"))
      others[1].write(Support::Server.get("/", "Accept: text/event-stream"))
      others << TCPSocket.new("127.0.0.1", server.port)
      peer.write(Support::Server.get("/connect?#{server.ports[1]}"))
      peer.read_response
      expect_counts(peer, http: 2, websocket: 1, sse: 1, raw: 2)
      others.each(&:close)
      expect_counts(peer, http: 1, websocket: 0, sse: 0, raw: 2)
    end
  end
end
