# frozen_string_literal: true

require "etc"

module Bench
  # The CPU time and memory of a process, all its threads, and all its descendants, read from /proc.
  #
  # The kernel adds a finished thread's time to its process, and a reaped child's time to its parent (`cutime`,
  # `cstime`), so nothing is lost when threads or workers come and go between two readings.
  class ProcessTree
    # One line of /proc/PID/stat; +ticks+ is utime + stime + cutime + cstime.
    Stat = Struct.new(:pid, :parent, :ticks) do
      # The command name stands in parentheses and may itself hold spaces and parentheses: count from the last one.
      def self.parse(line)
        opening = line.index("(")
        closing = line.rindex(")")
        fields = line[(closing + 2)..].split
        new(line[0...opening].to_i, fields[1].to_i, fields[11, 4].sum(&:to_i))
      end
    end

    def self.available?
      File.readable?("/proc/self/stat")
    end

    def initialize(root)
      @root = root
    end

    # Seconds of CPU time used so far, in user and kernel mode; the kernel counts in steps of 10 ms.
    def cpu_seconds
      members.sum(&:ticks).fdiv(Etc.sysconf(Etc::SC_CLK_TCK))
    end

    # Resident memory in bytes. Pages shared within the tree count once for each process.
    def rss_bytes
      members.sum { |stat| rss_kilobytes(stat.pid) } * 1024
    end

    def pids
      members.map(&:pid)
    end

    private

    def members
      children = all_processes.group_by(&:parent)
      found = children.each_value.flat_map { |stats| stats.select { |stat| stat.pid == @root } }
      found.each { |stat| found.concat(children.fetch(stat.pid, [])) }
    end

    def all_processes
      Dir.glob("/proc/[0-9]*/stat").filter_map { |path| Stat.parse(File.read(path)) if File.exist?(path) }
    rescue Errno::ENOENT, Errno::ESRCH
      retry # a process ended while its line was read
    end

    # The per-process counters of /proc/PID/status lag behind by a few hundred pages; the roll-up is exact.
    def rss_kilobytes(pid)
      File.read("/proc/#{pid}/smaps_rollup")[/^Rss:\s+(\d+)/, 1].to_i
    rescue Errno::ENOENT, Errno::ESRCH
      0
    end
  end
end
