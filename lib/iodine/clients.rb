# frozen_string_literal: true

module Iodine
  module Base
    # The connections that this process opens, or is given: those of Iodine.connect and Iodine.attach_fd. They wait for
    # its reactor.
    #
    # Those from before the start belong to the process that starts, not to the workers that it forks.
    module Clients
      # Option keys that come from DEFAULT_SETTINGS when they are not given. The others are those of servers.
      DEFAULTS = %i[handler address port path].freeze

      # A connection that waits: the method of the reactor that takes it, what there is of it, and whom it is for.
      Waiting = Struct.new(:how, :connection, :handlers) do
        def open(reactor) = reactor.public_send(how, connection, *handlers)

        # In a process that has no business with it.
        def forget = connection.is_a?(Attachment) && connection.forget
      end

      @lock = Mutex.new
      @waiting = []
      @reactor = nil
      @stopping = false
      @tls = nil

      class << self
        # Opens a connection: now, or when there is a reactor.
        def connect(given)
          options = DEFAULT_SETTINGS.slice(*DEFAULTS).compact.merge(given.compact)
          handler = check_handler(options[:handler])
          enter(Waiting.new(:connect, dial(options, handler), [handler, protocols(options[:tls])]))
        end

        # Takes a descriptor: now, or when there is a reactor.
        def attach(descriptor, handler)
          check_handler(handler)
          enter(Waiting.new(:attach, Attachment.new(descriptor), [handler]))
        end

        # From now on +reactor+ has what comes, and what has come.
        def attach_to(reactor)
          waiting = @lock.synchronize do
            @reactor = reactor
            @waiting.tap { @waiting = [] }
          end
          waiting.each { |connection| connection.open(reactor) }
        end

        # The process is about to stop: what comes now would be closed at once, and its handler might well try again.
        def stop = @stopping = true

        # The server of this process has stopped.
        def detach
          @reactor = nil
          @stopping = false
        end

        # In a forked process: what there is belongs to the parent.
        def inherit
          @lock = Mutex.new
          @reactor = nil
          @stopping = false
          @waiting.each(&:forget).clear
        end

        private

        def enter(connection)
          return refuse(connection) if @stopping

          reactor = @lock.synchronize do
            @waiting << connection unless @reactor
            @reactor
          end
          connection.open(reactor) if reactor
        end

        def refuse(connection)
          connection.forget
          Log.debug("a connection was not opened: the process stops")
        end

        def check_handler(handler)
          raise ArgumentError, "a :handler is required." if [nil, true, false].include?(handler)

          handler
        end

        def dial(options, handler)
          service = Service.of(options)
          tls = tls(options[:tls], service.secure)
          place = Place.of(options)
          return Dial.raw(place, raw_options(options), tls) if service.raw?

          begin
            Dial.web_socket(place, options.merge(request_options(options)), tls)
          rescue RuntimeError => e
            Dial.refuse(handler, e.message)
            raise
          end
        end

        # What encrypts, if anything does. Unless told otherwise it verifies servers by the authorities of the system.
        def tls(given, secure)
          raise TypeError, "tls must be an Iodine::TLS, got #{given.inspect}" unless given.nil? || given.is_a?(TLS)

          given ||= (@tls ||= TLS.new) if secure
          given&.send(:settings_of_client)
        end

        # What is asked for a handler when the server has taken its name.
        def protocols(tls) = tls ? tls.send(:protocols).dup : {}

        def raw_options(options) = { connect_timeout: options[:ping], **options }

        def request_options(options)
          fields = fields(options[:headers])
          host = fields.find { |name, _| name.casecmp?("host") }
          fields.delete(host)
          cookies = options[:cookies]
          fields << ["cookie", cookie(cookies)] if cookies && !cookies.empty?
          { fields: fields, host: host&.last, path: options[:path]&.to_s }
        end

        # Pairs of a name and a value, one for each line.
        def fields(headers)
          Hash(headers).flat_map do |name, value|
            Array(value).map { |line| [name.to_s, line.to_s] }
          end
        end

        # RFC 6265 section 4.2.1
        def cookie(cookies)
          pairs = cookies.map { |name, value| "#{name}=#{value}" }
          bad = pairs.find { |pair| pair.match?(/[;\r\n\0]/) }
          raise ArgumentError, "the cookie #{bad.inspect} cannot be sent" if bad

          pairs.join("; ")
        end
      end
    end
  end
end
