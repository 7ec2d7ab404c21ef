# frozen_string_literal: true

require "socket"

module Bench
  # Clients that stay for a while, leave and come again: WebSockets whose messages come back, and event streams that
  # are told of them.
  class Regulars
    # Bytes of messages.
    SIZES = [5, 100, 3_000, 60_000].freeze
    # Messages, or events, until a client leaves.
    STAY = 40
    # Seconds between two messages of a WebSocket.
    PAUSE = 0.1
    # Seconds that an answer may take.
    PATIENCE = 30

    # +count+ of each kind, each in a thread of its own.
    def initialize(port, count)
      @port = port
      @counts = Hash.new(0)
      @lock = Mutex.new
      @threads = %i[talk listen].flat_map { |way| Array.new(count) { Thread.new { come_and_go(way) } } }
    end

    # Has them leave: the messages and events that have come, and the clients that have failed.
    def finish
      @over = true
      @threads.each(&:kill).each(&:join)
      @counts.values_at(:came, :failed)
    end

    private

    def come_and_go(way)
      until @over
        begin
          send(way)
        rescue SystemCallError, IOError => e
          note(:failed)
          warn "a client that #{way}s failed: #{e.class}: #{e.message}"
          sleep PAUSE
        end
      end
    end

    def talk
      visit(UPGRADE) do |socket|
        STAY.times do |turn|
          message = "m" * SIZES[turn % SIZES.size]
          socket.write(frame(0x81, message))
          raise IOError, "another message came back" unless read_frame(socket) == message

          note(:came)
          sleep PAUSE
        end
        # 1000: it has had enough.
        socket.write(frame(0x88, "\x03\xE8"))
      end
    end

    def listen
      visit("Accept: text/event-stream\r\n") do |socket|
        STAY.times do
          event = [line(socket), line(socket)]
          raise IOError, "#{event.first.inspect} is no event" unless event.first.start_with?("data:")

          note(:came)
        end
      end
    end

    # Connects and asks for an upgrade.
    def visit(fields)
      ::Socket.tcp("127.0.0.1", @port) do |socket|
        socket.write("GET /regular HTTP/1.1\r\nHost: localhost\r\n#{fields}\r\n")
        head = []
        head << line(socket) until head.last == "\r\n"
        raise IOError, head.first unless head.first.match?(/ (101|200) /)

        yield socket
      end
    end

    def line(socket)
      raise IOError, "nothing came for #{PATIENCE} s" unless socket.wait_readable(PATIENCE)

      socket.gets or raise EOFError, "the server has closed the connection"
    end

    # A mask of zeros leaves the content as it is.
    def frame(first, content)
      length = content.bytesize
      size = length < 126 ? [0x80 | length].pack("C") : [0xFE, length].pack("Cn")
      [first].pack("C") + size + ("\0" * 4) + content.b
    end

    def read_frame(socket)
      raise IOError, "no message came for #{PATIENCE} s" unless socket.wait_readable(PATIENCE)

      _, length = read(socket, 2).unpack("CC")
      length = read(socket, 2).unpack1("n") if length == 126
      read(socket, length)
    end

    def read(socket, length)
      bytes = socket.read(length)
      raise EOFError, "the server has closed the connection" if bytes.to_s.bytesize < length

      bytes
    end

    def note(what) = @lock.synchronize { @counts[what] += 1 }

    UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" \
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    private_constant :UPGRADE
  end
end
