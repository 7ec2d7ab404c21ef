# frozen_string_literal: true

# Publish and subscribe, for pubsub_spec.rb: what a WebSocket sends is Ruby that is run with its client, and the value
# comes back as a message. So does what is posted to /run, without a client.

# What happens, for the specs.
module Journal
  SEEN = Queue.new
  def self.note(*words) = $stderr.write("#{words.join(" ")}\n")
end

# An engine that tells what it is told.
class Telling < Iodine::PubSub::Engine
  def initialize(name)
    super()
    @name = name
  end

  def subscribe(name, match = nil) = tell("+", name, match)
  def unsubscribe(name, match = nil) = tell("-", name, match)
  def publish(channel, message) = Iodine::PubSub::CLUSTER.publish(channel, "#{@name}: #{message}")

  private

  def tell(sign, name, match)
    Journal.note("#{@name} #{sign}#{name.inspect} #{match.inspect} #{name.encoding} master=#{Iodine.master?}")
    raise "raised by an engine" if name == "raise"
  end
end

# An engine whose methods raise.
class Raising < Iodine::PubSub::Engine
  def publish(_channel, _message) = raise("raised by publish")
end

# Runs what the peer sends.
class Remote
  def on_open(client)
    client.subscribe("greeting")
    client.write("open")
  end

  def on_message(client, source)
    value = begin
      eval(source) # rubocop:disable Security/Eval
    rescue Exception => e # rubocop:disable Lint/RescueException
      e.class
    end
    client.write("=> #{value.inspect}") unless value == :silent
  end

  def on_close(client)
    Journal.note("closed", client.subscribe("late").inspect, client.unsubscribe("greeting").inspect,
                 client.publish("farewell", "bye from #{Process.pid}").inspect)
  end
end

# An event stream that is subscribed to what its query names.
class Stream
  def on_open(client)
    client.env["QUERY_STRING"].split("&").each { |name| client.subscribe(name) }
    Journal.note("binary", client.subscribe("x", as: :binary).inspect)
    client.write("open")
  end
end

Iodine.subscribe("before") { |channel, message| Journal.note("before #{channel} #{message}") }
Iodine.publish("before", "the start")

# Runs what is published, in every process that it reaches.
Iodine.subscribe("eval") { |_, source| eval(source) } # rubocop:disable Security/Eval

run(lambda { |env|
  case env["PATH_INFO"]
  when "/run" then next [200, {}, [eval(env["rack.input"].read).inspect]] # rubocop:disable Security/Eval
  when "/events" then env["rack.upgrade"] = Stream.new
  else env["rack.upgrade"] = Remote.new
  end
  [200, {}, []]
})
