# frozen_string_literal: true

# A clock by Server-Sent Events that misses no second: a browser that has lost the stream comes back with the id of the
# last tick it has seen, and is given those that it has missed.
#
#     bin/serve examples/clock.ru -w 2
#
# Close the lid of the laptop for a moment, or stop a worker with kill.

Iodine::PubSub.remember("clock", messages: 120, age: 120)

# The master ticks, and all workers hear it.
Iodine.run_every(1000) { Iodine.publish("clock", Time.now.strftime("%H:%M:%S")) if Iodine.master? }

PAGE = <<~HTML
  <!doctype html>
  <html lang="en">
  <meta charset="utf-8">
  <title>Clock</title>
  <h1 id="now">--:--:--</h1>
  <ol id="ticks"></ol>
  <script>
    "use strict";
    new EventSource("/ticks").onmessage = (event) => {
      document.getElementById("now").textContent = event.data;
      const tick = document.createElement("li");
      tick.textContent = event.data;
      document.getElementById("ticks").prepend(tick);
    };
  </script>
HTML

# Who watches the clock. `retry` is how soon a browser comes back, in milliseconds.
module Watcher
  def self.on_open(client)
    client.write("", event: "welcome", retry: 500)
    client.subscribe("clock")
  end
end

run(lambda { |env|
  if env["rack.upgrade?"] == :sse && env["PATH_INFO"] == "/ticks"
    env["rack.upgrade"] = Watcher
    next [200, {}, []]
  end
  [200, { "content-type" => "text/html; charset=utf-8", "cache-control" => "no-cache" }, [PAGE]]
})
