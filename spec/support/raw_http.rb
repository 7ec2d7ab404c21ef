# frozen_string_literal: true

require "socket"
require "io/wait"

module Support
  # The other end of a connection: sends bytes exactly as given and reads answers by RFC 9112 to the letter.
  #
  # It forgives nothing, because a friendly client would hide a framing mistake of the server.
  class RawHTTP
    # The peer sent something that is no HTTP/1.1 response.
    class MalformedError < StandardError; end

    # A response. Field names are as they came; +chunks+ is nil unless the body was chunked.
    Response = Struct.new(:status, :reason, :fields, :body, :chunks, :trailers, keyword_init: true) do
      # The value of the only field of this name, nil without one. Names are compared byte by byte, for the server
      # must send them in lower case.
      def [](name)
        values = all(name)
        raise MalformedError, "#{values.size} fields #{name}: #{values.inspect}" if values.size > 1

        values.first
      end

      def all(name) = fields.filter_map { |field, value| value if field == name }
      def names = fields.map(&:first)
    end

    TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/
    STATUS_LINE = %r{\AHTTP/1\.1 ([1-5]\d\d) ([\t\x20-\x7e\x80-\xff]*)\z}n
    FIELD_LINE = /\A(#{TOKEN}):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*\z/n
    CHUNK_LINE = /\A(\h+)(;[\t\x20-\x7e\x80-\xff]*)?\z/n
    BODILESS = [204, 304].freeze
    # Linux: bytes written to the socket that its peer has not read (TCP: not acknowledged).
    SIOCOUTQ = 0x5411

    def self.use(socket)
      peer = new(socket)
      return peer unless block_given?

      begin
        yield peer
      ensure
        peer.close
      end
    end

    attr_reader :io

    def initialize(io)
      @io = io
      @buffer = String.new(encoding: Encoding::BINARY)
      @closed = false
      io.setsockopt(Socket::IPPROTO_TCP, Socket::TCP_NODELAY, 1) if io.is_a?(TCPSocket)
    end

    def close = @io.close
    def close_write = @io.close_write

    # Sends all bytes. Raises Errno::EPIPE or Errno::ECONNRESET when the peer does not take them.
    def write(bytes, within: Waiting::DEADLINE)
      deadline = Waiting.monotonic + within
      bytes = bytes.b
      until bytes.empty?
        case (count = @io.write_nonblock(bytes, exception: false))
        when :wait_writable then @io.to_io.wait_writable(left(deadline, "room to write")) or late("room to write")
        else bytes = bytes.byteslice(count..)
        end
      end
      self
    end

    # Sends as many of the bytes as the peer takes: it may refuse and close before the last one.
    def offer(bytes)
      write(bytes)
    rescue Errno::EPIPE, Errno::ECONNRESET
      self
    end

    # Waits until the peer has read all that was sent to it. Knows this of Unix sockets on Linux only, and returns at
    # once elsewhere.
    def wait_until_read
      return self unless @io.is_a?(UNIXSocket) && RUBY_PLATFORM.include?("linux")

      Waiting.wait_until("read by the peer", every: 0.0002) { unread.zero? }
      self
    end

    # Reads one final response; interim ones (1xx) before it are skipped. +to+ is the method of the request.
    def read_response(to: "GET", within: Waiting::DEADLINE)
      deadline = Waiting.monotonic + within
      response = read_head(within: within)
      response = read_head(within: within) while response.status.between?(100, 199) && response.status != 101
      response.body = read_body(response, to, deadline)
      response
    end

    # Reads a status line and fields, of an interim response too.
    def read_head(within: Waiting::DEADLINE)
      deadline = Waiting.monotonic + within
      status_line = read_line(deadline)
      match = STATUS_LINE.match(status_line) or malformed("status line #{status_line.inspect}")
      response = Response.new(status: match[1].to_i, reason: match[2], fields: read_fields(deadline))
      check_framing(response)
      response
    end

    # Reads one chunk of a chunked body: its data, or nil when it was the last one (its trailers are read too).
    def read_chunk(within: Waiting::DEADLINE)
      deadline = Waiting.monotonic + within
      line = read_line(deadline)
      size = CHUNK_LINE.match(line)&.[](1) or malformed("chunk size #{line.inspect}")
      return read_last_chunk(deadline) if size.hex.zero?

      data = read_bytes(size.hex, deadline)
      read_bytes(2, deadline) == "\r\n" or malformed("chunk of #{size.hex} bytes not ended by CRLF")
      data
    end

    # Reads exactly +count+ bytes.
    def read(count, within: Waiting::DEADLINE) = read_bytes(count, Waiting.monotonic + within)

    # Reads up to and including +mark+.
    def read_until(mark, within: Waiting::DEADLINE)
      deadline = Waiting.monotonic + within
      until (at = @buffer.index(mark))
        fill(deadline, mark.inspect) or malformed("connection ended after #{@buffer.inspect}")
      end
      @buffer.slice!(0, at + mark.bytesize)
    end

    # Reads until the peer has closed the connection.
    def read_to_end(within: Waiting::DEADLINE)
      deadline = Waiting.monotonic + within
      nil while fill(deadline, "end of the connection")
      @buffer.slice!(0..)
    end

    # Whether the peer has closed the connection with nothing more to read. Waits for either to be known.
    def eof?(within: Waiting::DEADLINE)
      return false unless @buffer.empty?

      !fill(Waiting.monotonic + within, "end of the connection")
    end

    private

    def unread
      count = [0].pack("i")
      @io.ioctl(SIOCOUTQ, count)
      count.unpack1("i")
    end

    def read_body(response, to, deadline)
      return "".b if to == "HEAD" || response.status < 200 || BODILESS.include?(response.status)
      return read_chunked(response, deadline) if response["transfer-encoding"]
      return read_bytes(response["content-length"].to_i, deadline) if response["content-length"]

      read_to_end(within: left(deadline, "end of the body"))
    end

    def read_chunked(response, deadline)
      response.chunks = []
      while (data = read_chunk(within: left(deadline, "chunk")))
        response.chunks << data
      end
      response.trailers = @trailers
      response.chunks.join
    end

    def read_last_chunk(deadline)
      @trailers = read_fields(deadline)
      nil
    end

    def read_fields(deadline)
      fields = []
      until (line = read_line(deadline)).empty?
        match = FIELD_LINE.match(line) or malformed("field line #{line.inspect}")
        fields << [match[1], match[2]]
      end
      fields
    end

    # RFC 9112 section 6: one way to know the length, or none.
    def check_framing(response)
      length = response["content-length"]
      coding = response["transfer-encoding"]
      malformed("content-length and transfer-encoding") if length && coding
      malformed("content-length #{length.inspect}") unless length.nil? || length.match?(/\A\d+\z/)
      malformed("transfer-encoding #{coding.inspect}") unless coding.nil? || coding == "chunked"
    end

    def read_line(deadline)
      until (finish = @buffer.index("\n"))
        fill(deadline, "line") or malformed("connection ended after #{@buffer.inspect}")
      end
      line = @buffer.slice!(0..finish)
      malformed("line not ended by CRLF: #{line.inspect}") unless line.end_with?("\r\n")
      line.delete_suffix("\r\n")
    end

    def read_bytes(count, deadline)
      while @buffer.bytesize < count
        fill(deadline, "#{count} bytes") or malformed("connection ended after #{@buffer.bytesize} of #{count} bytes")
      end
      @buffer.slice!(0, count)
    end

    # Reads what is there, waiting for something to be there. False at the end of the connection; a reset is an end
    # too, what came before it was read.
    def fill(deadline, awaited)
      return false if @closed

      @buffer << @io.read_nonblock(65_536)
      true
    rescue IO::WaitReadable
      @io.to_io.wait_readable(left(deadline, awaited)) or late(awaited)
      retry
    rescue EOFError, Errno::ECONNRESET, Errno::EPIPE
      @closed = true
      false
    end

    def left(deadline, awaited)
      remaining = deadline - Waiting.monotonic
      remaining.positive? ? remaining : late(awaited)
    end

    def late(awaited) = raise(DeadlineError, "waited for #{awaited} in vain; have #{@buffer[0, 200].inspect}")
    def malformed(what) = raise(MalformedError, what)
  end
end
