# frozen_string_literal: true

# A chat of all servers that use the same Redis: iodine -redis redis://localhost examples/redis.ru

# A WebSocket that hears what is said, and says what it is sent.
class Chat
  def on_open(client) = client.subscribe("chat")

  def on_message(_client, data)
    redis = Iodine::PubSub.default
    # Counted in Redis, for all servers together.
    redis.cmd("INCR", "chat:messages") { |number| redis.publish("chat", "#{number}: #{data}") }
  end
end

abort "start with -redis redis://localhost" unless Iodine::PubSub.default.is_a?(Iodine::PubSub::Redis)

run(lambda { |env|
  if env["rack.upgrade?"] == :websocket
    env["rack.upgrade"] = Chat.new
    [200, {}, []]
  else
    [200, { "content-type" => "text/plain" }, ["Connect a WebSocket\n"]]
  end
})
