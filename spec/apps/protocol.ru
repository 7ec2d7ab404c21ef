# frozen_string_literal: true

# Hijacking, early hints, callbacks after the response, and ways for an application to fall over.
require "timeout"

text = { "content-type" => "text/plain" }

note = lambda do |name|
  lambda do |env, status, headers, error|
    warn "finished #{name}: #{env["PATH_INFO"]} #{status.inspect} #{headers&.key?("content-type").inspect} " \
         "#{error.class} #{error&.message}"
  end
end

# An `each` body that raises.
class Raising
  def each
    yield "one"
    raise "raised in the body"
  end
end

run(lambda do |env|
  case env["PATH_INFO"]
  when "/hijack"
    io = env["rack.hijack"].call
    again = env["rack.hijack"].call.equal?(io) && env["rack.hijack_io"].equal?(io)
    Thread.new do
      line = io.gets
      io.write("same #{again}, read #{line}")
      io.flush
      io.write("then #{io.gets}")
      io.close
    end
    [500, text, ["never sent"]]
  when "/partial"
    hijack = lambda do |io|
      io.write("written raw, ")
      io.flush
      io.write("closed by the application")
      io.close
    end
    [200, text.merge("rack.hijack" => hijack, "x-partial" => "yes"), ["never sent"]]
  when "/large" then [200, text, ["x" * 20_000_000]]
  when "/impatient"
    begin
      Timeout.timeout(0.1) { env["rack.hijack"].call }
    rescue Timeout::Error
      warn "hijack interrupted"
    end
    [200, text, ["never sent"]]
  when "/hints"
    env["rack.early_hints"]&.call("link" => "</a.css>; rel=preload\n</b.js>; rel=preload")
    env["rack.early_hints"]&.call("link" => ["</c.js>; rel=preload"])
    [200, text, ["after the hints"]]
  when "/finished", "/finished-error", "/finished-body"
    env["rack.response_finished"] << note["first"] << note["second"]
    raise "raised in the app" if env["PATH_INFO"] == "/finished-error"

    [200, text, env["PATH_INFO"] == "/finished-body" ? Raising.new : ["body"]]
  when "/finished-raises"
    env["rack.response_finished"] << note["survivor"] << ->(*) { raise "raised in a callback" }
    [200, text, ["body"]]
  when "/errors"
    env["rack.errors"].puts("written to rack.errors")
    env["rack.errors"].flush
    [200, text, ["body"]]
  when "/raise" then raise ArgumentError, "raised on purpose"
  when "/exit" then exit(3)
  when "/abort" then abort("aborted on purpose")
  when "/interrupt" then raise Interrupt, "not by a signal"
  when "/no-memory" then raise NoMemoryError, "not really"
  when "/deep" then ->(f) { f.call(f) }.then { |f| f.call(f) }
  when "/throw" then throw :nobody_catches
  when "/timeout" then Timeout.timeout(0.05) { sleep }
  when "/kill" then Thread.current.kill
  when "/timeout-rescued"
    answer = begin
      Timeout.timeout(0.05) { sleep }
    rescue Timeout::Error
      "timed out"
    end
    [200, text, [answer]]
  else [200, text, ["fine"]]
  end
end)
