# frozen_string_literal: true

module Iodine
  module Base
    # Serves in this process: a reactor, and the threads that run the application.
    class Worker
      # Seconds that threads have to finish once their connections are gone.
      LAST_CALL = 1

      # +events+ is the Queue that tells when to stop.
      def initialize(listeners:, threads:, workers:, events:)
        @listeners = listeners
        @threads = threads
        @workers = workers
        @events = events
        @reactor = Reactor.new(true)
        @pool = []
        @lock = Mutex.new
        @stopping = false
        @serving = false
      end

      # Serves until an event says stop.
      def run
        @reactor.run
        State.reach(:on_start)
        Scheduler.attach(@reactor)
        @threads.times { start_thread }
        @listeners.dup.each { |listener| serve(listener) }
        @serving = true
        Log.info("#{Process.pid} is running.") if @workers > 1
        wait_for_stop
      ensure
        shut_down
      end

      # Adds a listener while it runs, or before.
      def add(listener)
        @listeners << listener
        serve(listener) if @serving
      end

      private

      def serve(listener)
        listener.serve(@reactor, threads: @threads, workers: @workers)
      end

      def wait_for_stop
        loop do
          case @events.pop
          when :stop then return
          # In a cluster the master starts another one.
          when :restart then return if @workers > 1
          when :orphaned then return State.reach(:on_parent_crush)
          end
        end
      end

      def shut_down
        Log.info("(#{Process.pid}) detected exit signal.")
        Server.stopping
        State.reach(:start_shutdown)
        @lock.synchronize { @stopping = true }
        @reactor.drain(Server.shutdown_timeout)
        Scheduler.detach
        leave_threads
        Log.info("(#{Process.pid}) cleanup complete.")
      end

      # Ends the threads: those that run the application still have had their time.
      def leave_threads
        deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + LAST_CALL
        @pool.each { |thread| thread.join([deadline - Process.clock_gettime(Process::CLOCK_MONOTONIC), 0].max) }
        late = @pool.select(&:alive?)
        return if late.empty?

        Log.warning("#{late.size} threads were still running the application at the shutdown deadline")
        late.each(&:kill).each { |thread| thread.join(LAST_CALL) }
      end

      # A thread of the pool. One that the application has killed is replaced.
      def start_thread
        thread = Thread.new do
          Thread.current.report_on_exception = false
          Thread.current.name = "iodine"
          @reactor.work
        rescue Exception => e # rubocop:disable Lint/RescueException
          Base.report(e, "a thread of the pool ended")
        ensure
          replace(Thread.current)
        end
        @lock.synchronize { @pool << thread }
      end

      def replace(thread)
        return if @stopping

        @lock.synchronize { @pool.delete(thread) }
        start_thread
      end
    end
  end
end
