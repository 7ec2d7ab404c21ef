# frozen_string_literal: true

require "socket"

module Support
  # Clients that are a burden, by the hundred, in a process of their own; there is one kind a method. The process counts
  # what they do, and prints that when it is told to stop.
  class BadClients
    # Ports of one address are soon used up by connections that were closed.
    ADDRESSES = 200

    class << self
      # Runs the clients of this kind while the block does. Returns what they have done, as a number, and what the block
      # returned.
      def during(kind, port, count = 0)
        process = ChildProcess.new(RbConfig.ruby, __FILE__, kind.to_s, port.to_s, count.to_s)
        process.out.wait_for(/^ready$/, within: 60)
        returned = yield
        process.kill("TERM")
        raise "the clients have failed:\n#{process.log.text}" unless process.wait(within: 30).success?

        [process.out.text[/^done (\d+)$/, 1].to_i, returned]
      ensure
        process&.kill_group
      end
    end

    def initialize(port, count)
      @port = port
      @count = count
      @done = 0
      @sockets = []
    end

    def run(kind)
      trap("TERM") { @stopped = true }
      $stdout.sync = true
      public_send(kind)
      puts "done #{@done}"
    end

    # A byte of a head each second, which never ends.
    def slow_heads = slowly("GET / HTTP/1.1\r\nHost: a.test\r\nX-Slow: ")

    # A byte of a body each second.
    def slow_bodies = slowly("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000\r\n\r\n")

    # Asks for much, and reads a little of it each second. One takes some 2 MiB of what the kernel has for TCP, which is
    # all that a thousand of them leave: so there are fewer.
    def slow_reads
      @count = (@count / 5.0).ceil
      gather("GET /large HTTP/1.1\r\nHost: a.test\r\n\r\n")
      each_by_turns { |socket| socket.read_nonblock(1000, exception: false) }
    end

    # Connects and closes.
    def closes = flood(&:close)

    # Connects and resets.
    def resets
      flood do |socket|
        socket.setsockopt(Socket::SOL_SOCKET, Socket::SO_LINGER, [1, 0].pack("ii"))
        socket.close
      end
    end

    # Connects and says nothing, until there are so many.
    def silent
      flood do |socket|
        @sockets << socket
        @sockets.shift.close if @sockets.size > @count
      end
    end

    private

    def slowly(beginning)
      gather(beginning)
      each_by_turns { |socket| socket.write_nonblock("x", exception: false) }
    end

    def gather(beginning)
      @sockets = Array.new(@count) do
        connect.tap do |socket|
          # The kernel is not to read for them.
          socket.setsockopt(Socket::SOL_SOCKET, Socket::SO_RCVBUF, 4096)
          socket.write(beginning)
        end
      end
      puts "ready"
    end

    # The block for each socket once in a second, one after the other. None of them may be closed.
    def each_by_turns
      until @stopped
        @sockets.each_slice([@count / 50, 1].max) do |some|
          break if @stopped

          some.each { |socket| yield(socket) and @done += 1 }
          sleep 0.02
        end
      end
    end

    def flood
      puts "ready"
      until @stopped
        yield connect
        @done += 1
      end
    end

    def connect = TCPSocket.new("127.0.0.1", @port, "127.0.0.#{1 + rand(ADDRESSES)}", 0)
  end
end

Support::BadClients.new(*ARGV[1, 2].map(&:to_i)).run(ARGV[0]) if $PROGRAM_NAME == __FILE__
