# frozen_string_literal: true

require "json"

# What a server has after so many requests, connections, subscriptions and timers is what it had before. IODINE_ROUNDS
# says how many of each, 100000 for the long form, and has the figures printed.
RSpec.describe "What a server keeps" do
  rounds = Integer(ENV.fetch("IODINE_ROUNDS", 1000))
  # Caches and pools fill, and the heaps of both languages come to their size.
  warm_up = rounds.clamp(500, 20_000)
  # Something is always kept by accident: by what is left on a stack, say. But not once in a hundred rounds.
  slack = 100 + rounds / 100
  # More than that is not what the heaps need to breathe.
  memory_slack = 12 << 20

  before(:all) do
    @server = Support::Tour.start(within: 60)
    # Some descriptors and threads come with the first request.
    @server.get("/timers?1")
    @server.get("/census")
  end
  after(:all) { @server.stop }

  # Threads of clients that do +rounds+ together, each by calls of the block with a number of them.
  def share(rounds, clients: 4, batch: 100, &work)
    batches = rounds.step(1, -batch).map { |left| [left, batch].min }
    shares = batches.each_slice(batches.size.fdiv(clients).ceil)
    shares.map { |counts| Thread.new { counts.each(&work) } }.each(&:join)
  end

  def requests(rounds)
    share(rounds) do |count|
      @server.connect do |peer|
        (count - 1).times { peer.write(Support::Server.post("/lines", "a\nb\n")) && peer.read_response }
        peer.write(Support::Server.get("/raise")) && peer.read_response
      end
    end
  end

  def upgrades(rounds)
    share(rounds) do |count|
      count.times do |number|
        @server.connect do |peer|
          socket = Support::WebSocket.new(peer, "/socket")
          socket.read_message
          # By each of the two sides, and by none.
          socket.text("close") && socket.read_frame if number % 3 == 1
          socket.close if number % 3 == 2
        end
      end
    end
  end

  def raw_connections(rounds)
    share(rounds) do |count|
      count.times { @server.connect(port: @server.ports[2]) { |peer| peer.write("x").read(5) } }
    end
  end

  def subscriptions(rounds)
    share(rounds / 2, clients: 1) { |count| @server.get("/subscriptions?#{count}") }
    @server.connect do |peer|
      socket = Support::WebSocket.new(peer, "/socket")
      share(rounds / 2, clients: 1) { |count| socket.text("cycle #{count}") && socket.read_message }
    end
  end

  def timers(rounds)
    share(rounds / 3, clients: 1) { |count| @server.get("/timers?#{count}") }
  end

  # What there is when all connections have ended, but the one that asks.
  def stock
    wait_until("the end of all connections") { JSON.parse(@server.get("/counts").body).values.sum == 1 }
    objects = JSON.parse(@server.get("/census").body)
    { "bytes" => @server.process.resident_memory, **objects }
  end

  # How much more there is of each.
  def growth(before, after) = after.to_h { |what, count| [what, count - before.fetch(what, 0)] }

  %i[requests upgrades raw_connections subscriptions timers].each do |load|
    it "is no more after #{rounds} #{load.to_s.tr("_", " ")}" do
      descriptors = @server.process.descriptors
      send(load, warm_up)
      # The second one, because to count makes objects of the interpreter, once.
      before = Array.new(2) { stock }.last
      took = seconds { send(load, rounds) }
      grown = growth(before, stock)
      if ENV["IODINE_ROUNDS"]
        puts "#{load}: #{took.round} s, from #{before}, grown by #{grown.reject { |_, by| by.zero? }}"
      end

      wait_until("the end of the last connection") { @server.process.descriptors <= descriptors }
      expect(grown.delete("bytes")).to be < memory_slack
      expect(grown.select { |_, by| by > slack }).to be_empty
    end
  end
end
