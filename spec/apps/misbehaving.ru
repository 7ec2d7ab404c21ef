# frozen_string_literal: true

# Applications that break the Rack contract, one a path.

# Yields its parts, then does what the block does; tells the log when it is closed.
class Body
  def initialize(name, *parts, &then_do)
    @name = name
    @parts = parts
    @then_do = then_do
  end

  def each(&block)
    @parts.each(&block)
    @then_do&.call(block)
  end

  def close = warn("closed #{@name}")
end

gate = Queue.new
endless = ->(out) { loop { out.call("x" * 65_536) } }
text = { "content-type" => "text/plain" }
with = ->(name, value) { [200, text.merge(name => value), ["body"]] }

answers = {
  "/fine" => -> { [200, text, ["fine"]] },

  "/value-cr" => -> { with["x-a", "a\rb"] },
  "/value-crlf" => -> { with["x-a", "a\r\nevil: 1"] },
  "/value-crlfcrlf" => -> { with["x-a", "a\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"] },
  "/value-nul" => -> { with["x-a", "a\0b"] },
  "/value-array-cr" => -> { with["x-a", ["a", "b\r\nevil: 1"]] },
  "/value-array-lf" => -> { with["x-a", ["a", "b\nevil: 1"]] },
  "/value-lf" => -> { with["x-a", "a\nevil: 1"] },
  "/name-cr" => -> { with["x-a\r", "1"] },
  "/name-lf" => -> { with["x-a\nevil", "1"] },
  "/name-crlf" => -> { with["x-a: 1\r\nevil", "1"] },
  "/name-nul" => -> { with["x\0a", "1"] },
  "/name-colon" => -> { with["evil: 1", "1"] },
  "/name-space" => -> { with["x a", "1"] },
  "/name-empty" => -> { with["", "1"] },
  "/length-letters" => -> { with["content-length", "four"] },
  "/length-negative" => -> { with["content-length", "-4"] },

  "/status-nil" => -> { [nil, text, ["body"]] },
  "/status-text" => -> { ["fine", text, ["body"]] },
  "/status-half" => -> { ["200 OK", text, ["body"]] },
  "/status-crlf" => -> { ["200\r\nevil: 1", text, ["body"]] },
  "/status-float" => -> { [200.5, text, ["body"]] },
  "/status-symbol" => -> { [:ok, text, ["body"]] },
  "/status-small" => -> { [42, text, ["body"]] },
  "/status-large" => -> { [1000, text, ["body"]] },
  "/status-huge" => -> { [2**70, text, ["body"]] },

  "/answer-nil" => -> {},
  "/answer-text" => -> { "fine" },
  "/answer-short" => -> { [200, text] },
  "/answer-headers" => -> { [200, "fine", ["body"]] },
  "/answer-body" => -> { [200, text, 5] },

  "/raises" => -> { raise ArgumentError, "raised on purpose" },
  "/raises-first" => -> { [200, text, Body.new("first") { raise "raised before the first part" }] },
  "/raises-halfway" => -> { [200, text, Body.new("halfway", "one", "two") { raise "raised halfway" }] },
  "/raises-short" => lambda do
    [200, text.merge("content-length" => "10"), Body.new("short", "one") { raise "raised short" }]
  end,
  "/raises-stream" => lambda do
    [200, text, lambda do |stream|
      stream.write("one")
      raise "raised while streaming"
    end]
  end,
  "/too-long" => -> { [200, text.merge("content-length" => "4"), Body.new("long", "body", "HTTP/1.1 200 OK\r\n\r\n")] },
  "/too-long-text" => -> { [200, text.merge("content-length" => "4"), ["bodyHTTP/1.1 200 OK\r\n\r\n"]] },
  "/too-short" => -> { [200, text.merge("content-length" => "10"), Body.new("missing", "body")] },
  "/endless" => -> { [200, text, Body.new("endless", "one", &endless)] },
  "/gate" => lambda do
    warn "at the gate"
    gate.pop
    [200, text, Body.new("endless", "one", &endless)]
  end,
  "/open" => lambda do
    gate.push(:open)
    [204, {}, []]
  end
}

run(->(env) { answers.fetch(env["PATH_INFO"]).call })
