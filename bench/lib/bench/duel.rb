# frozen_string_literal: true

module Bench
  # Two ways to do the same, in turns.
  module Duel
    # Seconds a turn lasts.
    TURN = 0.1
    TURNS = 9

    module_function

    # Prints a table: a line for each input, with the microseconds a call takes and how many times faster the second way
    # is. +ways+ are a name and something to call with an input each.
    def report(title, inputs, ways)
      puts format("\n%-24s %12s %12s %8s", title, *ways.keys, "ratio")
      inputs.each do |name, input|
        first, second = times(input, ways.values)
        puts format("%-24s %9.2f µs %9.2f µs %8.2f", name, first * 1e6, second * 1e6, first / second)
      end
    end

    # Seconds a call, the median of turns.
    def times(input, ways)
      calls = ways.map { |way| calls(input, way) }
      turns = Array.new(TURNS) { ways.zip(calls).map { |way, count| turn(input, way, count) / count } }
      turns.transpose.map { |times| times.sort[TURNS / 2] }
    end

    # How many calls make a turn.
    def calls(input, way)
      count = 1
      count *= 2 while turn(input, way, count) < TURN
      count
    end

    def turn(input, way, count)
      GC.start
      start = now
      count.times { way.call(input) }
      now - start
    end

    # Processor time of this process, which others on the machine do not change much.
    def now = Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID)
  end
end
