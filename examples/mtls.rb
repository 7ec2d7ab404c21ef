# frozen_string_literal: true

# Clients have to prove who they are. This makes an authority, and a certificate for a client, in a temporary folder,
# and says how to use them:
#
#     ruby -Ilib examples/mtls.rb

require "iodine"
require "fileutils"
require "openssl"
require "tmpdir"

folder = Dir.mktmpdir("iodine-mtls")
at_exit { FileUtils.rm_rf(folder) if Iodine.master? }

# A certificate for +key+, signed by +authority_key+.
sign = lambda do |name, key, issuer, authority_key, authority: false|
  certificate = OpenSSL::X509::Certificate.new
  certificate.version = 2
  certificate.serial = rand(1 << 60)
  certificate.subject = OpenSSL::X509::Name.new([["CN", name]])
  certificate.issuer = issuer || certificate.subject
  certificate.public_key = key
  certificate.not_before = Time.now - 60
  certificate.not_after = Time.now + 3600
  factory = OpenSSL::X509::ExtensionFactory.new
  certificate.add_extension(factory.create_extension("basicConstraints", "CA:#{authority ? "TRUE" : "FALSE"}", true))
  certificate.sign(authority_key, "SHA256")
end

authority_key, client_key = Array.new(2) { OpenSSL::PKey::EC.generate("prime256v1") }
authority = sign.call("Example Authority", authority_key, nil, authority_key, authority: true)
client = sign.call("alice", client_key, authority.subject, authority_key)
{ "authority.pem" => authority.to_pem, "alice.pem" => client.to_pem + client_key.private_to_pem }.each do |name, text|
  File.write(File.join(folder, name), text)
end

tls = Iodine::TLS.self_signed.trust(File.join(folder, "authority.pem"))
Iodine.listen(service: :http, port: ENV.fetch("PORT", "3443"), tls: tls) do |env|
  [200, { "content-type" => "text/plain" }, ["Hello #{env["SSL_CLIENT_S_DN"]} (#{env["SSL_CLIENT_FINGERPRINT"]})\n"]]
end
$stdout.sync = true
puts "Try: curl --insecure --cert #{folder}/alice.pem https://localhost:#{ENV.fetch("PORT", "3443")}/"
Iodine.start
