# frozen_string_literal: true

# Calls the application of a rackup file in a loop, without a server, for as many seconds of CPU time as the second
# argument says. Prints the microseconds of a call: what is left of a server's CPU time beside them is its own.
require "rack"

def now = Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID, :float_microsecond)

def call(application, environment)
  _, _, body = application.call(environment.merge("rack.input" => StringIO.new))
  body.each(&:bytesize)
  body.close if body.respond_to?(:close)
end

application, = Rack::Builder.parse_file(ARGV.fetch(0))
microseconds = Float(ARGV.fetch(1)) * 1e6
environment = Rack::MockRequest.env_for("http://127.0.0.1/", "HTTP_HOST" => "127.0.0.1", "REMOTE_ADDR" => "127.0.0.1")
500.times { call(application, environment) }
started = now
calls = 0
until now - started > microseconds
  100.times { call(application, environment) }
  calls += 100
end
puts (now - started) / calls
