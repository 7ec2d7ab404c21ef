# frozen_string_literal: true

require "rbconfig"

module Iodine
  module Base
    # Starts this program anew, with whatever versions of Ruby, iodine and the application are installed by now, beside
    # the process that runs. The new one gets the listening sockets. When it serves it says so by a pipe, and the old
    # one leaves; when it fails, the old one goes on.
    module Upgrade
      # Where the new process writes that it serves.
      REPORT = "IODINE_UPGRADE"

      # Seconds to read what a process has said that has ended.
      LAST_WORD = 1

      # How this process was started; read early, before anything renames it.
      COMMAND =
        begin
          File.read("/proc/self/cmdline").split("\0", -1)[0..-2]
        rescue SystemCallError
          [RbConfig.ruby, $PROGRAM_NAME, *ARGV]
        end.freeze
      # Where: by the name the shell knows, for that may be a link to the newest release.
      FOLDER = (ENV["PWD"] && File.identical?(ENV["PWD"], ".") ? ENV["PWD"] : Dir.pwd).freeze

      @report = ENV.delete(REPORT)&.to_i
      @successor = @late = nil

      class << self
        # Whether this process is to replace its parent.
        def successor? = !@report.nil?

        # Starts the new process. What becomes of it is told by the event `:upgraded`, or `[:upgrade_failed, status]`.
        def start(listeners, events)
          return Log.error(IN_CONTAINER) if Process.pid == 1
          return Log.warning("an upgrade is under way already") if @successor

          reader, writer = IO.pipe
          @successor = spawn(listeners, writer)
          writer.close
          @started = Base.now
          Log.info("Started the new server, process #{@successor}.")
          watch(@successor, reader, events)
        rescue SystemCallError, ThreadError => e
          call_off
          @successor = nil
          Log.error("the new server could not be started: #{e.message}. This one goes on.")
        end

        # The new process has ended before it could serve.
        def failed(status)
          @successor = @late = nil
          Log.error("The new server did not come to serve (#{status}). This one goes on.")
        end

        # Each second. Ends the new process when it takes too long.
        def look
          return unless @successor && Boot.late?(Base.now - @started)
          return tell("KILL") if @late && Base.now - @late > Farewell::GRACE
          return if @late

          @late = Base.now
          Log.error("The new server, process #{@successor}, #{Boot.verdict}")
          # Ruby says where it was.
          tell("INT")
        end

        # Ends the new process, because this one ends before it was replaced.
        def call_off = @successor && tell("TERM")

        # In the new process: it serves.
        def report
          return unless @report

          IO.open(@report, "w") { |pipe| pipe.puts(Process.pid) }
          @report = nil
        rescue SystemCallError => e
          Log.warning("the former server is gone: #{e.message}")
        end

        private

        IN_CONTAINER = "process 1 cannot be replaced by another one: its end would be that of its container. " \
                       "Start a new container instead."
        private_constant :IN_CONTAINER

        def tell(signal)
          Process.kill(signal, @successor)
        rescue Errno::ESRCH
          # It has left by itself; its exit is among the events.
        end

        def spawn(listeners, writer)
          descriptors = [writer.fileno, *listeners.map(&:descriptor)]
          environment = {
            REPORT => writer.fileno.to_s, InheritedSockets::VARIABLE => InheritedSockets.describe(listeners),
            # It is for the process that the service manager has started.
            "WATCHDOG_PID" => nil
          }
          inherited = descriptors.to_h { |descriptor| [descriptor, descriptor] }
          Process.spawn(environment, [COMMAND[0], COMMAND[0]], *COMMAND.drop(1), chdir: FOLDER, **inherited)
        end

        # Two threads, for a process that the new one has started may keep the pipe open.
        def watch(pid, reader, events)
          word = Thread.new { reader.gets.tap { |said| events << :upgraded if said } }
          Thread.new do
            _, status = Process.wait2(pid)
            said = word.join(LAST_WORD)&.value
            events << [:upgrade_failed, status] unless said
          end
        end
      end
    end
  end
end
