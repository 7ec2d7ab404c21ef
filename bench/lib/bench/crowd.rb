# frozen_string_literal: true

module Bench
  # Clients of WebSockets and event streams: a run of bench/crowd.
  class Crowd
    # Messages that came, and the seconds in which they did.
    Result = Struct.new(:messages, :duration, keyword_init: true) do
      def self.parse(line)
        figures = line.to_s.match(/\Aresult messages=(\d+) duration_us=(\d+)$/) or
          raise Error, "bench/crowd has no result; it printed #{line.inspect}"
        new(messages: figures[1].to_i, duration: figures[2].to_i / 1e6)
      end
    end

    # Yields with all connections open, and closes them.
    def self.gather(mode, port, *options)
      command = [CROWD.executable, mode, "--port", port.to_s, *options.map(&:to_s)]
      IO.popen(command, "r+") do |process|
        answer = process.gets
        raise Error, "the clients could not connect: see above" unless answer == "ready\n"

        yield new(process)
      end
    end

    def initialize(process)
      @process = process
    end

    # Has the clients send and receive, and returns the Result.
    def run
      @process.puts
      Result.parse(@process.gets)
    end
  end

  # CPU time a message that the clients receive: an echo, or a delivery of what one publishes.
  class MessageLoad
    def initialize(mode, connections:, bytes: 32, options: [])
      @mode = mode
      @connections = connections
      @options = ["--connections", connections, "--bytes", bytes, *options]
    end

    def to_s
      "#{@connections} connections"
    end

    def rounds(plan)
      plan.rounds
    end

    def warm_up(server, _plan)
      gather(server, 1, &:run)
    end

    def measure(server, plan)
      gather(server, plan.seconds) do |crowd|
        before = server.tree.cpu_seconds
        result = crowd.run
        cpu = server.tree.cpu_seconds - before
        raise Error, "#{server} sent no message in #{plan.seconds} s\n#{server.log}" if result.messages.zero?

        { rps: result.messages / result.duration, cpu_us: cpu * 1e6 / result.messages,
          rss_mib: server.tree.rss_bytes.fdiv(1 << 20) }
      end
    end

    private

    def gather(server, seconds, &block)
      Crowd.gather(@mode, server.port, *@options, "--seconds", seconds, &block)
    end
  end

  # What a connection costs that nothing happens on.
  class IdleLoad
    def initialize(connections:)
      @connections = connections
    end

    def to_s
      "#{@connections} connections"
    end

    # A process is young only once.
    def rounds(_plan)
      1
    end

    # Enough for all code to have run once.
    def warm_up(server, _plan)
      Crowd.gather("idle", server.port, "--connections", 100) { nil }
    end

    def measure(server, _plan)
      before = server.tree.rss_bytes
      Crowd.gather("idle", server.port, "--connections", @connections) do
        { idle_kib: (server.tree.rss_bytes - before).fdiv(1024 * @connections),
          rss_mib: server.tree.rss_bytes.fdiv(1 << 20) }
      end
    end
  end
end
