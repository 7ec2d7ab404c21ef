# frozen_string_literal: true

module Iodine
  module Base
    # How long a new worker may take until it serves. One that takes longer says where it hangs, and its master kills
    # it: what waits for it, a restart say, would wait for ever. When no Ruby runs there, for C code keeps the lock,
    # the master has it told by a signal handler (WorkerProcess#ask).
    #
    # DEFAULT_SETTINGS[:boot_timeout] is the time in seconds; 0 is no limit.
    class Boot
      # Seconds, when nothing else is said: large applications load slowly, on machines that are busy.
      TIMEOUT = 60
      # Seconds that a worker has to say where it hangs, for each of the two ways.
      LAST_WORDS = 1

      # Seconds; nil when there is no limit.
      def self.timeout
        seconds = Float(DEFAULT_SETTINGS[:boot_timeout] || TIMEOUT)
        seconds if seconds.positive?
      end

      # Whether a worker, or what else has been told to serve so many seconds ago, should be given up.
      def self.late?(age) = timeout ? age > timeout + LAST_WORDS : false

      # What the log says of it.
      def self.verdict = "did not come to serve within #{timeout.round} s (-boot-timeout) and is killed."

      # In the worker, as it begins. Its main thread is the one that loads the application, and runs callbacks.
      def initialize
        Base.prepare_last_words
        @watch = Thread.new(Boot.timeout) { |seconds| wait(seconds) if seconds }
      end

      # It serves.
      def over = @watch.kill

      private

      def wait(seconds)
        sleep(seconds)
        Log.error(["(#{Process.pid}) does not come to serve, for #{seconds.round} s. Its main thread is here:",
                   *Thread.main.backtrace].join("\n\t"))
        Base.spare_last_words
      end
    end
  end
end
