# frozen_string_literal: true

require "open3"

module Bench
  # Runs wrk once. One thread: more would only take the cores from the server.
  class Wrk
    # What wrk counted; +duration+ in seconds, percentiles in microseconds, or nil where no request was timed: wrk times
    # a pipelined batch as one, and a server that closes within each batch completes none.
    Result = Struct.new(:requests, :duration, :errors, :p50_us, :p99_us, :p999_us, keyword_init: true) do
      # Reads the line that wrk/load.lua prints. Raises Bench::Error when there is none.
      def self.parse(output)
        line = output[/^result (.*)$/, 1] or raise Error, "wrk printed no result:\n#{output}"
        values = line.scan(/(\w+)=(\d+)/).to_h { |key, value| [key.to_sym, value.to_i] }
        times = %i[p50_us p99_us p999_us].to_h { |key| [key, values.fetch(key).nonzero?] }
        new(duration: values.fetch(:duration_us) / 1e6, **values.slice(:requests, :errors), **times)
      end

      def requests_per_second
        requests / duration
      end
    end

    def self.missing
      "wrk is not installed: try `apt-get install wrk` or `brew install wrk`" unless Machine.executable("wrk")
    end

    # +processor+ is the number of the one that it keeps to, or nil.
    def initialize(connections:, request:, processor: nil)
      @connections = connections
      @request = request
      @pinned = processor ? ["taskset", "-c", processor.to_s] : []
    end

    # +seconds+ is a whole number: wrk knows no fractions.
    def run(port, seconds)
      output, status = Open3.capture2e(*command(port, seconds))
      raise Error, "wrk failed (#{status}):\n#{output}" unless status.success?

      Result.parse(output)
    end

    private

    def command(port, seconds)
      headers = @request.headers.flat_map { |name, value| ["-H", "#{name}: #{value}"] }
      [*@pinned, "wrk", "-t", "1", "-c", @connections.to_s, "-d", seconds.to_s, "-s", SCRIPT, *headers,
       "#{@request.tls ? "https" : "http"}://127.0.0.1:#{port}#{@request.path}", "--", *@request.script_arguments]
    end

    SCRIPT = File.join(ROOT, "wrk", "load.lua")
    private_constant :SCRIPT
  end
end
