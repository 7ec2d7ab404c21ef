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

      # Those that Ruby makes an exception of, which is how to stop a program that does not serve yet.
      STOPS = EVENTS.select { |_, event| event == :stop }.keys.freeze

      # What was there before, and what has replaced it, by the name of the signal.
      @previous = {}
      @handlers = {}

      class << self
        # Before the server starts: keeps for it what would end this process meanwhile.
        def keep
          @arrived ||= Thread::Queue.new
          EVENTS.except(*STOPS).each { |signal, event| handle(signal, ->(_) { tell(event) unless @at_once }) }
        end

        # Sends events to the queue +events+ from now on. The block is called, within the signal handler, by the second
        # INT: who presses Ctrl-C twice will not wait.
        def install(events, &at_once)
          inherit(events)
          EVENTS.each { |signal, event| handle(signal, handler(signal, event)) }
          @at_once = at_once
          # A peer that has gone is an error value here, never a signal.
          handle("PIPE", "IGNORE")
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
          @previous.each { |signal, handler| trap(signal, handler || "DEFAULT") }
          arrived = @arrived
          @at_once = @messenger = @arrived = nil
          [@previous, @handlers].each(&:clear)
          arrived&.close
        end

        private

        # Has the signal handled. What it replaces, unless that was set here as well, is put back in the end.
        def handle(signal, handler)
          former = trap(signal, handler)
          @previous[signal] = former unless @handlers.key?(signal) && former.equal?(@handlers[signal])
          @handlers[signal] = handler
        end

        def handler(signal, event)
          lambda do |number|
            previous = @previous[signal]
            previous.call(number) if previous.respond_to?(:call)
          ensure
            # Last: while a handler still runs, a thread that wakes this one does so in vain.
            arrive(signal, event)
          end
        end

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
            @at_once&.call if @interrupts > 1
          end
          tell(event)
        end
      end
    end
  end
end
