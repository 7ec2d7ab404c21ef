# frozen_string_literal: true

module Bench
  # Pictures, of so many pixels and with these elements.
  module SVG
    def self.document(width, height, elements)
      <<~SVG
        <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 #{width} #{height}" font-family="sans-serif" font-size="12">
        <rect width="#{width}" height="#{height}" fill="white"/>
        #{elements.join("\n")}
        </svg>
      SVG
    end
  end
end
