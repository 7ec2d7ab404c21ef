# frozen_string_literal: true

# Measures servers side by side: see bench/README.md for what the figures mean.
#
# Standard library only, and in Ruby, because whoever has the gem has Ruby.
#
#   CommandLine  what was asked             Scenario, SCENARIOS  what is measured
#   Runner       rounds, interleaved        Server and its kinds who is measured
#   WrkLoad, FirstByteLoad, MemoryLoad,     one round against one server
#   MessageLoad, IdleLoad                   the same, by bench/crowd
#   ProcessTree, Machine  CPU and memory    Results, Bar         medians, ratios, pass or miss
#   Report, Page, BarChart  tables, JSON    Calibration          whether the instruments can be trusted
#   Instructions what a request costs in instructions (bench/icount)
module Bench
  ROOT = File.expand_path("..", __dir__)
  CHECKOUT = File.dirname(ROOT)

  # Something the user has to change or install; shown without a backtrace.
  class Error < StandardError; end
end

require_relative "bench/machine"
require_relative "bench/process_tree"
require_relative "bench/program"
require_relative "bench/request"
require_relative "bench/client"
require_relative "bench/wrk"
require_relative "bench/loads"
require_relative "bench/crowd"
require_relative "bench/scenarios"
require_relative "bench/results"
require_relative "bench/bars"
require_relative "bench/certificates"
require_relative "bench/static_files"
require_relative "bench/server"
require_relative "bench/servers"
require_relative "bench/runner"
require_relative "bench/report"
require_relative "bench/page"
require_relative "bench/bar_chart"
require_relative "bench/calibration"
require_relative "bench/command_line"
