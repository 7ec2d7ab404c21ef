# frozen_string_literal: true

module Iodine
  module Base
    # The master of several workers: forks them, replaces those that die, and stops them. It accepts no connections,
    # but runs tasks and timers.
    class Cluster
      # A worker that dies younger than this, in seconds, is replaced after a pause that doubles each time.
      YOUNG = 2
      # The first and the longest pause, in seconds.
      PAUSES = (0.25..8.0)
      # Seconds that workers have beyond their own deadline before they are killed.
      GRACE = 3

      # A worker's place: the process in it, when that was started, how many died young in a row.
      Place = Struct.new(:pid, :started, :deaths)

      def initialize(listeners:, threads:, workers:, events:)
        @listeners = listeners
        @threads = threads
        @workers = workers
        @events = events
        @reactor = Reactor.new(false)
        @places = {}
        @leaving = []
      end

      # Serves until an event says stop.
      def run
        @life_line, @hold = IO.pipe
        Scheduler.keep
        @workers.times { fork_worker(Place.new(nil, nil, 0)) }
        @reactor.run
        Scheduler.attach(@reactor)
        @task_thread = Thread.new { @reactor.work }
        supervise
      ensure
        shut_down unless @child
      end

      private

      def supervise
        loop do
          event, *details = @events.pop
          case event
          when :stop then return
          when :restart then restart
          when :exited then worker_exited(*details)
          when :fork then fork_worker(*details)
          end
        end
      end

      def fork_worker(place)
        State.reach(:before_fork)
        # No thread but this one survives the fork; the reactor's must not be in the middle of something.
        @reactor.pause
        place.pid = Process.fork { become_worker }
        place.started = now
        @places[place.pid] = place
        watch(place.pid)
        @reactor.run if @task_thread
        State.reach(:after_fork)
        State.reach(:enter_master)
      rescue SystemCallError => e
        Log.fatal("a worker could not be forked: #{e.message}")
        @events << :stop
      end

      def become_worker
        @child = true
        @hold.close
        events = Thread::Queue.new
        Server.enter_worker(events)
        watch_master(events)
        State.reach(:after_fork)
        State.reach(:enter_child)
        Server.serve_as(Worker.new(listeners: @listeners, threads: @threads, workers: @workers, events: events))
        State.reach(:on_finish)
      end

      # The pipe ends when the master does, however it does.
      def watch_master(events)
        Thread.new do
          @life_line.read
          events << :orphaned
        end
      end

      # Only this process is waited for: others may be the application's.
      def watch(pid)
        Thread.new do
          _, status = Process.wait2(pid)
          @events << [:exited, pid, status]
        end
      end

      def worker_exited(pid, status)
        place = @places.delete(pid)
        if status.success?
          Log.warning("Child worker (#{pid}) shutdown. Respawning worker.")
        else
          Log.error("Child worker (#{pid}) crashed (#{status}). Respawning worker.")
          State.reach(:on_child_crush)
        end
        replace(place)
        @leaving.delete(pid)
        restart_next
      end

      def replace(place)
        place.deaths = now - place.started < YOUNG ? place.deaths + 1 : 0
        # One early death may be chance, or somebody's wish.
        return fork_worker(place) if place.deaths <= 1

        pause = (PAUSES.min * (2**(place.deaths - 2))).clamp(PAUSES)
        Log.warning("#{place.deaths} workers in a row died within #{YOUNG} s of their start; " \
                    "the next one starts in #{pause} s")
        Thread.new do
          sleep(pause)
          @events << [:fork, place]
        end
      end

      # Workers leave one after the other: the next one when the one before has been replaced.
      def restart
        Log.info("Restarting workers.")
        @leaving = @places.keys
        restart_next
      end

      def restart_next
        pid = @leaving.shift
        tell([pid], "TERM") if pid
      end

      def shut_down
        Log.info("Server Detected exit signal.")
        Server.stopping
        State.reach(:start_shutdown)
        tell(@places.keys, "TERM")
        wait_for_workers
        @reactor.drain(0)
        Scheduler.detach
        @task_thread&.join(Worker::LAST_CALL)
        [@life_line, @hold].each(&:close)
      end

      def wait_for_workers
        deadline = Server.shutdown_timeout + GRACE
        alarm = Thread.new do
          sleep(deadline)
          @events << :late
        end
        until @places.empty?
          event, pid, status = @events.pop
          case event
          when :exited then worker_left(pid, status)
          when :late then kill_workers(deadline)
          end
        end
      ensure
        alarm&.kill
      end

      def worker_left(pid, status)
        @places.delete(pid)
        Log.error("Child worker (#{pid}) crashed (#{status}) while it stopped.") unless status.success?
      end

      def kill_workers(deadline)
        Log.error("#{@places.size} workers did not stop within #{deadline} s and are killed")
        tell(@places.keys, "KILL")
      end

      def tell(pids, signal)
        pids.each do |pid|
          Process.kill(signal, pid)
        rescue Errno::ESRCH
          # It has left by itself; its exit is among the events.
        end
      end

      def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
