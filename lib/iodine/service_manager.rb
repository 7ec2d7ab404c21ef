# frozen_string_literal: true

require "socket"

module Iodine
  module Base
    # Tells the service manager how the server is: sd_notify(3), by datagrams to the socket that NOTIFY_SOCKET names.
    # Without that variable nothing is told.
    module ServiceManager
      class << self
        # It serves.
        def ready = tell("READY=1", "MAINPID=#{Process.pid}", "STATUS=serving")

        # It begins anew, or reads again. `ready` ends that.
        def reloading = tell("RELOADING=1", "MONOTONIC_USEC=#{(Base.now * 1_000_000).to_i}")

        # It has begun to stop.
        def stopping = tell("STOPPING=1", "STATUS=stopping")

        # It is alive. Called each second, tells it as often as the manager asks.
        def watchdog
          return unless interval

          now = Base.now
          return if @told && now - @told < interval

          @told = now
          tell("WATCHDOG=1")
        end

        private

        # Half of what the manager waits for. Seconds, nil when it does not wait.
        def interval
          return if ENV.fetch("WATCHDOG_PID", Process.pid.to_s) != Process.pid.to_s

          microseconds = ENV["WATCHDOG_USEC"].to_i
          microseconds / 2e6 if microseconds.positive?
        end

        def tell(*lines)
          path = ENV["NOTIFY_SOCKET"]
          return if path.nil? || path.empty?

          # A leading @ is the abstract namespace.
          address = ::Socket.sockaddr_un(path.sub(/\A@/, "\0"))
          socket = ::Socket.new(:UNIX, :DGRAM)
          socket.send(lines.join("\n"), 0, address)
        rescue SystemCallError, ArgumentError => e
          Log.warning("the service manager could not be told #{lines.first}: #{e.message}")
        ensure
          socket&.close
        end
      end
    end
  end
end
