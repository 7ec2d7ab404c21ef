# frozen_string_literal: true

require "json"

module Support
  # The programs of ext/iodine-testkit, built in one go when the first of them is needed.
  module Testkit
    def self.program(name)
      @programs ||= begin
        command = %w[cargo build --locked --package iodine-testkit --bins
                     --message-format json-render-diagnostics]
        artifacts = IO.popen(command, chdir: ROOT, err: File::NULL, &:readlines).map { |line| JSON.parse(line) }
        artifacts.filter_map { |artifact| artifact["executable"] }.to_h { |path| [File.basename(path), path] }
      end
      @programs[name] or raise "cargo could not build the program #{name} of ext/iodine-testkit"
    end
  end
end
