# frozen_string_literal: true

require "openssl"
require "socket"
require "timeout"

module Bench
  # One request and its answer over a socket of its own, read frame by frame so that sizes and times are those of the
  # wire and not of an HTTP library.
  class Client
    # +wire_bytes+ is the size of head and body with their framing; +first_byte_ms+ the time from the request's last
    # byte to the body's first.
    Response = Struct.new(:status, :body, :wire_bytes, :first_byte_ms, keyword_init: true)

    # Raises SystemCallError, EOFError or Timeout::Error when no whole answer comes.
    def self.fetch(port, request, timeout: 10)
      Timeout.timeout(timeout) do
        Socket.tcp("127.0.0.1", port) do |socket|
          new(request.tls ? encrypted(socket) : socket).fetch(request.bytes(port))
        end
      end
    end

    # Does not verify who answers: the server was started here.
    def self.encrypted(socket)
      OpenSSL::SSL::SSLSocket.new(socket).connect
    end
    private_class_method :encrypted

    def initialize(socket)
      @socket = socket
      @wire_bytes = 0
      @body = String.new(encoding: Encoding::BINARY)
    end

    def fetch(bytes)
      @socket.write(bytes)
      sent_at = now
      head = line("\r\n\r\n")
      read_body(head)
      Response.new(status: head[%r{\AHTTP/1\.1 (\d{3})}, 1].to_i, body: @body, wire_bytes: @wire_bytes,
                   first_byte_ms: @first_byte_at && ((@first_byte_at - sent_at) * 1000))
    end

    private

    def read_body(head)
      if head.match?(/^transfer-encoding: *chunked\r$/i)
        read_chunks
      else
        take(head[/^content-length: *(\d+)\r$/i, 1].to_i)
      end
    end

    def read_chunks
      while (size = line("\r\n").hex).positive?
        take(size)
        line("\r\n")
      end
      line("\r\n")
    end

    def take(size)
      while size.positive?
        part = @socket.readpartial(size)
        @first_byte_at ||= now
        @wire_bytes += part.bytesize
        size -= part.bytesize
        @body << part
      end
    end

    def line(ending)
      text = @socket.gets(ending)
      raise EOFError, "the server closed the connection inside an answer" unless text&.end_with?(ending)

      @wire_bytes += text.bytesize
      text
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
