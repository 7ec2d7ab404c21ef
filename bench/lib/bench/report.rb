# frozen_string_literal: true

require "fileutils"
require "json"

module Bench
  # Results as text for people and as JSON for programs.
  class Report
    # A column of medians. One that is +compared+ is followed by the spread of its rounds and by ratios to the floor and
    # to Puma.
    Column = Struct.new(:metric, :label, :digits, :compared)

    COLUMNS = [
      Column.new(:rps, "req/s", 0, true),
      Column.new(:cpu_us, "CPU us/req", 2, true),
      Column.new(:app_us, "the app's us", 2, false),
      Column.new(:own_us, "the server's us", 2, true),
      Column.new(:p50_ms, "p50 ms", 2, false),
      Column.new(:p99_ms, "p99 ms", 2, false),
      Column.new(:p999_ms, "p99.9 ms", 2, false),
      Column.new(:rss_mib, "RSS MiB", 1, false),
      Column.new(:rise_mib, "rise MiB", 1, false),
      Column.new(:first_byte_ms, "first byte ms", 2, false),
      Column.new(:early_mib, "early RSS MiB", 1, false),
      Column.new(:late_mib, "late RSS MiB", 1, false),
      Column.new(:growth, "growth", 3, false),
      Column.new(:idle_kib, "KiB/connection", 2, false)
    ].freeze
    REFERENCES = %i[floor puma].freeze
    private_constant :COLUMNS, :REFERENCES

    def initialize(results, plan)
      @results = results
      @plan = plan
    end

    # The table of one scenario, with its bars below.
    def table(scenario)
      [scenario.to_s, *aligned(cells(scenario.name)), *verdicts(scenario.name)].join("\n")
    end

    # All bars that were measured, and how many were reached.
    def summary
      all = BARS.map { |bar| bar.verdict(@results) }
      counts = all.map(&:outcome).tally
      measured = all.reject { |verdict| verdict.outcome == :unmeasured }
      rows = measured.map { |verdict| "  #{verdict.bar.scenario.to_s.ljust(16)} #{verdict}" }
      ["bars", *rows, %i[pass miss unmeasured].map { |outcome| "#{counts.fetch(outcome, 0)} #{outcome}" }.join(", ")]
    end

    # Whether each bar was measured and reached.
    def passed?
      BARS.all? { |bar| bar.verdict(@results).outcome == :pass }
    end

    def write_json(path, scenarios)
      FileUtils.mkdir_p(File.dirname(path))
      File.write(path, "#{JSON.pretty_generate(to_h(scenarios))}\n")
    end

    # A page for people who have not run it, with a picture beside it.
    def write_page(path, scenarios)
      picture = path.sub(/(\.\w+)?\z/, ".svg")
      page = Page.new(self, @results, @plan, picture: File.basename(picture))
      File.write(path, page.text(scenarios))
      File.write(picture, BarChart.new(@results, scenarios).to_svg)
    end

    # Headings and rows of the table of one scenario.
    def cells(name)
      [heading(name), *@results.servers(name).map { |server| row(name, server) }]
    end

    private

    def verdicts(name)
      BARS.select { |bar| bar.scenario == name }.map { |bar| "  #{bar.verdict(@results)}" }
    end

    def columns(name)
      measured = @results.servers(name).flat_map { |server| @results.rounds(name, server).flat_map(&:keys) }
      COLUMNS.select { |column| measured.include?(column.metric) }
    end

    def heading(name)
      compared = ["spread", *REFERENCES.map { |base| "x #{base}" }]
      ["", *columns(name).flat_map { |column| [column.label, *(compared if column.compared)] }, "errors"]
    end

    def row(name, server)
      figures = columns(name).flat_map do |column|
        median = rounded(@results.median(column.metric, name, server), column.digits)
        [median, *(comparison(column.metric, name, server) if column.compared)]
      end
      [server.to_s, *figures, @results.errors(name, server).to_s]
    end

    def comparison(metric, name, server)
      ratios = REFERENCES.map { |base| @results.ratio(metric, [name, server], [name, base]) }
      ["#{(@results.spread(metric, name, server) * 100).round} %", *ratios.map { |ratio| rounded(ratio, 2) }]
    end

    def rounded(value, digits)
      value ? format("%.#{digits}f", value) : "-"
    end

    def aligned(rows)
      widths = rows.transpose.map { |cells| cells.map(&:length).max }
      rows.map do |first, *others|
        cells = others.zip(widths.drop(1)).map { |cell, width| cell.rjust(width) }
        "  #{[first.ljust(widths.first), *cells].join("  ")}"
      end
    end

    def to_h(scenarios)
      { at: Time.now.utc.strftime("%FT%TZ"), commit: commit, machine: Machine.to_h, plan: @plan.to_h,
        scenarios: scenarios.to_h { |scenario| [scenario.name, series(scenario.name)] },
        bars: BARS.map { |bar| bar.verdict(@results).to_h } }
    end

    def series(name)
      @results.servers(name).to_h do |server|
        medians = columns(name).to_h { |column| [column.metric, @results.median(column.metric, name, server)] }
        [server, { median: medians, rounds: @results.rounds(name, server) }]
      end
    end

    # nil outside a git checkout.
    def commit
      IO.popen(["git", "-C", CHECKOUT, "rev-parse", "--short", "HEAD"], err: File::NULL, &:read)[/\h+/]
    rescue Errno::ENOENT
      nil
    end
  end
end
