# frozen_string_literal: true

require "socket"

module Iodine
  module Base
    # Tells the service manager how the server is: sd_notify(3), by datagrams to the socket that NOTIFY_SOCKET names.
    # Without that variable nothing is told.
    module ServiceManager
      # Seconds between two looks, and what the machine may add when it is busy.
      LOOK = 1.5
      # Seconds of WATCHDOG_USEC that so rare looks can keep.
      SHORTEST = 2

      class << self
        # It serves.
        def ready = tell("READY=1", "MAINPID=#{Process.pid}", "STATUS=serving")

        # It begins anew, or reads again. `ready` ends that.
        def reloading = tell("RELOADING=1", "MONOTONIC_USEC=#{(Base.now * 1_000_000).to_i}")

        # It has begun to stop.
        def stopping = tell("STOPPING=1", "STATUS=stopping")

        # It is alive. Called each second, tells it as often as the manager asks.
        def watchdog
          return unless patience

          warn_of_haste unless @told
          now = Base.now
          # Half of that time is what the manager recommends; the next look may be too late.
          return if @told && now - @told + LOOK < patience / 2

          @told = now
          tell("WATCHDOG=1")
        end

        private

        # Seconds that the manager waits; nil when it does not.
        def patience
          return if ENV.fetch("WATCHDOG_PID", Process.pid.to_s) != Process.pid.to_s

          microseconds = ENV["WATCHDOG_USEC"].to_i
          microseconds / 1e6 if microseconds.positive?
        end

        def warn_of_haste
          return unless patience < SHORTEST

          Log.warning("the service manager wants to hear of this server each #{patience} s, and will each second: " \
                      "set WatchdogSec to #{SHORTEST} or more")
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
