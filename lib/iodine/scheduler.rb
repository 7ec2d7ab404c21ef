# frozen_string_literal: true

module Iodine
  module Base
    # Tasks, timers and idle callbacks: their blocks stay here, the reactor knows them by number.
    #
    # What is registered before the start belongs to every process of the cluster: the master keeps a copy for the
    # workers it forks, then and later.
    #
    # No lock is held here, because the handler of a signal, which cannot take one, may queue blocks: each step is one
    # call of a Hash or an Array, which Ruby does not interrupt. The number of a task or timer is its object_id, which
    # nobody else has for as long as it is here.
    module Scheduler
      # A block that is run once.
      Task = Struct.new(:block)

      # A block that is run again and again: every +interval+ milliseconds, +left+ times (0 is for ever).
      Timer = Struct.new(:block, :interval, :left)

      # Longest interval, milliseconds: what the reactor's clock is sure to hold.
      MAX_INTERVAL = 1 << 40

      @tasks = {}
      @timers = {}
      @idle = []
      @reactor = nil
      @inherited = nil

      class << self
        # Queues a task; the block.
        def run(block)
          task = Task.new(block)
          number = task.object_id
          @tasks[number] = task
          @reactor&.push_task(number)
          block
        end

        # Queues a block for later; the block.
        def run_after(milliseconds, block)
          milliseconds = check(milliseconds)
          return run(block) if milliseconds.zero?

          add_timer(Timer.new(block, milliseconds, 1))
        end

        # Queues a block for now and again; the block, or nil when that would never let anything else run.
        def run_every(milliseconds, repetitions, block)
          milliseconds = check(milliseconds)
          raise TypeError, "repetitions must be an Integer or nil" unless repetitions.is_a?(Integer)

          if milliseconds.zero? && repetitions.zero?
            Log.error("Iodine.run_every: an interval of 0 needs a number of repetitions")
            return
          end
          add_timer(Timer.new(block, milliseconds, repetitions))
        end

        # Registers an idle callback; the block.
        def on_idle(block)
          @idle << block
          @reactor&.notify_idle
          block
        end

        # From now on +reactor+ runs what is queued, and what was queued before.
        def attach(reactor)
          @reactor = reactor
          @tasks.keys.each { |number| reactor.push_task(number) } # rubocop:disable Style/HashEachMethods
          @timers.dup.each { |number, timer| reactor.set_timer(number, timer.interval) }
          reactor.notify_idle unless @idle.empty?
        end

        # The server of this process has stopped. Timers end with it.
        def detach
          @reactor = nil
          @timers.clear
        end

        # In a process forked by the application: what there is belongs to its parent.
        def forget
          @reactor = nil
          [@tasks, @timers, @idle].each(&:clear)
        end

        # Remembers what was registered up to now, for processes to be forked.
        def keep
          @inherited = [@tasks.dup, @timers.dup.transform_values(&:dup), @idle.dup]
        end

        # In a forked process: begins with what was kept.
        def inherit
          @reactor = nil
          @tasks, timers, @idle = @inherited.map(&:dup)
          @timers = timers.transform_values(&:dup)
        end

        # Runs a task. Called by the reactor's threads, as are the following.
        def run_task(number)
          task = @tasks.delete(number)
          Base.guard("a task") { task.block.call } if task
        end

        # Runs a timer's block, and sets the timer again unless it has done its repetitions.
        def fire(number)
          timer = @timers[number]
          return unless timer

          Base.guard("a timer") { timer.block.call }
          if timer.left == 1
            @timers.delete(number)
          else
            timer.left -= 1 unless timer.left.zero?
            @reactor&.set_timer(number, timer.interval)
          end
        end

        # Runs the idle callbacks, each of them once.
        def idle
          @idle.shift(@idle.size).each { |block| Base.guard("an on_idle callback") { block.call } }
        end

        private

        def add_timer(timer)
          number = timer.object_id
          @timers[number] = timer
          @reactor&.set_timer(number, timer.interval)
          timer.block
        end

        def check(milliseconds)
          raise TypeError, "milliseconds must be a number" unless milliseconds.is_a?(Integer)
          raise RangeError, "milliseconds must not be negative" if milliseconds.negative?

          [milliseconds, MAX_INTERVAL].min
        end
      end
    end
  end
end
