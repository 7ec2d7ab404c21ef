# frozen_string_literal: true

module Bench
  # Results as a page of the documentation.
  class Page
    # +picture+ is the name of the file with the chart, beside the page.
    def initialize(report, results, plan, picture:)
      @report = report
      @results = results
      @plan = plan
      @picture = picture
    end

    def text(scenarios)
      "#{[introduction, bars, *scenarios.map { |scenario| section(scenario) }].join("\n\n")}\n"
    end

    private

    def introduction
      machine = Machine.to_h
      <<~TEXT.chomp
        # Benchmarks

        Written by `bench/run --page docs/benchmarks.md`. [bench/README.md](../bench/README.md) tells who is measured and what the
        figures mean, and [performance.md](performance.md) where the time goes.

        * Machine: #{machine[:processor]}, #{machine[:cores]} cores, Linux #{machine[:kernel][/\A[\d.]+/]}
        * Load average at the end, which says how far to trust figures rather than ratios: #{machine[:load]}
        * #{machine[:ruby]}
        * #{@plan.rounds} rounds of #{@plan.seconds} s for each server, taking turns; medians

        ![CPU time a request, as multiples of iodine's](#{@picture})
      TEXT
    end

    def section(scenario)
      heading, *rows = @report.cells(scenario.name)
      ["## #{scenario.name}", "", "#{scenario.about} (#{scenario.load}, `#{options(scenario)}`)", "", line(heading),
       line(heading.map { "---" }), *rows.map { |row| line(row) }].join("\n")
    end

    def options(scenario) = "-t #{scenario.threads}#{" -w #{scenario.workers}" if scenario.workers > 1}"

    def bars
      verdicts = BARS.map { |bar| [bar, bar.verdict(@results)] }.reject { |_, verdict| verdict.outcome == :unmeasured }
      rows = verdicts.map { |bar, verdict| line([bar.scenario, bar, verdict.value.round(3), verdict.outcome]) }
      ["## Bars", "", line(%w[scenario bar reached outcome]), line(%w[---] * 4), *rows].join("\n")
    end

    def line(cells) = "| #{cells.join(" | ")} |"
  end
end
