# frozen_string_literal: true

# Answers without making an object; /total tells how many the process has made.
answer = [200, { "content-type" => "text/plain", "content-length" => "2" }.freeze, ["ok"].freeze].freeze

run(lambda do |env|
  # Not by return, which makes one.
  next answer unless env["PATH_INFO"] == "/total"

  total = GC.stat(:total_allocated_objects).to_s
  [200, { "content-type" => "text/plain", "content-length" => total.bytesize.to_s }, [total]]
end)
