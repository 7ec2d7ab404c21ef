# frozen_string_literal: true

module Iodine
  module Base
    # Messages to stderr, each in one write, as far as Iodine.verbosity lets them.
    module Log
      class << self
        def fatal(message) = put(1, "FATAL", message)
        def error(message) = put(2, "ERROR", message)
        def warning(message) = put(3, "WARNING", message)
        def info(message) = put(4, "INFO", message)
        def debug(message) = put(5, "DEBUG", message)

        private

        def put(level, prefix, message)
          $stderr.write("#{prefix}: #{message}\n") if Iodine.verbosity >= level
        rescue SystemCallError, IOError
          # A closed stderr is no reason to stop.
        end
      end
    end

    # Runs the block, which is the user's code at +place+. What it raises is logged and goes no further.
    def self.guard(place)
      yield
    rescue Exception => e # rubocop:disable Lint/RescueException
      report(e, "#{place} raised")
    end

    # Logs an exception that the user's code raised at +place+.
    def self.report(exception, place)
      backtrace = exception.backtrace || []
      Log.error(["#{place}: #{exception.class}: #{exception.message}", *backtrace].join("\n\t"))
    end
  end
end
