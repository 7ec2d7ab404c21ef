# frozen_string_literal: true

module Iodine
  module Base
    # The life of the server in this process.
    module Server
      # Seconds that running requests have to finish once the server is told to stop.
      SHUTDOWN_TIMEOUT = 5

      @listeners = []
      @events = nil
      @process = nil
      @running = false
      @master = true
      @worker = false

      class << self
        def running? = @running
        def master? = @master
        def worker? = @worker

        # Adds the listener that the block opens: for the next start, or at once where requests are served already.
        def listen
          raise "listeners cannot be added to a running cluster from its master" if @events && !@worker

          listener = yield
          @process.is_a?(Worker) ? @process.add(listener) : @listeners << listener
          listener
        end

        # Serves until told to stop.
        def start
          raise "Iodine already running!" if @events

          @events = Thread::Queue.new
          begin
            Signals.install(@events)
            serve(*Base.concurrency(Iodine.threads, Iodine.workers))
          ensure
            finish if @master
          end
        end

        # This process begins to serve.
        def serve_as(process)
          @process = process
          process.run
        end

        # Asks for the end.
        def stop = @events&.push(:stop)

        # The end has begun.
        def stopping = @running = false

        # In a forked process.
        def enter_worker(events)
          @events = events
          @master = false
          @worker = true
          Signals.inherit(events)
          Scheduler.inherit
        end

        # Seconds, from DEFAULT_SETTINGS[:shutdown_timeout].
        def shutdown_timeout
          Float(DEFAULT_SETTINGS[:shutdown_timeout] || SHUTDOWN_TIMEOUT)
        end

        private

        def serve(threads, workers, capped)
          announce(threads, workers, capped)
          State.reach(:pre_start)
          @running = true
          @worker = workers == 1
          type = @worker ? Worker : Cluster
          serve_as(type.new(listeners: @listeners, threads: threads, workers: workers, events: @events))
        end

        def finish
          @running = false
          @listeners.each(&:unlink)
          @listeners.clear
          State.reach(:on_finish)
          Signals.restore
          Log.info("  ---  Shutdown Complete  ---")
        ensure
          @events = @process = nil
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
