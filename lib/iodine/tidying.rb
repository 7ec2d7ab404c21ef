# frozen_string_literal: true

module Iodine
  module Base
    # Gives memory back to the system when a crowd of clients has left. Nothing else would, for long: in a process
    # that has little to do Ruby collects no garbage, and holds with each client's object what the server had for it.
    # And allocators keep what is free, for they expect to need it soon.
    class Tidying
      # So many WebSockets, event streams and raw connections that have ended are a crowd.
      CROWD = 1000
      # A process that does no more than this in a second, timers say, has the time.
      QUIET = 10

      def initialize(reactor)
        @reactor = reactor
        @taken = 0
        @tidied = reactor.ended
      end

      # To be called each second.
      def look
        ended = @reactor.ended
        return unless quiet? && ended - @tidied >= CROWD

        @tidied = ended
        # By a thread of the pool: it is those that allocate.
        Scheduler.run(method(:tidy))
      end

      private

      def quiet?
        before = @taken
        @taken, = @reactor.progress
        @taken - before <= QUIET
      end

      def tidy
        GC.start
        Base.release_memory
        Log.debug("(#{Process.pid}) memory of connections that are gone was given back")
      end
    end
  end
end
