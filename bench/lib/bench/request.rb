# frozen_string_literal: true

module Bench
  # The request a scenario sends, stated once and given to wrk as arguments and to Bench::Client as bytes.
  #
  # +body_bytes+ is the size of the body in bytes; +pipeline+ the number of requests a packet; +tls+ whether it goes
  # over TLS.
  Request = Struct.new(:verb, :path, :headers, :body_bytes, :pipeline, :tls, keyword_init: true) do
    def initialize(verb: "GET", path: "/", headers: {}, body_bytes: 0, pipeline: 1, tls: false)
      super
    end

    # One request as it goes over the wire.
    def bytes(port)
      fields = { "Host" => "127.0.0.1:#{port}" }.merge(headers)
      fields["Content-Length"] = body_bytes if body_bytes.positive?
      lines = fields.map { |name, value| "#{name}: #{value}\r\n" }.join
      "#{verb} #{path} HTTP/1.1\r\n#{lines}\r\n#{"x" * body_bytes}"
    end

    # The arguments after `--` that wrk/load.lua expects.
    def script_arguments
      [verb, body_bytes, pipeline].map(&:to_s)
    end

    # On a connection of its own, and quick to answer.
    def self.for_handshakes
      new(path: "/tiny.bin", tls: true, headers: { "Connection" => "close" })
    end

    # With the Host that each client adds these are 20.
    def self.from_browser
      new(path: "/articles/42?page=2", headers: BROWSER_HEADERS)
    end
  end

  BROWSER_HEADERS = {
    "Connection" => "keep-alive",
    "Cache-Control" => "max-age=0",
    "Pragma" => "no-cache",
    "DNT" => "1",
    "Sec-CH-UA" => '"Chromium";v="130", "Not?A_Brand";v="99"',
    "Sec-CH-UA-Mobile" => "?0",
    "Sec-CH-UA-Platform" => '"Linux"',
    "Upgrade-Insecure-Requests" => "1",
    "User-Agent" => "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0",
    "Accept" => "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Sec-Fetch-Site" => "same-origin",
    "Sec-Fetch-Mode" => "navigate",
    "Sec-Fetch-User" => "?1",
    "Sec-Fetch-Dest" => "document",
    "Referer" => "http://127.0.0.1/articles?page=1",
    "Accept-Encoding" => "gzip, deflate, br, zstd",
    "Accept-Language" => "en-GB,en;q=0.9,de;q=0.8",
    "Cookie" => "session=7b3f1c5e9a2d4f60; theme=dark; consent=1; seen=1700000000",
    "If-None-Match" => 'W/"0123456789abcdef0123456789abcdef"'
  }.freeze
end
