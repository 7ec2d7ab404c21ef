# frozen_string_literal: true

# Reads what it is sent, and answers with as many bytes as the path says.
run(lambda do |env|
  received = env["rack.input"]&.read.to_s.bytesize
  wanted = env["PATH_INFO"].delete_prefix("/").to_i
  body = "#{received} ".ljust(wanted, "x")
  [200, { "content-type" => "text/plain", "content-length" => body.bytesize.to_s }, [body]]
end)
