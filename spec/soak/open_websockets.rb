# frozen_string_literal: true

require "socket"
Dir[File.expand_path("../support/*.rb", __dir__)].sort.each { |file| require file }

# As many open WebSockets as descriptors allow: ruby spec/soak/open_websockets.rb [SECONDS] [CLIENTS] [CHURN]
#
# Two workers have them all, and send pings; numbers are published, which each client has to get without a gap, a
# repetition or another order; and each second some clients leave, by a close frame, silently or by a reset, while
# others come. In the end no descriptor is left of those who have gone, and the server says good-bye to all the rest.
class OpenWebSockets
  # Something is not as it has to be.
  class Broken < StandardError; end

  PATIENCE = 120

  def initialize(seconds:, clients:, churn:)
    @seconds = seconds
    @clients = clients
    @churn = churn
  end

  # Returns what it has seen, as a Hash. Raises Broken.
  def run
    @server = Support::Server.rackup("numbered.ru", "-ping", ping, "-shutdown-timeout", "30", workers: 2, threads: 2)
    @server.wait_for_log(/(?:is running.*){2}/m)
    publish_one(0)
    @before = descriptors
    gather do |audience|
      opened = Integer(audience.out.wait_for(/^open \d+ in (\d+) ms$/, within: PATIENCE)[1])
      last = publish
      @orders.puts("come and go no more")
      audience.out.wait_for(/^ready$/, within: PATIENCE)
      publish_one(last += 1)
      @orders.puts(last)
      heard = result(audience, 1)
      facts = { opened_ms: opened, published: last, descriptors: left_over(heard), resident_mib: memory, **heard }
      stop(audience, facts)
    end
  ensure
    @publisher&.close
    @server&.stop
  end

  private

  # Seconds between pings: everybody gets some.
  def ping = (@seconds / 4).clamp(1, 10)

  def gather
    input, @orders = IO.pipe
    arguments = { to: "127.0.0.1:#{@server.port}", clients: @clients, churn: @churn }
    audience = Support::ChildProcess.new(Support::Testkit.program("audience"),
                                         *arguments.map { |name, value| "#{name}=#{value}" }, input: input)
    yield audience
  rescue Support::DeadlineError => e
    raise Broken, [e.message, audience&.log&.text, @server.log.lines.grep_v(/^(opened|closed) /).last(20)].join("\n")
  ensure
    @orders&.close
    audience&.stop("TERM")
  end

  # Numbers, until the time is over; the last one.
  def publish
    finish = now + @seconds
    (1..).each do |number|
      publish_one(number)
      return number if now > finish

      # As much as they can take, and no more: a message to 19,000 is some tenths of a second of work.
      sleep(@clients / 20_000.0)
    end
  end

  # All by one connection, and so by one worker: what several of them publish has no order.
  def publish_one(number)
    @publisher ||= @server.connect
    answer = @publisher.write(Support::Server.get("/publish?#{number}")).read_response(within: PATIENCE)
    raise Broken, "a request was answered by #{answer.status}" unless answer.status == 200
  end

  # The numbers of a line of the audience.
  def result(audience, count)
    line = audience.out.wait_until("result #{count}", within: PATIENCE) { |text| text.scan(/^result .*/)[count - 1] }
    line.scan(/(\w+)=(\d+)/).to_h { |name, value| [name.to_sym, value.to_i] }
  end

  # How many descriptors the workers have, more than those of the connections that are there: none may stay.
  def left_over(heard)
    Support::Waiting.wait_until("descriptors of those who have left to be closed", within: 60) do
      descriptors - @before <= heard[:clients]
    end
    descriptors - @before - heard[:clients]
  end

  def stop(audience, facts)
    @orders.puts("end")
    began = now
    raise Broken, "the server has not stopped as it should" unless @server.stop("TERM", within: 60).success?

    facts[:stopped_ms] = ((now - began) * 1000).round
    ended = result(audience, 2)
    facts.merge(ended.slice(:pings, :farewells, :ends), check_log(facts))
  end

  # Each connection was told of its opening and its end once.
  def check_log(facts)
    opened, closed = %w[opened closed].map { |word| @server.log.scan(/^#{word} /).size }
    if opened != facts[:opened] || closed != opened
      raise Broken, "#{facts[:opened]} connections, #{opened} on_open, #{closed} on_close"
    end

    bad = @server.log.lines.grep(/panic|ERROR|FATAL|WARN/)
    raise Broken, bad.join if bad.any?

    { on_close: closed }
  end

  def workers = @workers ||= @server.children
  def descriptors = workers.sum { |pid| Dir.children("/proc/#{pid}/fd").size }
  def memory = workers.map { |pid| File.read("/proc/#{pid}/status")[/^VmRSS:\s+(\d+)/, 1].to_i / 1024 }
  def now = Support::Waiting.monotonic
end

if $PROGRAM_NAME == __FILE__
  seconds, clients, churn = ARGV.map { |argument| Integer(argument) }
  puts OpenWebSockets.new(seconds: seconds || 60, clients: clients || 19_000, churn: churn || 100).run
end
