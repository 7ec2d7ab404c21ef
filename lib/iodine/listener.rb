# frozen_string_literal: true

module Iodine
  module Base
    # A listening socket and what is behind it: a Rack application, or what makes handlers of raw connections.
    class Listener
      # Option keys that never come from DEFAULT_SETTINGS.
      NO_DEFAULT = %i[url service body].freeze

      # The Rack application, or the maker of handlers.
      attr_reader :handler
      # Where it was told to listen: `[host or nil, port]`, or `[path, nil]`.
      attr_reader :target

      # Checks the options of Iodine.listen and opens the socket.
      def self.open(given, block)
        defaults = DEFAULT_SETTINGS.reject { |key, _| NO_DEFAULT.include?(key) }
        options = defaults.merge(given.compact)
        handler = options[:handler] || deprecated_app(given) || block
        raise ArgumentError, "a :handler is required." unless handler

        new(options, handler, silence: given[:timeout] || given[:ping])
      end

      def self.deprecated_app(given)
        Log.warning("the :app option of Iodine.listen is deprecated, use :handler") if given[:app]
        given[:app]
      end
      private_class_method :deprecated_app

      # +silence+ is the timeout of raw connections. The defaults are those of HTTP, so they say nothing about it.
      def initialize(options, handler, silence: nil)
        @handler = handler
        @folder = folder(options[:public])
        @sendfile_root = folder(options[:sendfile_root])
        options = options.merge(public: @folder, sendfile_root: @sendfile_root)
        @service = Service.of(options)
        @socket = bind(options, silence, tls(options[:tls], @service.secure))
        Reload.add("the certificates of #{self}", watch: -> { @socket.tls_changed? }) { reload } if secure?
        Log.info("Listening on #{self}")
        Log.info("Serving static files from #{@folder}") if @folder
      rescue SignalException
        # Nobody knows of it yet.
        unlink if @socket
        raise
      end

      # Has +reactor+ accept connections, for a process with so many threads and workers.
      def serve(reactor, threads:, workers:)
        return reactor.listen_raw(@socket, load, @protocols) if @service.raw?

        reactor.listen(@socket, load, environment(threads, workers), @protocols)
      end

      # The application, loaded in this process if that was put off.
      def load = @handler.is_a?(LateHandler) ? @handler.load : @handler

      # Takes no more connections, by whatever means; those of other processes go on.
      def close = @socket.close

      # The descriptor of its socket.
      def descriptor = @socket.descriptors.first

      # In a process forked by the application: lets go of the socket.
      def forget = ProcessFork.let_go(@socket.descriptors)

      # Whether connections are encrypted.
      def secure? = @socket.secure?

      # Reads the certificates again, for connections to come.
      def reload
        reason = @socket.reload_tls
        Log.error("the certificates of #{self} stay as they were: #{reason}") if reason
      end

      # Removes the file of a Unix socket, unless that is somebody else's.
      def unlink = @lent || Upgrade.successor? || @socket.unlink

      def to_s
        host, port = @socket.address
        port ? "port #{port}" : "Unix Socket at #{host}"
      end

      private

      def bind(options, silence, tls)
        place = Place.of(options)
        return open_socket(place, options, tls) unless @service.raw?
        return open_socket(place, options.merge(timeout: silence), tls, :bind_raw) if @handler.respond_to?(:call)

        raise ArgumentError, "the handler of raw connections must have a method call that returns their callbacks, " \
                             "got #{@handler.inspect}"
      end

      # Opens the socket of a place, or takes the one that this process was given for it.
      def open_socket(place, options, tls, way = :bind)
        @target = Socket.target(place)
        inherited = InheritedSockets.take(*@target)
        @lent = InheritedSockets.lent?(inherited)
        Socket.public_send(way, place, options, tls, inherited)
      end

      # What encrypts, if anything does.
      def tls(given, secure)
        raise TypeError, "tls must be an Iodine::TLS, got #{given.inspect}" unless given.nil? || given.is_a?(TLS)

        given ||= TLS.self_signed if secure
        @protocols = given ? given.send(:protocols).to_a : []
        given&.send(:complete)
      end

      # The absolute path of a folder, nil for none. A leading ~/ is the user's home.
      def folder(value)
        value = value.to_path if value.respond_to?(:to_path)
        return unless value.is_a?(String) && !value.empty?

        value.start_with?("~/") ? File.expand_path(value) : File.absolute_path(value)
      end

      # What the environments of all its requests have in common, and a place for what they all have: a Hash that has
      # its keys already is filled faster. Host and port are those of requests without a Host.
      def environment(threads, workers)
        host, port = @socket.address
        {
          "rack.version" => [1, 3].freeze,
          "rack.errors" => $stderr,
          "rack.input" => EmptyInput.new.freeze,
          "rack.multithread" => threads > 1,
          "rack.multiprocess" => workers > 1,
          "rack.run_once" => false,
          "rack.url_scheme" => secure? ? -"https" : -"http",
          "rack.hijack?" => true,
          "rack.upgrade?" => nil,
          "rack.upgrade" => nil,
          "rack.hijack" => nil,
          "rack.response_finished" => nil,
          "REQUEST_METHOD" => -"GET",
          "SCRIPT_NAME" => script_name,
          "PATH_INFO" => nil,
          "QUERY_STRING" => -"",
          "REMOTE_ADDR" => nil,
          "SERVER_PROTOCOL" => -"HTTP/1.1",
          "HTTP_VERSION" => -"HTTP/1.1",
          "SERVER_NAME" => port && host ? -host : -"localhost",
          "SERVER_PORT" => -(port || (secure? ? 443 : 80)).to_s,
          "SERVER_SOFTWARE" => -"iodine/#{VERSION}",
          **(secure? ? { "HTTPS" => -"on" } : {}),
          **sendfile
        }
      end

      # What Rack::Sendfile looks for to let the server send files.
      def sendfile
        return {} unless @folder || @sendfile_root

        { "sendfile.type" => -"X-Sendfile", "HTTP_X_SENDFILE_TYPE" => -"X-Sendfile" }
      end

      def script_name
        name = ENV.fetch("SCRIPT_NAME", "")
        name == "/" ? -"" : -name
      end
    end
  end
end
