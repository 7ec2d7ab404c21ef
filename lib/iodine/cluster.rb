# frozen_string_literal: true

module Iodine
  module Base
    # The master of several workers: forks them, replaces those that die, and stops them. It accepts no connections,
    # but runs tasks and timers.
    class Cluster
      def initialize(listeners:, threads:, workers:, events:)
        @listeners = listeners
        @threads = threads
        @wanted = workers
        @events = events
        @reactor = Reactor.new(false, Server::MASTER)
        @workers = []
        @paused = 0
        @rollout = Rollout.new { hire }
        @supervision = Supervision.new
        @farewell = "TERM"
      end

      # Serves until an event says stop. Calls the block when all workers do. Raises CrashLoop when none comes to live.
      def run(&ready)
        @when_ready = ready
        @life_line = LifeLine.new
        Scheduler.keep
        PubSub.begin(@reactor)
        PubSub.keep
        @wanted.times { hire }
        # Before it reads anything of the workers: what they publish may be for an engine.
        PubSub.attach(@reactor)
        @reactor.run
        Scheduler.attach(@reactor)
        RedisClients.start
        Clients.attach_to(@reactor)
        Server.answer_for_metrics(@reactor)
        @task_thread = Thread.new { @reactor.work }
        supervise
      ensure
        shut_down unless @child
      end

      # Open connections of this process, by kind: those of Iodine.connect and Iodine.attach_fd.
      def connections = @reactor.connections

      # The end, at once, of all workers. Called within a signal handler.
      def abandon = @workers.each { |worker| worker.tell("KILL") }

      # Keeps the reactor still while the application forks.
      def hold = @reactor.hold
      def release = @reactor.release

      # In a process forked by the application: lets go of what would make it look like the master.
      def forget
        ProcessFork.let_go(@reactor.forget)
        @life_line.close
      end

      private

      def supervise
        loop do
          event, *details = @events.pop
          case event
          when :stop then return
          when :restart then restart
          when :reload then reload
          when :tick then look_after
          when :upgrade then Server.upgrade
          when :upgraded then return give_way
          when :upgrade_failed then Upgrade.failed(*details)
          when :more then resize(@wanted + 1)
          when :fewer then resize(@wanted - 1)
          when :ready then worker_ready(*details)
          when :exited then worker_exited(*details)
          when :hire then hire_now(*details)
          end
        end
      end

      # Forks a worker; nil when that is not possible. #look_after tries again.
      def hire(deaths = 0)
        State.reach(:before_fork)
        ForkProtection.close
        # No thread but this one survives the fork; the reactor's must not be in the middle of something.
        @reactor.pause
        worker = fork_worker(deaths)
        resume
        return unless worker

        State.reach(:after_fork)
        State.reach(:enter_master)
        worker
      end

      def fork_worker(deaths)
        link = Link.new(*PubSub.link_limits)
        sheet = (1..).find { |number| @workers.none? { |worker| worker.sheet == number } }
        worker = WorkerProcess.new(@events, sheet: sheet, deaths: deaths) do |report|
          become_worker(report, link, sheet)
        end
        link.join_workers(@reactor)
        @workers << worker
        Metrics.add(Server::MASTER, "starts", 1)
        worker
      rescue SystemCallError, ThreadError => e
        link&.close
        Log.error("a worker could not be forked: #{e.message}. Trying again within a second.")
        nil
      end

      # The reactor goes on, if it has begun.
      def resume
        @reactor.run if @task_thread
      rescue ThreadError => e
        Log.error("#{e.message}. Trying again within a second.")
      end

      def become_worker(report, link, sheet)
        @child = true
        boot = Boot.new
        @reactor.abandon
        events = Thread::Queue.new
        Server.enter_worker(events)
        @life_line.watch(events)
        State.reach(:after_fork)
        State.reach(:enter_child)
        worker = Worker.new(listeners: @listeners, threads: @threads, workers: @wanted, events: events,
                            link: link, sheet: sheet)
        Server.serve_as(worker) { announce(report, boot) }
        State.reach(:on_finish)
      end

      # Tells the master that this worker serves. If the master is gone, LifeLine says what follows.
      def announce(report, boot)
        boot.over
        report.puts("ready")
      rescue Errno::EPIPE
        Log.debug("(#{Process.pid}) the master was gone before this worker served")
      ensure
        report.close
      end

      def worker_ready(worker)
        worker.ready!
        @rollout.ready(worker)
        all_ready if @when_ready && @workers.count(&:ready?) >= @wanted
      end

      def all_ready
        @when_ready.call
        @when_ready = nil
      end

      def worker_exited(worker, status)
        @workers.delete(worker)
        Metrics.finish(worker.sheet)
        report_exit(worker, status)
        @rollout.exited(worker)
        ServiceManager.ready if @rollout.over?
        replace(worker) if missing.positive?
      end

      def report_exit(worker, status)
        return Log.warning("#{worker} shutdown.#{" Respawning worker." if missing.positive?}") if status.success?

        Metrics.add(Server::MASTER, "crashes", 1)
        Log.error("#{worker} crashed (#{status}).#{" Respawning worker." if missing.positive?}")
        State.reach(:on_child_crush)
      end

      # How many workers there should be more, without those that are on their way.
      def missing = @wanted - @paused - @workers.count { |worker| !worker.leaving? } + @rollout.surplus

      def replace(worker)
        deaths = Respawn.deaths(worker)
        raise CrashLoop, Respawn::HOPELESS if Respawn.hopeless?(deaths, @workers)

        pause = Respawn.pause(deaths)
        return hire(deaths) if pause.zero?

        Log.warning("#{deaths} workers in a row died within #{Respawn::YOUNG} s of their start; " \
                    "the next one starts in #{pause} s")
        hire_later(pause, deaths)
      end

      def hire_later(pause, deaths)
        @paused += 1
        Thread.new do
          sleep(pause)
          @events << [:hire, deaths]
        end
      rescue ThreadError
        # Then sooner: #look_after sees that one is missing.
        @paused -= 1
      end

      def hire_now(deaths)
        @paused -= 1
        hire(deaths) if missing.positive?
      end

      def restart
        Log.info("Restarting workers.")
        Metrics.add(Server::MASTER, "restarts", 1)
        ServiceManager.reloading
        @rollout.add(@workers.reject(&:leaving?))
        ServiceManager.ready if @rollout.over?
      end

      # Each second.
      def look_after
        ServiceManager.watchdog
        Upgrade.look
        reload if Reload.due?
        @rollout.add(@supervision.worn(@workers))
        deadline = Farewell.deadline
        kill("did not leave within #{deadline} s and is killed.") { |worker| worker.overdue?(deadline) }
        kill(Boot.verdict) do |worker|
          worker.booting? && Boot.late?(worker.age) && worker.ask >= Boot::LAST_WORDS
        end
        resume
        hire if missing.positive?
      end

      # Kills the workers that the block chooses.
      def kill(reason, &choice)
        @workers.select(&choice).each do |worker|
          Log.error("#{worker} #{reason}")
          worker.tell("KILL")
        end
      end

      def reload
        ServiceManager.reloading
        Reload.run
        @workers.each { |worker| worker.tell("HUP") }
        ServiceManager.ready
      end

      # Adds a worker, or has the youngest one leave.
      def resize(wanted)
        possible = wanted.between?(1, MAX_WORKERS)
        return Log.warning("#{wanted} workers would not do: there are #{@wanted}") unless possible

        Log.info("#{wanted} workers are wanted from now on.")
        @wanted = wanted
        hire if missing.positive?
        @workers.reject(&:leaving?).last.leave("USR1") if missing.negative?
      end

      # Another master serves on the same sockets: workers need not hurry.
      def give_way
        Server.replaced
        @farewell = "USR1"
      end

      def shut_down
        Log.info("Server Detected exit signal.")
        Server.stopping
        Clients.stop
        State.reach(:start_shutdown)
        Farewell.new(@workers, @events).bid(@farewell)
        @reactor.drain(0, 0)
        Scheduler.detach
        PubSub.detach
        Clients.detach
        @task_thread&.join(Worker::LAST_CALL)
        @life_line.close
      end
    end
  end
end
