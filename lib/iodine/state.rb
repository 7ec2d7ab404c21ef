# frozen_string_literal: true

module Iodine
  module Base
    # The callbacks of Iodine.on_state.
    module State
      # Callbacks of these are called last one first.
      REVERSED = %i[on_parent_crush on_child_crush start_shutdown on_finish].freeze
      # All states.
      NAMES = (%i[pre_start before_fork after_fork enter_child enter_master on_start] + REVERSED).freeze

      @callbacks = NAMES.to_h { |name| [name, []] }

      class << self
        # Adds a callback. Raises TypeError when there is no such state.
        def add(state, block)
          raise TypeError, "a state must be a Symbol, got #{state.inspect}" unless state.is_a?(Symbol)

          callbacks = @callbacks.fetch(state) { raise TypeError, "unknown state #{state.inspect}" }
          callbacks << block
          block
        end

        # Calls the callbacks of a state. What they raise is logged; the others are still called.
        def reach(state)
          callbacks = @callbacks.fetch(state).dup
          callbacks.reverse! if REVERSED.include?(state)
          callbacks.each { |callback| Base.guard("a callback of on_state(:#{state})") { callback.call } }
        end
      end
    end
  end
end
