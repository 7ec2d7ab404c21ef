# frozen_string_literal: true

# Every shape a Rack response may have, one a path. What was closed how often is told by /closed.
require "stringio"
require "tempfile"
require "tmpdir"

CLOSED = Hash.new(0)

# Notes its closing under a name.
module Closing
  attr_accessor :name

  def close = CLOSED[name] += 1
end

# A body of parts.
class Parts
  include Closing

  def initialize(name, *parts)
    @name = name
    @parts = parts
  end

  def each(&block) = @parts.each(&block)
end

# A body that may be asked for all its parts at once, and is closed by that.
class Listed < Parts
  def to_ary
    close
    @parts
  end
end

# A body that has a to_ary of no use, as in Rails 6.
class Unlisted < Parts
  def to_ary = nil
end

# A body in a file.
class InFile < Parts
  attr_reader :to_path

  def initialize(name, path)
    super(name)
    @to_path = path
  end

  def each = yield File.binread(to_path)
end

# A streaming body that is closed.
class Streaming
  include Closing

  def initialize(name, &block)
    @name = name
    @block = block
  end

  def call(stream) = @block.call(stream)
end

folder = Dir.mktmpdir
small = File.join(folder, "small.txt")
large = File.join(folder, "large.bin")
File.binwrite(small, "from a file")
File.binwrite(large, Random.new(1).bytes(3_000_000))

text = { "content-type" => "text/plain" }
ok = ->(body, fields = {}) { [200, text.merge(fields), body] }
array = ["array"].tap { |list| list.extend(Closing).name = "array" }

shapes = {
  "/array" => -> { ok[array] },
  "/array-many" => -> { ok[%w[one two three]] },
  "/array-empty" => -> { ok[[]] },
  "/array-of-empty" => -> { ok[["", "", ""]] },
  "/string" => -> { ok["a bare String"] },
  "/string-empty" => -> { ok[""] },
  "/string-large" => -> { ok[["0123456789abcdef" * 200_000]] },
  "/string-huge" => -> { ok[["x" * 64_000_000]] },
  "/strings-large" => -> { ok[["a" * 1_000_000, "b", "c" * 1_000_000]] },
  "/frozen" => -> { ok[["frozen".freeze].freeze].freeze },
  "/each" => -> { ok[Parts.new("each", "one", "two", "three")] },
  "/each-length" => -> { ok[Parts.new("each-length", "one", "two"), { "content-length" => "6" }] },
  "/each-empty" => -> { ok[Parts.new("each-empty")] },
  "/each-of-empty" => -> { ok[Parts.new("each-of-empty", "", "one", "", "two", "")] },
  "/each-encodings" => -> { ok[Parts.new("each-encodings", "\u00e9", "\xff\0".b, "\u20ac".encode("UTF-16LE"))] },
  "/enumerator" => -> { ok[Enumerator.new { |out| 3.times { |part| out << part.to_s } }] },
  "/lazy" => -> { ok[(1..3).lazy.map(&:to_s)] },
  "/stringio" => -> { ok[StringIO.new("line one\nline two\n")] },
  "/to-ary" => -> { ok[Listed.new("to-ary", "one", "two")] },
  "/to-ary-nil" => -> { ok[Unlisted.new("to-ary-nil", "one", "two")] },
  "/to-path" => -> { ok[InFile.new("to-path", small)] },
  "/to-path-large" => -> { ok[InFile.new("to-path-large", large)] },
  "/to-path-length" => -> { ok[InFile.new("to-path-length", small), { "content-length" => "11" }] },
  "/to-path-missing" => -> { ok[InFile.new("to-path-missing", "#{folder}/missing")] },
  "/file" => -> { ok[File.open(small)] },
  "/file-large" => -> { ok[File.open(large)] },
  "/tempfile" => lambda do
    file = Tempfile.new("body")
    file.write("from a temporary file")
    file.rewind
    ok[file]
  end,
  "/call" => lambda do
    ok[Streaming.new("call") do |stream|
      stream.write("one")
      stream << "two" << "three"
      stream.flush
      stream.close
    end]
  end,
  "/call-proc" => -> { ok[->(stream) { stream.write("proc") and stream.close }] },
  "/call-reads" => lambda do
    ok[lambda do |stream|
      stream.write("read #{stream.read}")
      stream.close
    end]
  end,
  "/prechunked" => -> { ok[["3\r\none\r\n", "0\r\n\r\n"], { "transfer-encoding" => "chunked" }] },

  "/fields-array" => -> { ok[["x"], { "set-cookie" => ["a=1", "b=2; path=/"], "x-one" => ["only"] }] },
  "/fields-lines" => -> { ok[["x"], { "set-cookie" => "a=1\nb=2; path=/" }] },
  "/fields-other" => -> { ok[["x"], { "x-number" => 5, "x-symbol" => :sym, "x-nil" => nil, :"x-key" => "sym" }] },
  "/fields-frozen" => -> { [200, { "content-type" => "text/plain" }.freeze, ["x"]].freeze },
  "/fields-rack" => -> { ok[["x"], { "rack.private" => "never sent" }] },
  "/fields-date" => -> { ok[["x"], { "date" => "Thu, 01 Jan 1970 00:00:00 GMT" }] },
  "/status-text" => -> { ["201", text, ["x"]] },
  "/no-content" => -> { [204, {}, Parts.new("no-content", "never sent")] },

  "/closed" => -> { ok[[CLOSED.inspect]] }
}

run(lambda do |env|
  path = env["PATH_INFO"]
  next [path[/\d+/].to_i, text, ["status"]] if path.start_with?("/status/")

  shapes.fetch(path).call
end)
