# frozen_string_literal: true

module Iodine
  module Base
    # What is to be read again at SIGHUP, in every process: certificates, say. The application is not.
    module Reload
      @hooks = []

      class << self
        # Has the block called at each SIGHUP, +name+ is for the log.
        def add(name, &block) = @hooks << [name, block]

        # Calls all blocks. What they raise is logged.
        def run
          Log.info("(#{Process.pid}) reloading #{@hooks.map(&:first).join(", ")}") if @hooks.any?
          @hooks.each do |name, block|
            block.call
          rescue StandardError => e
            Base.report(e, "reloading #{name} failed")
          end
        end
      end
    end
  end
end
