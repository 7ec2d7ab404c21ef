# frozen_string_literal: true

# An engine of one's own: messages take the way that it says. This one writes them to a file, and delivers those that
# anybody appends to it, so two servers that share the file hear each other.
#
#     ruby -Ilib examples/engine.rb /tmp/messages 3000     # in one terminal
#     ruby -Ilib examples/engine.rb /tmp/messages 3001     # in another one
#
# Then connect WebSockets to both ports, and say something.

require "iodine"
require "json"

# Messages by way of a file: one a line.
class FileEngine < Iodine::PubSub::Engine
  def initialize(path)
    super()
    @path = path
    @subscribed = []
    File.write(path, "", mode: "a")
  end

  # Called in the process that publishes. Short lines are appended in one piece, whoever else appends.
  def publish(channel, message)
    File.write(@path, "#{JSON.generate([channel, message])}\n", mode: "a")
  end

  # Called as channels gain their first subscriber, and lose the last one.
  def subscribe(channel, match = nil)
    @subscribed << channel unless match
    warn "listening for #{channel}"
  end

  def unsubscribe(channel, _match = nil)
    @subscribed.delete(channel)
    warn "no longer listening for #{channel}"
  end

  # Reads what has been appended, and has the cluster deliver it.
  def follow
    file = File.open(@path).tap { |opened| opened.seek(0, IO::SEEK_END) }
    Iodine.run_every(50) do
      file.each_line do |line|
        channel, message = JSON.parse(line)
        Iodine::PubSub::CLUSTER.publish(channel, message) if @subscribed.include?(channel)
      end
    end
  end
end

# A WebSocket that hears what is said, and says what it is sent.
module Talker
  def self.on_open(client) = client.subscribe("talk")
  def self.on_message(client, text) = client.publish("talk", text)
end

engine = FileEngine.new(ARGV.fetch(0))
Iodine::PubSub.default = engine
Iodine::PubSub.attach(engine)

app = lambda do |env|
  env["rack.upgrade"] = Talker if env["rack.upgrade?"] == :websocket
  [200, { "content-type" => "text/plain" }, ["Connect a WebSocket\n"]]
end

Iodine.listen(service: :http, handler: app, address: "127.0.0.1", port: ARGV.fetch(1, "3000"))
Iodine.workers = 1
Iodine.threads = 2
engine.follow
Iodine.start
