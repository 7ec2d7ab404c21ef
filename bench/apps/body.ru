# frozen_string_literal: true

# Large String bodies, made once, or anew for each request where the path ends with /fresh.
bodies = { "/1mb" => "x" * 1_048_576, "/3mb" => "x" * 3_145_728 }.freeze

run lambda { |env|
  body = bodies.fetch(env["PATH_INFO"]) { |path| "x" * bodies.fetch(path.delete_suffix("/fresh")).bytesize }
  [200, { "content-type" => "text/plain", "content-length" => body.bytesize.to_s }, [body]]
}
