# frozen_string_literal: true

# HTTP over TLS, by a certificate that is made on the spot:
#
#     ruby -Ilib examples/tls.rb
#     curl --insecure https://localhost:3443/
#
# With certificates of your own, one for each name: ruby -Ilib examples/tls.rb chain.pem key.pem [chain.pem key.pem ...]

require "iodine"

tls = ARGV.empty? ? Iodine::TLS.self_signed : Iodine::TLS.new
ARGV.each_slice(2) { |certificate, key| tls.use_certificate(nil, certificate, key) }

Iodine.listen(service: :http, port: ENV.fetch("PORT", "3443"), tls: tls) do |env|
  [200, { "content-type" => "text/plain" }, ["Hello over #{env["rack.url_scheme"]}\n"]]
end
Iodine.start
