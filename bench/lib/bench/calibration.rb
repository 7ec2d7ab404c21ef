# frozen_string_literal: true

require "socket"

module Bench
  # Checks the instruments against quantities that are known: that no CPU time of a tree is lost, and that wrk counts
  # each pipelined answer.
  class Calibration
    # +measured+ must be within +tolerance+ (a fraction) of +expected+.
    Check = Struct.new(:name, :expected, :measured, :tolerance, keyword_init: true) do
      def pass?
        (measured - expected).abs <= expected * tolerance
      end

      def to_s
        outcome = pass? ? "pass" : "miss"
        "#{outcome.ljust(10)} #{name}: expected #{expected.round(2)}, measured #{measured.round(2)}"
      end
    end

    # +seconds+ of CPU time that each part burns.
    def initialize(seconds: 1.0)
      @seconds = seconds
    end

    def checks
      [*tree_checks, pipeline_check]
    end

    # Threads, living children and exited children, each in a process of its own so that the others prove nothing.
    def tree_checks
      { "a thread" => THREAD, "a living child" => LIVING_CHILD, "an exited child" => EXITED_CHILD }.map do |name, code|
        Check.new(name: "CPU seconds of #{name}", expected: @seconds, measured: burn(code), tolerance: 0.1)
      end
    end

    # Requests that wrk reports, against those that arrived at a server which only counts. The last batch may be
    # counted by one side alone.
    def pipeline_check
      CountingServer.open do |server|
        result = Wrk.new(connections: 1, request: Request.new(pipeline: 16)).run(server.port, 1)
        Check.new(name: "pipelined requests", expected: server.requests, measured: result.requests, tolerance: 0.01)
      end
    end

    private

    # The child waits for a line before and after it burns, which leaves the start of Ruby out of the figure.
    def burn(code)
      IO.popen([RbConfig.ruby, "--disable-gems", "-e", BURN, "-e", code, @seconds.to_s], "r+") do |process|
        tree = ProcessTree.new(process.pid)
        process.gets
        before = tree.cpu_seconds
        process.puts
        process.gets
        tree.cpu_seconds - before
      end
    end

    BURN = <<~RUBY
      $stdout.sync = true
      def burn(clock) = (nil while Process.clock_gettime(clock) < ARGV[0].to_f)
      def await_line = (puts; $stdin.gets)
      await_line
    RUBY
    THREAD = "Thread.new { burn(Process::CLOCK_THREAD_CPUTIME_ID) }.join; puts"
    LIVING_CHILD = <<~RUBY
      fork { burn(Process::CLOCK_PROCESS_CPUTIME_ID); puts; $stdin.gets }
      Process.wait
    RUBY
    EXITED_CHILD = "Process.wait(fork { burn(Process::CLOCK_PROCESS_CPUTIME_ID) }); puts"
    private_constant :BURN, :THREAD, :LIVING_CHILD, :EXITED_CHILD
  end

  # Answers one connection after another and counts the requests; it knows no bodies.
  class CountingServer
    attr_reader :requests

    def self.open
      server = new
      yield server
    ensure
      server&.close
    end

    def initialize
      @requests = 0
      @listener = TCPServer.new("127.0.0.1", 0)
      @thread = Thread.new { loop { serve(@listener.accept) } }
    end

    def port
      @listener.addr[1]
    end

    def close
      @thread.kill.join
      @listener.close
    end

    private

    def serve(socket)
      pending = String.new
      loop do
        pending << socket.readpartial(65_536)
        count = pending.scan(HEAD_END).size
        pending = pending.rpartition(HEAD_END).last
        @requests += count
        socket.write(ANSWER * count)
      end
    rescue EOFError, SystemCallError
      socket.close
    end

    HEAD_END = "\r\n\r\n"
    ANSWER = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    private_constant :HEAD_END, :ANSWER
  end
end
