# frozen_string_literal: true

module Iodine
  module Base
    # Turns signals into events while the server runs. Handlers that the user had installed are called as well, and
    # are put back at the end.
    module Signals
      # Signals and their events.
      EVENTS = { "INT" => :stop, "TERM" => :stop, "USR1" => :restart }.freeze

      class << self
        # Sends events to the queue +events+ from now on.
        def install(events)
          @previous = EVENTS.to_h do |signal, event|
            previous = nil
            previous = trap(signal) do
              events << event
              previous.call(Signal.list[signal]) if previous.respond_to?(:call)
            end
            [signal, previous]
          end
          # A peer that has gone is an error value here, never a signal.
          @previous["PIPE"] = trap("PIPE", "IGNORE")
        end

        # In a forked process: the same signals, for its own events.
        def inherit(events)
          restore
          install(events)
        end

        # Puts the former handlers back.
        def restore
          @previous&.each { |signal, handler| trap(signal, handler || "DEFAULT") }
          @previous = nil
        end
      end
    end
  end
end
