# frozen_string_literal: true

# Reads what it is sent, and answers with as many bytes as the path says. Messages of WebSockets come back, and event
# streams are told of them.

class Regular
  def on_open(client)
    client.subscribe("news") if client.protocol == :sse
  end

  def on_message(client, data)
    client.write(data)
    client.publish("news", data.byteslice(0, 1000))
  end
end

run(lambda do |env|
  if env["rack.upgrade?"]
    env["rack.upgrade"] = Regular.new
    next [200, {}, []]
  end
  received = env["rack.input"]&.read.to_s.bytesize
  wanted = env["PATH_INFO"].delete_prefix("/").to_i
  body = "#{received} ".ljust(wanted, "x")
  [200, { "content-type" => "text/plain", "content-length" => body.bytesize.to_s }, [body]]
end)
