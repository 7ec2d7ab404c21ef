# frozen_string_literal: true

module Iodine
  module Base
    # Turns signals into events while the server runs. Handlers that the user had installed are called as well, and
    # are put back at the end.
    #
    # A forked process has the handlers of the one it was forked from. A worker takes them over, with whatever has come
    # before it could (`inherit`); a child process of the application gets rid of them (`restore`).
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
              arrive(signal, event)
              previous.call(number) if previous.respond_to?(:call)
            end
            [signal, previous]
          end
          # A peer that has gone is an error value here, never a signal.
          @previous["PIPE"] = trap("PIPE", "IGNORE")
        end

        # In a forked process: the same signals, for its own events. One may come between any two of these lines: it is
        # an event as soon as the process is the owner, and missed until then.
        def inherit(events)
          @interrupts = 0
          @missed ||= Thread::Queue.new
          @events = events
          @owner = Process.pid
          events << @missed.pop until @missed.empty?
        end

        # Puts the former handlers back.
        def restore
          @previous&.each { |signal, handler| trap(signal, handler || "DEFAULT") }
          @previous = nil
        end

        private

        def arrive(signal, event)
          # Between the fork and `inherit`.
          return @missed << event unless Process.pid == @owner

          @interrupts += 1 if signal == "INT"
          @at_once.call if @interrupts > 1
          @events << event
        end
      end
    end
  end
end
