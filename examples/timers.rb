# frozen_string_literal: true

# Work for later, and now and again, beside the requests of a server:
#
#     ruby -Ilib examples/timers.rb [PORT]
#     curl http://localhost:3000/
#
# Intervals are milliseconds. A timer runs on a thread of the pool, never twice at the same time, and what it raises is
# logged and ends nothing.

require "iodine"

# Requests since the start, and in the last second.
class Gauge
  def initialize
    @lock = Mutex.new
    @total = @last = @rate = 0
  end

  def count = @lock.synchronize { @total += 1 }

  # To be called once a second.
  def measure
    @lock.synchronize do
      @rate = @total - @last
      @last = @total
    end
  end

  def to_s = @lock.synchronize { "#{@total} requests, #{@rate} in the last second" }
end

$stdout.sync = true
gauge = Gauge.new
Iodine.listen(service: :http, port: ARGV.fetch(0, "3000")) do |_env|
  gauge.count
  # After the response, on another thread perhaps.
  Iodine.run { puts "served: #{gauge}" }
  [200, { "content-type" => "text/plain" }, ["#{gauge}\n"]]
end

Iodine.run_every(1000) { gauge.measure }
Iodine.run_every(100, 3) { puts "once of three times" }
Iodine.run_after(500) { puts "half a second has passed" }
Iodine.threads = 2
Iodine.workers = 1
Iodine.start
