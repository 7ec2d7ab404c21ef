# frozen_string_literal: true

# All that makes the reactor change hands, at once: quick and slow requests, pipelines, connections that come and go,
# timers, and tasks of a foreign thread. Each is to be answered; a lost wake-up would leave one waiting for ever.
#
# IODINE_SOAK says for how many seconds to go on, and has the longest wait printed.
RSpec.describe "A server under mixed load" do
  seconds = Float(ENV.fetch("IODINE_SOAK", 1))

  app = <<~'RUBY'
    now = -> { Process.clock_gettime(Process::CLOCK_MONOTONIC) }
    longest = 0
    lock = Mutex.new
    note = ->(since) { lock.synchronize { longest = [longest, now.call - since].max } }
    Iodine.on_state(:on_start) do
      last = now.call
      Iodine.run_every(5) { note.call(last); last = now.call }
      Thread.new do
        loop do
          done = Queue.new
          asked = now.call
          Iodine.run { note.call(asked); done << true }
          done.pop
          sleep 0.002
        end
      end
    end
    run(lambda do |env|
      case env["PATH_INFO"]
      when "/sleep" then sleep 0.003
      when "/spin"
        till = now.call + 0.003
        nil while now.call < till
      when "/longest" then next [200, {}, [longest.to_s]]
      end
      [200, {}, [env["PATH_INFO"]]]
    end)
  RUBY

  # Sends the requests for +paths+ in one packet, and reads the answers; the seconds that took.
  def exchange(peer, paths)
    seconds do
      peer.write(paths.map { |path| Support::Server.get(path) }.join)
      expect(paths.map { peer.read_response.body }).to eq(paths)
    end
  end

  def on_one_connection(till, paths)
    longest = 0
    server.connect do |peer|
      longest = [longest, exchange(peer, paths)].max while monotonic < till
    end
    longest
  end

  def on_many_connections(till, paths)
    longest = 0
    paths.cycle do |path|
      return longest if monotonic > till

      longest = [longest, server.connect { |peer| exchange(peer, [path]) }].max
    end
  end

  [[1, 1], [4, 1], [16, 1], [1, 2], [4, 2]].each do |threads, workers|
    describe "with #{threads} threads and #{workers} workers" do
      serve app, threads: threads, workers: workers

      it "forgets nobody" do
        till = monotonic + seconds
        loads = [
          -> { on_one_connection(till, ["/quick"]) },
          -> { on_one_connection(till, ["/quick"] * 16) },
          -> { on_one_connection(till, ["/quick"] * 20 + ["/sleep"]) },
          -> { on_many_connections(till, ["/a", "/b", "/sleep", "/c", "/spin"]) },
          -> { on_many_connections(till, ["/d"]) }
        ]
        longest = loads.map { |load| Thread.new(&load) }.map(&:value).max
        inside = Float(server.get("/longest").body)

        puts "longest wait: #{longest.round(3)} s, of a timer or task: #{inside.round(3)} s" if ENV["IODINE_SOAK"]
        expect([longest, inside]).to all be < Support::Waiting::DEADLINE
      end
    end
  end
end
