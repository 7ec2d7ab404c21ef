# frozen_string_literal: true

module Iodine
  module Base
    # The end of all workers of a cluster: they are told to leave, and those that have not by a deadline are killed.
    class Farewell
      # Seconds that workers have beyond their own deadline before they are killed.
      GRACE = 3

      # Seconds from the word to leave to the end.
      def self.deadline = Server.shutdown_timeout + GRACE

      # +events+ is the Queue that tells of workers that have left, and has a tick each second.
      def initialize(workers, events)
        @workers = workers
        @events = events
      end

      # Returns when all have left, whose signal to leave is +signal+.
      def bid(signal)
        @workers.each { |worker| worker.leave(signal) }
        @deadline = Base.now + Farewell.deadline
        until @workers.empty?
          event, *details = @events.pop
          case event
          when :exited then left(*details)
          when :tick then look
          end
        end
      end

      private

      # Each second.
      def look
        return unless @deadline && Base.now > @deadline

        Log.error("#{@workers.size} workers did not stop within #{Farewell.deadline} s and are killed")
        @workers.each { |worker| worker.tell("KILL") }
        @deadline = nil
      end

      def left(worker, status)
        @workers.delete(worker)
        Log.error("#{worker} crashed (#{status}) while it stopped.") unless status.success?
      end
    end
  end
end
