# frozen_string_literal: true

module Iodine
  module Base
    # What is to be read again at SIGHUP, in every process: certificates, say. The application is not.
    module Reload
      Hook = Struct.new(:name, :watch, :block)
      private_constant :Hook
      @hooks = []

      class << self
        # Has the block called at each SIGHUP. +name+ is for the log, and +watch+ says whether it is time for the block
        # without a signal.
        def add(name, watch: nil, &block) = @hooks << Hook.new(name, watch, block)

        # Whether it is time for one of the blocks.
        def due? = @hooks.any? { |hook| hook.watch&.call }

        # Calls all blocks. What they raise is logged.
        def run
          Log.info("(#{Process.pid}) reloading #{@hooks.map(&:name).join(", ")}") if @hooks.any?
          @hooks.each do |hook|
            hook.block.call
          rescue StandardError => e
            Base.report(e, "reloading #{hook.name} failed")
          end
        end
      end
    end
  end
end
