# frozen_string_literal: true

RSpec.describe "publish and subscribe in adversity" do
  include Support::RemoteRuby

  [1, 2].each do |workers|
    describe "with #{workers} worker#{"s" if workers > 1}" do
      serve "pubsub.ru", workers: workers, threads: 2

      it "takes patterns that are slow to match, and goes on" do
        remote_of_each(workers) do |sockets|
          one = sockets.values.first
          patterns = ['"*" * 1000', '"*a" * 512', '"*?" * 512', '"*" + "?" * 1022 + "b"', '"[" * 1000', '"\\\\" * 999',
                      '"*[a-z]" * 170 + "b"']
          patterns.each { |pattern| ask(one, "client.subscribe(#{pattern}, match: :redis) { |*| nil }") }
          ask(one, 'client.subscribe("small")')
          one.text('10.times { Iodine.publish("a" * 20_000, "x") }; Iodine.publish("small", "y"); :silent')
          expect(one.read_message).to eq("y")
        end
      end

      it "takes a storm of subscriptions, and forgets them" do
        remote_of_each(workers) do |sockets|
          storm = "4.times.map { |t| Thread.new { 2000.times { |n| client.subscribe(\"s \#{n % 50}\"); " \
                  "client.unsubscribe(\"s \#{(n + t) % 50}\") } } }.each(&:join); " \
                  "50.times { |n| client.unsubscribe(\"s \#{n}\") }; 1"
          2.times { sockets.each_value { |socket| expect(ask(socket, storm)).to eq("1") } }
          sockets.each_value do |socket|
            wait_until("no channels") { ask(socket, 'Iodine::PubSub.channels.grep(/\As /)') == "[]" }
          end
        end
      end

      it "publishes from blocks, from traps, and from threads that are killed" do
        remote_of_each(workers) do |sockets|
          one = sockets.values.first
          ask(one, 'client.subscribe("1") { |_, m| Iodine.publish("2", m); client.publish("3", m) }; ' \
                   'client.subscribe("2"); client.subscribe("3"); client.subscribe("trap")')
          one.text('Iodine.publish("1", "chain"); :silent')
          expect(Array.new(2) { one.read_message }).to eq(%w[chain chain])
          one.text('old = trap("WINCH") { 100.times { Iodine.publish("trap", "from a trap") } }; ' \
                   'Process.kill("WINCH", Process.pid); sleep 0.1; :silent')
          expect(Array.new(100) { one.read_message }.uniq).to eq(["from a trap"])
          kill = 't = Thread.new { loop { Iodine.publish("killed", "x") } }; sleep 0.01; t.kill; t.join; 1'
          10.times { expect(ask(one, kill)).to eq("1") }
        end
      end

      it "takes what a forked child publishes for nothing of the server's" do
        remote_of_each(workers) do |sockets|
          one = sockets.values.first
          ask(one, 'client.subscribe("child")')
          one.text('Process.wait(fork { Iodine.publish("child", "x"); exit!(0) }); :silent')
          one.text('Iodine.publish("child", "parent"); :silent')
          expect(one.read_message).to eq("parent")
        end
      end

      it "delivers small messages next to many of 16 MiB" do
        remote_of_each(workers) do |sockets|
          one, other = sockets.values.values_at(0, -1)
          ask(other, 'client.subscribe("small"); client.subscribe("large") { |_, m| client.write(m.bytesize.to_s) }')
          one.text('3.times { |n| Iodine.publish("large", "x" * (16 << 20)); ' \
                   'Iodine.publish("small", n.to_s) }; :silent')
          got = Array.new(6) { other.read_message }
          expect(got.reject { |message| message.size > 1 }).to eq(%w[0 1 2])
          expect(got.count((16 << 20).to_s)).to eq(3)
        end
      end
    end
  end

  it "publishes after the stop what waits for the next start" do
    script = <<~RUBY
      require "iodine"
      Iodine.verbosity = 2
      Iodine.workers = Iodine.threads = 1
      Iodine.subscribe("a") { |_, message| puts message; Iodine.stop }
      Iodine.publish("a", "first")
      Iodine.start
      p Iodine.publish("a", "second")
      Iodine.start
      2000.times { Iodine.publish("a", "x") }
    RUBY
    process = Support::ChildProcess.run_ruby(script)

    expect(process.out.text).to eq("first\ntrue\nsecond\n")
    expect(process.wait).to be_success
  end

  it "survives the collector while messages are kept and given again" do
    app = <<~RUBY
      Iodine::PubSub.remember("*", match: :redis, messages: 5)
      class Remote
        def on_open(client) = client.write("open")
        def on_message(client, source) = client.write("=> \#{eval(source).inspect}")
      end
      run(lambda { |env|
        env["rack.upgrade"] = Remote.new
        [200, {}, []]
      })
    RUBY
    server = Support::Server.rackup(app, threads: 2)
    define_singleton_method(:server) { server }
    remote do |socket|
      source = "GC.stress = true; 20.times { |n| Iodine.publish('k', n.to_s) }; got = Queue.new; " \
               "Iodine.subscribe('k', since: :all) { |_, m, id| got << [m, id] }; " \
               "all = Array.new(5) { got.pop }; GC.stress = false; GC.compact; all.map(&:first)"
      expect(ask(socket, source)).to eq('["15", "16", "17", "18", "19"]')
    end
  ensure
    server&.stop
  end
end
