# frozen_string_literal: true

require "json"
require "open3"
require "rbconfig"

module Bench
  # The gem of this checkout.
  class Iodine < Server
    def self.missing
      return if File.exist?(EXECUTABLE) && Dir.exist?(LIBRARY) && Dir.glob("#{LIBRARY}/**/iodine_ext.*").any?

      "iodine is not built in this checkout: run `rake compile`, or leave it out with `--servers puma,floor`"
    end

    private

    def command
      threads = scenario.threads.to_s
      [RbConfig.ruby, "-I#{LIBRARY}", EXECUTABLE, "-b", "127.0.0.1", "-p", port.to_s, "-t", threads, "-w", "1",
       scenario.app_path]
    end

    LIBRARY = File.join(CHECKOUT, "lib")
    EXECUTABLE = File.join(CHECKOUT, "exe", "iodine")
    private_constant :LIBRARY, :EXECUTABLE
  end

  # Puma as the system installs it, single process, quiet, with no configuration file.
  class Puma < Server
    def self.missing
      return if Machine.executable("puma")

      "puma is not installed: try `apt-get install puma` or `gem install puma`, or leave it out with --servers"
    end

    private

    def command
      threads = "#{scenario.threads}:#{scenario.threads}"
      ["puma", "-q", "-C", "-", "-e", "production", "-t", threads, "-w", "0", "-b", "tcp://127.0.0.1:#{port}",
       scenario.app_path]
    end
  end

  # The bare event loop of bench/floor. It runs no application, so it copies the size of another server's answer.
  class Floor < Server
    def self.missing
      "the floor needs cargo to be built: see https://rustup.rs, or leave it out with --servers" unless
        Machine.executable("cargo")
    end

    # Builds what is not up to date; quick when nothing changed.
    def self.build
      output, status = Open3.capture2e("cargo", "build", "--release", "--locked", "--manifest-path", MANIFEST)
      raise Error, "bench/floor does not build:\n#{output}" unless status.success?
    end

    # Where cargo puts the program, which configuration and environment may change.
    def self.executable
      @executable ||= begin
        output, status = Open3.capture2("cargo", "metadata", "--no-deps", "--format-version", "1",
                                        "--manifest-path", MANIFEST)
        raise Error, "cargo cannot describe #{MANIFEST}" unless status.success?

        File.join(JSON.parse(output).fetch("target_directory"), "release", "floor")
      end
    end

    private

    def command
      [self.class.executable, "http", "--port", port.to_s, "--response-bytes", [answer_bytes, LEAST_BYTES].max.to_s]
    end

    MANIFEST = File.join(ROOT, "floor", "Cargo.toml")
    # The floor's own hello world. Puma's is shorter because it sends no Date.
    LEAST_BYTES = 113
    private_constant :MANIFEST, :LEAST_BYTES
  end

  # In the order in which they are started and reported: the floor comes after those it imitates.
  SERVERS = { iodine: Iodine, puma: Puma, floor: Floor }.freeze
end
