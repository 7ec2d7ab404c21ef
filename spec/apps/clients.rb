# frozen_string_literal: true

# Connections for clients_spec.rb: each argument is a JSON object with the options of Iodine.connect, and besides
# "name", "say" (what is written first: a String, or Arrays of a String and a number of times) and "close" (closes after so many messages).

require "iodine"
require "json"

# Writes down what it is told.
class Recorder
  def initialize(name: nil, say: nil, close: nil)
    @name = name
    @say = say
    @left = close
  end

  def on_open(client)
    note("open", client.protocol, client.env, client.timeout, client.open?)
    Array(@say).each { |text, times| client.write(text * (times || 1)) }
  end

  def on_message(client, data)
    note("message", data.bytesize > 60 ? data.bytesize : data, data.encoding)
    client.close if @left && (@left -= 1).zero?
  end

  def on_shutdown(client) = note("shutdown", client.open?)

  def on_close(client)
    return note("close", nil) if client.nil?

    note("close", client.open?, client.pending, client.write("x"), client.protocol, client.close_code,
         client.close_reason)
  end

  private

  def note(event, *facts) = $stderr.write("#{@name}: #{event} #{facts.map(&:inspect).join(" ")}\n")
end

ARGV.each do |argument|
  options = JSON.parse(argument, symbolize_names: true)
  recorder = Recorder.new(**options.slice(:name, :say, :close))
  options = options.except(:name, :say, :close)
  options[:headers] &&= options[:headers].transform_keys(&:to_s)
  $stderr.write("connected #{Iodine.connect(handler: recorder, **options)}\n")
rescue ArgumentError, RuntimeError => e
  $stderr.write("#{e.class}: #{e.message}\n")
end

Iodine.threads = 2
Iodine.start
