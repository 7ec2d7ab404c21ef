# frozen_string_literal: true

require "io/wait"

module Support
  # What a child process writes to one of its streams, collected by a thread as it comes.
  class Output
    def initialize(io)
      @io = io
      @text = String.new
      @lock = Mutex.new
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
      deadline = Waiting.monotonic + within
      @lock.synchronize do
        loop do
          match = @text.dup.force_encoding(Encoding::UTF_8).scrub.match(pattern)
          return match if match

          remaining = deadline - Waiting.monotonic
          raise DeadlineError, "no #{pattern.inspect} in:\n#{@text}" if @ended || remaining <= 0

          @grown.wait(@lock, remaining)
        end
      end
    end

    # Waits until every process that held the stream has closed it, at most +within+ seconds.
    def finish(within: 5)
      @collector.join(within) || @collector.kill
      @io.close unless @io.closed?
    end

    private

    def collect
      loop do
        bytes = @io.readpartial(65_536)
        @lock.synchronize { @text << bytes and @grown.broadcast }
      end
    rescue IOError
      @lock.synchronize { @ended = true and @grown.broadcast }
    end
  end
end
