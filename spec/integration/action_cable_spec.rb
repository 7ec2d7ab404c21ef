# frozen_string_literal: true

require "json"

RSpec.describe "Action Cable", if: Gem::Specification.any? { |gem| gem.name == "actioncable" } do
  identifier = JSON.generate("channel" => "EchoChannel")

  # The next message that is not a ping.
  def message(socket)
    loop do
      message = JSON.parse(socket.read_message)
      return message unless message["type"] == "ping"
    end
  end

  { "a plain connection" => [:connect, []], "TLS" => [:connect_tls, ["-tls"]] }.each do |name, (connect, flags)|
    describe "over #{name}" do
      serve "cable.ru", *flags, threads: 4

      it "subscribes and broadcasts" do
        server.public_send(connect) do |peer|
          socket = Support::WebSocket.new(peer, "/cable", "Sec-WebSocket-Protocol: actioncable-v1-json")
          expect(message(socket)).to eq("type" => "welcome")

          socket.text(JSON.generate("command" => "subscribe", "identifier" => identifier))
          expect(message(socket)).to include("type" => "confirm_subscription")

          ["a", "b" * 50_000].each do |text|
            data = JSON.generate("action" => "say", "text" => text)
            socket.text(JSON.generate("command" => "message", "identifier" => identifier, "data" => data))
            expect(message(socket)).to include("message" => { "text" => text })
          end
        end
      end
    end
  end
end
