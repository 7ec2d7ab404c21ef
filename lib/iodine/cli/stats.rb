# frozen_string_literal: true

require "socket"

module Iodine
  module Base
    module CLI
      # `iodine stats [ADDRESS]`: asks a running server for its metrics and prints them for a person.
      class Stats
        # Seconds that the server has for an answer.
        TIMEOUT = 5
        HISTOGRAMS = { request: "answered after", queue: "waited for a thread", proxy_queue: "waited before" }.freeze
        COLUMNS = { worker: "worker", pid: "pid", requests: "requests", resident_bytes: "memory", threads: "threads",
                    live_objects: "objects", gc_runs: "GC runs", gc_seconds: "GC time" }.freeze

        # +address+ is what `-metrics` was given.
        def initialize(address)
          @place = MetricsListener.place(address || MetricsListener::PORT.to_s)
        rescue RuntimeError => e
          raise Failure, e.message
        end

        # What the server says, in lines.
        def to_s
          facts = Iodine::JSON.parse(body, symbolize_names: true)
          raise KeyError, "it says #{facts.inspect[0, 60]}" unless facts.is_a?(Hash)

          [summary(facts), requests(facts), *times(facts), connections(facts), events(facts), "",
           *table(facts.fetch(:workers))].join("\n")
        rescue EncodingError, KeyError => e
          raise Failure, "what answers at #{@place.compact.join(":")} is no iodine server: #{e.message}"
        end

        private

        def body
          head, body = answer.split("\r\n\r\n", 2)
          raise KeyError, head.to_s.lines.first.to_s.chomp unless head.to_s.start_with?("HTTP/1.1 200")

          body
        rescue SystemCallError, SocketError => e
          raise Failure, "no metrics at #{@place.compact.join(":")}: #{e.message}. " \
                         "Was the server started with -metrics?"
        end

        def answer
          host, port = @place
          socket = port ? ::Socket.tcp(host, port, connect_timeout: TIMEOUT) : UNIXSocket.new(host)
          socket.write("GET /metrics.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
          socket.timeout = TIMEOUT if socket.respond_to?(:timeout=)
          socket.read
        ensure
          socket&.close
        end

        def summary(facts)
          "iodine #{facts[:version]}, #{facts[:workers].size} workers, #{facts[:worker_starts]} started so far, " \
            "#{facts[:worker_crashes]} crashed, #{facts[:worker_stalls]} hung, #{facts[:restarts]} restarts"
        end

        def requests(facts)
          counts = facts.fetch(:requests)
          line("requests", grouped(counts.values.sum),
               counts.select { |_, count| count.positive? }
                     .map { |status, count| "#{status} #{grouped(count)}" }.join(", "))
        end

        def times(facts)
          HISTOGRAMS.filter_map do |name, text|
            histogram = facts.fetch(name)
            next if histogram[:count].zero?

            mean = milliseconds(histogram[:seconds] / histogram[:count])
            line(text, mean, [0.5, 0.99].map { |share| quantile(histogram, share) }.join(", "))
          end
        end

        # A histogram knows no more than a bound.
        def quantile(histogram, share)
          bound, = histogram[:at_most].find { |_, count| count >= share * histogram[:count] }
          where = bound ? "at most #{milliseconds(bound.to_s.to_f)}" : "above #{milliseconds(10)}"
          "#{(share * 100).round} % #{where}"
        end

        def connections(facts)
          counts = facts.fetch(:connections)
          line("connections", grouped(counts.values.sum { |count| count[:open] }),
               counts.map { |kind, count| "#{kind} #{grouped(count[:open])} of #{grouped(count[:total])}" }.join(", "))
        end

        def events(facts)
          line("messages", grouped(facts.fetch(:published)), "delivered #{grouped(facts.fetch(:delivered))}")
        end

        def table(workers)
          rows = [COLUMNS.values] + workers.map { |worker| COLUMNS.keys.map { |key| cell(key, worker[key]) } }
          widths = rows.transpose.map { |column| column.map(&:length).max }
          rows.map { |row| row.zip(widths).map { |text, width| text.rjust(width) }.join("  ") }
        end

        def cell(key, value)
          case key
          when :resident_bytes then value ? "#{(value / 1_048_576.0).round(1)} MiB" : "?"
          when :gc_seconds then "#{value.round(2)} s"
          when :pid then value.to_s
          else grouped(value.to_i)
          end
        end

        def line(name, value, details) = "#{name.ljust(20)} #{value.rjust(12)}  #{details}".rstrip
        def grouped(number) = number.to_s.gsub(/(?<=\d)(?=(\d{3})+\z)/, ",")
        def milliseconds(seconds) = "#{(seconds * 1000).round(1)} ms"
      end
    end
  end
end
