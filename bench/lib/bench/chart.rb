# frozen_string_literal: true

require_relative "svg"

module Bench
  # Memory over time as a picture, a line for each server.
  class Chart
    WIDTH = 800
    HEIGHT = 400
    MARGIN = 60
    COLOURS = %w[#0b6e4f #c1440e #30638e].freeze

    # +series+ are points of seconds and bytes, by name.
    def initialize(series)
      @series = series
      @seconds = series.values.flatten(1).map(&:first).max
      # A little more than the highest, in whole tens of MiB.
      @bytes = (series.values.flatten(1).map(&:last).max / 10_485_760.0 * 1.1).ceil * 10_485_760
    end

    def to_svg = SVG.document(WIDTH, HEIGHT, grid + lines)

    private

    def grid
      (0..5).flat_map do |step|
        bytes = @bytes * step / 5
        seconds = @seconds * step / 5
        height = y(bytes)
        [%(<line x1="#{MARGIN}" x2="#{WIDTH - MARGIN}" y1="#{height}" y2="#{height}" stroke="#ddd"/>),
         %(<text x="#{MARGIN - 8}" y="#{height + 4}" text-anchor="end">#{bytes / 1_048_576} MiB</text>),
         %(<text x="#{x(seconds)}" y="#{HEIGHT - 40}" text-anchor="middle">#{(seconds / 60).round(1)} min</text>)]
      end
    end

    def lines
      @series.zip(COLOURS.cycle).flat_map do |(name, points), colour|
        path = points.map { |seconds, bytes| "#{x(seconds)},#{y(bytes)}" }.join(" ")
        [%(<polyline points="#{path}" fill="none" stroke="#{colour}" stroke-width="2"/>),
         %(<text x="#{WIDTH - MARGIN + 4}" y="#{y(points.last[1]) + 4}" fill="#{colour}">#{name}</text>)]
      end
    end

    def x(seconds) = (MARGIN + (seconds / @seconds.to_f * (WIDTH - (2 * MARGIN)))).round(1)
    def y(bytes) = (HEIGHT - MARGIN - (bytes / @bytes.to_f * (HEIGHT - (2 * MARGIN)))).round(1)
  end
end
