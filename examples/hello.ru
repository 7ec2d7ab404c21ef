# frozen_string_literal: true

# The smallest Rack application: `bin/serve` serves it when no other is named.
#
#   bin/serve examples/hello.ru -p 3000
#   curl http://localhost:3000/

body = "Hello, world!\n"
headers = { "content-type" => "text/plain; charset=utf-8", "content-length" => body.bytesize.to_s }

run ->(_env) { [200, headers.dup, [body]] }
