# frozen_string_literal: true

require "json"

# The WebSockets of a Rails application: it takes the connection by rack.hijack and frames by itself.
RSpec.describe "Action Cable of a Rails application", if: Gem::Specification.any? { |gem| gem.name == "actioncable" } do
  # A client of the protocol actioncable-v1-json.
  cable = Class.new do
    def initialize(peer, name)
      fields = ["Sec-WebSocket-Protocol: actioncable-v1-json, actioncable-unsupported", "Origin: http://a.test"]
      @socket = Support::WebSocket.new(peer, "/cable?name=#{name}", *fields)
    end

    attr_reader :socket

    def head = socket.head

    # The next message but pings, of which there is one in three seconds.
    def read
      5.times do
        message = JSON.parse(socket.read_message)
        return message unless message["type"] == "ping"
      end
      raise Support::DeadlineError, "nothing but pings came"
    end

    def command(name, topic, **data)
      message = { command: name, identifier: self.class.identifier(topic) }
      message[:data] = JSON.generate(data) if data.any?
      socket.text(JSON.generate(message))
    end

    def self.identifier(topic) = JSON.generate({ channel: "NotesChannel", topic: topic }.compact)
  end

  serving { Support::Server.rackup("rails/config.ru", threads: 5, env: { "RAILS_ENV" => "production" }) }

  # A client that is welcome and subscribed.
  define_method(:subscribe) do |peer, name, topic|
    client = cable.new(peer, name)
    expect(client.read).to eq("type" => "welcome")
    client.command("subscribe", topic)
    expect(client.read).to eq("identifier" => cable.identifier(topic), "type" => "confirm_subscription")
    client
  end

  it "agrees to its protocol" do
    server.connect do |peer|
      client = cable.new(peer, "ann")

      expect([client.head.status, client.head["Sec-WebSocket-Protocol"]]).to eq([101, "actioncable-v1-json"])
    end
  end

  it "broadcasts to those who have subscribed, and to nobody else" do
    server.connect do |first|
      server.connect do |second|
        server.connect do |other|
          ann = subscribe(first, "ann", "a")
          bob = subscribe(second, "bob", "a")
          eve = subscribe(other, "eve", "b")
          message = { "identifier" => cable.identifier("a"), "message" => { "from" => "ann", "text" => "hi é" } }
          ann.command("message", "a", action: "say", text: "hi é")
          expect([ann.read, bob.read]).to eq([message, message])

          eve.command("message", "b", action: "say", text: "mine")
          expect(eve.read["message"]).to eq("from" => "eve", "text" => "mine")
        end
      end
    end
  end

  it "sends nothing after an unsubscription" do
    server.connect do |peer|
      ann = subscribe(peer, "ann", "c")
      subscribed_too = cable.identifier("d")
      ann.command("unsubscribe", "c")
      ann.command("subscribe", "d")
      expect(ann.read).to eq("identifier" => subscribed_too, "type" => "confirm_subscription")
      ann.command("message", "d", action: "say", text: "only")

      expect(ann.read["identifier"]).to eq(subscribed_too)
    end
  end

  it "pings by itself" do
    server.connect do |peer|
      client = cable.new(peer, "ann")

      expect(Array.new(2) { JSON.parse(client.socket.read_message)["type"] }).to eq(%w[welcome ping])
    end
  end

  it "refuses whom the application does not know, and channels that reject" do
    server.connect do |peer|
      socket = Support::WebSocket.new(peer, "/cable", "Sec-WebSocket-Protocol: actioncable-v1-json")

      expect(JSON.parse(socket.read_message)).to include("type" => "disconnect", "reason" => "unauthorized")
      expect(socket.read_frame.opcode).to eq(:close)
    end
    server.connect do |peer|
      client = cable.new(peer, "ann")
      client.read
      client.command("subscribe", nil)

      expect(client.read["type"]).to eq("reject_subscription")
    end
  end

  it "takes a client back that had vanished" do
    2.times do
      server.connect do |peer|
        ann = subscribe(peer, "ann", "f")
        ann.command("message", "f", action: "say", text: "back")

        expect(ann.read["message"]).to eq("from" => "ann", "text" => "back")
      end
    end
  end

  it "works over TLS, where its socket is one of a pair" do
    secure = Support::Server.rackup("rails/config.ru", "-tls", threads: 5, env: { "RAILS_ENV" => "production" })
    secure.connect_tls do |peer|
      ann = subscribe(peer, "ann", "g")
      ["short", "l" * 100_000].each do |text|
        ann.command("message", "g", action: "say", text: text)

        expect(ann.read["message"]).to eq("from" => "ann", "text" => text)
      end
    end
  ensure
    secure&.stop
  end

  it "tells its clients to come again when the server stops" do
    server = Support::Server.rackup("rails/config.ru", threads: 5, env: { "RAILS_ENV" => "production" })
    server.connect do |peer|
      client = cable.new(peer, "ann")
      client.read
      server.kill("INT")

      expect(server.wait).to be_success
      expect(peer.read_to_end).to be_a(String)
    end
  ensure
    server&.stop
  end
end
