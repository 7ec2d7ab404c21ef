# frozen_string_literal: true

# A chat in the browser: everybody writes by WebSocket, and reads by WebSocket or, at /?read, by Server-Sent Events.
#
#     bin/serve examples/chat.ru -w 2
#
# What one says is published, and reaches the clients of all workers without Ruby.

PAGE = File.read(File.join(__dir__, "chat.html")).freeze
LARGEST = 4096

# Who takes part.
module Member
  def self.on_open(client) = client.subscribe("chat")

  def self.on_message(client, text)
    return client.close(1009, "too long") if text.bytesize > LARGEST

    client.publish("chat", text)
  end
end

# Who only reads. A browser that has lost the stream tries again after so many milliseconds.
module Reader
  def self.on_open(client)
    client.write("", event: "welcome", retry: 500)
    client.subscribe("chat")
  end
end

run(lambda { |env|
  env["rack.upgrade"] = { websocket: Member, sse: Reader }[env["rack.upgrade?"]] if env["PATH_INFO"] == "/chat"
  next [404, { "content-type" => "text/plain" }, ["Not found.\n"]] unless %w[/ /chat].include?(env["PATH_INFO"])

  [200, { "content-type" => "text/html; charset=utf-8", "cache-control" => "no-cache" }, [PAGE]]
})
