# frozen_string_literal: true

module Iodine
  module Base
    # Finds the workers that should be replaced although they live: those that hang, and those that have served their
    # time. What it knows of them are the numbers that they count and set (Metrics).
    class Supervision
      # Seconds until a worker is looked at again: there may have been no way to replace it.
      AGAIN = 60
      # Seconds that may lie between two signs of life, which come each second, on a machine that is busy.
      LATE = 3

      def initialize
        @found = {}
      end

      # Those of +workers+ to be replaced now. Says why.
      def worn(workers)
        @found.select! { |worker, at| workers.include?(worker) && Base.now - at < AGAIN }
        (workers - @found.keys).select(&:ready?).reject(&:leaving?).select do |worker|
          reason = reason(worker) or next
          Log.warning("#{worker} #{reason}: it is replaced.")
          @found[worker] = Base.now
        end
      end

      private

      def reason(worker)
        silence = hang_replace && [busy(worker), mute(worker)].max
        if silence && silence >= hang_replace
          worker.ask if mute(worker) >= hang_replace
          "has not come forward for #{silence.round} s"
        elsif exceeds?(worker.requests, :max_requests, worker)
          "has answered #{worker.requests} requests"
        elsif setting(:max_rss) && exceeds?(worker.resident_mebibytes, :max_rss, worker)
          "takes #{worker.resident_mebibytes} MiB of memory"
        end
      end

      # Seconds that its threads have been busy with the same.
      def busy(worker) = since(worker, "stalled_since")

      # Seconds that it has not run Ruby at all, because one of them does not give the lock away.
      def mute(worker) = since(worker, "beat") - LATE

      # Seconds since what is noted there; 0 when nothing is.
      def since(worker, name)
        noted = Metrics.get(worker.sheet, name)
        noted.positive? ? Base.now - (noted / 1000.0) : 0
      end

      # Limits are spread, so that workers do not come to theirs all at once.
      def exceeds?(value, name, worker)
        limit = setting(name)
        limit && value && value > limit * worker.spread
      end

      def hang_replace = setting(:hang_replace)

      # nil and 0 are no limit.
      def setting(name) = DEFAULT_SETTINGS[name]&.then { |value| value if value.positive? }
    end
  end
end
