# frozen_string_literal: true

require "fileutils"
require "open3"

module Bench
  # A file with a drawing: SVG, or PNG when its name ends in that.
  class Picture
    CONVERTER = "rsvg-convert"

    def initialize(path)
      @path = path
    end

    # What the user must do before it can be written, or nil.
    def missing
      return if !png? || Machine.executable(CONVERTER)

      "#{CONVERTER} is not installed: try `apt-get install librsvg2-bin` or `brew install librsvg`, " \
        "or name a file that ends in .svg"
    end

    # Writes it, into a folder it makes. Raises Bench::Error when that fails.
    def write(svg)
      FileUtils.mkdir_p(File.dirname(@path))
      File.binwrite(@path, png? ? converted(svg) : svg)
    end

    def to_s = @path

    private

    def png? = File.extname(@path) == ".png"

    # Twice the size, for screens that have the pixels.
    def converted(svg)
      png, errors, status = Open3.capture3(CONVERTER, "--zoom", "2", stdin_data: svg, binmode: true)
      raise Error, "#{CONVERTER} failed: #{errors}" unless status.success?

      png
    end
  end
end
