# frozen_string_literal: true

# Two listeners, TCP and Unix, of an application that remembers every request it was asked to answer; `GET /seen`
# tells and forgets them. One thread, so that `/seen` comes after whatever was sent before it.
# Argument: the path of the Unix socket.
require "iodine"

seen = Queue.new

app = lambda do |env|
  line = "#{env["REQUEST_METHOD"]} #{env["PATH_INFO"]}"
  text =
    if line == "GET /seen"
      Array.new(seen.size) { seen.pop }.join("\n")
    else
      seen << line
      "#{line} #{env["rack.input"].read.bytesize}"
    end
  [200, { "content-type" => "text/plain" }, [text]]
end

Iodine.threads = 1
Iodine.workers = 1
Iodine.listen(service: :http, address: "127.0.0.1", port: 0, max_body: 1, handler: app)
Iodine.listen(service: :http, address: ARGV.fetch(0), port: 0, max_body: 1, handler: app)
Iodine.start
