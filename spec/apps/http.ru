# frozen_string_literal: true

# What the HTTP suite asks for: bodies and their digests, statuses, slow answers.
require "digest"

text = { "content-type" => "text/plain" }

digest = lambda do |input|
  sum = Digest::SHA256.new
  size = 0
  while (part = input.read(16_384))
    sum << part
    size += part.bytesize
  end
  "#{size} #{sum.hexdigest}"
end

run(lambda do |env|
  case env["PATH_INFO"]
  when "/echo" then [200, text, [env["rack.input"].read]]
  when "/digest" then [200, text, [digest.call(env["rack.input"])]]
  when "/trailer" then [200, text, [env.key?("HTTP_X_TRAILER").to_s, env["rack.input"].read]]
  when "/unread" then [200, text, ["unread"]]
  when "/slow"
    sleep 0.05
    [200, text, ["slow #{env["QUERY_STRING"]}"]]
  when "/very-slow"
    sleep 2.5
    [200, text, ["at last"]]
  when %r{\A/status/(\d+)\z} then [Regexp.last_match(1).to_i, {}, ["no body is allowed here"]]
  when "/close" then [200, text.merge("connection" => "close"), ["closing"]]
  when "/stream" then [200, text, Enumerator.new { |out| 3.times { |part| out << "part #{part};" } }]
  when "/capitals" then [200, { "Content-Type" => "text/plain", "X-Some-Field" => "Some Value" }, ["capitals"]]
  else
    fields = %w[REQUEST_METHOD PATH_INFO QUERY_STRING SERVER_PROTOCOL HTTP_HOST]
    [200, text, [env.values_at(*fields).inspect]]
  end
end)
