# frozen_string_literal: true

# Ten chunks of 1 KiB from a body that only knows `each`, with no length: the server frames it.
body = Class.new do
  def initialize(chunk, count)
    @chunk = chunk
    @count = count
  end

  def each
    @count.times { yield @chunk }
  end
end

chunk = ("x" * 1024).freeze

run ->(_env) { [200, { "content-type" => "text/plain" }, body.new(chunk, 10)] }
