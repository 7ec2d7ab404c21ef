# frozen_string_literal: true

module Bench
  # Measures one group of scenarios: starts a server for each scenario and kind, lets them take turns, stops them.
  class Runner
    # One server in one scenario.
    Contender = Struct.new(:scenario, :kind, :server)

    # +kinds+ are names from SERVERS; +progress+ is called with a line of text at each step.
    def initialize(scenarios, kinds:, plan:, progress:)
      @scenarios = scenarios
      @kinds = kinds
      @plan = plan
      @progress = progress
      @contenders = []
    end

    # Adds the group's rounds to +results+. Servers are stopped whatever happens.
    def run(results)
      @scenarios.each { |scenario| start(scenario) }
      @contenders.each { |contender| contender.scenario.load.warm_up(contender.server, @plan) }
      rounds = @scenarios.map { |scenario| scenario.load.rounds(@plan) }.max
      rounds.times { |round| take_turns(results, "round #{round + 1} of #{rounds}") }
    ensure
      @contenders.each { |contender| contender.server.stop }
    end

    private

    def take_turns(results, turn)
      @contenders.each do |contender|
        scenario = contender.scenario
        @progress.call("#{scenario.name} #{turn}: #{contender.kind}")
        results.add(scenario.name, contender.kind, scenario.load.measure(contender.server, @plan))
      end
    end

    def start(scenario)
      answers = {}
      kinds = SERVERS.keys & @kinds & scenario.servers
      kinds.each do |kind|
        @progress.call("#{scenario.name}: starting #{kind}")
        server = SERVERS.fetch(kind).new(scenario, answer_bytes: -> { model(answers).wire_bytes })
        @contenders << Contender.new(scenario, kind, server)
        server.start
        answers[kind] = server.answer
      end
      expect_same_answers(scenario, answers.except(:floor))
    end

    # Faster with another answer is not faster.
    def expect_same_answers(scenario, answers)
      return if answers.values.map(&:body).uniq.size <= 1

      sizes = answers.map { |kind, answer| "#{kind} #{answer.body.bytesize} bytes" }.join(", ")
      raise Error, "#{scenario.name}: the servers answer with different bodies (#{sizes})"
    end

    def model(answers)
      answers.values.first or
        raise Error, "the floor has no answer to imitate: name iodine or puma in --servers as well"
    end
  end
end
