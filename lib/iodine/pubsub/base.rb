# frozen_string_literal: true

module Iodine
  module Base
    # What the public methods of publish and subscribe have in common: arguments, and engines that are attached.
    module PubSub
      # Longest name of a channel, and longest message, in bytes.
      MAX_CHANNEL = (16 << 20) - 1
      MAX_MESSAGE = 64 << 20

      # What `subscribe` was given.
      class Subscribing
        attr_reader :channel, :name, :handler

        def initialize(arguments, options, block)
          @channel, options = split(arguments, options)
          @name = PubSub.channel_name(@channel)
          @pattern = options[:match] == :redis
          @binary = options[:as] == :binary
          @handler = options[:handler] || block
          return if @handler.nil? || @handler.respond_to?(:call)

          raise ArgumentError, "a handler must have the method call, got #{@handler.inspect}"
        end

        def pattern? = @pattern
        def binary? = @binary

        private

        def split(arguments, options)
          raise ArgumentError, "a channel, and options, are all there is to give" if arguments.size > 2

          channel = arguments.shift unless arguments.first.is_a?(Hash)
          given = arguments.shift || {}
          raise TypeError, "options must be a Hash, got #{given.inspect}" unless given.is_a?(Hash) && arguments.empty?

          options = given.merge(options)
          [channel.nil? ? PubSub.channel_of(options) : channel, options]
        end
      end

      @lock = Mutex.new
      @attachments = {}.compare_by_identity

      class << self
        # The channel among options.
        def channel_of(options)
          if options.key?(:channel) && !options.key?(:to)
            Log.warning("the option :channel is deprecated, use :to")
            return options[:channel]
          end
          options[:to]
        end

        # The name of a channel, as a String.
        def channel_name(channel)
          case channel
          when String then limit(channel, MAX_CHANNEL, "the name of a channel")
          when Symbol then channel.name
          when nil then raise ArgumentError, "a channel is required"
          else raise TypeError, "a channel must be a String or a Symbol, got #{channel.inspect}"
          end
        end

        # A message, which is a String.
        def message(message)
          return limit(message, MAX_MESSAGE, "a message") if message.is_a?(String)
          raise ArgumentError, "message is required." unless message

          raise TypeError, "a message must be a String, got #{message.inspect}"
        end

        # An engine.
        def engine(engine)
          return engine if engine.is_a?(Iodine::PubSub::Engine)

          raise TypeError, "an engine must be an Iodine::PubSub::Engine, got #{engine.inspect}"
        end

        # Iodine.publish, and that of connections.
        def publish(arguments, options)
          raise ArgumentError, "publish takes a channel, a message and an engine" if arguments.size > 3

          options = arguments.shift.merge(options) if arguments.first.is_a?(Hash) && arguments.size == 1
          channel, message, engine = arguments
          channel = channel_of(options) if channel.nil?
          engine = options[:engine] if engine.nil?
          through(engine).publish(channel_name(channel), message(message || options[:message]))
          true
        end

        # Has an engine told of channels.
        def attach_engine(engine)
          @lock.synchronize { @attachments[engine] ||= attachment(engine) }
          engine
        end

        # Has an engine told of channels no more.
        def detach_engine(engine)
          @lock.synchronize { @attachments.delete(engine)&.end }
          engine
        end

        # Has an engine told of all channels again.
        def reset_engine(engine)
          @lock.synchronize { @attachments[engine]&.reset }
          engine
        end

        # From now on +reactor+ delivers what is published, and what was published before.
        def attach(reactor) = native_attach(reactor)

        # The server of this process has stopped.
        def detach = native_detach

        # Remembers what was subscribed and attached up to now, for processes to be forked.
        def keep
          native_keep
          @kept = @attachments.keys
        end

        # In a forked process: begins with what was kept.
        def inherit
          native_inherit
          @lock = Mutex.new
          @attachments.clear
          @kept.each { |engine| attach_engine(engine) }
        end

        private

        def attachment(engine)
          engine.is_a?(Iodine::PubSub::Redis) ? RedisClients.attachment(engine) : Attachment.new(engine)
        end

        def limit(string, bytes, what)
          return string if string.bytesize <= bytes

          raise ArgumentError, "#{what} has at most #{bytes} bytes, got #{string.bytesize}"
        end

        def through(engine)
          case engine
          when nil then Iodine::PubSub.default
          when false then Iodine::PubSub::PROCESS
          else self.engine(engine)
          end
        end
      end
    end
  end
end
