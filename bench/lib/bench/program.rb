# frozen_string_literal: true

require "json"
require "open3"

module Bench
  # A Rust program of the benchmarks: the package in bench/NAME.
  class Program
    def initialize(name)
      @name = name
      @manifest = File.join(ROOT, name, "Cargo.toml")
    end

    # What the user must do before it can be built, or nil.
    def missing
      "bench/#{@name} needs cargo to be built: see https://rustup.rs" unless Machine.executable("cargo")
    end

    # Builds what is not up to date; quick when nothing changed.
    def build
      output, status = Open3.capture2e("cargo", "build", "--release", "--locked", "--manifest-path", @manifest)
      raise Error, "bench/#{@name} does not build:\n#{output}" unless status.success?
    end

    # Where cargo puts it, which configuration and environment may change.
    def executable
      @executable ||= begin
        output, status = Open3.capture2("cargo", "metadata", "--no-deps", "--format-version", "1",
                                        "--manifest-path", @manifest)
        raise Error, "cargo cannot describe #{@manifest}" unless status.success?

        File.join(JSON.parse(output).fetch("target_directory"), "release", @name)
      end
    end
  end

  FLOOR = Program.new("floor")
  CROWD = Program.new("crowd")
end
