# frozen_string_literal: true

module Iodine
  module Base
    # What workers know by that their master lives: a pipe whose writing end only the master has. It ends when the
    # master does, however it does.
    class LifeLine
      def initialize
        @line, @hold = IO.pipe
      end

      # In a worker: the event `:orphaned` tells of the end of the master. There is nobody then to kill a worker that
      # does not leave, so it does that itself, though no Ruby may run there.
      def watch(events)
        @hold.close
        Base.leave_after(@line.fileno, Farewell.deadline)
        Thread.new do
          @line.read
          events << :orphaned
        end
      end

      # Lets go of it.
      def close = [@line, @hold].each(&:close)
    end
  end
end
