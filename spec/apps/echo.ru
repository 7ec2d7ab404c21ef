# frozen_string_literal: true

# Sends every message of a WebSocket back.
module Echo
  def self.on_message(client, data) = client.write(data)
end

run(lambda { |env|
  env["rack.upgrade"] = Echo if env["rack.upgrade?"] == :websocket
  [200, {}, []]
})
