# frozen_string_literal: true

module Support
  # Raised when the awaited event did not come before its deadline.
  class DeadlineError < StandardError; end

  # Waits for events that can only be seen by looking again.
  #
  # Every wait here ends as soon as the event is there. The deadline bounds a failure only, so it is generous: a
  # loaded machine makes a spec slower, never wrong. IODINE_PATIENCE makes it so many times longer, for servers that are
  # slowed down on purpose.
  module Waiting
    DEADLINE = 10 * Integer(ENV.fetch("IODINE_PATIENCE", 1))

    module_function

    # Seconds of a clock that never jumps.
    def monotonic = Process.clock_gettime(Process::CLOCK_MONOTONIC)

    # Calls the block until its value is truthy and returns that value.
    # Raises DeadlineError, naming +event+, after +within+ seconds.
    def wait_until(event, within: DEADLINE, every: 0.01)
      deadline = monotonic + within
      until (value = yield)
        raise DeadlineError, "#{event} did not happen within #{within} s" if monotonic > deadline

        sleep every
      end
      value
    end

    # Runs the block +times+ times, each in a thread of its own, and returns the values in order.
    def together(times, &block)
      Array.new(times) { |index| Thread.new(index, &block) }.map(&:value)
    end

    # Seconds the block took.
    def seconds
      began = monotonic
      yield
      monotonic - began
    end
  end
end
