# frozen_string_literal: true

require_relative "svg"

module Bench
  # CPU time a request as a picture: a block of bars for each scenario that more than one server has run, as multiples
  # of what iodine needs. The figures stand beside the bars.
  class BarChart
    WIDTH = 860
    LEFT = 220
    RIGHT = 150
    BAR = 14
    GAP = 12
    HEAD = 70
    # Longer bars are cut off here, and say so.
    LONGEST = 8.0
    COLOURS = { iodine: "#0b6e4f", puma: "#c1440e", nginx: "#30638e", floor: "#999999" }.freeze

    def initialize(results, scenarios)
      @blocks = scenarios.filter_map { |scenario| block(results, scenario) }
    end

    def to_svg
      below = HEAD
      drawn = @blocks.map { |block| draw(block, below).tap { below += height(block) } }
      SVG.document(WIDTH, below, [*title, *grid(below), *drawn.flatten])
    end

    private

    # The title of a scenario, and the microseconds that each server took.
    Block = Struct.new(:title, :times)
    private_constant :Block

    def block(results, scenario)
      times = results.servers(scenario.name).to_h { |server| [server, results.median(:cpu_us, scenario.name, server)] }
      Block.new("#{scenario.name}: #{scenario.about}", times.compact) if times.compact.size > 1 && times[:iodine]
    end

    def title
      [%(<text x="16" y="24" font-size="16">CPU time a request, as multiples of iodine's: shorter is cheaper</text>),
       *COLOURS.each_with_index.map do |(server, colour), at|
         %(<rect x="#{LEFT + (90 * at)}" y="36" width="12" height="12" fill="#{colour}"/>) +
           %(<text x="#{LEFT + 16 + (90 * at)}" y="46">#{server}</text>)
       end]
    end

    def grid(below)
      (0..LONGEST).map do |multiple|
        %(<line x1="#{x(multiple)}" x2="#{x(multiple)}" y1="#{HEAD - 8}" y2="#{below - GAP}" stroke="#ddd"/>) +
          %(<text x="#{x(multiple)}" y="#{HEAD - 10}" text-anchor="middle" fill="#777">#{multiple} x</text>)
      end
    end

    def draw(block, top)
      middle = top + (block.times.size * BAR / 2) + 4
      heading = %(<text x="#{LEFT - 8}" y="#{middle}" text-anchor="end">#{lines(block.title)}</text>)
      [heading, *block.times.each_with_index.map { |(server, us), at| bar(block, server, us, top + (at * BAR)) }]
    end

    def lines(title)
      name, about = title.split(": ", 2)
      %(<tspan>#{name}</tspan><tspan x="#{LEFT - 8}" dy="13" font-size="10" fill="#777">#{about}</tspan>)
    end

    def bar(block, server, microseconds, top)
      multiple = microseconds / block.times.fetch(:iodine)
      shown = [multiple, LONGEST].min
      cut = format(" (%.1f x)", multiple) if multiple > LONGEST
      text = "#{format("%.#{microseconds < 100 ? 1 : 0}f us", microseconds)}#{cut}"
      %(<rect x="#{LEFT}" y="#{top}" width="#{(x(shown) - LEFT).round(1)}" height="#{BAR - 2}" ) +
        %(fill="#{COLOURS.fetch(server)}"/><text x="#{x(shown) + 4}" y="#{top + 10}" font-size="10">#{text}</text>)
    end

    def height(block) = (block.times.size * BAR) + GAP
    def x(multiple) = (LEFT + (multiple / LONGEST * (WIDTH - LEFT - RIGHT))).round(1)
  end
end
