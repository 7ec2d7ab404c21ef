# frozen_string_literal: true

# Rack::Lint around every way to read a body and every shape of a response.
require "uri" # which Rack::Lint uses and does not require
require "rack"
require "rack/lint"
require "stringio"
require "tempfile"

read = {
  "read" => ->(io) { io.read },
  "read-sizes" => ->(io) { [io.read(2), io.read(2, +""), io.read].join },
  "gets" => ->(io) { [io.gets, io.gets, io.gets].join },
  "each" => ->(io) { [].tap { |lines| io.each { |line| lines << line } }.join },
  "none" => ->(_) { "" }
}

# A body with a close.
class Parts
  def initialize(*parts) = @parts = parts
  def each(&block) = @parts.each(&block)
  def close = nil
end

# A body in a file.
class InFile < Parts
  attr_reader :to_path

  def initialize(text)
    file = Tempfile.create("lint")
    file.write(text)
    file.close
    @to_path = file.path
    super(text)
  end
end

shape = {
  "array" => ->(text) { [text] },
  "each" => ->(text) { Parts.new(*text.lines) },
  "enumerator" => ->(text) { Enumerator.new { |out| out << text } },
  "file" => ->(text) { InFile.new(text) },
  "stringio" => ->(text) { StringIO.new(text) },
  "call" => ->(text) { ->(stream) { stream.write(text) and stream.close } }
}

app = lambda do |env|
  reading, answering = env["PATH_INFO"].split("/").last(2)
  env["rack.errors"].write("")
  env["rack.errors"].flush
  text = read.fetch(reading).call(env["rack.input"] || StringIO.new)
  body = env["REQUEST_METHOD"] == "HEAD" ? [] : shape.fetch(answering).call(text)
  [200, { "content-type" => "text/plain" }, body]
end

use Rack::Lint
run app
