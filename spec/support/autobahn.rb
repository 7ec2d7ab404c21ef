# frozen_string_literal: true

require "fileutils"
require "json"

require_relative "child_process"

module Support
  # The Autobahn cases for WebSockets (RFC 6455, RFC 7692), run by kosoku, which bin/setup has installed.
  module Autobahn
    PYTHON = File.expand_path("tmp/python", ROOT)
    OUTCOMES = File.expand_path("tmp/autobahn", ROOT)
    COMMAND = ["python3", File.expand_path("spec/conformance/autobahn.py", ROOT), "-p", "4"].freeze

    # Cases that take seconds. The others, with messages of megabytes or a thousand messages each, take minutes.
    QUICK = %w[1.* 2.* 3.* 4.* 5.* 6.* 7.* 10.* 9.1.1 9.2.1 9.3.4 9.5.4 9.7.1 9.8.1 12.1.1 12.2.10 12.5.18 13.1.3 13.2.9
               13.3.10 13.4.11 13.5.12 13.6.13 13.7.18].freeze
    QUICK_COUNT = 263

    # Those of permessage-deflate.
    COMPRESSION = %w[12.* 13.*].freeze
    QUICK_COMPRESSION = QUICK.grep(/\A1[23]\./).freeze

    module_function

    # Whether all cases are run.
    def all? = ENV.key?("CI") || ENV["AUTOBAHN"] == "all"

    # Runs the cases against the server at +port+, with a +folder+ for reports, and returns the outcome.
    def fuzz_server(port, folder, cases = all? ? [] : QUICK)
      process = start("fuzzingclient", "127.0.0.1:#{port}", folder, cases)
      process.wait(within: 1200)
      outcome(folder)
    ensure
      process&.kill_group
    end

    # Yields the address of a server that runs the cases for a client, waits for its end, and returns the outcome.
    def fuzz_client(folder)
      process = start("fuzzingserver", "127.0.0.1:0", folder, all? ? [] : QUICK)
      yield process.wait_for_log(%r{listening on ws://(\S+)}, within: 60)[1]
      process.wait(within: 1200)
      outcome(folder)
    ensure
      process&.kill_group
    end

    # Writes an outcome to tmp/autobahn.
    def keep(side, outcome)
      FileUtils.mkdir_p(OUTCOMES)
      sorted = outcome.sort_by { |name, _| name.split(".").map(&:to_i) }
      lines = sorted.map { |name, results| format("%-8s  %-13s  %-13s  %s\n", name, *results) }
      File.write(File.join(OUTCOMES, "autobahn-#{side}.txt"), lines.join)
    end

    # Reads one that was written.
    def read(file)
      File.readlines(file, chomp: true).to_h do |line|
        name, *results = line.split(/ {2,}/)
        [name, results]
      end
    end

    # The results that are not as they were, by case: before, and now. Whether messages before a mistake are answered
    # (OK), or not any more (NON-STRICT), is a matter of who is faster.
    def differences(before, now)
      now.to_h { |name, results| [name, [before[name], results]] }.reject do |_, (then_, results)|
        then_ && then_.drop(1) == results.drop(1) &&
          (then_[0] == results[0] || ([then_[0], results[0]] - %w[OK NON-STRICT]).empty?)
      end
    end

    # Without +cases+ all of them.
    def start(mode, address, folder, cases)
      select = cases.flat_map { |name| ["-i", name] }
      ChildProcess.new(*COMMAND, "-m", mode, "-o", folder, *select, address, env: { "PYTHONPATH" => PYTHON })
    end

    # By case: how the messages were exchanged, how the connection ended, the code in the peer's close frame.
    def outcome(folder)
      agents = JSON.parse(File.read(File.join(folder, "index.json")))
      agents.values.inject(:merge).transform_values do |result|
        result.values_at("behavior", "behaviorClose", "remoteCloseCode").map { |value| value ? value.to_s : "-" }
      end
    end
  end
end
