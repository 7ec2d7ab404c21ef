# frozen_string_literal: true

# A server that says back what it is told, on TCP. Run it, and talk to it:
#
#     ruby -Ilib examples/raw_echo.rb [PORT]
#     nc localhost 3000
#
# "bye" ends a connection, and so do five minutes of silence.

require "iodine"

# One for each connection.
class Echo
  SILENCE = 150 # seconds

  def on_open(client)
    @warned = false
    client.timeout = SILENCE
    client.write("Say something. \"bye\" to leave.\n")
  end

  def on_message(client, data)
    @warned = false
    client.write(data)
    client.close if data.match?(/\Abye\b/i)
  end

  # The timeout has passed without a word.
  def ping(client)
    return client.close if @warned

    @warned = true
    client.write("Still there?\n")
  end

  def on_shutdown(client) = client.write("The server goes away.\n")
end

Iodine.listen(service: :raw, port: ARGV.fetch(0, "3000")) { Echo.new }
Iodine.threads = 4
Iodine.start
