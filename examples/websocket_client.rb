# frozen_string_literal: true

# A client of a WebSocket server: sends what is typed, prints what comes, and connects again when the connection ends.
#
#     ruby -Ilib examples/websocket_client.rb ws://localhost:3000/
#
# The end of the input closes the connection and ends the program.

require "iodine"

# Keeps one connection, and waits longer after each attempt that fails.
class Talk
  PAUSES = [1, 2, 5, 10, 30].freeze # seconds

  def initialize(url)
    @url = url
    @failures = 0
    @client = nil
  end

  def connect = Iodine.connect(url: @url, handler: self, ping: 30)

  def say(line)
    puts("(not connected)") unless @client&.write(line)
  end

  def leave
    @left = true
    @client ? @client.close(1000) : Iodine.stop
  end

  def on_open(client)
    @failures = 0
    @client = client
    puts("(connected to #{@url})")
  end

  def on_message(_client, data) = puts("< #{data}")

  def on_close(client)
    @client = nil
    return Iodine.stop if @left || !Iodine.running?

    pause = PAUSES[[@failures, PAUSES.size - 1].min]
    @failures += 1
    puts("(closed: #{client.close_code} #{client.close_reason}; again in #{pause} s)")
    Iodine.run_after(pause * 1000) { connect }
  end
end

$stdout.sync = true
talk = Talk.new(ARGV.fetch(0) { abort("usage: ruby examples/websocket_client.rb ws://HOST:PORT/PATH") })
talk.connect
Iodine.on_state(:on_start) do
  Thread.new do
    $stdin.each_line(chomp: true) { |line| talk.say(line) }
    talk.leave
  end
end
Iodine.verbosity = 3
Iodine.threads = 1
Iodine.start
