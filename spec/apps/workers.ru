# frozen_string_literal: true

# An application that tells in which process it runs, and ends it when asked to. RELEASE names a file whose being there
# releases requests that wait.
require "etc"

lock = Mutex.new
inside = 0

text = { "content-type" => "text/plain" }

run(lambda do |env|
  case env["PATH_INFO"]
  when "/exit" then exit!(1)
  when "/crowd"
    count = lock.synchronize { inside += 1 }
    $stderr.write("#{count} inside of #{Process.pid}\n")
    sleep 0.01 until File.exist?(ENV.fetch("RELEASE"))
    [200, text, [Process.pid.to_s]]
  when "/second"
    $stderr.write("second begins\n")
    sleep 1
    [200, text, ["a second later"]]
  when "/forever"
    $stderr.write("forever begins\n")
    sleep
  else [200, text, [Process.pid.to_s]]
  end
end)
