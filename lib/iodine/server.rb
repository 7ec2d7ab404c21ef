# frozen_string_literal: true

module Iodine
  module Base
    # The life of the server in this process.
    module Server
      # Seconds that running requests have to finish once the server is told to stop.
      SHUTDOWN_TIMEOUT = 5

      # Arenas of glibc's allocator. It would make one for each thread, up to eight a core, and each keeps what is
      # free for itself. That is for threads that allocate side by side; those of Ruby take turns. A second one held
      # as much again, and grew for hours, for what is free in one cannot be joined with what is free in another.
      ARENAS = 1

      # What there is before the start.
      NO_CONNECTIONS = { http: 0, websocket: 0, sse: 0, raw: 0 }.freeze
      # Numbers of what the master counts on, and a process that serves alone.
      MASTER = 0
      ALONE = 1

      @listeners = []
      @events = nil
      @process = nil
      @running = false
      @master = true
      @worker = false
      @replaced = false
      @publishers = nil
      @ready_hooks = []

      class << self
        def running? = @running
        def master? = @master
        def worker? = @worker

        # Adds the listener that the block opens: for the next start, or at once where requests are served already.
        def listen
          raise "listeners cannot be added to a running cluster from its master" if @events && !@worker

          @process.is_a?(Worker) ? yield.tap { |listener| @process.add(listener) } : @listeners.push(yield).last
        end

        # Closes what was opened to listen.
        def unlisten
          unlink
          [*@listeners, *@metrics].each(&:close)
          @listeners.clear
        end

        # Has all threads that begin to allocate from now on share what is free, unless the user has said otherwise. The
        # sooner the better: what a thread of the application has begun before has an arena of its own.
        def share_arena
          return if ENV.key?("MALLOC_ARENA_MAX") || ENV["GLIBC_TUNABLES"]&.include?("arena_max")

          Base.limit_arenas(ARENAS)
        end

        # Serves until told to stop.
        def start
          raise "Iodine already running!" if @events

          @master = true
          count
          share_arena
          begin
            @events = Thread::Queue.new
            Signals.install(@events) { leave_at_once }
            serve(*Base.concurrency(Iodine.threads, Iodine.workers))
          ensure
            finish if @master
          end
        end

        # This process begins to serve. A worker calls the block when it does.
        def serve_as(process, &ready)
          @process = process
          process.run(&ready)
        end

        # Open connections of this process, by kind.
        def connections = @process&.connections || NO_CONNECTIONS.dup

        # Asks for the end.
        def stop = @events && Signals.tell(:stop)

        # The master is gone, or does not want this worker any more. Called by a thread of the worker.
        def orphaned = @events&.push(:orphaned)

        # The end has begun.
        def stopping
          @running = false
          return unless @master

          ServiceManager.stopping unless @replaced
          Upgrade.call_off unless @replaced
        end

        # Has the block called when all that was to be started serves.
        def on_ready(&block) = @ready_hooks << block

        # All that was to be started serves.
        def ready
          InheritedSockets.close_rest
          @publishers&.start
          @ready_hooks.each(&:call).clear
          ServiceManager.ready
          Upgrade.report
        end

        # Starts this program anew, to replace this process.
        def upgrade = Upgrade.start([*@listeners, *@metrics], @events)

        # Has the reactor of this process answer for metrics, if anybody is to be answered.
        def answer_for_metrics(reactor) = @metrics&.serve(reactor)

        # Another process serves now, on the same sockets.
        def replaced
          Log.info("The new server serves: this one leaves.")
          @replaced = true
        end

        # In a forked process.
        def enter_worker(events)
          @events = events
          @master = false
          @worker = true
          @metrics&.close
          Signals.inherit(events)
          tick
          @publishers&.forget
          Scheduler.inherit
          PubSub.inherit
          Clients.inherit
        end

        # Keeps the reactor of this process still, for the application forks.
        def hold = @process&.hold

        # Lets it go on.
        def release = @process&.release

        # In a process that the application has forked: the server is not its business.
        def leave_to_application
          Signals.restore
          return unless @events

          Clients.inherit
          Scheduler.forget
          PubSub.detach
          Metrics.unshare
          [*@listeners, *@metrics, *@publishers, *@process].each(&:forget)
          @listeners = []
          @events = @process = @metrics = @publishers = nil
          @running = @master = @worker = false
        end

        # Seconds, from DEFAULT_SETTINGS[:shutdown_timeout].
        def shutdown_timeout
          Float(DEFAULT_SETTINGS[:shutdown_timeout] || SHUTDOWN_TIMEOUT)
        end

        private

        # From now on there is something to count on.
        def count
          @shared ||= Metrics.share.then { true }
          Metrics.begin(MASTER, Process.pid, Time.now.to_i)
          @metrics = MetricsListener.open
        end

        def serve(threads, workers, capped)
          announce(threads, workers, capped)
          State.reach(:pre_start)
          # A callback may have made a daemon of this process, which has another number then.
          Signals.inherit(@events)
          @running = true
          @worker = workers == 1
          type = @worker ? Worker : Cluster
          @publishers = PublisherSocket.open(DEFAULT_SETTINGS[:pubsub_socket])
          process = type.new(listeners: @listeners, threads: threads, workers: workers, events: @events)
          tick
          serve_as(process) { ready }
        end

        # An event each second, for what has to be looked at now and then.
        def tick
          @ticker = Thread.new(@events) do |events|
            loop do
              sleep(1)
              events << :tick
            end
          end
        end

        def finish
          @ticker&.kill
          @running = false
          @publishers&.close
          unlisten
          State.reach(:on_finish)
          Signals.restore
          Log.info("  ---  Shutdown Complete  ---")
        ensure
          @events = @process = @metrics = @publishers = nil
        end

        # The user has no patience. 128 and the number of the signal is what shells say.
        def leave_at_once
          @process&.abandon
          unlink if @master
          exit!(128 + Signal.list["INT"])
        end

        # Removes the files of Unix sockets, unless the process that replaces this one listens there.
        def unlink
          [*@listeners, *@metrics].each(&:unlink) unless @replaced
        end

        def announce(threads, workers, capped)
          if capped
            Log.warning("this machine has more than 8 cores, of which 8 are used: " \
                        "choose a number of threads and workers (-t, -w)")
          end
          Log.info(<<~TEXT)
            Starting up Iodine:
             * Iodine #{VERSION}
             * Ruby #{RUBY_VERSION}
             * #{workers} Workers X #{threads} Threads per worker.
             * Maximum #{Process.getrlimit(:NOFILE).first} open files / sockets per worker.
             * Master (root) process: #{Process.pid}.
             * Press ^C to stop
          TEXT
        end
      end
    end
  end
end
