# frozen_string_literal: true

# An application that shows how many requests run at the same time.
require "timeout"

lock = Mutex.new
arrived = ConditionVariable.new
inside = 0

trap("WINCH") { $stderr.write("trapped WINCH\n") }

Thread.new do
  loop do
    sleep 0.02
    $stderr.write("background tick\n")
  end
end

text = { "content-type" => "text/plain" }

run(lambda do |env|
  case env["PATH_INFO"]
  when "/together"
    # Returns only when as many requests as the query says were in here at the same time.
    wanted = env["QUERY_STRING"].to_i
    met = lock.synchronize do
      inside += 1
      arrived.broadcast
      deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 8
      while inside < wanted && (left = deadline - Process.clock_gettime(Process::CLOCK_MONOTONIC)).positive?
        arrived.wait(lock, left)
      end
      inside >= wanted
    end
    [met ? 200 : 503, text, ["#{inside} inside"]]
  when "/leave"
    lock.synchronize { inside = 0 }
    [200, text, []]
  when "/second"
    $stderr.write("second begins\n")
    sleep 1
    $stderr.write("second ends\n")
    [200, text, ["a second later"]]
  when "/timeout"
    answer = begin
      Timeout.timeout(0.1) { env["QUERY_STRING"] == "spin" ? loop { 1 + 1 } : sleep }
    rescue Timeout::Error => e
      e.class.name
    end
    [200, text, [answer]]
  when "/fork"
    child = fork { exit!(0) }
    Process.wait(child)
    [200, text, [`echo from a child`]]
  else [200, text, ["fine"]]
  end
end)
