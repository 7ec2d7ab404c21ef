# frozen_string_literal: true

# Raw servers for raw_spec.rb: an echo server on the first port, a Unix socket with the same, then others.

require "iodine"

# What happens, for the specs.
module Journal
  def self.note(text) = $stderr.write("#{text}\n")
end

# Answers what are commands, and echoes the rest.
class Echo
  def on_open(client)
    client.write("open #{client.protocol} #{client.env.inspect} #{client.timeout} #{client.open?}\n")
  end

  def on_message(client, data)
    case data.chomp
    when /\Abye/ then client.write("bye\n") && client.close
    when "encoding" then client.write("#{data.encoding} #{data.frozen?}\n")
    when "after" then after(client)
    when "timeout" then client.timeout = 1
    when "event" then client.write("x", event: "y")
    when "seven" then client.write(7)
    when "nil" then client.handler = nil
    when "raise" then raise "raised on purpose"
    when "flood" then Array.new(200) { "x" * 100_000 }.each { |chunk| client.write(chunk) }
    when "threads" then threads(client)
    else client.write(data)
    end
  end

  def on_shutdown(client) = client.write("shutdown #{client.open?}")

  def on_close(client)
    Journal.note("closed #{client.open?} #{client.pending} #{client.write("x")} #{client.protocol.inspect} " \
                 "#{client.timeout.inspect} #{client.close_code.inspect}")
  end

  private

  def after(client)
    client.close
    Journal.note("after close: #{client.open?} #{client.pending} #{client.write("late")} #{client.close.inspect}")
  end

  def threads(client)
    Array.new(4) { |thread| Thread.new { 50.times { |n| client.write("#{thread}:#{n};") } } }.each(&:join)
  end
end

# Asks for a name, then hands over to Chat.
module Lobby
  def self.on_open(client) = client.write("name?")

  def self.on_message(client, name)
    Journal.note("handler was #{client.handler.inspect}")
    client.handler = Chat.new(name)
  end

  def self.on_close(client) = Journal.note("lobby closed, open #{client.open?}")
end

# Says who says what.
class Chat
  def initialize(name) = @name = name
  def on_open(client) = client.write("welcome #{@name}")
  def on_message(client, data) = client.write("#{@name}: #{data}")
  def on_close(client) = Journal.note("chat of #{@name} closed, open #{client.open?}")
end

# Counts its callbacks that overlap.
class Orderly
  def initialize
    @inside = 0
    @seen = []
  end

  def on_open(client)
    step("open") { sleep 0.01 }
    client.write("o")
  end

  def on_message(client, data) = data.each_char { |char| step(char) { Thread.pass } } && client.write("m")
  def on_drained(_client) = step("") { Thread.pass }
  def on_close(_client) = step("close") && Journal.note("orderly #{@seen.join}")

  private

  def step(name)
    @inside += 1
    yield if block_given?
    @seen << (@inside == 1 ? name : "OVERLAP")
    @inside -= 1
  end
end

# Is asked for pings.
class Pinged
  def on_open(client) = client.timeout = 1
  def ping(client) = client.write("ping\n")
end

# Raises in each callback that its first message names, or in all.
class Raising
  %i[on_open on_message on_drained ping on_shutdown on_close].each do |name|
    define_method(name) { |_client, _data = nil| raise Exception, "#{name} on purpose" } # rubocop:disable Lint/RaiseException
  end
end

# Has no callbacks at all.
silent = Object.new

listen = lambda do |**options, &block|
  Iodine.listen(service: :raw, address: "127.0.0.1", port: 0, **options, &block)
end

listen.call { Echo.new }
listen.call { Lobby }
listen.call { Orderly.new }
listen.call { Pinged.new }
listen.call { Raising.new }
listen.call(timeout: 1) { silent }
listen.call { nil }
listen.call { raise "no handler on purpose" }
listen.call(max_pending: 1) { Echo.new }
Iodine.listen(url: "unix://#{ENV.fetch("TMPDIR")}/raw.sock") { Echo.new }
Iodine.threads = 4
Iodine.start
