# frozen_string_literal: true

module Support
  # Requests that are wrong, or nearly: what makes two servers in a row disagree on where a request ends.
  class Malformed
    METHODS = ["POST", "GET", "PUT", "HEAD", "get", "G\x00T", "GET ", " GET", ""].freeze
    TARGETS = ["/", "/a?b", "http://a.test/", "*", "a.test:80", "/ HTTP/1.1\r\nX: /", "/%00", "/\xFF", "//x",
               "/#f", ""].freeze
    VERSIONS = ["HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "http/1.1", "HTTP/1.1 ",
                "HTTP/01.1", ""].freeze
    ENDS = ["\r\n", "\n", "\r", "\r\r\n", "\n\r\n"].freeze
    # The body, if it is taken for one, is a request to whoever takes it for none.
    HIDDEN = "GET /hidden HTTP/1.1\r\nHost: a.test\r\n\r\n"
    LENGTHS = [HIDDEN.bytesize.to_s, "0", "5", "+5", "-1", "5, 5", "5, 6", "5;", "0x5", "05", "5 ", "\t5", "5\v", "1e1",
               "99999999999999999999", ""].freeze
    CODINGS = ["chunked", " chunked", "chunked ", "Chunked", "xchunked", "chunked, identity",
               "identity, chunked", "gzip, chunked", "chunked, chunked", "chunked\v", "\vchunked", "\"chunked\"",
               "chunked;a=b", "identity", "x\r\n chunked", ""].freeze
    NAMES = [":", " :", "\t:", "\v:", "\x00:", ": :", ";"].freeze
    OTHERS = ["X: y\r\n z", "X-Y", ": z", "X\x00: y", "X: \x00", "Host: b.test", "Connection: close", "X: \xFF",
              "Expect: 100-continue", "Connection: Content-Length", "Connection: Transfer-Encoding",
              "Content_Length: 5", "Transfer_Encoding: chunked", "Upgrade: h2c", "Upgrade: websocket",
              "Content-Length : 5"].freeze
    CHUNKS = ["5\r\nhello\r\n", "5;a=b\r\nhello\r\n", "5 \r\nhello\r\n", " 5\r\nhello\r\n", "0x5\r\nhello\r\n",
              "5\nhello\n", "5\r\nhello", "5\r\nhelloXX", "5;a=\"\r\n\"\r\nhello\r\n", "05\r\nhello\r\n",
              "-5\r\nhello\r\n", "10000000000000005\r\nhello\r\n", "5\rhello\r", "5;\n\r\nhello\r\n", ""].freeze
    LASTS = ["0\r\n\r\n", "0\r\nX: y\r\n\r\n", "0\r\nContent-Length: 5\r\n\r\n", "00\r\n\r\n", "0\n\n",
             "0\r\n\n", "0;x\r\n\r\n", "0\r\n", ""].freeze

    def initialize(seed)
      @random = Random.new(seed)
    end

    # The bytes of a request.
    def next
      head = [[METHODS, TARGETS, VERSIONS].map { |words| usually(words) }.join(" "), "Host: a.test", *fields]
      head.map { |line| line.b << usually(ENDS) }.join << usually(ENDS) << body
    end

    private

    # The first one, or at times any: most requests have one fault or none, for a second one hides the first.
    def usually(choices) = @random.rand(8).zero? ? any(choices) : choices.first

    def any(choices) = choices[@random.rand(choices.size)].b

    def fields
      list = []
      list << "Content-Length#{usually(NAMES)} #{usually(LENGTHS)}" if @random.rand(2).zero?
      list << "Content-Length: #{any(LENGTHS)}" if @random.rand(6).zero?
      list << "Transfer-Encoding#{usually(NAMES)} #{usually(CODINGS)}" if @random.rand(2).zero?
      list << "Transfer-Encoding: #{any(CODINGS)}" if @random.rand(6).zero?
      list << any(OTHERS) if @random.rand(3).zero?
      list.shuffle(random: @random)
    end

    def chunks = Array.new(@random.rand(3)) { usually(CHUNKS) }

    def body
      case @random.rand(3)
      when 0 then "".b
      when 1 then HIDDEN.b
      else [*chunks, usually(LASTS), *(HIDDEN if @random.rand(2).zero?)].join.b
      end
    end
  end
end
