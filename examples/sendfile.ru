# frozen_string_literal: true

# Ruby decides who may have a file, iodine sends it: with ranges and conditions, and without a thread that waits.
#
#     bin/serve examples/sendfile.ru -www examples/static_site/public
#     curl -i "http://localhost:3000/download?key=secret"
#     curl -i -r 0-9 "http://localhost:3000/download?key=secret"

require "rack"

FILE = File.expand_path(__FILE__)

run(lambda { |env|
  next [404, { "content-type" => "text/plain" }, ["Not found.\n"]] unless env["PATH_INFO"] == "/download"

  key = Rack::Utils.parse_query(env["QUERY_STRING"])["key"].to_s
  next [403, { "content-type" => "text/plain" }, ["Not for you.\n"]] unless Rack::Utils.secure_compare(key, "secret")

  [200, { "content-type" => "text/plain", "content-disposition" => "attachment; filename=\"example.rb\"",
          "x-sendfile" => FILE }, []]
})
