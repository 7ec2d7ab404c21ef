# frozen_string_literal: true

# A site of files, with one address that is computed. The files never reach Ruby:
#
#     bin/serve examples/static_site/config.ru -www examples/static_site/public
#     curl -i http://localhost:3000/
#     curl -i http://localhost:3000/time
#
# In a folder that has no config.ru, `iodine -www FOLDER` serves files alone.

run(lambda { |env|
  next [404, { "content-type" => "text/plain" }, ["There is no #{env["PATH_INFO"]}.\n"]] if env["PATH_INFO"] != "/time"

  [200, { "content-type" => "text/plain", "cache-control" => "no-store" }, ["#{Time.now.utc}\n"]]
})
