# frozen_string_literal: true

RSpec.describe "channels that keep their messages" do
  include Support::RemoteRuby

  app = <<~RUBY
    Iodine::PubSub.remember("news", messages: 5)
    Iodine::PubSub.remember("log", messages: 1000, age: 600)
    Iodine::PubSub.remember("room:*", match: :redis, messages: 3, bytes: 2000)

    # Subscribed to what its query names.
    class Stream
      def on_open(client)
        client.env["QUERY_STRING"].split("&").each { |name| client.subscribe(name) }
        client.write("open")
      end
    end

    # Runs what it is sent.
    class Remote
      def on_open(client) = client.write("open")

      def on_message(client, source)
        value = begin
          eval(source)
        rescue => e
          e.class
        end
        client.write("=> \#{value.inspect}") unless value == :silent
      end
    end

    run(lambda { |env|
      env["rack.upgrade"] = env["PATH_INFO"] == "/events" ? Stream.new : Remote.new
      [200, {}, []]
    })
  RUBY

  # An event stream of some channels: yields a way to read the next event, as a Hash of its fields.
  def stream(*channels, last: nil)
    fields = ["Accept: text/event-stream"]
    fields << "Last-Event-ID: #{last}" if last
    server.connect do |peer|
      peer.write(Support::Server.get("/events?#{channels.join("&")}", *fields))
      peer.read_until("\r\n\r\n")
      yield(-> { peer.read_until("\r\n\r\n").scan(/^(\w+): (.*)\r$/).to_h })
    end
  end

  # The ids of all messages up to +last+, which is the next one but for those before; then all that was seen.
  def read_until(event, last)
    seen = []
    seen << event.call until seen.last&.fetch("data") == last
    seen.reject { |one| one["data"] == "open" }
  end

  def publish(socket, *messages, channel: "news")
    messages.each { |message| socket.text("Iodine.publish(#{channel.inspect}, #{message.inspect}); :silent") }
  end

  # Waits until all workers know what was published before: messages that are kept come in one order.
  def settle(sockets)
    sockets.each_value { |socket| ask(socket, "client.subscribe('room:settled')") }
    publish(sockets.values.first, "settled", channel: "room:settled")
    sockets.each_value do |socket|
      expect(socket.read_message).to eq("settled")
      ask(socket, "client.unsubscribe('room:settled')")
    end
  end

  # The data of what a stream with this id is given, up to a message that is published once it is open.
  def resumed(socket, last, *channels, mark: "mark #{rand}")
    stream(*channels, last: last) do |event|
      seen = []
      seen << event.call until seen.last && seen.last["data"] == "open"
      publish(socket, mark, channel: channels.last)
      seen.concat(read_until(event, mark)).map { |one| one["data"] } - ["open", mark]
    end
  end

  [1, 2].each do |workers|
    describe "with #{workers} worker#{"s" if workers > 1}" do
      serving { Support::Server.rackup(app, workers: workers, threads: 2) }

      it "gives an event stream that comes back what it has missed, once and in order" do
        remote_of_each(workers) do |sockets|
          publisher = sockets.values.last
          id = stream("news") do |event|
            expect(event.call).to eq("data" => "open")
            publish(publisher, "1", "2")
            expect(event.call["data"]).to eq("1")
            second = event.call
            expect(second["data"]).to eq("2")
            expect(second["id"]).to match(/\A\h{8}-\d+\z/)
            second["id"]
          end
          publish(publisher, "3", "4", "5")
          expect(ask(publisher, "1")).to eq("1")

          # Whichever worker it comes to.
          6.times do
            stream("news", last: id) do |event|
              expect(read_until(event, "5").map { |one| one["data"] }).to eq(%w[3 4 5])
            end
          end
        end
      end

      it "misses and repeats nothing while messages are published" do
        remote_of_each(workers) do |sockets|
          seen = []
          while seen.size < 300 * workers
            stream("log", last: seen.last&.fetch("id")) do |event|
              if seen.empty?
                expect(event.call).to eq("data" => "open")
                publish = "300.times { |n| Iodine.publish('log', [Process.pid, n].join(' ')); sleep 0.002 }"
                sockets.each_value { |socket| socket.text("Thread.new { #{publish} }; :silent") }
              end
              batch = []
              batch << event.call until batch.size == 5 || seen.size + batch.count { |one| one["id"] } == 300 * workers
              seen.concat(batch.select { |one| one["id"] })
            end
          end

          numbers = seen.map { |one| one["id"][/\d+\z/].to_i }
          expect(numbers).to eq(numbers.sort.uniq)
          by_publisher = seen.map { |one| one["data"].split.map(&:to_i) }.group_by(&:first)
          expect(by_publisher.keys.sort).to eq(sockets.keys.sort)
          by_publisher.each_value { |all| expect(all.map(&:last)).to eq((0...300).to_a) }
        end
      end

      it "keeps as many messages as it is told, and gives them all for an id that it does not know" do
        remote_of_each(workers) do |sockets|
          publisher = sockets.values.first
          first = stream("news") do |event|
            event.call
            publish(publisher, *"1".."7")
            read_until(event, "7").first["id"]
          end
          kept = %w[3 4 5 6 7]
          marks = ->(seen) { seen.grep_v(/mark/) }
          [first, first.sub(/\A\h{8}/, "00000001"), first.sub(/\d+\z/, "999999999")].each do |last|
            publish(publisher, *kept)
            settle(sockets)
            expect(marks.call(resumed(publisher, last, "news"))).to eq(kept)
          end
        end
      end

      it "gives nothing for what is no id of a message" do
        remote_of_each(workers) do |sockets|
          publisher = sockets.values.first
          publish(publisher, "kept")
          settle(sockets)
          ["7", "x" * 4000, "-1", "00000000-", "\xff\xfe", "0000beef-7; x", "../../etc",
           "00000000-00000001"].each do |last|
            expect(resumed(publisher, last, "news")).to eq([])
          end
        end
      end

      it "gives blocks the ids, and WebSockets what came since one" do
        remote_of_each(workers) do |sockets|
          publisher = sockets.values.first
          block = "{ |channel, message, id| client.write([channel, message, id].join(' ')) }"
          ask(publisher, "client.subscribe('room:1') #{block}")
          publish(publisher, "a", "b", "c", channel: "room:1")
          id = Array.new(3) { publisher.read_message.split.last }.first
          publish(publisher, "d", channel: "room:2")
          settle(sockets)
          sockets.each_value do |socket|
            socket.text("client.subscribe('room:*', match: :redis, since: #{id.inspect}) #{block}; :silent")
            missed = Array.new(3) { socket.read_message.split.first(2) }
            expect(socket.read_message).to start_with("room:settled settled")
            expect(missed).to eq([%w[room:1 b], %w[room:1 c], %w[room:2 d]])
            socket.text("client.unsubscribe('room:*'); client.subscribe('room:1', since: :all); :silent")
            expect(Array.new(3) { socket.read_message }).to eq(%w[a b c])
            expect(ask(socket, "client.subscribe('room:1', since: nil)")).to eq('"room:1"')
            expect(ask(socket, "client.unsubscribe('room:1')")).to eq("true")
          end
          ask(publisher, "client.subscribe('other') { |channel, message, id| client.write(id.inspect) }")
          publish(publisher, "x", channel: "other")
          expect(publisher.read_message).to eq("nil")
        end
      end

      it "keeps as many bytes as it is told" do
        remote_of_each(workers) do |sockets|
          publisher = sockets.values.first
          # Two messages of 1000 bytes, each with its channel and 128 bytes more: one byte below, at and above.
          { 863 => 2, 864 => 2, 865 => 1 }.each do |size, kept|
            channel = "room:#{size}"
            publish(publisher, "x" * size, "y" * size, channel: channel)
            settle(sockets)
            publisher.text("client.subscribe('#{channel}', since: :all); :silent")
            messages = Array.new(kept) { publisher.read_message[0] }
            expect(messages).to eq(%w[x y].last(kept))
            publish(publisher, "end", channel: channel)
            expect(publisher.read_message).to eq("end")
          end
        end
      end

      it "does not count as subscribed" do
        remote_of_each(workers) do |sockets|
          expect(ask(sockets.values.first, "[Iodine::PubSub.channels, Iodine::PubSub.subscribers('news')]"))
            .to eq("[[], 0]")
        end
      end

      it "cannot be asked for more once it runs" do
        remote_of_each(workers) do |sockets|
          expect(ask(sockets.values.first, "Iodine::PubSub.remember('late')")).to eq("RuntimeError")
        end
      end
    end
  end

  describe "when a worker is replaced" do
    serving { Support::Server.rackup(app, workers: 2, threads: 2) }

    it "tells the new one what was kept" do
      remote_of_each(2) do |sockets|
        (victim,), (survivor, living) = sockets.to_a
        id = stream("news") do |event|
          event.call
          publish(living, "1", "2", "3")
          read_until(event, "3").first["id"]
        end
        Process.kill("KILL", victim)
        wait_until("another worker") { server.children.size == 2 && (server.children - [survivor, victim]).any? }
        remote_of_each(2) do |replaced|
          newcomer = replaced.fetch((replaced.keys - [survivor]).first)
          newcomer.text("client.subscribe('news', since: #{id.inspect}); :silent")
          expect(Array.new(2) { newcomer.read_message }).to eq(%w[2 3])
          publish(living, "4")
          expect(newcomer.read_message).to eq("4")
        end
      end
    end

    it "gives all that is kept for an id of another server" do
      id = "0badcafe-3"
      remote do |socket|
        publish(socket, "new")
        expect(resumed(socket, id, "news")).to include("new")
      end
    end
  end

  describe "when workers are killed again and again" do
    ticking = <<~RUBY
      Iodine::PubSub.remember("tick", messages: 10_000)
      number = 0
      Iodine.run_every(5) { Iodine.publish("tick", (number += 1).to_s) if Iodine.master? }
      class Stream
        def on_open(client) = client.subscribe("tick", **(client.env["HTTP_LAST_EVENT_ID"] ? {} : { since: :all }))
      end
      run(lambda { |env|
        env["rack.upgrade"] = Stream.new
        [200, {}, []]
      })
    RUBY
    serving { Support::Server.rackup(ticking, workers: 2, threads: 1) }

    # Reads ticks, as a browser does that comes back when it is cut off, until +last+ has come.
    def watch(port, last)
      seen = []
      until seen.last && seen.last[1] >= last
        begin
          socket = TCPSocket.new("127.0.0.1", port)
          socket.write(Support::Server.get("/", "Accept: text/event-stream",
                                           *("Last-Event-ID: #{seen.last[0]}" if seen.any?)))
          while (event = socket.gets("\r\n\r\n")) && !(seen.last && seen.last[1] >= last)
            found = event.match(/\Aid: (\S+)\r\ndata: (\d+)\r\n\r\n\z/)
            seen << [found[1], found[2].to_i] if found
          end
        rescue SystemCallError
          sleep 0.01
        ensure
          socket&.close
        end
      end
      seen.map(&:last)
    end

    it "gives every client every message once" do
      clients = Array.new(20) { Thread.new { watch(server.port, 1500) } }
      killed = 0
      until clients.none?(&:alive?)
        sleep 0.5
        # One that does not serve yet would look like one that cannot.
        next unless server.log.scan(/\d+ is running/).size == 2 + killed

        killed += 1
        Process.kill("KILL", server.children.sample)
      end
      expect(killed).to be > 2

      expect(clients.map(&:value).map { |seen| seen.take_while { |number| number <= 1500 } }.uniq)
        .to eq([(1..1500).to_a])
    end
  end

  describe "through Redis" do
    it "keeps what other machines publish, though nobody is subscribed, and delivers it once" do
      redis = Support::RedisServer.new
      @server = server = Support::Server.rackup(app, "-r", redis.url, workers: 2, threads: 2)
      define_singleton_method(:server) { server }
      wait_until("the subscriptions") { redis.subscribers("news") == 1 && redis.patterns == 1 }
      %w[1 2 3].each { |message| redis.publish("news", message) }
      redis.publish("room:1", "a")
      remote_of_each(2) do |sockets|
        one, other = sockets.values
        wait_until("what was published") do
          ask(one, "client.unsubscribe('news')")
          one.text("client.subscribe('news', since: :all); client.write('end'); :silent")
          seen = [one.read_message]
          seen << one.read_message until seen.last == "end"
          seen == %w[1 2 3 end]
        end
        # Redis brings it for the channel, and for two patterns.
        block = "{ |channel, message, id| client.write([channel, message, id].join(' ')) }"
        ask(other, "client.subscribe('room:1') #{block}; client.subscribe('r*', match: :redis) #{block}")
        wait_until("the patterns") { redis.patterns == 2 && redis.subscribers("room:1") == 1 }
        redis.publish("room:1", "b")
        publish(one, "c", channel: "room:1")
        got = Array.new(4) { other.read_message.split }
        expect(got.map { |message| message[1] }).to eq(%w[b b c c])
        expect(got.map(&:last).uniq.size).to eq(2)
        other.text("client.subscribe('room:1', since: :all); :silent")
        # The pattern is subscribed to as before.
        expect(Array.new(3) { other.read_message }).to eq(%w[a b c])
        expect(ask(other, "1")).to eq("1")
      end
    ensure
      @server&.stop
      redis&.stop
    end
  end

  describe "of all channels together" do
    small = "Iodine::DEFAULT_SETTINGS[:history_max] = 1\nIodine::PubSub.remember('*', match: :redis, bytes: 1 << 30)\n"
    serving { Support::Server.rackup(small + app, workers: 2, threads: 1) }

    it "has a bound, beyond which the oldest are dropped with a line in the log" do
      remote do |socket|
        7.times { |n| publish(socket, n.to_s * 150_000, channel: "large #{n}") }
        server.wait_for_log(/WARNING: the channels keep 1048576 bytes together: 1 messages were dropped/)
        socket.text("client.subscribe('large*', match: :redis, since: :all); :silent")
        expect(Array.new(6) { socket.read_message[0] }).to eq(%w[1 2 3 4 5 6])
      end
    end
  end

  describe "what `remember` takes" do
    it "is a channel and positive numbers" do
      script = <<~RUBY
        require "iodine"
        def value = yield.inspect rescue $!.class
        remember = Iodine::PubSub.method(:remember)
        puts value { remember.call("a") }, value { remember.call(:a, match: :redis, messages: 1, bytes: 1, age: 0.5) }
        [{ messages: 0 }, { messages: 1.5 }, { bytes: -1 }, { age: 0 }, { age: "x" }, { match: :other }].each do |options|
          puts value { remember.call("a", **options) }
        end
        puts value { remember.call(7) }
        [-1, 65, 1.5, "x"].each do |most|
          Iodine::DEFAULT_SETTINGS[:history_max] = most
          puts value { Iodine.start }
        end
      RUBY
      out, = Open3.capture3(RbConfig.ruby, "-I#{Support::ROOT}/lib", "-e", script)

      expect(out.lines.map(&:chomp)).to eq(['"a"', ":a", *["ArgumentError"] * 6, "TypeError", *["ArgumentError"] * 4])
    end
  end
end
