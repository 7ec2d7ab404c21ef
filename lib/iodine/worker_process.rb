# frozen_string_literal: true

module Iodine
  module Base
    # A worker as its master sees it. What becomes of it is told by events: `[:ready, it]` when it serves, and
    # `[:exited, it, status]` at its end.
    class WorkerProcess
      # Deaths in a row, soon after the start, of the workers that this one stands for.
      attr_reader :deaths
      attr_reader :pid

      # Forks. The child calls the block with what it reports by.
      def initialize(events, deaths: 0)
        @deaths = deaths
        @started = Base.now
        @ready = @leaving = false
        reader, writer = IO.pipe
        @pid = ProcessFork.worker do
          reader.close
          yield writer
        end
        writer.close
        watch(events, reader)
      end

      # It serves, or has served.
      def ready? = @ready

      # It has said that it serves.
      def ready! = @ready = true

      # It has been told to go, and another one takes its place if one is wanted.
      def leaving? = @leaving

      # Seconds since it was forked.
      def age = Base.now - @started

      # Sends a signal after which it is expected to leave.
      def leave(signal)
        @leaving = true
        tell(signal)
      end

      def tell(signal)
        Process.kill(signal, @pid)
      rescue Errno::ESRCH
        # It has left by itself; its exit is among the events.
      end

      def to_s = "Child worker (#{@pid})"

      private

      # Only this process is waited for: others may be the application's. Two threads, for a process that the worker
      # has started may keep the pipe open.
      def watch(events, reader)
        Thread.new do
          events << [:ready, self] if reader.gets
          reader.close
        end
        Thread.new do
          _, status = Process.wait2(@pid)
          events << [:exited, self, status]
        end
      end
    end
  end
end
