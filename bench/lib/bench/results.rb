# frozen_string_literal: true

module Bench
  # Figures that hold on a noisy machine.
  module Statistics
    # The middle value, or the mean of the two middle ones; nil for none.
    def self.median(values)
      return if values.empty?

      sorted = values.sort
      middle = sorted.size / 2
      sorted.size.odd? ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2.0
    end
  end

  # The rounds of each scenario and server, and what follows from them.
  class Results
    # Names one series of rounds.
    Series = Struct.new(:scenario, :server)

    def initialize
      @rounds = Hash.new { |rounds, series| rounds[series] = [] }
    end

    # +figures+ is what a load measured: a number by metric.
    def add(scenario, server, figures)
      @rounds[Series.new(scenario, server)] << figures
    end

    def rounds(scenario, server)
      @rounds.fetch(Series.new(scenario, server), [])
    end

    def servers(scenario)
      @rounds.keys.select { |series| series.scenario == scenario }.map(&:server)
    end

    # nil when it was not measured.
    def median(metric, scenario, server)
      Statistics.median(values(metric, scenario, server))
    end

    # The median of the rounds' own ratios, so that a minute in which the machine was busy harms both sides alike;
    # it need not be the ratio of the medians. +of+ and +to+ are pairs of scenario and server; nil when either was not
    # measured.
    def ratio(metric, of, to)
      pairs = values(metric, *of).zip(values(metric, *to))
      Statistics.median(pairs.filter_map { |value, base| value.fdiv(base) if base && !base.zero? })
    end

    # How far the rounds lie apart: the distance of the extremes as a fraction of the median. nil when not measured.
    def spread(metric, scenario, server)
      values = values(metric, scenario, server)
      values.minmax.reverse.reduce(:-).fdiv(Statistics.median(values)) if values.any?
    end

    # Failed requests of all rounds together.
    def errors(scenario, server)
      values(:errors, scenario, server).sum
    end

    private

    def values(metric, scenario, server)
      rounds(scenario, server).filter_map { |figures| figures[metric] }
    end
  end
end
