# frozen_string_literal: true

require "openssl"

module Support
  # Issues certificates. Nothing of it outlives the specs.
  class Authority
    # A certificate, its key, and the certificates between it and the root.
    Issued = Struct.new(:certificate, :key, :authorities, keyword_init: true) do
      def pem = [certificate, *authorities].map(&:to_pem).join
      def fingerprint = OpenSSL::Digest::SHA256.hexdigest(certificate.to_der)
    end

    DAY = 24 * 3600
    # Makes a key of each kind.
    KEYS = { ec: -> { OpenSSL::PKey::EC.generate("prime256v1") }, rsa: -> { OpenSSL::PKey::RSA.new(2048) } }.freeze

    @serial = 0
    class << self
      def next_serial = @serial += 1
    end

    attr_reader :certificate

    # A root, or an authority below +parent+.
    def initialize(name = "Test Root", parent: nil)
      @parent = parent
      @key = KEYS[:ec].call
      @certificate = (parent || self).sign(name, @key, authority: true, from: Time.now - DAY, to: Time.now + DAY)
    end

    # A certificate for these names; the first one is its subject's too. +purpose+ is what extendedKeyUsage says:
    # "clientAuth", say.
    def issue(*names, key: :ec, from: Time.now - DAY, to: Time.now + DAY, purpose: nil)
      key = KEYS.fetch(key).call
      certificate = sign(names.first, key, names: names, from: from, to: to, purpose: purpose)
      Issued.new(certificate: certificate, key: key, authorities: chain)
    end

    # A certificate that vouches for itself.
    def self.self_signed(name)
      new(name).then { |authority| Issued.new(certificate: authority.certificate, key: authority.key, authorities: []) }
    end

    # What an OpenSSL client verifies by.
    def store = OpenSSL::X509::Store.new.tap { |store| store.add_cert(@certificate) }

    # A list that revokes what was issued.
    def revoke(*issued)
      list = OpenSSL::X509::CRL.new
      list.issuer = @certificate.subject
      list.version = 1
      list.last_update = Time.now - DAY
      list.next_update = Time.now + DAY
      issued.each do |one|
        list.add_revoked(OpenSSL::X509::Revoked.new.tap do |revoked|
          revoked.serial = one.certificate.serial
          revoked.time = Time.now - 60
        end)
      end
      list.add_extension(OpenSSL::X509::Extension.new("crlNumber", OpenSSL::ASN1::Integer(1)))
      list.sign(@key, "SHA256")
    end

    # The authorities between a certificate of this one and the root.
    def chain = @parent ? [@certificate, *@parent.chain] : []

    # Used among authorities, and by ::self_signed.
    attr_reader :key

    def sign(name, key, from:, to:, names: [], authority: false, purpose: nil)
      certificate = OpenSSL::X509::Certificate.new
      certificate.version = 2
      certificate.serial = Authority.next_serial
      certificate.subject = OpenSSL::X509::Name.new({ "O" => "Iodine", "CN" => name }.to_a)
      certificate.issuer = @certificate&.subject || certificate.subject
      certificate.public_key = key
      certificate.not_before = from
      certificate.not_after = to
      extend_certificate(certificate, names, authority, purpose)
      certificate.sign(@key, "SHA256")
    end

    private

    def extend_certificate(certificate, names, authority, purpose)
      factory = OpenSSL::X509::ExtensionFactory.new(@certificate || certificate, certificate)
      certificate.add_extension(factory.create_extension("basicConstraints", "CA:#{authority.to_s.upcase}", true))
      usage = authority ? "keyCertSign,cRLSign" : "digitalSignature"
      certificate.add_extension(factory.create_extension("keyUsage", usage, true))
      certificate.add_extension(factory.create_extension("extendedKeyUsage", purpose)) if purpose
      return if names.empty?

      alternatives = names.map { |one| one.match?(/\A[\d.]+\z|::/) ? "IP:#{one}" : "DNS:#{one}" }
      certificate.add_extension(factory.create_extension("subjectAltName", alternatives.join(",")))
    end
  end
end
