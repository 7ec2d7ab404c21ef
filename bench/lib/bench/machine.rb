# frozen_string_literal: true

require "etc"

module Bench
  # The machine that everything runs on.
  module Machine
    # Processes that wanted a core, averaged over the last minute.
    def self.load
      File.read("/proc/loadavg").to_f
    end

    # Whether others use so much of it that figures will wander.
    def self.busy?
      load > Etc.nprocessors / 2.0
    end

    # The path of a program on PATH, or nil.
    def self.executable(name)
      ENV.fetch("PATH", "").split(File::PATH_SEPARATOR).map { |folder| File.join(folder, name) }
         .find { |path| File.file?(path) && File.executable?(path) }
    end

    # Its name, or nil.
    def self.processor
      File.read("/proc/cpuinfo")[/^model name\s*: (.+)$/, 1]
    end

    def self.to_h
      { processor: processor, cores: Etc.nprocessors, kernel: Etc.uname.fetch(:release), ruby: RUBY_DESCRIPTION,
        load: load }
    end
  end
end
