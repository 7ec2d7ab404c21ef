# frozen_string_literal: true

module Iodine
  module Base
    # What a process that serves says about itself each second, for metrics and for its master; and how it notices that
    # all its threads hang.
    class Pulse
      # Seconds that all threads may be busy with the same, before that is reported.
      REPORT = 60

      # Begins to count on a sheet, for the threads in the Array +pool+.
      def initialize(sheet, reactor, pool)
        @sheet = sheet
        @reactor = reactor
        @pool = pool
        @taken = nil
        @since = Base.now
        @reported = false
      end

      # To be called each second.
      def beat
        Metrics.set(@sheet, "beat", (Base.now * 1000).to_i)
        Metrics.set(@sheet, "gc_runs", GC.count)
        Metrics.set(@sheet, "gc_milliseconds", GC.stat(:time))
        Metrics.set(@sheet, "live_objects", GC.stat(:heap_live_slots))
        look
      end

      # Whether its threads have hung for so long that it was reported.
      def hangs? = @reported

      private

      def look
        taken, busy = @reactor.progress
        return come_forward(taken) if busy < @pool.size || taken != @taken

        Metrics.set(@sheet, "stalled_since", (@since * 1000).to_i)
        report if !@reported && limit.positive? && Base.now - @since >= limit
      end

      def come_forward(taken)
        Log.warning("(#{Process.pid}) threads come forward again, after #{(Base.now - @since).round} s") if @reported
        @taken = taken
        @since = Base.now
        @reported = false
        Metrics.set(@sheet, "stalled_since", 0)
      end

      def limit = Float(DEFAULT_SETTINGS[:hang_report] || REPORT)

      def report
        @reported = true
        Metrics.add(@sheet, "stalls", 1)
        threads = @pool.each_with_index.map do |thread, number|
          ["thread #{number + 1} of #{@pool.size}:", *thread.backtrace].join("\n\t\t")
        end
        Log.error(["(#{Process.pid}) all threads have been busy for #{(Base.now - @since).round} s", *threads]
          .join("\n\t"))
      end
    end
  end
end
