# frozen_string_literal: true

module Iodine
  module Base
    # What the public methods of publish and subscribe have in common: arguments, and engines that are attached.
    module PubSub
      # Longest name of a channel, and longest message, in bytes.
      MAX_CHANNEL = (16 << 20) - 1
      MAX_MESSAGE = 64 << 20
      # Longest pattern: to match one takes its length times that of a channel's name, at worst.
      MAX_PATTERN = 1024
      # Settings: the default, and what else they may be. A new worker is told at once of all that channels keep (MiB),
      # for which there has to be room (MiB).
      SETTINGS = {
        history_max: [16, 1..64],
        cluster_max_pending: [128, 128..(1 << 20)],
        cluster_timeout: [30, 1..86_400]
      }.freeze

      # What `subscribe` was given.
      class Subscribing
        attr_reader :channel, :name, :handler

        def initialize(arguments, options, block)
          @channel, @options = split(arguments, options)
          @name = PubSub.channel_name(@channel)
          @pattern = @options[:match] == :redis
          @binary = @options[:as] == :binary
          @handler = @options[:handler] || block
          check
        end

        def pattern? = @pattern
        def binary? = @binary

        # Whether the handler takes the id of a message, behind the channel and the message.
        def takes_id?
          return false unless @handler

          callable = @handler.respond_to?(:parameters) ? @handler : @handler.method(:call)
          callable.parameters.count { |kind, _| %i[req opt].include?(kind) } > 2
        end

        # The id of the last message that was seen, true for the wish to have all that is kept, or nil. Unless it was
        # given, the block says what it is.
        def since
          return yield unless @options.key?(:since)

          @options[:since] == :all || @options[:since]
        end

        private

        def check
          unless @handler.nil? || @handler.respond_to?(:call)
            raise ArgumentError, "a handler must have the method call, got #{@handler.inspect}"
          end

          check_choice(:match, :redis)
          PubSub.limit(name, MAX_PATTERN, "a pattern") if pattern?
          check_choice(:as, :text, :binary)
          since = @options[:since]
          return if !since || since == :all || since.is_a?(String)

          raise TypeError, "since: is the id of a message or :all, got #{since.inspect}"
        end

        def check_choice(option, *choices)
          given = @options[option]
          return if !given || choices.include?(given)

          raise ArgumentError, "#{option}: is one of #{choices.map(&:inspect).join(", ")}, got #{given.inspect}"
        end

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

        # A String of at most so many bytes.
        def limit(string, bytes, what)
          return string if string.bytesize <= bytes

          raise ArgumentError, "#{what} has at most #{bytes} bytes, got #{string.bytesize}"
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

        # Has a topic keep messages.
        def remember(channel, match, messages, bytes, age)
          positive(Integer, messages: messages, bytes: bytes)
          positive(Numeric, age: age)
          unless match.nil? || match == :redis
            raise ArgumentError, "match: is :redis for a pattern, got #{match.inspect}"
          end

          name = channel_name(channel)
          limit(name, MAX_PATTERN, "a pattern") if match
          return if native_remember(name, match == :redis, messages, bytes, age.to_f)

          raise "Iodine::PubSub.remember has to come before the start, and before the workers are forked"
        end

        # A server begins, in this process or in the one that it was forked from.
        def begin(reactor)
          native_begin(reactor, setting(:history_max) << 20)
        end

        # Bytes that may wait for another process of the cluster, and seconds for which it may take nothing.
        def link_limits
          [setting(:cluster_max_pending) << 20, setting(:cluster_timeout).to_f]
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

        # From DEFAULT_SETTINGS; nil and 0 are the default.
        def setting(name)
          default, range = SETTINGS.fetch(name)
          given = Iodine::DEFAULT_SETTINGS[name]
          return default if [nil, 0].include?(given)
          return given if given.is_a?(Integer) && range.cover?(given)

          raise ArgumentError, "#{name} must be an integer from #{range.begin} to #{range.end}, got #{given.inspect}"
        end

        def positive(type, **numbers)
          numbers.each do |name, number|
            next if number.is_a?(type) && number.positive?

            raise ArgumentError, "#{name}: must be a positive number, got #{number.inspect}"
          end
        end

        def attachment(engine)
          engine.is_a?(Iodine::PubSub::Redis) ? RedisClients.attachment(engine) : Attachment.new(engine)
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
