# frozen_string_literal: true

module Iodine
  module Base
    # A worker as its master sees it. What becomes of it is told by events: `[:ready, it]` when it serves, and
    # `[:exited, it, status]` at its end.
    class WorkerProcess
      # Deaths in a row, soon after the start, of the workers that this one stands for.
      attr_reader :deaths
      attr_reader :pid
      # The number of what it counts on.
      attr_reader :sheet
      # By what its limits are multiplied, between 0.9 and 1.1.
      attr_reader :spread

      # Forks. The child calls the block with what it reports by.
      def initialize(events, sheet:, deaths: 0)
        @sheet = sheet
        @deaths = deaths
        @spread = rand(0.9..1.1)
        @answered = Metrics.requests(sheet)
        @started = Base.now
        @ready = @leaving = @asked = nil
        reader, writer = IO.pipe
        @pid = ProcessFork.worker do
          reader.close
          yield writer
        end
        writer.close
        watch(events, reader)
      rescue ThreadError
        # Nobody would see its end.
        tell("KILL")
        Process.wait(@pid)
        raise
      end

      # It serves, or has served.
      def ready? = !@ready.nil?

      # It has said that it serves.
      def ready! = @ready = true

      # It has not come to serve yet, and is wanted.
      def booting? = !ready? && !leaving?

      # It has been told to go, and another one takes its place if one is wanted.
      def leaving? = !@leaving.nil?

      # Seconds since it was forked.
      def age = Base.now - @started

      # Requests that it has answered.
      def requests = Metrics.requests(@sheet) - @answered

      # Its memory; nil where the system does not say.
      def resident_mebibytes
        File.read("/proc/#{@pid}/status")[/^VmRSS:\s+(\d+) kB/, 1].to_i / 1024
      rescue SystemCallError
        nil
      end

      # Whether it was told to leave more than so many seconds ago.
      def overdue?(seconds) = @leaving && Base.now - @leaving > seconds

      # Sends a signal after which it is expected to leave.
      def leave(signal)
        @leaving = Base.now
        tell(signal)
      end

      # Has it say where its threads are, though no Ruby may run there. It is asked once; seconds since then.
      def ask
        @asked ||= Base.now.tap { Base.ask_last_words(@pid) }
        Base.now - @asked
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
