# frozen_string_literal: true

# Reads the whole body and answers its length and itself.
run lambda { |env|
  body = env["rack.input"].read
  answer = "#{body.bytesize}\n#{body}"
  [200, { "content-type" => "text/plain", "content-length" => answer.bytesize.to_s }, [answer]]
}
