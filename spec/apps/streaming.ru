# frozen_string_literal: true

# Bodies that go on when the spec says so. /release lets one waiter pass; /produced counts the bytes of /flood.
gate = Queue.new
produced = 0
part = "0123456789abcdef" * 4096

# An `each` body by block.
class Each
  def initialize(&block) = @block = block
  def each(&block) = @block.call(block)
  def close = warn("closed a streamed body")
end

text = { "content-type" => "text/plain" }

run(lambda do |env|
  case env["PATH_INFO"]
  when "/each"
    [200, text, Each.new do |out|
      out.call("before")
      gate.pop
      out.call("after")
    end]
  when "/call"
    [200, text, lambda do |stream|
      stream.write("before")
      stream.flush if stream.respond_to?(:flush)
      gate.pop
      stream.write("after")
      stream.close
    end]
  when "/flood"
    produced = 0
    [200, text, Each.new do |out|
      env["QUERY_STRING"].to_i.times do
        out.call(part)
        produced += part.bytesize
      end
    end]
  when "/produced" then [200, text, [produced.to_s]]
  when "/release"
    gate.push(:go)
    [204, {}, []]
  else [200, text, ["fine"]]
  end
end)
