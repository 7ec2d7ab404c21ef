# frozen_string_literal: true

# Large String bodies, made once: what is measured is how often the server copies them.
bodies = { "/1mb" => "x" * 1_048_576, "/3mb" => "x" * 3_145_728 }.freeze

run lambda { |env|
  body = bodies.fetch(env["PATH_INFO"])
  [200, { "content-type" => "text/plain", "content-length" => body.bytesize.to_s }, [body]]
}
