# frozen_string_literal: true

require "optparse"
require_relative "chart"
require_relative "picture"
require_relative "regulars"

module Bench
  # Has servers work for minutes, one after the other, and notes how much memory they take.
  class Soak
    CONNECTIONS = 50
    SERVERS = { "iodine" => Iodine, "puma" => Puma }.freeze
    # WebSockets, and event streams, beside the requests. Puma has neither.
    REGULARS = { "iodine" => 10 }.freeze
    SAMPLES = 60
    # Seconds that an answer may take: the machine may be busy with other things.
    TIMEOUT = "10"
    # Growth is counted from here on: before it, caches and pools fill.
    SETTLED = 60.0
    # What iodine may grow by, percent.
    BAR = 5

    # What was seen of one server: pairs of seconds and bytes, what wrk has counted, and what the regulars have.
    Series = Struct.new(:name, :points, :requests, :errors, :messages, :failures) do
      # Percent from the end of the first minute to the end of the run, by the median of three readings each.
      def growth
        settled = points.index { |seconds, _| seconds >= [SETTLED, points.last[0] / 10].min }
        (median(points.last(3)) / median(points[settled, 3]).to_f - 1) * 100
      end

      def median(points) = points.map(&:last).sort[points.size / 2]
    end

    def initialize(arguments)
      @minutes = 10.0
      @servers = SERVERS.keys
      @pauses = 1
      @picture = Picture.new(File.join(ROOT, "results", "soak.png"))
      options.parse(arguments)
    end

    # Exit status: 1 when requests have failed, or iodine has grown beyond the bar.
    def run
      missing = [Wrk.missing, @picture.missing, *@servers.map { |name| SERVERS.fetch(name).missing }].compact
      raise Error, missing.join("\n") if missing.any?

      series = @servers.map { |name| soak(name) }
      puts table(series)
      @picture.write(Chart.new(series.to_h { |one| [one.name, one.points] }).to_svg)
      puts "\n#{@picture}"
      passes?(series) ? 0 : 1
    rescue Error => e
      warn e.message
      1
    end

    private

    def options
      OptionParser.new do |parser|
        parser.on("--minutes N", Float, "for each server; 10") { |minutes| @minutes = minutes }
        parser.on("--servers LIST", Array, "of #{SERVERS.keys.join(", ")}; all") { |names| @servers = names }
        parser.on("--pauses N", Integer, "so many times as long between requests; 1") { |times| @pauses = times }
        parser.on("--picture FILE", "where the chart goes, .png or .svg; bench/results/soak.png") do |file|
          @picture = Picture.new(file)
        end
      end
    end

    def soak(name)
      scenario = Scenario.new(name: :soak, about: "mixed sizes", app: :soak, threads: 4, request: Request.new,
                              load: nil)
      server = SERVERS.fetch(name).new(scenario, answer_bytes: -> { 0 })
      server.start
      watch(name, server)
    ensure
      server&.stop
    end

    def watch(name, server)
      seconds = (@minutes * 60).round
      regulars = Regulars.new(server.port, REGULARS.fetch(name, 0))
      wrk = Thread.new { load(server.port, seconds) }
      began = now
      points = []
      while wrk.alive?
        points << [now - began, server.tree.rss_bytes]
        warn format("%-7s %5d s %7.1f MiB", name, *points.last.then { |at, bytes| [at, bytes / 1_048_576.0] })
        wrk.join(seconds.fdiv(SAMPLES))
      end
      Series.new(name, points, *wrk.value, *regulars.finish)
    end

    def load(port, seconds)
      output, = Open3.capture2e("wrk", "-t", "1", "-c", CONNECTIONS.to_s, "-d", seconds.to_s, "--timeout", TIMEOUT,
                                "-s", File.join(ROOT, "wrk", "soak.lua"), "http://127.0.0.1:#{port}",
                                "--", @pauses.to_s)
      found = output[/^result requests=\d+ errors=\d+/] or raise Error, "wrk printed no result:\n#{output}"
      found.scan(/\d+/).map(&:to_i)
    end

    def table(series)
      head = ["minutes", *series.map { |one| "#{one.name} MiB" }]
      rows = (0..10).map do |tenth|
        [format("%.1f", @minutes * tenth / 10), *series.map { |one| at(one, tenth) }]
      end
      rows << ["growth", *series.map { |one| format("%+.1f %%", one.growth) }]
      %i[requests errors messages failures].each { |name| rows << [name.to_s, *series.map { |one| one[name].to_s }] }
      [head, *rows].map { |row| row.map { |text| text.rjust(12) }.join }.join("\n")
    end

    def at(series, tenth)
      wanted = @minutes * 60 * tenth / 10
      _, bytes = series.points.min_by { |seconds, _| (seconds - wanted).abs }
      format("%.1f", bytes / 1_048_576.0)
    end

    def passes?(series)
      series.all? { |one| (one.errors + one.failures).zero? && (one.name != "iodine" || one.growth <= BAR) }
    end

    def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
