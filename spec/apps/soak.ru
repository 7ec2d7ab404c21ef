# frozen_string_literal: true

# For spec/soak/pubsub_soak.rb: WebSockets that are subscribed to "soak", and a publisher in each worker, which numbers
# its messages and says when it has ended.

# Subscribes a client.
module Soaked
  def self.on_open(client)
    client.subscribe("soak")
    client.write("open #{Process.pid}")
  end
end

# Publishes until it is told to stop.
module Source
  @number = -1

  def self.next_message = Iodine.publish("soak", "#{Process.pid} #{@number += 1}", Iodine::PubSub::CLUSTER)

  def self.run
    @thread = Thread.new do
      until @stopped
        next_message
        sleep 0.025
      end
      Iodine.publish("soak", "#{Process.pid} end", Iodine::PubSub::CLUSTER)
    end
  end

  def self.stop = @stopped = true
end

Iodine.subscribe("stop") { Source.stop }
Iodine.on_state(:on_start) { Source.run }

run(lambda { |env|
  if env["PATH_INFO"] == "/stop"
    Iodine.publish("stop", "now", Iodine::PubSub::CLUSTER)
  else
    env["rack.upgrade"] = Soaked
  end
  [200, {}, []]
})
