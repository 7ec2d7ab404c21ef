# frozen_string_literal: true

require "socket"

module Iodine
  # What to encrypt by: certificates to show, and authorities to verify the other side by.
  #
  #     tls = Iodine::TLS.new("example.com", "chain.pem", "key.pem")
  #     Iodine.listen(service: :http, port: 443, handler: app, tls: tls)
  #
  # Files are PEM, and are read at once: what is wrong with one raises Iodine::TLS::Error, whose message names it. They
  # are read again on SIGHUP (docs/tls.md).
  class TLS
    # A certificate, a key or a list of authorities cannot be used.
    class Error < ArgumentError; end

    # Whether TLS can be used: always. It could be missing from iodine 0.7.
    SUPPORTED = true

    # Without arguments there is no certificate yet; otherwise as #use_certificate.
    #
    # @param arguments [Array<String, nil>] server name, certificate, private key, password
    # @param keywords [Hash{Symbol => String, nil}] the same by name
    # @raise [Iodine::TLS::Error, TypeError, ArgumentError] as #use_certificate
    def initialize(*arguments, **keywords)
      @settings = Base::TLSSettings.new
      @protocols = {}
      use_certificate(*arguments, **keywords) unless arguments.empty? && keywords.empty?
    end

    # A copy is a configuration of its own: what is added to one of them is not added to the other.
    def initialize_copy(_original)
      super
      @settings = settings.copy
      @protocols = @protocols.dup
    end

    # Adds a certificate that a server shows.
    #
    # [server_name] a name that clients ask for (SNI), in addition to those in the certificate: a host name, or `*.` and
    #   a host name; nil is none
    # [certificate] path of a PEM file: the certificate, and behind it those that lead to its authority
    # [private_key] path of a PEM file: PKCS#8, PKCS#1 or SEC1; nil when it is in the file of the certificate
    # [password] of an encrypted key (PKCS#8 with PBES2); nil for none
    #
    # With a server name alone, a certificate that vouches for itself is made for it. It is kept in memory alone.
    #
    # Clients that ask for no name, or for one that no certificate is for, are shown the first one.
    #
    # @param arguments [Array<String, nil>] these, in this order
    # @param keywords [Hash{Symbol => String, nil}] or by name
    # @return [self]
    # @raise [TypeError] for anything but Strings
    # @raise [ArgumentError] for too few or too many of them
    # @raise [Iodine::TLS::Error] when the name cannot be in a certificate, a file cannot be read or is damaged, or the
    #   key does not belong to the certificate
    # @raise [FrozenError] when it is frozen, as #trust and #on_protocol do
    def use_certificate(*arguments, **keywords)
      name, certificate, key, password = certificate_arguments(arguments, keywords)
      settings = settings_to_change
      settings.check_name(name) if name
      if certificate
        settings.add_files(name, path(certificate), path(key || certificate), password)
      elsif name && key.nil?
        settings.add_self_signed([name])
      else
        raise ArgumentError, "a certificate is missing: give its file, or a server name to make one for"
      end
      self
    end
    alias add_cert use_certificate

    # Adds the authorities in a PEM file. A server then demands a certificate of each client, and refuses those whose
    # certificate leads to none of them; a client (Iodine.connect) verifies servers by them, and not by those of the
    # system. Revocation lists in the file (X509 CRL) are obeyed.
    #
    # @param pem_file [String] its path
    # @return [self]
    # @raise [TypeError] unless given a String
    # @raise [Iodine::TLS::Error] when the file cannot be used
    def trust(pem_file)
      raise TypeError, "the path of a PEM file must be a String, got #{pem_file.inspect}" unless path?(pem_file)

      settings_to_change.add_trust(path(pem_file))
      self
    end

    # Lets clients of a server choose a protocol by that name (ALPN, RFC 7301). The block is called for each connection
    # whose client does, and returns the object with the callbacks of a raw connection, or nil to close it. All others
    # go on to the handler of Iodine.listen, which for HTTP has the names `http/1.1` and `http/1.0`.
    #
    #     tls.on_protocol("chat/1") { ChatConnection.new }
    #
    # A raw client (Iodine.connect) offers the names, in their order. When the server takes one, the block makes the
    # handler, in place of that of Iodine.connect. WebSockets offer `http/1.1` alone.
    #
    # @param name [String] of 1 to 255 bytes
    # @yieldreturn [Object, nil] the object with the callbacks
    # @return [self]
    # @raise [TypeError] unless given a String
    # @raise [ArgumentError] for a name of another length, or one that is taken, and without a block
    def on_protocol(name, &block)
      raise TypeError, "the name of a protocol must be a String, got #{name.inspect}" unless name.is_a?(String)
      raise ArgumentError, "no block given (Iodine::TLS#on_protocol)" unless block
      raise ArgumentError, "the name of a protocol has 1 to 255 bytes" unless (1..255).cover?(name.bytesize)
      raise ArgumentError, "#{name} is taken" if @protocols.key?(name) || HTTP.include?(name)

      settings_to_change.add_protocol(name)
      @protocols[name.encode(Encoding::UTF_8).freeze] = block
      self
    end

    # Whether a client (Iodine.connect) verifies who answers; true. False is for development: whoever sits between the
    # two reads all and changes what he likes. Each use of it is logged.
    #
    # @param wanted [Boolean]
    def verify=(wanted)
      settings_to_change.verify = wanted ? true : false
    end

    # @return [Boolean] as it was set; true unless it was
    def verify? = settings.verify?

    # Nothing of it is for the log.
    #
    # @return [String]
    def inspect = "#<#{self.class}>"

    # One whose certificate vouches for itself, for development: for the name of this machine, and for localhost.
    #
    # @return [Iodine::TLS]
    def self.self_signed = new.tap { |tls| tls.send(:sign_for_this_machine) }

    private

    attr_reader :protocols

    def settings = @settings || raise(Error, "uninitialized #{self.class}: its initialize has not called super")

    def settings_to_change
      raise FrozenError.new("can't modify frozen #{self.class}: #{inspect}", receiver: self) if frozen?

      settings
    end

    def settings_of_client = Base::TLSClients.add(settings)

    # Gives a server that has no certificate one.
    def complete
      return settings if settings.certificate?

      Base::Log.warning("an Iodine::TLS without a certificate makes one, which no client trusts")
      sign_for_this_machine
      settings
    end

    def sign_for_this_machine
      settings.add_self_signed([::Socket.gethostname, "localhost", "127.0.0.1", "::1"].reject(&:empty?).uniq)
    end

    def certificate_arguments(arguments, keywords)
      return certificate_arguments([], arguments.first) if arguments in [Hash]

      raise ArgumentError, "wrong number of arguments (given #{arguments.size}, expected 1..4)" if
        arguments.size > 4 || (arguments.empty? && keywords.empty?)

      given = KEYWORDS.zip(arguments).to_h.merge(keywords) do |name, former, latter|
        former.nil? ? latter : raise(ArgumentError, "#{name} is given twice")
      end
      unknown = given.keys - KEYWORDS
      raise ArgumentError, "unknown keyword: #{unknown.first.inspect}" unless unknown.empty?

      given.each { |name, value| check_text(name, value) }.values_at(*KEYWORDS)
    end

    def check_text(name, value)
      return if value.nil? || value.is_a?(String) || (%i[certificate private_key].include?(name) && path?(value))

      raise TypeError, "#{name} must be a String, got #{value.class}"
    end

    def path?(value) = value.is_a?(String) || value.respond_to?(:to_path)

    # Absolute, because it is read again later.
    def path(value)
      path = value.respond_to?(:to_path) ? value.to_path : value
      raise Error, "the path of a PEM file is empty" if path.empty?

      File.expand_path(path)
    end

    HTTP = %w[http/1.1 http/1.0].freeze
    KEYWORDS = %i[server_name certificate private_key password].freeze
    private_constant :HTTP, :KEYWORDS
  end
end
