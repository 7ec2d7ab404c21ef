# frozen_string_literal: true

# Clients, and Redis, behind a network that delays, cuts and breaks (Support::Chaos). What it does is decided by a seed,
# which is part of each example's name: IODINE_CHAOS_SEED=N tries it again. IODINE_SOAK says for how many seconds each
# example goes on with new connections.
RSpec.describe "A bad network" do
  seed = Support::Chaos.seed
  seconds = Float(ENV.fetch("IODINE_SOAK", 0))
  broken = [Support::RawHTTP::MalformedError, Errno::ECONNRESET, Errno::EPIPE, OpenSSL::SSL::SSLError].freeze

  # +chaos+ is between the client and the server. Runs the block with each client's number and source of chance in a
  # thread of its own, and again until the time has passed. A client that fails must be one that was harmed.
  define_method(:clients) do |chaos, count, &client|
    finish = monotonic + seconds
    round = -1
    while (round += 1).zero? || monotonic < finish
      together(count) do |index|
        number = (round * count) + index
        peer = Support::RawHTTP.new(TCPSocket.new("127.0.0.1", chaos.port))
        port = peer.io.local_address.ip_port
        client.call(peer, number, Random.new(seed + number))
      rescue *broken => e
        wait_until("harm to client #{number}, which has failed by #{e.inspect},") { chaos.harm(port) }
      ensure
        peer&.close
      end
    end
  end

  # A proxy before the server for the block, which must do some harm. Then the server must be as it was before: serve,
  # rest, and hold no descriptor more.
  define_method(:through_chaos) do |port = server.port, **faults, &block|
    expect(directly { |peer| answer(peer, "/well") }).to eq("/well ")
    before = server.process.descriptors
    chaos = Support::Chaos.new(port, seed: seed, delay_us: 2000, pieces: 4, harm: 40, within: 20_000,
                                     ends: "close,half,reset", **faults)
    block.call(chaos)
    expect(chaos.harmed).to be_positive
    wait_until("all descriptors to be closed") { server.process.descriptors <= before }
    expect(directly { |peer| answer(peer, "/well") }).to eq("/well ")
    expect(server.log).not_to match(/panic|ERROR|FATAL/)
    wait_until("the server to rest") { cpu_of { sleep 0.3 } < 0.03 }
  ensure
    chaos&.stop
  end

  # A connection without the proxy.
  def directly(&block) = server.connect(&block)
  def answer(peer, target) = peer.write(Support::Server.get(target)).read_response.body

  def cpu_of
    before = server.process.cpu_seconds
    yield
    server.process.cpu_seconds - before
  end

  # Requests in one packet, and their answers one after the other.
  def converse(peer, number, random)
    requests = Array.new(1 + random.rand(5)) { |index| ["/#{number}/#{index}", random.bytes(random.rand(20_000))] }
    peer.write(requests.map { |path, body| Support::Server.post(path, body) }.join)
    requests.each { |path, body| expect(peer.read_response(to: "POST").body).to eq("#{path} ".b << body) }
  end

  # What each connection that was opened has been told: on_close, exactly once, and nothing else.
  def expect_one_end_each(kind)
    opened = server.log.scan(%r{^opened (/#{kind}\S+)}).flatten
    wait_until("as many ends") { server.log.scan(%r{^closed /#{kind}\S+}).size >= opened.size }
    expect(server.log.scan(%r{^closed (/#{kind}\S+)}).flatten).to match_array(opened.uniq)
  end

  # Messages that come back, among numbers that are published; then a close by the rules.
  def chat(peer, number, random)
    socket = Support::WebSocket.new(peer, "/ws/#{number}")
    news = []
    expect(read_past_news(socket, news)).to eq("ready")
    Array.new(20) { |index| "#{index} #{random.bytes(random.rand(300)).unpack1("H*")}" }.each_slice(4) do |texts|
      peer.write(texts.map { |text| Support::WebSocket.frame(:text, text) }.join)
      expect(texts.map { read_past_news(socket, news) }).to eq(texts)
    end
    news << socket.read_message while news.size < 20
    expect_consecutive(news)
    socket.send_frame(:close, Support::WebSocket.closing(1000))
    nil until socket.read_frame.opcode == :close
  end

  # The next message that is no number; those go into +news+.
  def read_past_news(socket, news)
    loop do
      message = socket.read_message
      return message unless message.match?(/\A\d+\z/)

      news << message
    end
  end

  def expect_consecutive(numbers)
    expect(numbers.map(&:to_i)).to eq(Array.new(numbers.size) { |index| numbers[0].to_i + index })
  end

  # Publishes numbers until the block has returned.
  def publishing
    stop = false
    publisher = Thread.new do
      directly do |peer|
        (0..).each do |number|
          break if stop

          answer(peer, "/publish?#{number}")
          sleep 0.002
        end
      end
    end
    yield
  ensure
    stop = true
    publisher.join
  end

  describe "with seed #{seed}" do
    serve "numbered.ru", threads: 2

    it "breaks HTTP for those whose connection breaks, and for nobody else" do
      through_chaos do |chaos|
        clients(chaos, 30) { |peer, number, random| converse(peer, number, random) }
      end
    end

    it "loses no message of a WebSocket that lives, doubles none, and tells each of its end once" do
      through_chaos(within: 6000) do |chaos|
        publishing do
          clients(chaos, 30) { |peer, number, random| chat(peer, number, random) }
        end
        expect_one_end_each("ws")
      end
    end

    it "loses no event of a stream that lives, doubles none, and tells each of its end once" do
      through_chaos(within: 600) do |chaos|
        publishing do
          clients(chaos, 30) do |peer, number, _random|
            peer.write(Support::Server.get("/sse/#{number}", "Accept: text/event-stream"))
            expect(peer.read_head.status).to eq(200)
            events = Array.new(30) { peer.read_until("\r\n\r\n")[/\Adata: (.*)\r\n\r\n\z/, 1] }
            expect(events.delete("ready")).to eq("ready")
            expect_consecutive(events)
          end
        end
        expect_one_end_each("sse")
      end
    end

    it "tells clients of servers of the end of each connection once, and of its messages in order" do
      script = <<~RUBY
        require "iodine"

        # Sends what comes back until it is enough, and says what it was told.
        class Asking
          def initialize(name) = (@name, @told, @sent = name, [], 0)

          def on_open(client)
            @told << "open"
            client.write(@sent.to_s)
          end

          def on_message(client, data)
            return if data == "ready"

            @told << data
            @sent += 1
            @sent < 50 ? client.write(@sent.to_s) : client.close
          end

          def on_close(_client) = $stderr.write("told \#{@name} \#{[*@told, "close"].join(" ")}\n")
        end

        40.times { |n| Iodine.connect(url: "ws://127.0.0.1:\#{ARGV[0]}/ours/\#{n}", handler: Asking.new(n)) }
        Iodine.threads = 2
        Iodine.start
      RUBY
      through_chaos(within: 1500) do |chaos|
        process = Support::ChildProcess.ruby(script, chaos.port)
        wait_until("40 ends") { process.log.text.scan(/^told /).size == 40 }
        whole = ["open", *"0".."49", "close"]
        process.log.text.scan(/^told (\d+) (.*)/) do |_, events|
          told = events.split
          expect(told).to eq([*whole.first(told.size - 1), "close"])
        end
        expect(process.log.text.scan(/^told (\d+) /).flatten.map(&:to_i)).to match_array(0...40)
        expect(process.log.text.scan(/ 49 close$/).size).to be_positive
        # A broken handshake, or the proxy's harm behind the last message, makes these differ.
        expect(40 - process.log.text.scan(/ 49 close$/).size).to be <= chaos.harmed
        wait_until("the client to close") { process.descriptors < 40 }
        expect_one_end_each("ours")
      ensure
        process&.stop
      end
    end
  end

  describe "with TLS and seed #{seed}" do
    serve "numbered.ru", "-tls", threads: 2

    def directly(&block) = server.connect_tls(&block)

    it "breaks what breaks, and nothing else" do
      through_chaos do |chaos|
        clients(chaos, 20) do |peer, number, random|
          converse(Support::RawHTTP.new(Support::TLS.connect(peer.io)), number, random)
        end
        publishing do
          clients(chaos, 20) do |peer, number, random|
            chat(Support::RawHTTP.new(Support::TLS.connect(peer.io)), number, random)
          end
        end
        expect_one_end_each("ws")
      end
    end
  end

  describe "between the server and Redis, with seed #{seed}" do
    # A client that is subscribed to "count", while the server publishes numbers by way of Redis and the proxy.
    def counting(**faults)
      redis = Support::RedisServer.new
      chaos = Support::Chaos.new(redis.port, seed: self.class.seed, delay_us: 1000, pieces: 4, **faults)
      @server = Support::Server.rackup("pubsub.ru", "-r", "redis://127.0.0.1:#{chaos.port}/", threads: 2, workers: 2)
      remote do |socket|
        ask(socket, 'client.subscribe("count")')
        wait_until("the subscription") { redis.subscribers("count") == 1 }
        yield chaos, socket
      end
    ensure
      server&.stop
      [chaos, redis].each { |one| one&.stop }
    end

    include Support::RemoteRuby
    attr_reader :server

    define_singleton_method(:seed) { seed }

    it "loses and doubles nothing while the connections live" do
      counting do |_chaos, socket|
        socket.text('500.times { |n| Iodine.publish("count", n.to_s.ljust(n * 7 % 3000)) }; :silent')

        expect(Array.new(500) { socket.read_message.to_i }).to eq((0...500).to_a)
      end
    end

    it "doubles nothing and keeps the order while connections break, and goes on after it" do
      counting(harm: 100, within: 8000, ends: "close,half,reset") do |chaos, socket|
        socket.text('Thread.new { (0..).each { |n| Iodine.publish("count", n.to_s.ljust(500)); sleep 0.001 } }; ' \
                    ":silent")
        numbers = []
        numbers << socket.read_message.to_i until chaos.harmed >= 3
        chaos.calm
        # What was under way may be lost, but what is published later is not.
        400.times { numbers << socket.read_message.to_i }

        expect(numbers).to eq(numbers.uniq.sort)
        expect(numbers.last(100)).to eq((numbers[-100]..numbers[-1]).to_a)
        expect(server.log).not_to match(/panic|FATAL/)
      end
    end
  end
end
