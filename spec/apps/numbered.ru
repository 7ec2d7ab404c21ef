# frozen_string_literal: true

# For the specs of bad networks and of many clients. What is posted comes back; WebSockets and event streams are
# subscribed to "news", WebSockets echo, and the log has each opening and each end of a connection, by its path.
class Noted
  def on_open(client)
    @path = client.env["PATH_INFO"]
    $stderr.write("opened #{@path} in #{Process.pid}\n")
    client.subscribe("news")
    client.write("ready")
  end

  def on_message(client, data) = client.write(data)
  def on_close(_client) = $stderr.write("closed #{@path} in #{Process.pid}\n")
end

run(lambda { |env|
  if env["rack.upgrade?"]
    env["rack.upgrade"] = Noted.new
    next [200, {}, []]
  end
  Iodine.publish("news", env["QUERY_STRING"]) if env["PATH_INFO"] == "/publish"
  [200, {}, ["#{env["PATH_INFO"]} #{env["rack.input"]&.read}"]]
})
