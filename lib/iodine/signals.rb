# frozen_string_literal: true

module Iodine
  module Base
    # Turns signals into events while the server runs. Handlers that the user had installed are called as well, and
    # are put back at the end.
    #
    # A forked process has the handlers of the one it was forked from. A worker takes them over, with whatever has come
    # before it could (`inherit`); a child process of the application gets rid of them (`restore`).
    #
    # Handlers run on the main thread, which is also the one that waits for events. A Queue that is filled by a handler
    # of the thread that is about to wait for it does not wake that thread, then or later (Ruby 3.1). So another thread
    # brings events from the handlers to the queue.
    module Signals
      # Signals and their events.
      EVENTS = {
        "INT" => :stop, "TERM" => :stop, "QUIT" => :stop,
        "USR1" => :restart, "USR2" => :upgrade, "HUP" => :reload, "TTIN" => :more, "TTOU" => :fewer
      }.freeze

      class << self
        # Sends events to the queue +events+ from now on. The block is called, within the signal handler, by the second
        # INT: who presses Ctrl-C twice will not wait.
        def install(events, &at_once)
          @at_once = at_once
          inherit(events)
          @previous = EVENTS.to_h do |signal, event|
            previous = nil
            previous = trap(signal) do |number|
              previous.call(number) if previous.respond_to?(:call)
            ensure
              # Last: while a handler still runs, a thread that wakes this one does so in vain.
              arrive(signal, event)
            end
            [signal, previous]
          end
          # A peer that has gone is an error value here, never a signal.
          @previous["PIPE"] = trap("PIPE", "IGNORE")
        end

        # In a forked process: the same signals, for its own events.
        def inherit(events)
          @interrupts = 0
          @arrived ||= Thread::Queue.new
          @owner = Process.pid
          @messenger = messenger(@arrived, events) unless @messenger&.alive?
        end

        # Sends an event of this process. May be called within a signal handler.
        def tell(event) = @arrived&.push([Process.pid, event])

        # Puts the former handlers back.
        def restore
          @previous&.each { |signal, handler| trap(signal, handler || "DEFAULT") }
          arrived = @arrived
          @previous = @arrived = @messenger = nil
          arrived&.close
        end

        private

        # Ends when `arrived` is closed and empty. What came to the process that this one was forked from is not for it.
        def messenger(arrived, events)
          Thread.new do
            while (process, event = arrived.pop)
              events << event if process == Process.pid
            end
          end
        end

        def arrive(signal, event)
          if signal == "INT" && Process.pid == @owner
            @interrupts += 1
            @at_once.call if @interrupts > 1
          end
          tell(event)
        end
      end
    end
  end
end
