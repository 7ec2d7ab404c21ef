# frozen_string_literal: true

require "fileutils"
require "openssl"
require "tmpdir"

module Bench
  # The certificate that servers show: made once, removed at the end.
  module Certificates
    class << self
      def certificate = File.join(folder, "own.crt")
      def key = File.join(folder, "own.key")

      private

      # Readable for the account that a server changes to.
      def folder
        @folder ||= Dir.mktmpdir("bench-tls").tap do |folder|
          at_exit { FileUtils.rm_rf(folder) }
          File.chmod(0o755, folder)
          key = OpenSSL::PKey::EC.generate("prime256v1")
          File.write(File.join(folder, "own.key"), key.private_to_pem)
          File.write(File.join(folder, "own.crt"), sign(key).to_pem)
        end
      end

      def sign(key)
        certificate = OpenSSL::X509::Certificate.new
        certificate.version = 2
        certificate.serial = 1
        certificate.subject = certificate.issuer = OpenSSL::X509::Name.new([%w[CN localhost]])
        certificate.public_key = key
        certificate.not_before = Time.now - 3600
        certificate.not_after = Time.now + (24 * 3600)
        certificate.sign(key, "SHA256")
      end
    end
  end
end
