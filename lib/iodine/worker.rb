# frozen_string_literal: true

module Iodine
  module Base
    # Serves in this process: a reactor, and the threads that run the application.
    class Worker
      # Seconds that the master has to take what was published last.
      LAST_WORDS = 1
      # Seconds that threads have to finish once their connections are gone.
      LAST_CALL = 1
      # Seconds that idle connections have to send one more request, when the server stops and when it is replaced.
      PATIENCE = { stop: 0.25, replace: 1.0 }.freeze

      # +events+ is the Queue that tells when to stop.
      # +link+ connects it with its master, +sheet+ is the number of what it counts on.
      def initialize(listeners:, threads:, workers:, events:, link: nil, sheet: Server::ALONE)
        @listeners = listeners
        @threads = threads
        @workers = workers
        @events = events
        Metrics.begin(sheet, Process.pid, Time.now.to_i)
        Metrics.set(sheet, "threads", threads)
        @reactor = Reactor.new(true, sheet)
        link&.join_master(@reactor)
        @pool = []
        @pulse = Pulse.new(sheet, @reactor, @pool)
        @tidying = Tidying.new(@reactor)
        @lock = Mutex.new
        @stopping = false
        @serving = false
        @patience = PATIENCE[:stop]
      end

      # Serves until an event says stop. Calls the block once it does.
      def run
        PubSub.begin(@reactor)
        @reactor.run
        @listeners.each(&:load)
        State.reach(:on_start)
        Scheduler.attach(@reactor)
        PubSub.attach(@reactor)
        RedisClients.start if Server.master?
        @threads.times { start_thread }
        @listeners.dup.each { |listener| serve(listener) }
        Server.answer_for_metrics(@reactor) if Server.master?
        @serving = true
        Clients.attach_to(@reactor)
        Log.info("#{Process.pid} is running.") unless Server.master?
        @pulse.beat
        yield if block_given?
        wait_for_stop
      ensure
        shut_down
      end

      # Adds a listener while it runs, or before.
      def add(listener)
        @listeners << listener
        serve(listener) if @serving
      end

      # Open connections, by kind.
      def connections = @reactor.connections

      # The end, at once. Called within a signal handler.
      def abandon; end

      # Keeps the reactor still while the application forks.
      def hold = @reactor.hold
      def release = @reactor.release

      # In a process forked by the application. If a thread of the pool has done that, it is at its end when it returns.
      def forget
        @stopping = true
        ProcessFork.let_go(@reactor.forget)
      end

      private

      def serve(listener)
        listener.serve(@reactor, threads: @threads, workers: @workers)
      end

      def wait_for_stop
        loop do
          event, *details = @events.pop
          case event
          when :stop then return
          # In a cluster the master has another one.
          when :restart then return give_way unless Server.master?
          when :reload then reload
          when :tick then beat
          when :upgrade then Server.upgrade if Server.master?
          when :upgraded then return Server.replaced.then { give_way }
          when :upgrade_failed then Upgrade.failed(*details)
          when :orphaned then return State.reach(:on_parent_crush)
          end
        end
      end

      # Each second.
      def beat
        @pulse.beat
        @tidying.look
        return unless Server.master?

        Upgrade.look
        ServiceManager.watchdog unless @pulse.hangs?
        reload if Reload.due?
      end

      def reload
        ServiceManager.reloading if Server.master?
        Reload.run
        ServiceManager.ready if Server.master?
      end

      # Somebody else serves on the same sockets.
      def give_way = @patience = PATIENCE[:replace]

      def shut_down
        Log.info("(#{Process.pid}) detected exit signal.")
        Server.stopping
        Clients.stop
        State.reach(:start_shutdown)
        @lock.synchronize { @stopping = true }
        @listeners.each(&:close)
        @reactor.drain(Server.shutdown_timeout, @patience)
        Scheduler.detach
        Clients.detach
        leave_threads
        PubSub.detach
        @reactor.finish(LAST_WORDS)
        Log.info("(#{Process.pid}) cleanup complete.")
      end

      # Ends the threads: those that run the application still have had their time.
      def leave_threads
        deadline = Base.now + LAST_CALL
        @pool.each { |thread| thread.join([deadline - Base.now, 0].max) }
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
