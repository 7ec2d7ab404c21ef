# frozen_string_literal: true

module Iodine
  module Base
    module CLI
      # The file that tells the process id of the master while the server runs.
      class PidFile
        # +path+ names the file, or its folder when it ends with a slash.
        def initialize(path)
          @path = File.expand_path(path.end_with?("/") ? "#{path}iodine.pid" : path)
        end

        # Has the file written before workers are forked, and removed by the process that wrote it when all has ended.
        # Raises Failure when the path is that of a folder, a socket or another thing that must not be replaced.
        def install
          remove_stale
          Iodine::DEFAULT_SETTINGS[:pid] = @path
          Iodine.on_state(:pre_start) { write }
          Iodine.on_state(:on_finish) { remove }
        end

        private

        # Created anew: a link put in its place meanwhile is not followed.
        def write
          remove_stale
          File.open(@path, File::WRONLY | File::CREAT | File::EXCL) { |file| file.write("#{Process.pid}\r\n") }
          @master = Process.pid
        end

        # Workers end with the same block, and a newer server may have put its own file there.
        def remove
          File.delete(@path) if @master == Process.pid && File.read(@path).to_i == @master
        rescue Errno::ENOENT
          nil
        end

        def remove_stale
          raise Failure, "the pid file #{@path} is not a file: choose another path" unless File.lstat(@path).file?

          File.delete(@path)
        rescue Errno::ENOENT
          nil
        end
      end
    end
  end
end
