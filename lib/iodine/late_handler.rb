# frozen_string_literal: true

module Iodine
  module Base
    # A Rack application that each worker loads for itself before it serves, so that a restart brings new code.
    class LateHandler
      # The block loads the application and returns it.
      def initialize(&load)
        @load = load
      end

      # Loads it. A process for which that fails ends, with status 1.
      def load
        @app ||= @load.call
      rescue ScriptError, StandardError => e
        Log.fatal("(#{Process.pid}) the application could not be loaded: #{e.message}")
        exit(1)
      end

      # For who has it already. The server calls the application itself.
      def call(env) = @app.call(env)
    end
  end
end
