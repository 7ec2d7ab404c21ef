# frozen_string_literal: true

module Iodine
  module Base
    # Replaces workers while they serve, one after the other: a new one is forked; when it serves, the old one is told
    # to leave; when that has gone, the next one has its turn. A new worker that does not come to serve ends it all, and
    # the old ones stay.
    class Rollout
      # The block forks a worker and returns it, nil when that is not possible.
      def initialize(&hire)
        @hire = hire
        @waiting = []
        @old = @new = nil
        @over = false
      end

      # Has these workers replaced.
      def add(workers)
        @waiting |= workers - [@old]
        proceed
      end

      # How many workers there are beyond those that are wanted: the new one, while the old one serves.
      def surplus = @old && !@old.leaving? ? 1 : 0

      # Whether it has ended since the last time this was asked.
      def over? = @over.tap { @over = false }

      # A worker serves.
      def ready(worker)
        # USR1 makes a worker leave without a hurry.
        @old.leave("USR1") if worker == @new
      end

      # A worker has ended.
      def exited(worker)
        @waiting.delete(worker)
        if worker == @new && !worker.ready?
          give_up(worker)
        elsif worker == @old
          # One that died before its time has its successor already.
          @old = @new = nil
          @over = @waiting.empty?
          proceed
        end
      end

      private

      def proceed
        return if @old || @waiting.empty?

        @old = @waiting.shift
        # Set first: the new one is not in anybody's place yet.
        @new = @hire.call
        stop unless @new
      end

      def give_up(worker)
        Log.error("#{worker} ended before it could serve. The workers that run now stay, and are not replaced.")
        stop
      end

      def stop
        @waiting.clear
        @old = @new = nil
        @over = true
      end
    end
  end
end
