# frozen_string_literal: true

require "openssl"
require "tmpdir"

module Support
  # For specs of TLS: files with certificates, and the other end of a connection.
  module TLS
    module_function

    # A folder with the files of what was issued: NAME.crt with the chain, NAME.key, and root.crt. Removed after the
    # block.
    def files(root, **issued)
      Dir.mktmpdir("iodine-spec-tls") do |folder|
        write(folder, root, **issued)
        yield folder
      end
    end

    def write(folder, root, **issued)
      File.write(File.join(folder, "root.crt"), root.certificate.to_pem)
      issued.each do |name, one|
        File.write(File.join(folder, "#{name}.crt"), one.pem)
        File.write(File.join(folder, "#{name}.key"), one.key.private_to_pem)
      end
      folder
    end

    # Wraps a connected socket. Options are those of OpenSSL::SSL::SSLContext, and +name+, which is asked for.
    def connect(socket, name: nil, session: nil, **options)
      context = OpenSSL::SSL::SSLContext.new
      { verify_mode: OpenSSL::SSL::VERIFY_NONE, **options }.each do |option, value|
        context.public_send(:"#{option}=", value)
      end
      tls = OpenSSL::SSL::SSLSocket.new(socket, context)
      tls.hostname = name if name
      # A copy: a session that was used may be of no use a second time.
      tls.session = OpenSSL::SSL::Session.new(session.to_der) if session
      tls.sync_close = true
      tls.connect
    end
  end
end
