# frozen_string_literal: true

require "socket"
require "tempfile"

module Bench
  # One server process on a port of its own. A kind of server says its +command+ and what is +missing+ to run it.
  class Server
    attr_reader :port, :tree

    # What the user must do before this kind can run, or nil.
    def self.missing
      raise NotImplementedError, "#{self} must say what it needs"
    end

    # +answer_bytes+, called when the command is made, is the size in bytes of the answers that a server without an
    # application has to match.
    def initialize(scenario, answer_bytes:)
      @scenario = scenario
      @answer_bytes = answer_bytes
      @port = free_port
    end

    # Returns when the server has answered the scenario's request with 200.
    def start
      @output = Tempfile.new("bench")
      @pid = Process.spawn(environment, *command, chdir: CHECKOUT, in: File::NULL, out: @output, err: @output)
      @tree = ProcessTree.new(@pid)
      await_answer
    end

    def stop
      return unless @pid

      members = @tree.pids
      signal("TERM", [@pid])
      return if reaped_within?(STOP_SECONDS)

      signal("KILL", members)
      Process.wait(@pid)
    rescue Errno::ECHILD
      nil # it had ended by itself and was reaped then
    ensure
      @output&.close!
      @pid = nil
    end

    # One exchange with the scenario's request.
    def answer
      Client.fetch(@port, @scenario.request)
    end

    # The end of what the server printed.
    def log
      File.read(@output.path).lines.last(20).join
    end

    def to_s
      "#{self.class.name.split("::").last.downcase} (#{command.join(" ")})"
    end

    private

    attr_reader :scenario

    def command
      raise NotImplementedError, "#{self.class} must say how it starts"
    end

    def environment = ENVIRONMENT

    def answer_bytes
      @answer_bytes.call
    end

    def free_port
      TCPServer.open("127.0.0.1", 0) { |server| server.addr[1] }
    end

    def await_answer
      deadline = now + START_SECONDS
      until answers?
        raise Error, "#{self} ended before it answered:\n#{log}" if reaped?
        raise Error, "#{self} did not answer within #{START_SECONDS} s:\n#{log}" if now > deadline

        sleep POLL_SECONDS
      end
    end

    def answers?
      status = answer.status
      return true if status == 200

      raise Error, "#{self} answered #{status} to #{scenario.request.path}, expected 200:\n#{log}"
    rescue Errno::ECONNREFUSED
      false
    end

    def reaped_within?(seconds)
      deadline = now + seconds
      sleep POLL_SECONDS until (ended = reaped?) || now > deadline
      ended
    end

    def reaped?
      Process.wait(@pid, Process::WNOHANG) ? true : false
    end

    def signal(name, pids)
      pids.each do |pid|
        Process.kill(name, pid)
      rescue Errno::ESRCH
        next
      end
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end

    # No middleware that a development environment would add, and no option of the caller's Ruby.
    ENVIRONMENT = { "RACK_ENV" => "production", "RUBYOPT" => nil, "RUBYLIB" => nil, "BUNDLE_GEMFILE" => nil }.freeze
    START_SECONDS = 60
    STOP_SECONDS = 5
    POLL_SECONDS = 0.02
    private_constant :START_SECONDS, :STOP_SECONDS, :POLL_SECONDS
  end
end
