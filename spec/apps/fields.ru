# frozen_string_literal: true

# Response headers that come again and again, one Hash a path, and environments that outlive their request. With STRESS
# the collector runs whenever it can.

counter = +"0"
kept = []

text = { "content-type" => "text/plain" }
headers = {
  "/one" => text.merge("x-same" => "one"),
  "/two" => text.merge("x-same" => "two"),
  "/both" => text.merge("x-same" => "one\ntwo"),
  "/array" => text.merge("x-same" => %w[one two]),
  "/number" => text.merge("x-same" => 1),
  "/nothing" => text.merge("x-same" => nil),
  "/same-object" => text.merge("x-same" => counter),
  "/upper" => { "Content-Type" => "text/plain", "X-Same" => "one" },
  "/length" => { "content-length" => "4" },
  "/other-length" => { "content-length" => "5" },
  "/no-length" => { "content-length" => "four" },
  "/bad-name" => { "x same" => "one" },
  "/bad-value" => { "x-same" => "one\0" },
  "/internal" => { "rack.secret" => "one", "x-same" => "one" },
  "/closing" => { "connection" => "close", "x-same" => "one" },
  "/dated" => { "date" => "Thu, 01 Jan 1970 00:00:00 GMT" },
  "/many" => text.merge((1..50).to_h { |number| ["x-#{number}", number.to_s] })
}

run lambda { |env|
  GC.stress = true if ENV["STRESS"]
  case (path = env["PATH_INFO"])
  when "/compact"
    GC.start
    GC.compact if GC.respond_to?(:compact)
  when "/keep" then kept << env
  when "/hint-late" then kept.each { |former| former["rack.early_hints"].call("link" => "late") }
  when "/hijack-late"
    answers = kept.map do |former|
      former["rack.hijack"].call
    rescue IOError => e
      e.message
    end
    return [200, {}, [answers.uniq.join]]
  when "/hijack-elsewhere"
    io = Thread.new { env["rack.hijack"].call }.value
    io.write("taken by another thread")
    io.close
  else
    counter.replace(counter.succ)
    return [200, headers.fetch(path), ["body"]]
  end
  [200, text, ["done"]]
}
