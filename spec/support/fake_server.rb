# frozen_string_literal: true

module Support
  # A server that says what the spec wants it to, on a free port of the loopback address. The block is called with each
  # connection, as a RawHTTP, on a thread of its own.
  class FakeServer
    # Starts one for the time of the block.
    def self.use(serve)
      server = new(&serve)
      yield server
    ensure
      server&.stop
    end

    # The answer to a handshake, +head+ is its bytes.
    def self.accept(head)
      key = head[/^Sec-WebSocket-Key: (\S+)/i, 1]
      digest = Digest::SHA1.base64digest("#{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
        "Sec-WebSocket-Accept: #{digest}\r\n\r\n"
    end

    attr_reader :port

    def initialize(&serve)
      @server = TCPServer.new("127.0.0.1", 0)
      @port = @server.addr[1]
      @peers = Queue.new
      @thread = Thread.new { accept(serve) }
    end

    # Ends it. Raises what the block raised.
    def stop
      @server.close
      @thread.join
      @peers.pop.value until @peers.empty?
    end

    private

    def accept(serve)
      loop do
        @peers << Thread.new(RawHTTP.new(@server.accept)) do |peer|
          serve.call(peer)
        ensure
          peer.close
        end
      end
    rescue IOError, Errno::EBADF
      nil
    end
  end
end
