# frozen_string_literal: true

module Iodine
  module Base
    # What is spoken on a socket, as the options of Iodine.listen and Iodine.connect say it: `:http` or `:raw`, and
    # whether they ask for TLS by its name.
    Service = Struct.new(:name, :secure) do
      # A URL's scheme wins over the name of the service. Raises ArgumentError for a URL that cannot be used.
      def self.of(options)
        name, secure = options[:url] ? Socket.scheme(options[:url].to_s) : nil
        name ? new(name, secure) : named(options[:service].to_s)
      end

      # Only the first letter of the service matters.
      def self.named(name)
        new(name.match?(/\A[hw]/) ? :http : :raw, name.match?(/\A(https\z|wss\z|[^hw]l)/))
      end
      private_class_method :named

      def raw? = name == :raw
    end
  end
end
