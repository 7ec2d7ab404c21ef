# frozen_string_literal: true

module Iodine
  # Publish and subscribe: a message that is published to a channel reaches all who are subscribed to it.
  #
  #     Iodine.subscribe("orders") { |channel, message| puts "#{channel}: #{message}" }
  #     client.subscribe("news")  # a WebSocket, or an event stream: its peer gets the messages
  #     Iodine.publish("news", "It works.")
  #
  # Channels are Strings or Symbols, which are the same ones: `:news` is "news". How far a message goes is the business
  # of an engine: of CLUSTER, unless another one is the default, or is given to `publish`.
  module PubSub
    class << self
      # The engine that `publish` uses unless it is given one.
      #
      # @return [Engine] CLUSTER, unless another one was set
      attr_reader :default

      # Sets the default engine. Does not attach it.
      #
      # @param engine [Engine, nil] nil is CLUSTER
      # @raise [TypeError] for what is no engine
      def default=(engine)
        @default = Base::PubSub.engine(engine || CLUSTER)
      end

      # Calls `subscribe` and `unsubscribe` of an engine when a channel gains its first subscriber and loses its last
      # one, and `subscribe` for all channels that have subscribers already.
      #
      # The master of a cluster tells its engines of the channels of all workers, a worker of its own only.
      #
      # @param engine [Engine]
      # @return [Engine] the engine
      # @raise [TypeError] for what is no engine
      def attach(engine) = Base::PubSub.attach_engine(Base::PubSub.engine(engine))

      # Tells an engine of no more channels.
      #
      # @param engine [Engine]
      # @return [Engine] the engine
      # @raise [TypeError] for what is no engine
      def detach(engine) = Base::PubSub.detach_engine(Base::PubSub.engine(engine))

      # Tells an attached engine of all channels again.
      #
      # @param engine [Engine]
      # @return [Engine] the engine
      # @raise [TypeError] for what is no engine
      def reset(engine) = Base::PubSub.reset_engine(Base::PubSub.engine(engine))

      # How many subscribers a channel has, in all processes of the cluster: connections, and blocks of processes.
      # Subscribers of patterns do not count. Waits for the master, up to 5 seconds.
      #
      # @param channel [String, Symbol]
      # @return [Integer] 0 when the server does not run
      # @raise [TypeError] for what is no name of a channel
      # @raise [RuntimeError] when the master does not answer
      def subscribers(channel) = Base::PubSub.native_subscribers(Base::PubSub.channel_name(channel))

      # The names of all channels that have subscribers, as #subscribers counts them. Patterns are not among them.
      #
      # @return [Array<String>] binary Strings
      # @raise [RuntimeError] when the master does not answer within 5 seconds
      def channels = Base::PubSub.native_channels
    end

    # Has a channel keep its latest messages, for subscribers who come back:
    #
    #     Iodine::PubSub.remember("news", messages: 50)
    #     Iodine::PubSub.remember("room:*", match: :redis, age: 60)
    #     client.subscribe("news", since: "0f3c9a51-17") # the id of the last message that was seen
    #
    # The messages of such a channel have ids, by which event streams resume on their own; see `subscribe`.
    #
    # All channels together keep DEFAULT_SETTINGS[:history_max] MiB, 16 unless set; beyond that the oldest messages of
    # all are dropped, and counted in the log. Messages are kept in memory, by each process, for as long as the server
    # lives.
    #
    # @param channel [String, Symbol]
    # @param match [:redis, nil] `:redis` takes the channel for a pattern: each channel that matches keeps messages
    # @param messages [Integer] how many a channel keeps at most; 100
    # @param bytes [Integer] how many bytes, each message counted with the channel's name and 128 bytes more; 1 MiB
    # @param age [Numeric] how old they may be, in seconds; 300
    # @return [String, Symbol] the channel
    # @raise [ArgumentError] for numbers that are not positive
    # @raise [TypeError] for a channel that is none
    # @raise [RuntimeError] when the server has begun to start, and in a worker
    def self.remember(channel, match: nil, messages: 100, bytes: 1 << 20, age: 300)
      Base::PubSub.remember(channel, match, messages, bytes, age)
      channel
    end

    # A way for messages. The ones of this server are constants of Iodine::PubSub; others are subclasses:
    #
    #     class Logged < Iodine::PubSub::Engine
    #       def publish(channel, message)
    #         puts "#{channel}: #{message}"
    #         Iodine::PubSub::CLUSTER.publish(channel, message)
    #       end
    #     end
    #
    #     Iodine::PubSub.default = Logged.new
    class Engine
      # Called for an attached engine when a channel, or a pattern, has its first subscriber. By a thread of the server,
      # one call after the other; what is raised is logged.
      #
      # @param _channel [String] binary
      # @param _match [true, nil] true for a pattern
      # @return [void]
      def subscribe(_channel, _match = nil); end

      # Called for an attached engine when a channel, or a pattern, has lost its last subscriber.
      #
      # @param _channel [String] binary
      # @param _match [true, nil] true for a pattern
      # @return [void]
      def unsubscribe(_channel, _match = nil); end

      # Called in the process that publishes. Delivers nothing by itself.
      #
      # @param _channel [String]
      # @param _message [String]
      # @return [void]
      def publish(_channel, _message); end
    end

    # An engine of the server itself.
    class ProcessEngine < Engine
      def initialize(scope)
        super()
        @scope = scope
      end

      # Publishes to the processes of the engine. Returns the engine.
      def publish(channel, message)
        Base::PubSub.native_publish(@scope, Base::PubSub.channel_name(channel), Base::PubSub.message(message))
        self
      end

      def inspect = "#<Iodine::PubSub #{%w[CLUSTER PROCESS SIBLINGS PUBLISH2ROOT].fetch(@scope)}>"
    end
    private_constant :ProcessEngine

    # All processes of the cluster, the master included.
    CLUSTER = ProcessEngine.new(0)
    # The process that publishes.
    PROCESS = ProcessEngine.new(1)
    # All processes but the one that publishes.
    SIBLINGS = ProcessEngine.new(2)
    # The master.
    PUBLISH2ROOT = ProcessEngine.new(3)

    @default = CLUSTER
  end

  class << self
    # Subscribes this process to a channel, for as long as it lives:
    #
    #     Iodine.subscribe("chat") { |channel, message| … }
    #     Iodine.subscribe(to: "chat.*", match: :redis) { |channel, message| … }
    #     Iodine.subscribe(:chat, handler: object_with_call)
    #
    # The block is called with the name of the channel and the message, both binary Strings, one call at a time and in
    # the order of publication. Before the start, all processes of the cluster are subscribed.
    #
    # [to] the channel, unless it is given first
    # [match] `:redis` takes the name for a pattern: `*` any run of bytes, `?` any one, `[a-z]`, `[^a-z]`, `\` escapes
    # [handler] an object with the method `call`, instead of the block
    # [since] for a channel that keeps messages (PubSub.remember): the id of the last one that was seen, or :all. The
    #         block is called with those that came after, and with all that are kept when the id is not known
    #
    # A block with a third parameter is given the id of a message that is kept, and nil with others.
    #
    # A subscription to the same channel, or to the same pattern, takes the place of the one before.
    #
    # @param arguments [Array] the channel, or a Hash of the options, or both
    # @param options [Hash{Symbol => Object}]
    # @yieldparam channel [String]
    # @yieldparam message [String]
    # @return [String, Symbol] the channel, as it was given
    # @raise [ArgumentError] without a channel or a block
    # @raise [TypeError] for a channel that is no String or Symbol
    def subscribe(*arguments, **options, &block)
      request = Base::PubSub::Subscribing.new(arguments, options, block)
      raise ArgumentError, "Iodine.subscribe needs a block, or a handler" unless request.handler

      Base::PubSub.native_subscribe(request.name, request.pattern?, request.handler, request.takes_id?,
                                    request.since { nil })
      request.channel
    end

    # Ends the subscription of this process to a channel, or to a pattern.
    #
    # @param channel [String, Symbol]
    # @return [Boolean] whether there was one
    # @raise [TypeError] for a channel that is no String or Symbol
    def unsubscribe(channel) = Base::PubSub.native_unsubscribe(Base::PubSub.channel_name(channel))

    # Publishes a message, which is a String of any bytes, to a channel:
    #
    #     Iodine.publish("chat", "Hello")
    #     Iodine.publish(to: "chat", message: "Hello", engine: Iodine::PubSub::PROCESS)
    #
    # The engine is PubSub.default unless given; false is Iodine::PubSub::PROCESS.
    #
    # @param arguments [Array] channel, message, engine; the last one may be left away
    # @param options [Hash{Symbol => Object}] or `to:`, `message:`, `engine:`
    # @return [true]
    # @raise [ArgumentError] without a channel or a message
    # @raise [TypeError] for those that are none, or too large: 64 MiB for a message, 16 MiB for a name
    def publish(*arguments, **options) = Base::PubSub.publish(arguments, options)
  end

  class Connection
    # Subscribes the connection to a channel until it is closed:
    #
    #     client.subscribe("chat")                                     # the peer gets the messages
    #     client.subscribe("chat") { |channel, message| client.write(message.upcase) }
    #
    # Without a block, the messages go to the peer without asking Ruby: by WebSocket as texts when they are UTF-8 and
    # else as binary messages, in an event stream as `data:`. A block never runs at the same time as a callback of the
    # connection, or another block of it. Options are those of Iodine.subscribe, and:
    #
    # [as] `:binary` sends all messages as binary ones
    # [since] as for Iodine.subscribe. An event stream whose request has the id of such a message in `Last-Event-ID`, as
    #         that of a browser that has lost the stream, needs no option; nil is for messages of now alone
    #
    # @param arguments [Array] the channel, or a Hash of the options, or both
    # @param options [Hash{Symbol => Object}]
    # @yieldparam channel [String]
    # @yieldparam message [String]
    # @return [String, Symbol, nil] the channel; nil when the connection is closed, and for `as: :binary` of an event
    #   stream
    # @raise [ArgumentError] without a channel
    # @raise [TypeError] for a channel that is no String or Symbol
    def subscribe(*arguments, **options, &block)
      request = Base::PubSub::Subscribing.new(arguments, options, block)
      return if request.binary? && protocol == :sse && !request.handler

      taken = Base::PubSub.native_subscribe_connection(self, request.name, request.pattern?,
                                                       [request.handler, request.takes_id?], request.binary?,
                                                       request.since { last_event_id })
      request.channel if taken
    end

    # Ends the subscription of the connection to a channel, or to a pattern.
    #
    # @param channel [String, Symbol]
    # @return [Boolean, nil] whether there was one; nil when the connection is closed
    # @raise [TypeError] for a channel that is no String or Symbol
    def unsubscribe(channel) = Base::PubSub.native_unsubscribe_connection(self, Base::PubSub.channel_name(channel))

    # The same as Iodine.publish.
    #
    # @param arguments [Array] channel, message, engine
    # @param options [Hash{Symbol => Object}]
    # @return [true]
    # @raise [ArgumentError, TypeError] as Iodine.publish
    def publish(*arguments, **options) = Base::PubSub.publish(arguments, options)

    private

    # What the peer of an event stream has seen last, if it was a message that is kept.
    def last_event_id
      return unless protocol == :sse

      id = env && env["HTTP_LAST_EVENT_ID"]
      id if id && Base::PubSub.native_id?(id)
    end
  end
end

require_relative "pubsub/base"
require_relative "pubsub/publisher"
require_relative "pubsub/redis"
