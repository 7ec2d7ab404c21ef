# frozen_string_literal: true

module Iodine
  module PubSub
    # Publishes and subscribes through a Redis server, which other machines may use as well:
    #
    #     Iodine::PubSub.default = Iodine::PubSub::Redis.new("redis://localhost:6379", ping: 60)
    #
    # Made in the master, before the workers are forked, and attached by itself: the whole cluster has two connections,
    # which are the master's. What is published comes back from Redis to the subscribers of this cluster as to those of
    # all others, so each of them has it once.
    #
    # A server that is not there, or goes away, is tried again; messages wait until then, up to a limit.
    # See docs/redis.md.
    class Redis < Engine
      # An error that Redis has answered to a command, as blocks of #cmd are given it. It is not raised.
      class Error < StandardError
        # The first word of the message, which says what kind of error it is: "ERR", "WRONGTYPE" …
        #
        # @return [String, nil]
        def code = message[/\A\S+/]
      end

      # Seconds without a word from Redis before it is sent a ping.
      PING = 300
      # The longest time in seconds that Redis may owe an answer, unless given.
      TIMEOUT = 10
      # MiB of commands that may wait for Redis, unless given.
      MAX_PENDING = 16
      # Upper bound of all these numbers.
      MOST = 86_400
      SECURE = %r{\Arediss://}i
      private_constant :PING, :TIMEOUT, :MAX_PENDING, :MOST, :SECURE

      # +url+ is `redis://user:password@host:port/database`, `rediss://` for the same over TLS, or
      # `redis+unix:///path?db=database`.
      #
      # [ping] seconds without a word from Redis before it is sent a ping; 0 is 300
      # [timeout] seconds that Redis may owe an answer before the connection is given up; as `ping`, at most 10
      # [tls] an Iodine::TLS for `rediss://`, whose authorities the server is verified by, and whose certificate it is
      #       shown if it asks; without one it is verified by those of the system
      # [max_pending] MiB of messages and commands that may wait for Redis; more are dropped, and counted in the log; 16
      #
      # @param url [String]
      # @param options [Hash{Symbol => Object}] the options, as a Hash or as keywords
      # @raise [TypeError] for a URL that is no String
      # @raise [ArgumentError] for one that names no Redis server, and for other options
      # @raise [RuntimeError] in a worker of a cluster
      def initialize(url, options = {}, **keywords)
        super()
        Base::RedisClients.check_process
        @client = Base::RedisClient.new(*settings(url, options, keywords))
        Base::RedisClients.add(self, @client)
        PubSub.attach(self)
      end

      # Publishes a message through Redis, and does not wait for it.
      #
      # @param channel [String, Symbol]
      # @param message [String]
      # @return [self]
      # @raise [TypeError] for anything else
      def publish(channel, message)
        @client.publish(Base::PubSub.channel_name(channel), Base::PubSub.message(message))
        self
      end

      # Sends a command, and calls the block with the answer, in the process that has asked:
      #
      #     redis.cmd("SET", "visits", 0) { |reply| p reply }  # true
      #     redis.cmd("LRANGE", "list", 0, -1) { |reply| p reply }  # ["a", "b"]
      #
      # Arguments are Strings, Symbols, numbers, true, false and nil, and are sent as their `to_s`. Answers are binary
      # Strings, Integers, true for `OK`, nil, Arrays of these, and an Error. Blocks are called one after the other, in
      # the order of the commands; what they raise is logged.
      #
      # @param arguments [Array<String, Symbol, Integer, Float, Boolean, nil>] the command and its arguments
      # @yieldparam reply [String, Integer, true, nil, Array, Error]
      # @return [self]
      # @raise [ArgumentError] for other arguments, without any, and for commands that would make the connection useless
      #   to others, such as SUBSCRIBE
      def cmd(*arguments, &block)
        @client.command(Base::RedisClients.command(arguments), block)
        Base::RedisClients.call_back(@client) if block
        self
      end

      # The server, without the password.
      #
      # @return [String]
      def inspect = "#<#{self.class} #{@client.url}>"

      private

      # The arguments of Base::RedisClient.new.
      def settings(url, options, keywords)
        raise TypeError, "a Redis URL must be a String, got #{url.class}" unless url.is_a?(String)
        raise TypeError, "options of a Redis engine must be a Hash, got #{options.inspect}" unless options.is_a?(Hash)

        options = { ping: nil, timeout: nil, max_pending: nil, tls: nil }.merge(options, keywords)
        raise ArgumentError, "unknown options of a Redis engine: #{options.keys[4..].inspect}" if options.size > 4

        ping = number(:ping, options[:ping] || 0)
        ping = PING if ping.zero?
        timeout = number(:timeout, options[:timeout] || [ping, TIMEOUT].min)
        pending = number(:max_pending, options[:max_pending] || MAX_PENDING)
        [url, ping.to_f, timeout.to_f, (pending * (1 << 20)).to_i, encryption(url, options[:tls])]
      end

      # Whoever gives one means that nothing is to be sent in the clear.
      def encryption(url, tls)
        raise TypeError, "tls must be an Iodine::TLS, got #{tls.inspect}" unless tls.nil? || tls.is_a?(TLS)
        raise ArgumentError, "tls: is for URLs that begin with rediss://" if tls && !url.match?(SECURE)

        @tls = (tls || TLS.new).send(:settings_of_client) if url.match?(SECURE)
      end

      def number(name, value)
        return value if value.is_a?(Numeric) && (0..MOST).cover?(value)

        raise ArgumentError, "#{name} must be a number from 0 to #{MOST}, got #{value.inspect}"
      end
    end
  end
end

require_relative "redis_clients"
