# frozen_string_literal: true

# Raw handlers that do odd things in odd moments, each at a port of its own, for careless_spec.rb. With STRESS the
# collector runs as often as it can.

require "iodine"
require "socket"

ECHO = "unix://#{ENV.fetch("TMPDIR")}/echo.sock"

GC.stress = true if ENV["STRESS"]

# What happens, for the specs.
module Journal
  def self.note(*facts) = $stderr.write("#{facts.join(" ")}\n")
end

# Echoes.
class Echo
  def on_message(client, data) = client.write(data)
  def on_close(_client) = Journal.note(self.class, "closed")
end

# Writes and closes before it has been told of anything.
class ClosesAtOnce < Echo
  def on_open(client)
    client.write("bye")
    Journal.note("closes", client.close.inspect, client.write("late"), client.open?, client.pending)
  end
end

# Hands over when it is too late.
class HandsOverLate < Echo
  def on_close(client)
    client.handler = Echo.new
    Journal.note("late handler", client.handler.class)
  end
end

# Hands over again and again.
class Relay < Echo
  def initialize(left = 50) = @left = left
  def on_open(client) = @left.zero? ? client.write("relayed") : client.handler = Relay.new(@left - 1)
end

# Does not let go.
class Clings < Echo
  def on_open(client)
    client.handler = Echo.new
    client.write("let go")
  end

  def on_close(client) = client.handler = Echo.new
end

# Does not let go, and neither does the one that it hands over to.
class Stubborn < Echo
  def initialize(name) = @name = name
  def on_open(client) = client.write("#{@name} opened ")
  def on_message(client, _) = client.handler = Stubborn.new("second")

  def on_close(client)
    client.write("#{@name} closed ") if client.open?
    client.handler = self
  end
end

# Is no use as a handler.
class Unanswerable
  def respond_to?(*) = raise("respond_to? on purpose")
end

# Leaves its callback in all ways but the usual one.
class Leaves < Echo
  def initialize(&how) = @how = how
  def on_message(*) = @how.call
end

# Changes what it has written, and what it was given.
class Changes < Echo
  def on_message(client, data)
    data.replace("changed")
    large = "z" * 100_000
    client.write(large)
    large.replace("y" * 100_000)
    client.close
  end
end

# Connects to an echo server from within a callback, and is told so by a client in its callback.
class Connects < Echo
  # Tells another connection what it hears.
  Messenger = Struct.new(:other) do
    def on_open(client) = client.write("inside")
    def on_message(client, data) = other.write(data) && client.close
  end

  def on_message(client, _) = Iodine.connect(url: ECHO, handler: Messenger.new(client))
end

# Waits in its first message for the word of another connection, and closes.
class Deaf < Echo
  GATE = Queue.new

  def on_message(client, data)
    Journal.note("deaf hears", data)
    return GATE.push(true) if data == "release"

    GATE.pop
    client.close
  end
end

# Attaches the same descriptor twice, and a descriptor within the callback of another.
class Attaches < Echo
  def on_message(client, _)
    ours, theirs = UNIXSocket.pair
    2.times { Iodine.attach_fd(ours.fileno, Echo.new) }
    ours.close
    theirs.write("twice")
    client.write(theirs.readpartial(5))
    theirs.close
  end
end

handlers = {
  echo: -> { Echo.new }, closes: -> { ClosesAtOnce.new }, late: -> { HandsOverLate.new }, relay: -> { Relay.new },
  clings: -> { Clings.new }, unanswerable: -> { Unanswerable.new }, throws: -> { Leaves.new { throw :nowhere } },
  exits: -> { Leaves.new { exit(3) } }, killed: -> { Leaves.new { Thread.current.kill } }, changes: -> { Changes.new },
  integer: -> { 7 }, attaches: -> { Attaches.new }, deaf: -> { Deaf.new },
  connects: -> { Connects.new }, stubborn: -> { Stubborn.new("first") }
}
handlers.each_value { |handler| Iodine.listen(service: :raw, address: "127.0.0.1", port: 0, &handler) }
Iodine.listen(url: ECHO) { Echo.new }
Iodine.listen(url: "unix://#{ENV.fetch("TMPDIR")}/deaf.sock") { Deaf.new }
Iodine.workers = 1
Iodine.threads = 3
Iodine.start
