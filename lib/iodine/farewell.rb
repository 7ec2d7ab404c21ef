# frozen_string_literal: true

module Iodine
  module Base
    # The end of all workers of a cluster: they are told to leave, and those that have not by a deadline are killed.
    class Farewell
      # Seconds that workers have beyond their own deadline before they are killed.
      GRACE = 3

      # Seconds from the word to leave to the end.
      def self.deadline = Server.shutdown_timeout + GRACE

      # +events+ is the Queue that tells of workers that have left.
      def initialize(workers, events)
        @workers = workers
        @events = events
      end

      # Returns when all have left, whose signal to leave is +signal+.
      def bid(signal)
        @workers.each { |worker| worker.leave(signal) }
        alarm = ring_at(Farewell.deadline)
        until @workers.empty?
          event, worker, status = @events.pop
          case event
          when :exited then left(worker, status)
          when :late then kill
          end
        end
      ensure
        alarm&.kill
      end

      private

      def ring_at(seconds)
        Thread.new do
          sleep(seconds)
          @events << :late
        end
      end

      def left(worker, status)
        @workers.delete(worker)
        Log.error("#{worker} crashed (#{status}) while it stopped.") unless status.success?
      end

      def kill
        Log.error("#{@workers.size} workers did not stop within #{Farewell.deadline} s and are killed")
        @workers.each { |worker| worker.tell("KILL") }
      end
    end
  end
end
