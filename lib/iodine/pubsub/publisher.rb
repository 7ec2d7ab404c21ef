# frozen_string_literal: true

require "socket"

module Iodine
  module PubSub
    # Publishes from a process that is no server, such as a console, a job or a script, through the socket that a server
    # opens with `-pubsub-socket PATH`:
    #
    #     publisher = Iodine::PubSub::Publisher.new("/run/app/pubsub.sock")
    #     publisher.publish("news", "It works.")
    #
    # It is an engine, so `Iodine::PubSub.default = publisher` makes Iodine.publish go the same way. The server delivers
    # the message in all processes of its cluster. May be used by several threads, and after a fork.
    class Publisher < Engine
      # The message could not be handed over, or it is not known whether it was.
      class Error < StandardError; end

      # Seconds that the server may take for an answer.
      TIMEOUT = 10
      # What the server answers when it has a message.
      TAKEN = "+"

      # Connects with the first message.
      #
      # @param path [String] of the server's socket
      # @param timeout [Numeric] seconds that the server may take for an answer; 10
      def initialize(path, timeout: TIMEOUT)
        super()
        @path = path
        @timeout = timeout
        @lock = Mutex.new
      end

      # Publishes a message, and waits until the server has it.
      #
      # @param channel [String, Symbol]
      # @param message [String]
      # @return [self]
      # @raise [Error] when there is no server, or it does not answer
      # @raise [TypeError, ArgumentError] as Iodine.publish
      def publish(channel, message)
        frame = self.class.frame(Base::PubSub.channel_name(channel), Base::PubSub.message(message))
        @lock.synchronize { hand_over(frame) }
        self
      rescue SystemCallError, IOError => e
        close
        raise Error, "#{@path} has not taken a message: #{e.message}"
      end

      # Closes the connection; the next message opens another one.
      #
      # @return [nil]
      def close
        @socket&.close
        @socket = nil
      end

      # The bytes of a message on the socket: the lengths of channel and message, four bytes each, then these.
      #
      # @param channel [String]
      # @param message [String]
      # @return [String] binary
      def self.frame(channel, message)
        [channel.bytesize, message.bytesize].pack("NN") << channel.b << message.b
      end

      private

      def hand_over(frame)
        is_fresh = connect
        begin
          @socket.write(frame)
        rescue Errno::EPIPE
          # The server has closed the connection before it read anything of this: it may be another one by now.
          raise if is_fresh

          close
          connect
          @socket.write(frame)
        end
        await_answer
      end

      # True: there was no connection.
      def connect
        close unless @process == Process.pid
        return false if @socket

        @process = Process.pid
        @socket = UNIXSocket.new(@path)
        true
      end

      def await_answer
        raise IOError, "no answer within #{@timeout} s" unless @socket.wait_readable(@timeout)
        raise IOError, "the server has closed the connection" unless @socket.read(1) == TAKEN
      end
    end
  end
end
