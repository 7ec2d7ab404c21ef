# frozen_string_literal: true

module Iodine
  module Base
    # The clients of all Redis engines, as the life of the process goes on around them.
    module RedisClients
      # Commands whose answers are not one to a command, or that take the connection away from the others.
      REFUSED = %w[SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE MONITOR SYNC PSYNC QUIT
                   RESET HELLO].freeze
      # Seconds that what waits for Redis has to leave when the process ends.
      LAST_CALL = 5

      @clients = {}.compare_by_identity
      @callers = {}.compare_by_identity

      class << self
        # Raises RuntimeError in a process that is not to have connections of its own.
        def check_process
          return unless Server.worker? && !Server.master?

          raise "a Redis engine must be made in the master, before the workers are forked, for it has the connections"
        end

        # One more.
        def add(engine, client)
          Log.info("Initializing Redis engine for address: #{client.url}")
          @clients[engine] = client
          # A process that is forked inherits this, for the messages of its own.
          at_exit { leave } if @clients.size == 1
          client.start if Server.running?
        end

        # What tells an engine of channels; nil in a worker.
        def attachment(engine) = @clients.fetch(engine).attachment

        # Connects, unless they are connected.
        def start = @clients.each_value(&:start)

        # Before a fork: no thread may be in the middle of something.
        def pause = @clients.each_value(&:pause)

        # After a fork, in the master.
        def resume = @clients.each_value(&:resume)

        # After a fork, in the other process: the connections are not its own.
        def forget(worker:)
          @clients.each_value { |client| client.forget(worker) }
          @callers.clear
        end

        # The Strings that a command is sent as.
        def command(arguments)
          raise ArgumentError, "a command is required" if arguments.empty?

          command = arguments.map { |argument| text(argument) }
          name = command.first.upcase
          return command unless REFUSED.include?(name) || (name == "CLIENT" && command[1]&.upcase == "REPLY")

          raise ArgumentError, "#{name} would take the connection away from all others: use a Redis client of your own"
        end

        # Has a thread of this process call the blocks of a client.
        def call_back(client)
          @callers[client] = start_caller(client) unless @callers[client]&.alive?
        end

        private

        def text(argument)
          case argument
          when String then argument
          when Symbol then argument.name
          when Integer, Float, true, false, nil then argument.to_s
          else raise ArgumentError, "a command takes Strings, Symbols and numbers, got #{argument.inspect}"
          end
        end

        def start_caller(client)
          Thread.new do
            Thread.current.name = "iodine-redis"
            while (answer = client.answer)
              call(*answer)
            end
          end
        end

        def call(block, reply)
          Base.guard("a block of a Redis command") { block.call(reply) }
        end

        # At the end of the process: sends what waits, and lets the blocks of what was answered be called.
        def leave
          @clients.each_value { |client| client.stop(LAST_CALL) }
          @callers.each_value { |caller| caller.join(LAST_CALL) }
        end
      end
    end
  end
end
