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

  # Of 16 threads that each wait 10 ms.
  SLEEPING_REQUESTS_PER_SECOND = 16 / 0.01
  # How many bodies of 3 MiB may be in memory: one a thread, and two.
  BODIES = 1 + 2
  # Two workers on two processors do so many times what one does.
  SPEED_UP = 1.8
  private_constant :SLEEPING_REQUESTS_PER_SECOND, :BODIES, :SPEED_UP

  # A row of BARS: what iodine's +metric+ in +scenario+ may be at most, or must be at least.
  def self.bar(scenario, metric, bound, limit, to = nil)
    Bar.new(metric: metric, scenario: scenario, bound: bound, limit: limit, to: to)
  end
  private_class_method :bar

  BARS = [
    bar(:hello_t1, :cpu_us, :at_most, 1.35, %i[hello_t1 floor]),
    bar(:hello_t1, :rps, :at_least, 8.0, %i[hello_t1 puma]),
    bar(:hello_t4, :cpu_us, :at_most, 1.1, %i[hello_t1 iodine]),
    bar(:hello_t16, :cpu_us, :at_most, 1.2, %i[hello_t1 iodine]),
    bar(:hello_pipelined, :cpu_us, :at_most, 0.2, %i[hello_t1 iodine]),
    # What two workers would do with two processors of their own: wrk needs one of them here.
    bar(:hello_w2, :cpu_us, :at_most, (2 / SPEED_UP).round(2), %i[hello_w1 iodine]),
    bar(:work_w2, :rps, :at_least, SPEED_UP, %i[work_w1 iodine]),
    bar(:hello_log, :cpu_us, :at_most, 1.1, %i[hello_t1 iodine]),
    bar(:hello_tls, :cpu_us, :at_most, 1.5, %i[hello_t1 iodine]),
    bar(:handshakes, :rps, :at_least, 1.0, %i[handshakes nginx]),
    bar(:hello_c1, :p50_ms, :at_most, 1.6, %i[hello_c1 floor]),
    bar(:headers, :cpu_us, :at_most, 0.17, %i[headers puma]),
    bar(:post_10k, :rps, :at_least, 4.0, %i[post_10k puma]),
    bar(:post_10k, :cpu_us, :at_most, 2.5, %i[hello_t1 iodine]),
    bar(:body_1mb, :rps, :at_least, 1.4, %i[body_1mb puma]),
    bar(:body_1mb, :cpu_us, :at_most, 0.7, %i[body_1mb puma]),
    bar(:body_3mb, :rps, :at_least, 1.4, %i[body_3mb puma]),
    bar(:body_3mb, :cpu_us, :at_most, 0.7, %i[body_3mb puma]),
    bar(:body_3mb_peak, :rise_mib, :at_most, 3 * BODIES),
    bar(:streamed, :cpu_us, :at_most, 0.25, %i[streamed puma]),
    bar(:sinatra, :own_us, :at_most, 0.25, %i[sinatra puma]),
    bar(:rails, :own_us, :at_most, 0.25, %i[rails puma]),
    bar(:static_10k, :cpu_us, :at_most, 0.65, %i[static_10k nginx]),
    bar(:static_10k_log, :cpu_us, :at_most, 1.1, %i[static_10k iodine]),
    bar(:static_1mb, :cpu_us, :at_most, 1.1, %i[static_1mb nginx]),
    bar(:ws_echo, :cpu_us, :at_most, 1.23, %i[ws_echo floor]),
    bar(:ws_fan_out, :cpu_us, :at_most, 1.06, %i[ws_fan_out floor]),
    bar(:ws_fan_out_w2, :cpu_us, :at_most, 1.25, %i[ws_fan_out iodine]),
    bar(:sse_fan_out, :cpu_us, :at_most, 1.06, %i[sse_fan_out floor]),
    bar(:ws_idle, :idle_kib, :at_most, 5.1),
    bar(:sleep, :rps, :at_least, 0.95 * SLEEPING_REQUESTS_PER_SECOND),
    bar(:first_byte, :first_byte_ms, :at_most, 50),
    bar(:memory, :growth, :at_most, 1.05)
  ].freeze
end
