# frozen_string_literal: true

require "etc"
require "rbconfig"
require "tmpdir"
require "fileutils"

module Support
  ROOT = File.expand_path("../..", __dir__)

  # A program run by a spec, in a process group and a temporary folder of its own.
  class ChildProcess
    # Variables that would change what the command does are taken out of the inherited environment.
    CLEAN = %w[PORT THREADS WORKERS WEB_CONCURRENCY IODINE_REDIS_URL SCRIPT_NAME RACK_HANDLER RACK_ENV
               RAILS_ENV].to_h { |name| [name, nil] }.freeze

    @all = []

    class << self
      attr_reader :all

      # Kills whatever specs left running.
      def kill_all = all.dup.each(&:kill_group)

      # Runs Ruby source with iodine's lib folder on the load path, waits for its end and returns the process.
      def run_ruby(source, *arguments, within: Waiting::DEADLINE, **options)
        process = ruby(source, *arguments, **options)
        process.wait(within: within)
        process
      ensure
        process&.kill_group
      end

      # Starts Ruby source with iodine's lib folder on the load path.
      def ruby(source, *arguments, **options)
        new(RbConfig.ruby, "-I#{ROOT}/lib", "-e", "$stdout.sync = true", "-e", source, *arguments.map(&:to_s),
            **options)
      end
    end

    attr_reader :pid, :out, :log, :tmpdir

    # Spawns +command+. Standard output is collected in +out+, standard error in +log+. +input+ is its
    # standard input, and +descriptors+ are open files for it, by their number.
    def initialize(*command, env: {}, chdir: nil, input: File::NULL, descriptors: {})
      @tmpdir = Dir.mktmpdir("iodine-spec")
      @work = Dir.mktmpdir("iodine-spec-tmp")
      out, out_writer = IO.pipe
      log, log_writer = IO.pipe
      @pid = Process.spawn(CLEAN.merge(Collector.for_all, "TMPDIR" => @work, **env), *command,
                           in: input, out: out_writer, err: log_writer, pgroup: true, chdir: chdir || @tmpdir,
                           **descriptors)
      [out_writer, log_writer].each(&:close)
      @out = Output.new(out)
      @log = Output.new(log)
      @waiter = Process.detach(@pid)
      ChildProcess.all << self
    end

    # The TMPDIR of the child; nothing but what the child left is in it.
    def temporary_files = Dir.children(@work)

    def wait_for_log(pattern, **options) = log.wait_for(pattern, **options)

    def kill(signal) = Process.kill(signal, pid)

    def alive? = @waiter.alive?

    # Waits for the end of the process and returns its Process::Status. Raises DeadlineError, with the log, when it
    # still runs after +within+ seconds.
    def wait(within: Waiting::DEADLINE)
      @waiter.join(within) or raise DeadlineError, "process #{pid} still runs after #{within} s:\n#{log.text}"
      [out, log].each(&:catch_up)
      @waiter.value
    end

    # Asks the process to end, waits for it and returns its Process::Status; a process that does not end is killed.
    def stop(signal = "INT", within: Waiting::DEADLINE)
      kill(signal) if alive?
      @waiter.join(within)
    rescue Errno::ESRCH
      nil
    ensure
      kill_group
      return @waiter.value # rubocop:disable Lint/EnsureReturn
    end

    # Kills what is left of the process group and removes the folders.
    def kill_group
      begin
        Process.kill("KILL", -pid)
      rescue Errno::ESRCH, Errno::EPERM
        nil
      end
      @waiter.join
      [out, log].each(&:finish)
      FileUtils.rm_rf([@tmpdir, @work])
      ChildProcess.all.delete(self)
    end

    # Process ids of the living children.
    def children
      Dir.glob("/proc/[0-9]*/stat").filter_map do |file|
        id, state, parent = File.read(file).match(/\A(\d+) \(.*\) (\S) (\d+)/m).captures
        id.to_i if parent.to_i == pid && state != "Z"
      rescue Errno::ENOENT, Errno::ESRCH
        nil
      end
    end

    # User and kernel time of the process so far, in seconds.
    def cpu_seconds
      ticks = File.read("/proc/#{pid}/stat").rpartition(")").last.split.values_at(11, 12)
      ticks.sum(&:to_f) / Etc.sysconf(Etc::SC_CLK_TCK)
    end

    # Resident memory in bytes.
    def resident_memory = File.read("/proc/#{pid}/status")[/^VmRSS:\s+(\d+) kB/, 1].to_i * 1024

    # How many descriptors it has open.
    def descriptors = Dir.children("/proc/#{pid}/fd").size

    # Paths of the files that the process holds open; one without a name ends in "(deleted)".
    def open_files
      Dir.glob("/proc/#{pid}/fd/*").filter_map do |descriptor|
        path = File.readlink(descriptor)
        path if path.start_with?("/")
      rescue Errno::ENOENT
        nil
      end
    end

    # Whether a process of this id still runs.
    def self.running?(id)
      File.read("/proc/#{id}/stat")[/\) (\S)/, 1] != "Z"
    rescue Errno::ENOENT, Errno::ESRCH
      false
    end
  end
end
