# frozen_string_literal: true

require "io/wait"

module Support
  # What a child process writes to one of its streams, collected by a thread as it comes.
  class Output
    def initialize(io)
      @io = io
      @text = String.new
      @lock = Mutex.new
      @reading = Mutex.new
      @grown = ConditionVariable.new
      @ended = false
      @collector = Thread.new { collect }
    end

    # All that was written so far.
    def text = @lock.synchronize { @text.dup.force_encoding(Encoding::UTF_8).scrub }

    def lines = text.lines(chomp: true)

    # Waits until the text matches and returns the MatchData. Raises DeadlineError, with the text, when the stream
    # ends or +within+ seconds pass without a match.
    def wait_for(pattern, within: Waiting::DEADLINE)
      wait_until(pattern.inspect, within: within) { |text| text.match(pattern) }
    end

    # Waits until the block, given the text, returns what is true, and returns that. Raises DeadlineError, with the
    # text, when the stream ends or +within+ seconds pass before.
    def wait_until(wanted, within: Waiting::DEADLINE)
      deadline = Waiting.monotonic + within
      @lock.synchronize do
        loop do
          found = yield @text.dup.force_encoding(Encoding::UTF_8).scrub
          return found if found

          remaining = deadline - Waiting.monotonic
          raise DeadlineError, "no #{wanted} in:\n#{@text}" if @ended || remaining <= 0

          @grown.wait(@lock, remaining)
        end
      end
    end

    # Takes what was written until now: all of it, when whoever wrote has ended.
    def catch_up = @reading.synchronize { drain }

    # Nothing is read from the stream while the block runs.
    def unread(&block) = @reading.synchronize(&block)

    # Waits until every process that held the stream has closed it, at most +within+ seconds.
    def finish(within: 5)
      @collector.join(within) || @collector.kill
      @io.close unless @io.closed?
    end

    private

    def collect
      @io.wait_readable while catch_up
    ensure
      @lock.synchronize { @ended = true and @grown.broadcast }
    end

    # Reads until there is nothing more now; false at the end of the stream.
    def drain
      loop do
        bytes = @io.read_nonblock(65_536, exception: false)
        return true if bytes == :wait_readable
        return false if bytes.nil?

        @lock.synchronize { @text << bytes and @grown.broadcast }
      end
    rescue IOError
      false
    end
  end
end
