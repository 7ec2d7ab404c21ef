# frozen_string_literal: true

module Iodine
  # The Rack handler: `rackup -s iodine`, `rails server -u iodine`, or from Ruby:
  #
  #     Iodine::Rack.run(app, Port: 3000, Host: "127.0.0.1")
  module Rack
    # Tells that the handler is loaded.
    IODINE_RACK_LOADED = true

    class << self
      # Serves +app+ until the server stops, then returns true.
      #
      # Of the options, given as Symbols or Strings, it reads Port and Host; one that is missing is taken from
      # Iodine::DEFAULT_SETTINGS. A block is called with the handler before the server starts.
      #
      # @param app [#call] the Rack application
      # @param options [Hash{Symbol, String => Object}]
      # @yieldparam handler [Module] Iodine::Rack
      # @return [true]
      # @raise [RuntimeError] when the socket cannot be opened
      def run(app, options = {}, **keywords)
        options = options.merge(keywords)
        port, address = %w[Port Host].map { |name| options[name.to_sym] || options[name] }
        Iodine.listen(service: :http, handler: app, port: port, address: address)
        yield self if block_given?
        Iodine.start
        true
      end

      # Stops the server, as Iodine.stop.
      #
      # @return [Module] Iodine
      def shutdown = Iodine.stop

      # Makes the handler known to Rack::Handler (Rack 2) or Rackup::Handler (Rack 3).
      #
      # @param handlers [Module] one of these two
      # @return [void]
      def register_with(handlers)
        %w[iodine Iodine].each { |name| handlers.register(name, self) }
      end
    end

    # Rack is not loaded for this. When it comes later it finds rack/handler/iodine or rackup/handler/iodine.
    register_with(::Rack::Handler) if defined?(::Rack::Handler)
    register_with(::Rackup::Handler) if defined?(::Rackup::Handler)

    # An application that has iodine loaded wants it as its server. Rackup 2 has a variable of its own.
    ENV["RACK_HANDLER"] ||= "iodine"
    ENV["RACKUP_HANDLER"] ||= ENV["RACK_HANDLER"]
  end
end
