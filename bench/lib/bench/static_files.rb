# frozen_string_literal: true

require "fileutils"
require "tmpdir"

module Bench
  # The files that servers of static files serve: made once, removed at the end.
  module StaticFiles
    SIZES = { "tiny.bin" => 13, "10k.bin" => 10 << 10, "1mb.bin" => 1 << 20 }.freeze
    private_constant :SIZES

    # Readable for the account that a server changes to.
    def self.folder
      @folder ||= Dir.mktmpdir("bench-static").tap do |folder|
        at_exit { FileUtils.rm_rf(folder) }
        File.chmod(0o755, folder)
        SIZES.each { |name, size| File.binwrite(File.join(folder, name), "x" * size) }
      end
    end
  end
end
