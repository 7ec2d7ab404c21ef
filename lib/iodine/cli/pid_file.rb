# frozen_string_literal: true

require "fileutils"

module Iodine
  module Base
    module CLI
      # The file that tells the process id of the master while the server runs.
      class PidFile
        # +path+ names the file, or its folder when it ends with a slash.
        def initialize(path)
          @path = File.expand_path(path.end_with?("/") ? "#{path}iodine.pid" : path)
        end

        # Has the file written before workers are forked, and removed by the process that wrote it when all has ended. A
        # server that replaces another writes it when it serves. Raises Failure when the path is that of a folder, a
        # socket or another thing that must not be replaced, when the file names another process that runs, and when it
        # cannot be written.
        def install
          remove_stale
          try
          Iodine::DEFAULT_SETTINGS[:pid] = @path
          Upgrade.successor? ? Server.on_ready { write } : Iodine.on_state(:pre_start) { write }
          Iodine.on_state(:on_finish) { remove }
        end

        private

        # Created anew, and put in its place as a whole: nobody reads half of it, and a link is not followed.
        def write
          create
          File.rename(fresh, @path)
          @master = Process.pid
        end

        def create
          File.open(fresh, File::WRONLY | File::CREAT | File::EXCL) { |file| file.write("#{Process.pid}\r\n") }
        end

        def fresh = "#{@path}.#{Process.pid}"

        # Better now than when the application is loaded.
        def try
          create
        rescue SystemCallError => e
          raise Failure, "the pid file #{@path} cannot be written: #{e.message}"
        ensure
          FileUtils.rm_f(fresh)
        end

        # Workers end with the same block, and a newer server may have put its own file there.
        def remove
          File.delete(@path) if @master == Process.pid && File.read(@path).to_i == @master
        rescue Errno::ENOENT
          nil
        end

        def remove_stale
          raise Failure, "the pid file #{@path} is not a file: choose another path" unless File.lstat(@path).file?
          return if Upgrade.successor?

          pid = File.read(@path).to_i
          raise Failure, occupied(pid) if running?(pid)

          File.delete(@path)
        rescue Errno::ENOENT
          nil
        rescue SystemCallError => e
          raise Failure, "the pid file #{@path} cannot be read: #{e.message}"
        end

        # Ids are given again: one that is our own, or our parent's, is that of a process of an earlier life.
        def running?(pid)
          return false unless pid.positive? && ![Process.pid, Process.ppid].include?(pid)

          Process.kill(0, pid)
          true
        rescue Errno::ESRCH, RangeError
          false
        rescue Errno::EPERM
          true
        end

        def occupied(pid)
          "the pid file #{@path} names process #{pid}, which runs: stop that server first, choose another path, " \
            "or remove the file if that is another program"
        end
      end
    end
  end
end
