# frozen_string_literal: true

require "socket"
Dir[File.expand_path("../support/*.rb", __dir__)].sort.each { |file| require file }

# Ordinary clients beside those that are slow, or too many: ruby spec/soak/bad_clients.rb [CLIENTS] [ROUNDS] [KIND...]
#
# Each round measures the ordinary requests twice, without and with the others, so that what else the machine does
# harms both. The figures are medians of the rounds. The exit status is 1 when slow clients make a percentile more than
# twice as large.
class BadClients
  # A request was not answered as it should be, or something has stayed behind.
  class Broken < StandardError; end

  # What ordinary requests took, in milliseconds, without and with the others; the medians of the rounds.
  Figures = Struct.new(:kind, :alone, :beside, :done) do
    def ratio = beside / alone

    def to_s
      format("%-12s p99 %.2f ms alone, %.2f ms beside them: x %.2f; they did %d", kind, alone, beside, ratio, done)
    end
  end

  SLOW = %i[slow_heads slow_bodies slow_reads].freeze
  FLOODS = %i[closes resets silent].freeze
  REQUESTS = 3000

  APP = <<~RUBY
    large = "x" * (8 << 20)
    run ->(env) { [200, {}, [env["PATH_INFO"] == "/large" ? large : "hello"]] }
  RUBY

  def initialize(clients:, rounds:, requests: REQUESTS)
    @clients = clients
    @rounds = rounds
    @requests = requests
  end

  # Returns Figures for each kind. Raises Broken.
  def run(kinds = SLOW + FLOODS)
    @server = Support::Server.rackup(APP, "-header-timeout", "600", "-write-timeout", "600", threads: 2)
    measure
    @before = @server.process.descriptors
    kinds.map { |kind| compare(kind).tap { |figures| yield figures if block_given? } }
  ensure
    @server&.stop
  end

  private

  def compare(kind)
    done = 0
    rounds = Array.new(@rounds) do
      alone = measure
      some, beside = Support::BadClients.during(kind, @server.port, @clients) { measure }
      done += some
      check(kind, some)
      [alone, beside]
    end
    alone, beside = rounds.transpose.map { |all| all.sort[all.size / 2] }
    Figures.new(kind, alone, beside, done)
  end

  # The 99th percentile of what requests take: on a connection that is kept, and each tenth on a new one.
  def measure
    times = @server.connect do |peer|
      Array.new(@requests) { |number| timed { number % 10 == 9 ? ask_anew : ask(peer) } }
    end
    times.sort[@requests * 99 / 100]
  end

  def ask_anew = @server.connect { |peer| ask(peer) }

  def ask(peer)
    answer = peer.write(Support::Server.get("/")).read_response
    raise Broken, "answered by #{answer.status}" unless [answer.status, answer.body] == [200, "hello"]
  end

  def timed(&block) = Support::Waiting.seconds(&block) * 1000

  # The others have done something, and nothing of them stays.
  def check(kind, done)
    raise Broken, "the clients of #{kind} did nothing" unless done.positive?

    Support::Waiting.wait_until("descriptors of #{kind} to be closed") { @server.process.descriptors <= @before }
    bad = @server.log.lines.grep(/panic|ERROR|FATAL/)
    raise Broken, bad.join if bad.any?
  end
end

if $PROGRAM_NAME == __FILE__
  clients, rounds, *kinds = ARGV
  kinds = kinds.empty? ? BadClients::SLOW + BadClients::FLOODS : kinds.map(&:to_sym)
  bad = BadClients.new(clients: Integer(clients || 1000), rounds: Integer(rounds || 9))
  figures = bad.run(kinds) { |one| puts one }
  exit(figures.all? { |one| one.ratio <= 2 || BadClients::FLOODS.include?(one.kind) })
end
