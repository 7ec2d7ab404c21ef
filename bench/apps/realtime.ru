# frozen_string_literal: true

# Echo, publisher and subscribers, and connections that are only there, each with an object of its own.

class Echo
  def on_message(client, data) = client.write(data)
end

class Subscriber
  def on_open(client) = client.subscribe("news")
end

class Publisher
  def on_message(client, data) = client.publish("news", data)
end

class Idle
  def on_open(client)
    @name = client.env["PATH_INFO"]
  end

  def on_message(_client, _data) = nil
end

handlers = { "/echo" => Echo, "/subscribe" => Subscriber, "/publish" => Publisher, "/idle" => Idle }

run(lambda { |env|
  env["rack.upgrade"] = handlers.fetch(env["PATH_INFO"]).new if env["rack.upgrade?"]
  [200, { "content-length" => "0" }, []]
})
