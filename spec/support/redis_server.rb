# frozen_string_literal: true

require "socket"
require "timeout"

module Support
  # A Redis server of its own for specs, without anything on disk: on a free port, and on a Unix socket.
  class RedisServer
    attr_reader :port, :path

    # Starts the server. +options+ are arguments of redis-server, as in <tt>requirepass: "secret"</tt>.
    def initialize(**options)
      @options = options
      @folder = Dir.mktmpdir("iodine-redis")
      @path = "#{@folder}/redis.sock"
      @port = TCPServer.open("127.0.0.1", 0) { |listener| listener.addr[1] }
      start
    end

    # Starts it again, at the same place.
    def start
      place = { port: port, bind: "127.0.0.1", unixsocket: path, save: "", appendonly: "no", dir: @folder }
      @process = ChildProcess.new("redis-server",
                                  *place.merge(@options).flat_map { |name, value| ["--#{name}", value.to_s] })
      @process.out.wait_for(/Ready to accept connections/, within: 30)
    end

    # Ends it at once, as a crash would.
    def kill
      @process.stop("KILL")
      @client = nil
    end

    # Ends it, and removes what is left.
    def stop
      kill
      FileUtils.rm_rf(@folder)
    end

    # Stops it in its tracks: it keeps its connections, and says nothing more until #thaw.
    def freeze_it = @process.kill("STOP")
    def thaw = @process.kill("CONT")

    def url(login = "", database = "") = "redis://#{login}127.0.0.1:#{port}/#{database}"

    # Sends a command and returns the answer.
    def call(*arguments)
      @client ||= connect
      @client.call(*arguments)
    end

    def publish(channel, message) = call("PUBLISH", channel, message)

    # A connection of its own.
    def connect
      client = Resp.new(UNIXSocket.new(path))
      client.call("AUTH", @options[:requirepass]) if @options[:requirepass]
      client
    end

    # The clients but for this one, as Hashes of what CLIENT LIST says.
    def clients
      own = call("CLIENT", "ID")
      list = call("CLIENT", "LIST").lines.map { |line| line.split.to_h { |pair| pair.split("=", 2) } }
      list.reject { |client| client["id"].to_i == own }
    end

    # How many clients have subscribed to a channel.
    def subscribers(channel) = call("PUBSUB", "NUMSUB", channel).last

    # How many patterns have subscribers.
    def patterns = call("PUBSUB", "NUMPAT")
  end

  # A peer that speaks Redis only as far as the spec does.
  class FakeRedis
    attr_reader :port

    def initialize
      @listener = TCPServer.open("127.0.0.1", 0)
      @port = @listener.addr[1]
      @sockets = []
    end

    def url(login = "") = "redis://#{login}127.0.0.1:#{port}"

    # The next connection: its socket, and what is read of it.
    def accept
      socket = Timeout.timeout(Waiting::DEADLINE) { @listener.accept }
      @sockets << socket
      [socket, Resp.new(socket)]
    end

    # The next connection, whose greeting is answered.
    def greet
      socket, commands = accept
      loop do
        command = commands.read
        socket.write(command == ["PING"] ? "+PONG\r\n" : "+OK\r\n")
        return [socket, commands] if command == ["PING"]
      end
    end

    def close = [@listener, *@sockets].each(&:close)
  end
end
