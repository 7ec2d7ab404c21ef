# frozen_string_literal: true

module Bench
  # What a figure of iodine's must reach: a +limit+ on a metric of +scenario+, either absolute or as a ratio to the
  # same metric of +to+, a pair of scenario and server. +bound+ is :at_most or :at_least.
  Bar = Struct.new(:metric, :scenario, :bound, :limit, :to, keyword_init: true) do
    def verdict(results)
      value = measured(results)
      Verdict.new(bar: self, value: value, outcome: value ? outcome(value, results) : :unmeasured)
    end

    def to_s
      sign = bound == :at_most ? "<=" : ">="
      ["#{metric} #{sign} #{limit}", ("x #{to.join("/")}" if to)].compact.join(" ")
    end

    private

    def measured(results)
      return results.median(metric, scenario, :iodine) unless to

      results.ratio(metric, [scenario, :iodine], to)
    end

    # A server that fails requests quickly has reached nothing.
    def outcome(value, results)
      reached = bound == :at_most ? value <= limit : value >= limit
      reached && results.errors(scenario, :iodine).zero? ? :pass : :miss
    end
  end

  # +outcome+ is :pass, :miss or :unmeasured.
  Verdict = Struct.new(:bar, :value, :outcome, keyword_init: true) do
    def to_s
      figure = value ? value.round(3) : "-"
      "#{outcome.to_s.ljust(10)} #{bar}: #{figure}"
    end

    def to_h
      { scenario: bar.scenario, bar: bar.to_s, value: value, outcome: outcome }
    end
  end

  SLEEPING_REQUESTS_PER_SECOND = 16 / 0.01
  private_constant :SLEEPING_REQUESTS_PER_SECOND

  BARS = [
    Bar.new(metric: :cpu_us, scenario: :hello_t1, bound: :at_most, limit: 1.5, to: %i[hello_t1 floor]),
    Bar.new(metric: :rps, scenario: :hello_t1, bound: :at_least, limit: 8.0, to: %i[hello_t1 puma]),
    Bar.new(metric: :cpu_us, scenario: :hello_t4, bound: :at_most, limit: 1.15, to: %i[hello_t1 iodine]),
    Bar.new(metric: :cpu_us, scenario: :hello_pipelined, bound: :at_most, limit: 0.3, to: %i[hello_t1 iodine]),
    Bar.new(metric: :cpu_us, scenario: :hello_t1, bound: :at_most, limit: 1.35, to: %i[hello_t1 floor]),
    Bar.new(metric: :cpu_us, scenario: :hello_t4, bound: :at_most, limit: 1.1, to: %i[hello_t1 iodine]),
    Bar.new(metric: :cpu_us, scenario: :hello_t16, bound: :at_most, limit: 1.2, to: %i[hello_t1 iodine]),
    Bar.new(metric: :cpu_us, scenario: :hello_pipelined, bound: :at_most, limit: 0.2, to: %i[hello_t1 iodine]),
    Bar.new(metric: :p50_ms, scenario: :hello_c1, bound: :at_most, limit: 1.6, to: %i[hello_c1 floor]),
    Bar.new(metric: :cpu_us, scenario: :headers, bound: :at_most, limit: 0.17, to: %i[headers puma]),
    Bar.new(metric: :rps, scenario: :post_10k, bound: :at_least, limit: 4.0, to: %i[post_10k puma]),
    Bar.new(metric: :cpu_us, scenario: :post_10k, bound: :at_most, limit: 2.5, to: %i[hello_t1 iodine]),
    Bar.new(metric: :cpu_us, scenario: :streamed, bound: :at_most, limit: 0.25, to: %i[streamed puma]),
    Bar.new(metric: :cpu_us, scenario: :hello_tls, bound: :at_most, limit: 1.5, to: %i[hello_t1 iodine]),
    Bar.new(metric: :rps, scenario: :handshakes, bound: :at_least, limit: 1.0, to: %i[handshakes nginx]),
    Bar.new(metric: :cpu_us, scenario: :hello_log, bound: :at_most, limit: 1.1, to: %i[hello_t1 iodine]),
    Bar.new(metric: :rps, scenario: :body_1mb, bound: :at_least, limit: 1.2, to: %i[body_1mb puma]),
    Bar.new(metric: :rps, scenario: :body_1mb, bound: :at_least, limit: 1.4, to: %i[body_1mb puma]),
    Bar.new(metric: :cpu_us, scenario: :body_1mb, bound: :at_most, limit: 0.7, to: %i[body_1mb puma]),
    Bar.new(metric: :rps, scenario: :body_3mb, bound: :at_least, limit: 1.4, to: %i[body_3mb puma]),
    Bar.new(metric: :cpu_us, scenario: :body_3mb, bound: :at_most, limit: 0.7, to: %i[body_3mb puma]),
    Bar.new(metric: :cpu_us, scenario: :static_10k, bound: :at_most, limit: 0.7, to: %i[static_10k nginx]),
    Bar.new(metric: :cpu_us, scenario: :static_10k_log, bound: :at_most, limit: 1.1, to: %i[static_10k iodine]),
    Bar.new(metric: :cpu_us, scenario: :static_1mb, bound: :at_most, limit: 1.1, to: %i[static_1mb nginx]),
    Bar.new(metric: :cpu_us, scenario: :ws_echo, bound: :at_most, limit: 1.45, to: %i[ws_echo floor]),
    Bar.new(metric: :cpu_us, scenario: :ws_fan_out, bound: :at_most, limit: 1.25, to: %i[ws_fan_out floor]),
    Bar.new(metric: :cpu_us, scenario: :ws_fan_out_w2, bound: :at_most, limit: 1.25, to: %i[ws_fan_out iodine]),
    Bar.new(metric: :cpu_us, scenario: :sse_fan_out, bound: :at_most, limit: 1.25, to: %i[sse_fan_out floor]),
    Bar.new(metric: :idle_kib, scenario: :ws_idle, bound: :at_most, limit: 6),
    Bar.new(metric: :rps, scenario: :sleep, bound: :at_least, limit: 0.95 * SLEEPING_REQUESTS_PER_SECOND),
    Bar.new(metric: :first_byte_ms, scenario: :first_byte, bound: :at_most, limit: 50),
    Bar.new(metric: :growth, scenario: :memory, bound: :at_most, limit: 1.05)
  ].freeze
end
