# frozen_string_literal: true

# A chat on TCP in two phases, each with a handler of its own: a lobby that asks for a name, and a room.
#
#     ruby -Ilib examples/raw_chat.rb [PORT]
#     nc localhost 3000

require "iodine"

# Puts the pieces in which lines come together. TCP keeps the order of bytes, not where one write ends.
class Lines
  LONGEST = 1024

  def initialize = @rest = +""

  # The lines that +data+ completes, without their ends.
  def take(data)
    *lines, @rest = "#{@rest}#{data}".split("\n", -1)
    raise ArgumentError, "a line is longer than #{LONGEST} bytes" if @rest.bytesize > LONGEST

    lines.map { |line| line.delete_suffix("\r") }
  end
end

# Those who are in the room, by name.
module Room
  @members = {}
  @lock = Mutex.new

  class << self
    # False: somebody has that name.
    def enter(name, client)
      @lock.synchronize { @members.key?(name) ? false : @members[name] = client }
    end

    def leave(name) = @lock.synchronize { @members.delete(name) }
    def say(text) = @lock.synchronize { @members.values }.each { |client| client.write("#{text}\n") }
  end
end

# Asks for a name.
class Lobby
  def initialize = @lines = Lines.new
  def on_open(client) = client.write("What is your name?\n")

  def on_message(client, data)
    lines = @lines.take(data)
    until lines.empty?
      member = welcome(client, lines.shift.strip)
      # From here on the lobby is out of it.
      return lines.each { |line| member.hear(client, line) } if member
    end
  rescue ArgumentError => e
    client.write("#{e.message}\n")
    client.close
  end

  private

  # The member that the client is now, nil when that name cannot be had.
  def welcome(client, name)
    return client.write("Just a word, please.\n") && nil unless name.match?(/\A\w{1,20}\z/)
    return client.write("#{name} is taken.\n") && nil unless Room.enter(name, client)

    Member.new(name, @lines).tap { |member| client.handler = member }
  end
end

# Says who says what.
class Member
  def initialize(name, lines)
    @name = name
    @lines = lines
  end

  def on_open(_client) = Room.say("* #{@name} is here")

  def hear(client, line) = line == "/quit" ? client.close : Room.say("#{@name}: #{line}")

  def on_message(client, data)
    @lines.take(data).each { |line| hear(client, line) }
  rescue ArgumentError => e
    client.write("#{e.message}\n")
    client.close
  end

  def on_close(_client)
    Room.leave(@name)
    Room.say("* #{@name} has left")
  end
end

Iodine.listen(service: :raw, port: ARGV.fetch(0, "3000")) { Lobby.new }
Iodine.threads = 4
Iodine.start
