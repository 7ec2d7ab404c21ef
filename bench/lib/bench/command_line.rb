# frozen_string_literal: true

require "optparse"

module Bench
  # What the user asked for, and the order in which it is done.
  class CommandLine
    def initialize(arguments)
      @arguments = arguments
      @plan = Plan.full
      @overrides = {}
      @scenarios = SCENARIOS
      @kinds = SERVERS.keys
      @action = :measure
      @json = File.join(ROOT, "results", Time.now.strftime("%Y%m%d-%H%M%S.json"))
    end

    # The exit status: 0 when everything was measured, 1 when something is missing or an instrument is off. A missed
    # bar is a finding, and a failure only for --check.
    def run
      parser.parse!(@arguments)
      raise OptionParser::InvalidArgument, @arguments.first if @arguments.any?

      @plan = Plan.new(**@plan.to_h, **@overrides)
      send(@action)
    rescue OptionParser::ParseError, Error => e
      warn "bench: #{e.message}"
      1
    rescue Interrupt
      warn "bench: interrupted"
      130
    end

    private

    def parser
      OptionParser.new("Usage: bench/run [options]") do |options|
        duration_options(options)
        selection_options(options)
        options.on("--json FILE", "write results here (default: bench/results/TIME.json)") { |path| @json = path }
        options.on("--page FILE", "write them as a page of the documentation as well") { |path| @page = path }
        options.on("--check", "fail when a bar is not reached or was not measured") { @check = true }
        options.on("--list", "list the scenarios and their bars") { @action = :list }
        options.on("--calibrate", "check the instruments instead") { @action = :calibrate }
      end
    end

    def duration_options(options)
      options.on("--quick", "a short run, to see that all works") { @plan = Plan.quick }
      options.on("--rounds N", Integer, "rounds a server (default: #{@plan.rounds})") do |n|
        @overrides[:rounds] = positive(n)
      end
      options.on("--seconds N", Integer, "seconds a round (default: #{@plan.seconds})") do |n|
        @overrides[:seconds] = positive(n)
      end
    end

    def selection_options(options)
      options.on("--only NAMES", Array, "scenarios, separated by commas (default: all)") do |names|
        wanted = known(names, SCENARIOS.map(&:name))
        @scenarios = SCENARIOS.select { |scenario| wanted.include?(scenario.name) }
      end
      options.on("--servers NAMES", Array, "servers (default: #{SERVERS.keys.join(",")})") do |names|
        @kinds = known(names, SERVERS.keys)
      end
    end

    def positive(number)
      number.positive? ? number : raise(OptionParser::InvalidArgument, "#{number} is not a positive number")
    end

    def known(names, choices)
      names.map(&:to_sym).each do |name|
        next if choices.include?(name)

        raise OptionParser::InvalidArgument, "#{name} is none of #{choices.join(", ")}"
      end
    end

    def list
      SCENARIOS.each do |scenario|
        puts scenario.needs ? "#{scenario} (skipped: needs #{scenario.needs})" : scenario
        BARS.each { |bar| puts "  #{bar}" if bar.scenario == scenario.name }
      end
      0
    end

    def calibrate
      check_instruments
      checks = Calibration.new.checks
      puts checks
      checks.all?(&:pass?) ? 0 : 1
    end

    def measure
      check_instruments
      check_servers
      warn_when_busy
      results = Results.new
      report = Report.new(results, @plan)
      skipped, wanted = @scenarios.partition(&:needs)
      wanted.group_by(&:group).each_value { |group| measure_group(group, results, report) }
      puts(skipped.map { |scenario| "#{scenario.name}: skipped, needs #{scenario.needs}" }, report.summary)
      report.write_json(@json, wanted)
      report.write_page(@page, wanted) if @page
      puts "written to #{@json}"
      @check && !report.passed? ? 1 : 0
    end

    def measure_group(group, results, report)
      Runner.new(group, kinds: @kinds, plan: @plan, progress: method(:progress)).run(results)
      progress("")
      group.each { |scenario| puts report.table(scenario), "" }
      $stdout.flush
    end

    def check_instruments
      raise Error, "CPU time is read from /proc, which this system has not: run it on Linux" unless
        ProcessTree.available?

      missing = Wrk.missing and raise Error, missing
    end

    def check_servers
      missing = @kinds.filter_map { |kind| SERVERS.fetch(kind).missing }
      raise Error, missing.join("\nbench: ") if missing.any?

      FLOOR.build if @kinds.include?(:floor)
      CROWD.build if @scenarios.any?(&:crowd?)
    end

    # The floor gains more from a busy machine than a server with threads: requests pile up and fewer polls serve them.
    def warn_when_busy
      warn "bench: the machine is busy (load average #{Machine.load}): expect a wide spread" if Machine.busy?
    end

    # One line that is overwritten, and only for someone who watches.
    def progress(text)
      $stderr.print("\r\e[K", text) if $stderr.tty?
    end
  end
end
