# frozen_string_literal: true

module Support
  # The protocol of Redis on a socket: commands out, answers in.
  class Resp
    # An error that Redis has answered.
    class Refusal < StandardError; end

    # The bytes of a command.
    def self.pack(*arguments)
      arguments.map { |argument| argument.to_s.b }
               .inject("*#{arguments.size}\r\n".b) { |bytes, one| bytes << "$#{one.bytesize}\r\n" << one << "\r\n" }
    end

    def initialize(socket)
      @socket = socket
    end

    def close = @socket.close

    # Sends a command and returns the answer. Raises Refusal when it is an error.
    def call(*arguments)
      @socket.write(self.class.pack(*arguments))
      read
    end

    # The next answer, or the next command of a client.
    def read
      line = @socket.gets("\r\n") or raise EOFError, "Redis has closed the connection"
      rest = line[1..].chomp("\r\n")
      case line[0]
      when "+" then rest
      when ":" then rest.to_i
      when "-" then raise Refusal, rest
      when "$" then read_bytes(rest.to_i)
      when "*" then rest.to_i.negative? ? nil : Array.new(rest.to_i) { read }
      else raise "no answer of Redis: #{line.inspect}"
      end
    end

    private

    def read_bytes(size)
      return if size.negative?

      @socket.read(size).tap { @socket.read(2) }
    end
  end
end
