# frozen_string_literal: true

# Requests that must be refused, and the nearest ones that must not. Read by requests_spec.rb.
#
# A row is a name, the status (or those allowed), and the bytes. The spec appends SMUGGLED to each, so a server that
# guesses a shorter request would find a second one.
module Refusals
  SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n"
  KIB = 1024
  # One header line, the request line included; the whole block; the number of fields.
  LINE = 8 * KIB
  BLOCK = 32 * KIB
  FIELDS = 128
  # The recorder listens with `max_body: 1`.
  BODY = KIB * KIB

  module_function

  # A request with one Host field and the given field lines.
  def get(*lines) = "#{["GET /refused HTTP/1.1", "Host: a.test", *lines].join("\r\n")}\r\n\r\n"

  # The same with a body of five bytes, or the one given.
  def post(*lines, body: "hello") = "#{["POST /refused HTTP/1.1", "Host: a.test", *lines].join("\r\n")}\r\n\r\n#{body}"

  def chunked(body) = post("Transfer-Encoding: chunked", body: body)

  # A chunked body with nothing wrong before its trailers.
  def trailers(text) = chunked("5\r\nhello\r\n0\r\n#{text}")

  # A request whose request line is this.
  def line(text) = "#{text}\r\nHost: a.test\r\n\r\n"

  def target(text) = line("GET #{text} HTTP/1.1")

  # A field line of exactly +size+ bytes without its CRLF.
  def field(name, size) = "#{name}: ".ljust(size, "v")

  EMPTY_CHUNKED = "0\r\n\r\n"

  REFUSED = [
    # Body length, RFC 9112 section 6.3, and the shapes of request smuggling.
    ["Content-Length before Transfer-Encoding", 400,
     post("Content-Length: 5", "Transfer-Encoding: chunked", body: EMPTY_CHUNKED)],
    ["Transfer-Encoding before Content-Length", 400,
     post("Transfer-Encoding: chunked", "Content-Length: 5", body: EMPTY_CHUNKED)],
    ["Content-Length 0 with Transfer-Encoding", 400,
     post("Content-Length: 0", "Transfer-Encoding: chunked", body: EMPTY_CHUNKED)],
    ["Content-Length with an unknown transfer coding", [400, 501],
     post("Content-Length: 5", "Transfer-Encoding: gzip, chunked")],
    ["Content-Length twice, different", 400, post("Content-Length: 5", "Content-Length: 6")],
    ["Content-Length twice, equal", 400, post("Content-Length: 5", "Content-Length: 5")],
    ["Content-Length twice, one of them 0", 400, post("Content-Length: 0", "Content-Length: 5")],
    ["Content-Length twice, not adjacent, in other case", 400,
     post("Content-Length: 5", "X-Between: 1", "CONTENT-LENGTH: 6")],
    ["Content-Length +5", 400, post("Content-Length: +5")],
    ["Content-Length -5", 400, post("Content-Length: -5")],
    ["Content-Length -0", 400, post("Content-Length: -0")],
    ["Content-Length 0x5", 400, post("Content-Length: 0x5")],
    ["Content-Length 5, 5", 400, post("Content-Length: 5, 5")],
    ["Content-Length 5,", 400, post("Content-Length: 5,")],
    ["Content-Length 5 5", 400, post("Content-Length: 5 5")],
    ["Content-Length 0_5", 400, post("Content-Length: 0_5")],
    ["Content-Length 5.0", 400, post("Content-Length: 5.0")],
    ["Content-Length 5e0", 400, post("Content-Length: 5e0")],
    ["Content-Length 5;", 400, post("Content-Length: 5;")],
    ["Content-Length in quotes", 400, post('Content-Length: "5"')],
    ["Content-Length of letters", 400, post("Content-Length: five")],
    ["Content-Length of non-ASCII digits", 400, post("Content-Length: \u0665")],
    ["Content-Length after a vertical tab", 400, post("Content-Length: \v5")],
    ["Content-Length empty", 400, post("Content-Length:")],
    ["Content-Length only blanks", 400, post("Content-Length:   ")],
    ["Content-Length over 64 bits, 5 when cut", [400, 413], post("Content-Length: 18446744073709551621")],
    ["Content-Length of 400 digits", [400, 413], post("Content-Length: #{"9" * 400}")],
    ["Transfer-Encoding on HTTP/1.0", 400,
     "POST /refused HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    ["Transfer-Encoding identity", 400, post("Transfer-Encoding: identity")],
    ["Transfer-Encoding gzip", 400, post("Transfer-Encoding: gzip")],
    ["Transfer-Encoding gzip, chunked", 501, post("Transfer-Encoding: gzip, chunked", body: EMPTY_CHUNKED)],
    ["Transfer-Encoding gzip and chunked in two lines", [400, 501],
     post("Transfer-Encoding: gzip", "Transfer-Encoding: chunked", body: EMPTY_CHUNKED)],
    ["Transfer-Encoding chunked, gzip", 400, post("Transfer-Encoding: chunked, gzip", body: EMPTY_CHUNKED)],
    ["Transfer-Encoding chunked, identity", 400, post("Transfer-Encoding: chunked, identity", body: EMPTY_CHUNKED)],
    ["Transfer-Encoding chunked, chunked", 400, post("Transfer-Encoding: chunked, chunked", body: EMPTY_CHUNKED)],
    ["Transfer-Encoding chunked twice", 400,
     post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body: EMPTY_CHUNKED)],
    ["Transfer-Encoding chunked and identity in two lines", 400,
     post("Transfer-Encoding: chunked", "Transfer-Encoding: identity", body: EMPTY_CHUNKED)],
    ["Transfer-Encoding chunked,", 400, post("Transfer-Encoding: chunked,", body: EMPTY_CHUNKED)],
    ["Transfer-Encoding ,chunked", 400, post("Transfer-Encoding: ,chunked", body: EMPTY_CHUNKED)],
    ["Transfer-Encoding empty", 400, post("Transfer-Encoding:", body: EMPTY_CHUNKED)],
    ["Transfer-Encoding xchunked", 400, post("Transfer-Encoding: xchunked", body: EMPTY_CHUNKED)],
    ["Transfer-Encoding chunkedx", 400, post("Transfer-Encoding: chunkedx", body: EMPTY_CHUNKED)],
    ["Transfer-Encoding chunk ed", 400, post("Transfer-Encoding: chunk ed", body: EMPTY_CHUNKED)],
    ["Transfer-Encoding in quotes", 400, post('Transfer-Encoding: "chunked"', body: EMPTY_CHUNKED)],
    ["Transfer-Encoding with a parameter", [400, 501],
     post("Transfer-Encoding: chunked;q=1", body: EMPTY_CHUNKED)],
    ["Transfer-Encoding after a vertical tab", 400, post("Transfer-Encoding: \vchunked", body: EMPTY_CHUNKED)],
    ["Transfer-Encoding with a non-breaking space", 400,
     post("Transfer-Encoding: \u00a0chunked", body: EMPTY_CHUNKED)],

    # Fields, RFC 9112 section 5.
    ["space before the colon of Content-Length", 400, post("Content-Length : 5")],
    ["space before the colon of Transfer-Encoding", 400, post("Transfer-Encoding : chunked", body: EMPTY_CHUNKED)],
    ["tab before a colon", 400, get("X-Tab\t: 1")],
    ["space before the first field", 400, "GET /refused HTTP/1.1\r\n X: 1\r\nHost: a.test\r\n\r\n"],
    ["obs-fold by a space", 400, get("X-Fold: one", " two")],
    ["obs-fold by a tab", 400, get("X-Fold: one", "\ttwo")],
    ["obs-fold that hides Transfer-Encoding", 400,
     post("Transfer-Encoding:", " chunked", "Content-Length: 5", body: EMPTY_CHUNKED)],
    ["field without a colon", 400, get("no colon")],
    ["field without a name", 400, get(": value")],
    ["field name with a space", 400, get("X Y: 1")],
    ["field name with a control byte", 400, get("X\x01Y: 1")],
    ["field name with a parenthesis", 400, get("X(Y): 1")],
    ["field name with a byte over 127", 400, get("X\u00e9: 1")],
    ["field value with a control byte", 400, get("X: a\x01b")],
    ["field value with DEL", 400, get("X: a\x7fb")],
    ["NUL in a field name", 400, get("X\0Y: 1")],
    ["NUL in a field value", 400, get("X: a\0b")],
    ["NUL after Content-Length", 400, post("Content-Length: 5\0")],
    ["bare CR in a field value", 400, get("X: a\rb")],
    ["bare CR as a line end before Content-Length", 400, post("X: a\rContent-Length: 5")],
    ["bare CR before CRLF", 400, get("X: a\r")],
    ["bare CR as the empty line", 400, "GET /refused HTTP/1.1\r\nHost: a.test\r\n\r\r\n"],
    ["LF-only lines", 400, "GET /refused HTTP/1.1\nHost: a.test\n\n"],
    ["LF after the request line", 400, "GET /refused HTTP/1.1\nHost: a.test\r\n\r\n"],
    ["LF after a field", 400, "GET /refused HTTP/1.1\r\nHost: a.test\nX: 1\r\n\r\n"],
    ["LF in a field value before Content-Length", 400, post("X: a\nContent-Length: 5")],
    ["LF as the empty line", 400, "GET /refused HTTP/1.1\r\nHost: a.test\r\n\n"],

    # Host, RFC 9112 section 3.2.
    ["no Host", 400, "GET /refused HTTP/1.1\r\nX: 1\r\n\r\n"],
    ["no field at all", 400, "GET /refused HTTP/1.1\r\n\r\n"],
    ["no Host with absolute-form", 400, "GET http://a.test/refused HTTP/1.1\r\n\r\n"],
    ["two Hosts, different", 400, get("Host: b.test")],
    ["two Hosts, equal", 400, get("Host: a.test")],
    ["two Hosts on HTTP/1.0", 400, "GET /refused HTTP/1.0\r\nHost: a.test\r\nHost: b.test\r\n\r\n"],
    ["Host with a space", 400, "GET /refused HTTP/1.1\r\nHost: a b\r\n\r\n"],
    ["Host with a path", 400, "GET /refused HTTP/1.1\r\nHost: a.test/b\r\n\r\n"],
    ["Host with a list", 400, "GET /refused HTTP/1.1\r\nHost: a.test, b.test\r\n\r\n"],
    ["Host with user information", 400, "GET /refused HTTP/1.1\r\nHost: user@a.test\r\n\r\n"],
    ["Host with a port of letters", 400, "GET /refused HTTP/1.1\r\nHost: a.test:http\r\n\r\n"],
    ["Host with an open bracket", 400, "GET /refused HTTP/1.1\r\nHost: [::1\r\n\r\n"],

    # Chunked bodies, RFC 9112 section 7.1.
    ["chunk size 0x5", 400, chunked("0x5\r\nhello\r\n0\r\n\r\n")],
    ["chunk size +5", 400, chunked("+5\r\nhello\r\n0\r\n\r\n")],
    ["chunk size -5", 400, chunked("-5\r\nhello\r\n0\r\n\r\n")],
    ["chunk size 5 x", 400, chunked("5 x\r\nhello\r\n0\r\n\r\n")],
    ["chunk size with a space before it", 400, chunked(" 5\r\nhello\r\n0\r\n\r\n")],
    ["chunk size with an underscore", 400, chunked("0_5\r\nhello\r\n0\r\n\r\n")],
    ["chunk size of letters", 400, chunked("xyz\r\nhello\r\n0\r\n\r\n")],
    ["chunk size empty", 400, chunked("\r\nhello\r\n0\r\n\r\n")],
    ["chunk size empty with an extension", 400, chunked(";a=b\r\nhello\r\n0\r\n\r\n")],
    ["chunk size over 64 bits, 5 when cut", [400, 413], chunked("10000000000000005\r\nhello\r\n0\r\n\r\n")],
    ["chunk size of 64 bits", [400, 413], chunked("ffffffffffffffff\r\nhello\r\n0\r\n\r\n")],
    ["chunk size of 63 bits", 413, chunked("7fffffffffffffff\r\nhello\r\n0\r\n\r\n")],
    ["chunk size of endless zeros", 400, chunked("#{"0" * 16 * KIB}5\r\nhello\r\n0\r\n\r\n")],
    ["chunk size ended by LF", 400, chunked("5\nhello\r\n0\r\n\r\n")],
    ["chunk size ended by CR", 400, chunked("5\rhello\r\n0\r\n\r\n")],
    ["chunk extension that never ends", [400, 413, 431], chunked("5#{";a=b" * 16 * KIB}")],
    ["chunk extensions beyond any sense in sum", [400, 413, 431],
     chunked("#{"1;#{"e" * 500}\r\nx\r\n" * 200}0\r\n\r\n")],
    ["LF inside a chunk extension", 400, chunked("5;a=\nb\r\nhello\r\n0\r\n\r\n")],
    ["chunk extension ended by LF", 400, chunked("5;a=b\nhello\r\n0\r\n\r\n")],
    ["bare CR inside a chunk extension", 400, chunked("5;a=\rb\r\nhello\r\n0\r\n\r\n")],
    ["NUL inside a chunk extension", 400, chunked("5;a=\0\r\nhello\r\n0\r\n\r\n")],
    ["data longer than its chunk", 400, chunked("5\r\nhello!\r\n0\r\n\r\n")],
    ["data much longer than its chunk", 400, chunked("5\r\nhello#{"!" * 200}\r\n0\r\n\r\n")],
    ["chunk data not ended", 400, chunked("5\r\nhello0\r\n\r\n")],
    ["chunk data ended by LF", 400, chunked("5\r\nhello\n0\r\n\r\n")],
    ["chunk data ended by CR", 400, chunked("5\r\nhello\r0\r\n\r\n")],
    ["last chunk ended by LF", 400, chunked("0\n\r\n")],
    ["empty line after the last chunk is LF", 400, chunked("0\r\n\n")],
    ["trailer without a colon", 400, trailers("no colon\r\n\r\n")],
    ["trailer with a space before the colon", 400, trailers("X : 1\r\n\r\n")],
    ["trailer with an empty name", 400, trailers(": 1\r\n\r\n")],
    ["trailer with obs-fold", 400, trailers("X: 1\r\n 2\r\n\r\n")],
    ["trailer with NUL", 400, trailers("X: \0\r\n\r\n")],
    ["trailer with a bare CR", 400, trailers("X: a\rb\r\n\r\n")],
    ["trailer ended by LF", 400, trailers("X: 1\n\r\n")],
    ["trailer line too long", [400, 413, 431], trailers("#{field("X", LINE + 2)}\r\n\r\n")],
    ["too many trailers", [400, 413, 431], trailers("#{"X: 1\r\n" * (FIELDS + 1)}\r\n")],

    # Request line, RFC 9112 section 3, and version, RFC 9110 section 2.5.
    ["no version", 400, line("GET /refused")],
    ["no target", 400, line("GET HTTP/1.1")],
    ["method alone", 400, line("GET")],
    ["space before the method", 400, line(" GET /refused HTTP/1.1")],
    ["two spaces after the method", 400, line("GET  /refused HTTP/1.1")],
    ["two spaces before the version", 400, line("GET /refused  HTTP/1.1")],
    ["space after the version", 400, line("GET /refused HTTP/1.1 ")],
    ["tabs for spaces", 400, line("GET\t/refused\tHTTP/1.1")],
    ["text after the version", 400, line("GET /refused HTTP/1.1 HTTP/1.1")],
    ["method with a delimiter", 400, line("G@T /refused HTTP/1.1")],
    ["method with a control byte", 400, line("G\x01T /refused HTTP/1.1")],
    ["method with NUL", 400, line("GET\0 /refused HTTP/1.1")],
    ["method of bytes over 127", 400, line("G\u00c9T /refused HTTP/1.1")],
    ["TLS client hello", 400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"],
    ["bare CR in the request line", 400, line("GET /refused\r HTTP/1.1")],
    ["target with a space", 400, target("/a b")],
    ["target with NUL", 400, target("/a\0b")],
    ["target with a control byte", 400, target("/a\x1fb")],
    ["target with DEL", 400, target("/a\x7fb")],
    ["target without a slash", 400, target("refused")],
    ["asterisk-form for GET", 400, target("*")],
    ["absolute-form without a host", 400, target("http:///refused")],
    ["CONNECT", [405, 501], line("CONNECT a.test:443 HTTP/1.1")],
    ["lower-case version", [400, 505], line("GET /refused http/1.1")],
    ["version HTTP/0.9", 505, line("GET /refused HTTP/0.9")],
    ["version HTTP/1.2", 505, line("GET /refused HTTP/1.2")],
    ["version HTTP/2.0", 505, line("GET /refused HTTP/2.0")],
    ["HTTP/2 preface", [400, 505], "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["version HTTP/1", [400, 505], line("GET /refused HTTP/1")],
    ["version HTTP/1.10", [400, 505], line("GET /refused HTTP/1.10")],
    ["version HTTP/01.1", [400, 505], line("GET /refused HTTP/01.1")],
    ["version HTTP/1.1x", [400, 505], line("GET /refused HTTP/1.1x")],
    ["version HTTP/+1.1", [400, 505], line("GET /refused HTTP/+1.1")],
    ["version HTTPS/1.1", [400, 505], line("GET /refused HTTPS/1.1")],

    # Percent-encoding, RFC 3986 section 2.1.
    ["percent sign at the end", 400, target("/a%")],
    ["percent sign with one digit", 400, target("/a%4")],
    ["percent sign with one digit before a slash", 400, target("/a%4/b")],
    ["percent sign with letters", 400, target("/a%zz")],
    ["percent sign twice", 400, target("/a%%41")],
    ["percent sign before the query", 400, target("/a%?b")],
    ["percent sign with +1", 400, target("/a%+1")],
    ["malformed percent-encoding in the query", 400, target("/a?b=%zz&c")],
    ["percent sign at the end of the query", 400, target("/a?b=100%")],
    ["malformed percent-encoding in absolute-form", 400, target("http://a.test/a%4")],

    # Limits.
    ["request line too long", 414, target("/#{"a" * LINE}")],
    ["request line one byte too long", 414, target("/#{"a" * (LINE + 1 - "GET / HTTP/1.1".size)}")],
    ["request line that never ends", 414, "GET /#{"a" * 12 * KIB}"],
    ["query too long", 414, target("/?#{"a" * LINE}")],
    ["field line too long", 431, get(field("X", LINE + 1))],
    ["field line that never ends", 431, "GET /refused HTTP/1.1\r\nHost: a.test\r\nX: #{"v" * 12 * KIB}"],
    ["field name that never ends", 431, "GET /refused HTTP/1.1\r\nHost: a.test\r\n#{"X" * 12 * KIB}"],
    ["too many fields", 431, get(*Array.new(FIELDS) { |index| "X-#{index}: 1" })],
    ["too many fields of one name", 431, get(*Array.new(FIELDS) { "X: 1" })],
    ["block of fields too large", 431, get(*Array.new(5) { |index| field("X-#{index}", BLOCK / 5 + 1) })],
    ["block of fields that never ends", 431,
     "GET /refused HTTP/1.1\r\nHost: a.test\r\n#{Array.new(9) { |index| "#{field("X-#{index}", 4 * KIB)}\r\n" }.join}"],
    ["Content-Length over the limit", 413, post("Content-Length: #{BODY + 1}", body: "")],
    ["Content-Length far over the limit", 413, post("Content-Length: 999999999999", body: "")],
    ["chunk over the limit", 413, chunked("#{(BODY + 1).to_s(16)}\r\nhello")],
    ["chunks over the limit in sum", 413,
     chunked("#{"40000\r\n#{"x" * 0x40000}\r\n" * 4}1\r\nx\r\n0\r\n\r\n")]
  ].freeze

  # What the application must be given: a row is a name, the answer's body, and the bytes. The request appended here
  # is an honest second one.
  ACCEPTED = [
    ["plain request", "GET /refused 0", get],
    ["Content-Length", "POST /refused 5", post("Content-Length: 5")],
    ["Content-Length with leading zeros", "POST /refused 5", post("Content-Length: 0005")],
    ["Content-Length within blanks", "POST /refused 5", post("Content-Length:\t 5 \t")],
    ["Content-Length 0", "POST /refused 0", post("Content-Length: 0", body: "")],
    ["Transfer-Encoding chunked", "POST /refused 5", chunked("5\r\nhello\r\n0\r\n\r\n")],
    ["Transfer-Encoding in capitals without blank", "POST /refused 5",
     post("TRANSFER-ENCODING:Chunked", body: "5\r\nhello\r\n0\r\n\r\n")],
    ["chunk size with leading zeros in capitals", "POST /refused 10", chunked("000A\r\nhellohello\r\n00\r\n\r\n")],
    ["chunk extensions", "POST /refused 5", chunked("5;a;b=c;d=\"e f\"\r\nhello\r\n0;last\r\n\r\n")],
    ["trailers", "POST /refused 5", trailers("X-One: 1\r\nX-Two:\r\n\r\n")],
    ["one empty line before the request", "GET /refused 0", "\r\n#{get}"],
    ["field without a value", "GET /refused 0", get("X-Empty:", "X-Blank:  ")],
    ["field value with a tab and bytes over 127", "GET /refused 0", get("X: a\tb\u00e9")],
    ["field name of every token character", "GET /refused 0", get("!#$%&'*+-.^`|~09az: 1")],
    ["Host with a port", "GET /refused 0", "GET /refused HTTP/1.1\r\nHost: a.test:80\r\n\r\n"],
    ["Host of IPv6", "GET /refused 0", "GET /refused HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"],
    ["percent-encoding", "GET /%41%e9%2F 0", target("/%41%e9%2F?q=100%25")],
    ["absolute-form", "GET /refused 0", target("http://a.test/refused")],
    ["method of one's own", "BREW /refused 0", line("BREW /refused HTTP/1.1")],
    ["longest request line", "GET /#{"a" * (LINE - 2 - "GET / HTTP/1.1".size)} 0",
     target("/#{"a" * (LINE - 2 - "GET / HTTP/1.1".size)}")],
    ["longest field line", "GET /refused 0", get(field("X", LINE - 2))],
    ["most fields", "GET /refused 0", get(*Array.new(FIELDS - 1) { |index| "X-#{index}: 1" })],
    ["largest block of fields", "GET /refused 0",
     get(*Array.new(4) { |index| field("X-#{index}", (BLOCK - get.bytesize) / 4 - 2) })],
    ["largest body", "POST /refused #{BODY}", post("Content-Length: #{BODY}", body: "x" * BODY)],
    ["largest chunked body", "POST /refused #{BODY}", chunked("40000\r\n#{"x" * 0x40000}\r\n" * 4 + EMPTY_CHUNKED)]
  ].freeze
end
