# frozen_string_literal: true

require "socket"

module Iodine
  module Base
    # The socket by which processes of this machine that are no servers publish (Iodine::PubSub::Publisher). The master
    # has it, and only the user it runs as may connect.
    class PublisherSocket
      # Who may connect: the owner.
      MODE = 0o600
      # Connections at a time, unless DEFAULT_SETTINGS[:max_publishers] says otherwise; the next ones are closed at
      # once.
      MOST = 64
      # Seconds until the next attempt to accept a connection, after one that failed.
      PAUSE = 0.5

      # Opens the socket. Raises RuntimeError when that is not possible, or somebody else answers there.
      def self.open(path)
        new(path) if path
      end

      def initialize(path)
        @path = path
        check_place
        # A server that is being replaced keeps its own until this one has taken the name.
        hidden = "#{path}.#{Process.pid}"
        @server = bind(hidden)
        File.rename(hidden, path)
        @identity = File.stat(path).ino
        @connections = 0
        @refused = 0
        @most = most
      rescue SystemCallError => e
        raise "the socket for publishers cannot be opened: #{e.message}"
      end

      # Takes connections from now on.
      def start
        Log.info("Publishers may connect at #{@path}")
        @thread = Thread.new { accept }
      end

      # In a forked process: lets go of it.
      def forget = @server.close

      # Closes it, and removes the file if it is still its own.
      def close
        @thread&.kill
        @server.close
        File.unlink(@path) if File.stat(@path).ino == @identity
      rescue Errno::ENOENT
        nil
      end

      private

      def check_place
        return unless File.exist?(@path)
        raise "#{@path} is there, and is no socket" unless File.socket?(@path)
        return if Upgrade.successor?

        UNIXSocket.new(@path).close
        raise "another server answers at #{@path}"
      rescue Errno::ECONNREFUSED
        nil
      end

      def bind(path)
        mask = File.umask(0o777 & ~MODE)
        UNIXServer.new(path)
      ensure
        File.umask(mask)
      end

      def most
        given = DEFAULT_SETTINGS[:max_publishers] || MOST
        return given if given.is_a?(Integer) && given.positive?

        raise ArgumentError, "max_publishers must be a positive integer, got #{given.inspect}"
      end

      def accept
        take(@server.accept) until @server.closed?
      rescue IOError, SystemCallError => e
        return if @server.closed?

        # No descriptors left, for one: there will be some.
        note_refused("a publisher could not be accepted: #{e.message}")
        sleep PAUSE
        retry
      end

      def take(socket)
        if @connections >= @most
          socket.close
          return note_refused("#{@most} publishers are connected, and no others taken (see :max_publishers)")
        end

        @connections += 1
        Thread.new { serve(socket) }
      end

      # The first time, and each time that their number has doubled: a line for each would flood the log.
      def note_refused(reason)
        @refused += 1
        Log.warning("#{reason}; #{@refused} were turned away by now") if (@refused & (@refused - 1)).zero?
      end

      def serve(socket)
        while (lengths = socket.read(8))
          channel, message = read(socket, *lengths.unpack("NN"))
          Iodine::PubSub::CLUSTER.publish(channel, message)
          socket.write(Iodine::PubSub::Publisher::TAKEN)
        end
      rescue IOError, SystemCallError, TypeError => e
        Log.debug("a publisher was disconnected: #{e.message}")
      ensure
        @connections -= 1
        socket.close
      end

      # The channel and the message. Raises IOError when they are too long, or do not come.
      def read(socket, channel, message)
        raise IOError, "lengths are missing" unless message
        raise IOError, "a message is too long" if channel > PubSub::MAX_CHANNEL || message > PubSub::MAX_MESSAGE

        parts = [socket.read(channel), socket.read(message)]
        raise IOError, "a message is cut off" if parts.map { |part| part.to_s.bytesize } != [channel, message]

        parts
      end
    end
  end
end
