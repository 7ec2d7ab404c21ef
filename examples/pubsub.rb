# frozen_string_literal: true

# Publish and subscribe in one file: a server whose workers hear each other, and a script that is no server and
# publishes to them.
#
#     ruby -Ilib examples/pubsub.rb serve /tmp/pubsub.sock          # in one terminal
#     ruby -Ilib examples/pubsub.rb say /tmp/pubsub.sock "hello"    # in another one

require "iodine"

command, path, text = ARGV
abort "usage: pubsub.rb serve SOCKET | say SOCKET TEXT" unless path && (command == "serve" || text)

if command == "say"
  # It returns when the server has the message.
  Iodine::PubSub.default = Iodine::PubSub::Publisher.new(path)
  Iodine.publish("news", text)
  exit
end

# Subscribed before the start: in the master and in each worker.
Iodine.subscribe("news") { |channel, message| puts "#{Process.pid} #{channel}: #{message}" }
# A pattern: all channels whose names begin so.
Iodine.subscribe("n*", match: :redis) { |channel, message| puts "#{Process.pid} by a pattern, #{channel}: #{message}" }

$stdout.sync = true
Iodine::DEFAULT_SETTINGS[:pubsub_socket] = path
Iodine.workers = 2
Iodine.threads = 1
Iodine.start
