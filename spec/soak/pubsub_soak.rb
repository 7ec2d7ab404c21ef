# frozen_string_literal: true

require "socket"
Dir[File.expand_path("../support/*.rb", __dir__)].sort.each { |file| require file }

# Publications in a cluster whose workers die: ruby spec/soak/pubsub_soak.rb [SECONDS] [CLIENTS]
#
# Two workers publish numbered messages, and Redis does when there is one; every 5 seconds one of the workers is killed.
# Each client has to get the messages of each publisher without a gap, a repetition or another order from the first one
# on, and up to the last one that anybody got. A client whose worker was killed begins again with another one.
class PubSubSoak
  # A message came twice, too late, too early or not at all.
  class Broken < StandardError; end

  # A client, and what it has of each publisher.
  class Client
    attr_reader :socket, :worker, :seen, :received

    def initialize(port)
      @socket = TCPSocket.new("127.0.0.1", port)
      @socket.write(Support::WebSocket.handshake)
      @buffer = String.new
      @seen = {}
      @ended = {}
      @received = 0
    end

    def open? = !@worker.nil?
    def ended?(publisher) = @ended[publisher]

    # Takes what has come. False: the connection is gone.
    def read
      chunk = @socket.read_nonblock(65_536, exception: false)
      return true if chunk == :wait_readable
      return false unless chunk

      @buffer << chunk
      skip_head unless @headless
      take_frames if @headless
      true
    rescue Errno::ECONNRESET
      false
    end

    private

    def skip_head
      finish = @buffer.index("\r\n\r\n") or return
      @buffer.slice!(0, finish + 4)
      @headless = true
    end

    # All messages are short texts.
    def take_frames
      position = 0
      while position + 2 <= @buffer.bytesize
        length = @buffer.getbyte(position + 1)
        break if position + 2 + length > @buffer.bytesize

        take(@buffer.byteslice(position + 2, length))
        position += 2 + length
      end
      @buffer = @buffer.byteslice(position..)
    end

    def take(message)
      publisher, number = message.split
      return @worker = number.to_i if publisher == "open"
      return @ended[publisher] = true if number == "end"

      @received += 1
      before = @seen[publisher]
      raise Broken, "#{message} after #{before}" if before && number.to_i != before + 1

      @seen[publisher] = number.to_i
    end
  end

  KILL_EVERY = 5

  def initialize(seconds:, clients:)
    @seconds = seconds
    @count = clients
    @lost = @kills = @messages = 0
  end

  # Returns what it has seen, as a Hash. Raises Broken.
  def run
    redis = Support::RedisServer.new if redis?
    @server = Support::Server.rackup("soak.ru", *(["-r", redis.url] if redis), workers: 2, threads: 2)
    @clients = Array.new(@count) { Client.new(@server.port) }
    turn(30) { balanced? }
    publish_by(redis) { soak }
    finish(redis)
    check_ends
  ensure
    @server&.stop
    redis&.stop
  end

  private

  def redis? = ENV["PATH"].split(":").any? { |folder| File.executable?("#{folder}/redis-server") }

  def soak
    finish = now + @seconds
    kill_at = now + [KILL_EVERY, @seconds / 3.0].min
    turn(@seconds) do
      if now >= kill_at && balanced?
        Process.kill("KILL", @server.children.min)
        @kills += 1
        kill_at = now + KILL_EVERY
      end
      now >= finish
    end
  end

  # Numbered messages straight from Redis, meanwhile.
  def publish_by(redis)
    return yield unless redis

    stop = false
    connection = redis.connect
    # What is published before Redis knows of the subscription is nobody's.
    Support::Waiting.wait_until("the subscription", within: 30) { redis.subscribers("soak").positive? }
    thread = Thread.new do
      (0..).each do |number|
        break if stop

        connection.call("PUBLISH", "soak", "redis #{number}")
        sleep 0.025
      end
      connection.call("PUBLISH", "soak", "redis end")
    end
    yield
  ensure
    stop = true
    thread&.join
  end

  # Lets the publishers end, and waits until every client knows.
  def finish(redis)
    turn(30) { balanced? }
    @server.get("/stop")
    publishers = [*@server.children.map(&:to_s), *("redis" if redis)]
    turn(30) { @clients.all? { |client| publishers.all? { |publisher| client.ended?(publisher) } } }
  end

  # All who got anything of a publisher got its last message.
  def check_ends
    seen = @clients.flat_map { |client| client.seen.to_a }.group_by(&:first).transform_values { |all| all.map(&:last) }
    seen.each do |publisher, numbers|
      raise Broken, "#{publisher} ended with #{numbers.max}, but #{numbers.min} for one" if numbers.uniq.size > 1
    end
    { messages: @messages + @clients.sum(&:received), publishers: seen.size, workers_killed: @kills,
      clients_lost: @lost }
  end

  # Reads whatever comes, until the block is true; connects anew those whose worker is gone.
  def turn(seconds)
    deadline = now + seconds + 30
    until yield
      raise Broken, "not done within #{seconds} s: #{state}" if now > deadline

      readable, = IO.select(@clients.map(&:socket), nil, nil, 0.05)
      sockets = @clients.to_h { |client| [client.socket, client] }
      (readable || []).each { |socket| read(sockets[socket]) }
      move
    end
  end

  def read(client)
    return if client.read

    @lost += 1
    replace(client)
  end

  def replace(client)
    client.socket.close
    @messages += client.received
    @clients[@clients.index(client)] = Client.new(@server.port)
  end

  # Whether each of two workers has half of the clients.
  def balanced? = @clients.all?(&:open?) && workers.values.map(&:size).sort == [@count / 2, @count - (@count / 2)]

  # Takes one client from a worker that has too many: it is the kernel who chooses where it comes to.
  def move
    return unless @clients.all?(&:open?)

    crowded = workers.values.max_by(&:size)
    replace(crowded.last) if crowded.size > @count - (@count / 2)
  end

  def workers = @clients.group_by(&:worker)
  def state = "#{@clients.count(&:open?)} clients are open, #{@server.children.size} workers live\n#{@server.log}"
  def now = Support::Waiting.monotonic
end

if $PROGRAM_NAME == __FILE__
  seconds, clients = ARGV.map { |argument| Integer(argument) }
  puts PubSubSoak.new(seconds: seconds || 60, clients: clients || 200).run
end
