# frozen_string_literal: true

require "zlib"

RSpec.describe "publish and subscribe" do
  include Support::RemoteRuby

  # Runs the source that each answer is for, and compares.
  def expect_answers(socket, table)
    table.each { |source, answer| expect([source, ask(socket, source)]).to eq([source, answer]) }
  end

  describe "what `subscribe` of a connection takes and returns" do
    serve "pubsub.ru"

    it "is a channel, options, or both" do
      remote do |socket|
        expect_answers(socket,
                       'client.subscribe("a")' => '"a"', "client.subscribe(:a)" => ":a",
                       'client.subscribe(to: "a")' => '"a"', "client.subscribe({ to: :a })" => ":a",
                       'client.subscribe("a", as: :binary)' => '"a"', 'client.subscribe("a", { as: :binary })' => '"a"',
                       'client.subscribe("a*", match: :redis)' => '"a*"',
                       'client.subscribe("a", match: nil, as: :text)' => '"a"',
                       'client.subscribe("a", unknown: 1)' => '"a"', 'client.subscribe("")' => '""',
                       'client.subscribe("a", handler: method(:p))' => '"a"', 'client.subscribe(channel: "a")' => '"a"',
                       'client.subscribe("x" * 65_536).bytesize' => "65536",
                       'client.subscribe("*" * 1024, match: :redis).bytesize' => "1024",
                       'client.subscribe("\xff\0".b)' => '"\xFF\x00"')
      end
    end

    it "is nothing else" do
      remote do |socket|
        expect_answers(socket,
                       "client.subscribe" => "ArgumentError", "client.subscribe(nil)" => "ArgumentError",
                       'client.subscribe("a", {}, 1)' => "ArgumentError", "client.subscribe({})" => "ArgumentError",
                       'client.subscribe("a", 1)' => "TypeError", 'client.subscribe("a", "b")' => "TypeError",
                       "client.subscribe(7)" => "TypeError", "client.subscribe([1])" => "TypeError",
                       'client.subscribe("a", handler: 7)' => "ArgumentError",
                       'client.subscribe("a", match: :reddis)' => "ArgumentError",
                       'client.subscribe("a", match: true)' => "ArgumentError",
                       'client.subscribe("a", as: "binary")' => "ArgumentError",
                       'client.subscribe("a", as: :json)' => "ArgumentError",
                       'client.subscribe("a", since: 7)' => "TypeError",
                       'client.subscribe("*" * 1025, match: :redis)' => "ArgumentError",
                       'Iodine.subscribe("a", match: :other) { nil }' => "ArgumentError")
      end
    end

    it "can be taken back" do
      remote do |socket|
        expect_answers(socket,
                       'client.subscribe("a")' => '"a"', "client.unsubscribe(:a)" => "true",
                       'client.unsubscribe("a")' => "false", "client.unsubscribe(7)" => "TypeError",
                       "client.unsubscribe(nil)" => "ArgumentError")
      end
    end

    it "ends with the connection" do
      remote(&:close)

      server.wait_for_log(/^closed nil nil true$/)
    end
  end

  describe "what `publish` takes and returns" do
    serve "pubsub.ru"

    it "is a channel, a message and an engine" do
      remote do |socket|
        expect_answers(socket,
                       'client.publish("a", "b")' => "true", 'client.publish(:a, "b", nil)' => "true",
                       'client.publish("a", "b", false)' => "true",
                       'client.publish("a", "b", Iodine::PubSub::PROCESS)' => "true",
                       'client.publish(to: "a", message: "b")' => "true",
                       'client.publish({ to: :a, message: "b", engine: false })' => "true",
                       'client.publish("a", "")' => "true",
                       'Iodine::PubSub::CLUSTER.publish("a", "b").equal?(Iodine::PubSub::CLUSTER)' => "true")
      end
    end

    it "has limits" do
      remote do |socket|
        expect_answers(socket,
                       'client.publish("a", "x" * (64 << 20))' => "true",
                       'client.publish("a", "x" * ((64 << 20) + 1))' => "ArgumentError",
                       'client.publish("x" * ((16 << 20) - 1), "b")' => "true",
                       'client.publish("x" * (16 << 20), "b")' => "ArgumentError",
                       'client.subscribe("x" * (16 << 20))' => "ArgumentError")
      end
    end

    it "is nothing else" do
      remote do |socket|
        expect_answers(socket,
                       'client.publish("a", :b)' => "TypeError", 'client.publish("a", 7)' => "TypeError",
                       'client.publish("a", nil)' => "ArgumentError", 'client.publish("a", false)' => "ArgumentError",
                       'client.publish("a")' => "ArgumentError", "client.publish" => "ArgumentError",
                       'client.publish(nil, "b")' => "ArgumentError", 'client.publish(7, "b")' => "TypeError",
                       'client.publish("a", "b", true)' => "TypeError", 'client.publish("a", "b", 5)' => "TypeError",
                       'client.publish("a", "b", nil, 1)' => "ArgumentError")
      end
    end
  end

  describe "a connection without a block" do
    serve "pubsub.ru"

    it "gets messages as texts if they are UTF-8, and else as binary ones" do
      remotes do |one, other|
        ask(one, 'client.subscribe("a")')
        ['"text"', '"\xff"', '""', '"€".b', '"x" * 70_000'].each do |message|
          ask(other, "Iodine.publish('a', #{message})")
        end

        frames = Array.new(5) { one.read_frame }
        expect(frames.map(&:opcode)).to eq(%i[text binary text text text])
        expect(frames.map(&:payload)).to eq(["text", "\xff".b, "", "€".b, "x" * 70_000])
      end
    end

    it "gets binary messages if it wants to" do
      remotes do |one, other|
        ask(one, 'client.subscribe("a", as: :binary)')
        ask(other, 'Iodine.publish("a", "text")')

        expect(one.read_frame.opcode).to eq(:binary)
      end
    end

    it "gets what is published from the time it subscribed until it unsubscribed" do
      remote do |socket|
        socket.text('client.publish("a", "0"); client.subscribe("a"); client.publish("a", "1"); ' \
                    'client.unsubscribe("a"); client.publish("a", "2"); :done')

        expect(Array.new(2) { socket.read_message }).to contain_exactly("1", "=> :done")
        expect(ask(socket, "1")).to eq("1")
      end
    end

    it "is subscribed once to a channel, and once to a pattern of the same name" do
      remote do |socket|
        ask(socket, '2.times { client.subscribe("a?") }; client.subscribe("a?", match: :redis)')
        socket.text('client.publish("a?", "both"); client.publish("ab", "one"); :silent')

        expect(Array.new(3) { socket.read_message }).to eq(%w[both both one])
        expect(ask(socket, 'client.unsubscribe("a?")')).to eq("true")
        expect(ask(socket,
                   'client.publish("a?", "x"); client.publish("ab", "x"); client.unsubscribe("a?")')).to eq("false")
      end
    end

    it "gets what matches its pattern, by each that matches" do
      remote do |socket|
        ask(socket, 'client.subscribe("n[a-e]ws.*", match: :redis); client.subscribe("news.\\\\*", match: :redis); 1')
        socket.text("%w[news. news.a naws.b niws.c news.* xnews.d].each { |name| client.publish(name, name) }; :silent")

        expect(Array.new(5) { socket.read_message }.sort).to eq(%w[naws.b news. news.* news.* news.a])
      end
    end

    it "counts messages as writes that are pending" do
      remote do |socket|
        ask(socket, 'client.subscribe("a")')
        socket.text('100.times { client.publish("a", "x" * 65_536) }; :silent')
        messages = Array.new(100) { socket.read_message }

        expect(messages.map(&:bytesize).uniq).to eq([65_536])
        wait_until("nothing pending") { ask(socket, "client.pending") == "0" }
      end
    end

    it "gets all messages of all publishers in the order of each" do
      remote do |socket|
        ask(socket, 'client.subscribe("a")')
        run('Array.new(4) { |t| Thread.new { 250.times { |n| Iodine.publish("a", [t, n].join(" ")) } } }.each(&:join)')

        messages = Array.new(1000) { socket.read_message.split.map(&:to_i) }
        expect(messages.group_by(&:first).transform_values { |all| all.map(&:last) })
          .to eq((0..3).to_h { |thread| [thread, (0...250).to_a] })
      end
    end

    it "gets messages compressed, between those of the application" do
      remote("Sec-WebSocket-Extensions: permessage-deflate") do |socket|
        ask(socket, 'client.subscribe("a")')
        socket.text('client.publish("a", "x" * 4000); :silent')

        expect(socket.read_message).to eq("x" * 4000)
      end
    end
  end

  describe "compression" do
    serving do
      Support::Server.script(<<~RUBY)
        require "iodine"
        handler = Class.new do
          def on_open(client) = client.subscribe("a")
          def on_message(client, data) = 20.times { |n| client.write("own \#{n} " * 400); Iodine.publish("a", "all \#{n} " * 400) }
        end
        Iodine.workers = 1
        Iodine.threads = 2
        Iodine.listen(service: :http, address: "127.0.0.1", port: 0, deflate: true) do |env|
          env["rack.upgrade"] = handler.new
          [200, {}, []]
        end
        Iodine.start
      RUBY
    end

    # One message of permessage-deflate, with the context of those before.
    def inflate(socket, inflater)
      first, second = socket.peer.read(2).unpack("CC")
      length = { 126 => [2, "n"], 127 => [8, "Q>"] }[second]
      size = length ? socket.peer.read(length[0]).unpack1(length[1]) : second
      payload = socket.peer.read(size)
      return payload if first & 0x40 == 0

      inflater.inflate(payload + "\0\0\xff\xff".b)
    end

    it "keeps publications and the connection's own messages in one context" do
      server.connect do |peer|
        socket = Support::WebSocket.new(peer, "/", "Sec-WebSocket-Extensions: permessage-deflate")
        expect(socket.head["sec-websocket-extensions"]).to include("permessage-deflate")
        inflater = Zlib::Inflate.new(-15)
        socket.text("go")

        messages = Array.new(40) { inflate(socket, inflater) }
        expect(messages.sort).to eq((0...20).flat_map { |n| ["own #{n} " * 400, "all #{n} " * 400] }.sort)
      end
    end
  end

  describe "an event stream" do
    serve "pubsub.ru"

    it "gets messages as data, and takes no binary ones" do
      server.connect do |peer|
        peer.write(Support::Server.get("/events?a&b", "Accept: text/event-stream"))
        peer.read_head
        expect(peer.read(14)).to eq("data: open\r\n\r\n")
        server.wait_for_log(/^binary nil$/)
        run('Iodine.publish("a", "one\ntwo"); Iodine.publish("c", "other"); Iodine.publish(:b, "three")')

        expect(peer.read(39)).to eq("data: one\r\ndata: two\r\n\r\ndata: three\r\n\r\n".b)
      end
    end
  end

  describe "a raw connection" do
    serving do
      Support::Server.script(<<~RUBY)
        require "iodine"
        handler = Class.new do
          def on_open(client) = client.subscribe("a") && client.write("open\n")
          def on_message(client, data) = client.publish("a", data)
        end
        Iodine.workers = 1
        Iodine.listen(service: :raw, address: "127.0.0.1", port: 0) { handler.new }
        Iodine.start
      RUBY
    end

    it "gets messages as they are" do
      server.connect do |peer|
        expect(peer.read(5)).to eq("open\n")
        peer.write("one\n\xff")

        expect(peer.read(5)).to eq("one\n\xff".b)
      end
    end
  end

  describe "a block of a connection" do
    serve "pubsub.ru", threads: 4

    it "is called with the channel and the message, as binary Strings" do
      remote do |socket|
        ask(socket,
            'client.subscribe("a*", match: :redis) { |c, m| client.write([c, m, c.encoding, m.frozen?].inspect) }')
        socket.text('client.publish("ab", "hé"); :silent')

        expect(socket.read_message).to eq('["ab", "h\xC3\xA9", #<Encoding:ASCII-8BIT>, false]')
      end
    end

    it "never overlaps with other callbacks of the connection, and keeps the order" do
      remote do |socket|
        ask(socket, '@inside = 0; @seen = []; client.subscribe("a") { |_, m| @inside += 1; Thread.pass; ' \
                    "@seen << [m, @inside]; @inside -= 1 }; 1")
        run('200.times { |n| Iodine.publish("a", n.to_s) }')
        seen = wait_until("all messages") { (found = ask(socket, "@seen")).scan("[").size == 201 && found }

        expect(eval(seen)).to eq(Array.new(200) { |n| [n.to_s, 1] }) # rubocop:disable Security/Eval
      end
    end

    it "may raise, and is called on" do
      remote do |socket|
        ask(socket, 'client.subscribe("a") { |_, m| m == "bad" ? raise("raised by a block") : client.write(m) }')
        socket.text('client.publish("a", "bad"); client.publish("a", "good"); :silent')

        expect(socket.read_message).to eq("good")
        server.wait_for_log(/a block of a subscription raised: RuntimeError: raised by a block/)
      end
    end

    it "is not called once `unsubscribe` has returned" do
      remote do |socket|
        ask(socket, 'client.subscribe("a") { |_, m| client.write(m) }')
        expect(ask(socket, '10.times { client.publish("a", "x") }; client.unsubscribe("a")')).to eq("true")
        expect(ask(socket, "1")).to eq("1")
      end
    end
  end

  describe "a block of the process" do
    serve "pubsub.ru", threads: 4

    it "is called one message at a time, in order" do
      run('$seen = []; $inside = 0; Iodine.subscribe("a") { |_, m| $inside += 1; Thread.pass; $seen << [m, $inside]; ' \
          "$inside -= 1 }")
      run('500.times { |n| Iodine.publish("a", n.to_s) }')
      wait_until("all messages") { run("$seen.size") == "500" }

      expect(run("$seen == Array.new(500) { |n| [n.to_s, 1] }")).to eq("true")
    end

    it "takes the place of the one before, and can be taken away" do
      answers = run("$b = []; [Iodine.subscribe(:b) { $b << 1 }, " \
                    'Iodine.subscribe("b", handler: ->(c, m) { $b << [c, m] }), ' \
                    'Iodine.publish("b", "x"), Iodine.publish("b", "y")]')
      expect(answers).to eq('[:b, "b", true, true]')
      wait_until("two calls") { run("$b.size") == "2" }

      expect(run('[$b, Iodine.unsubscribe(:b), Iodine.unsubscribe("b")]'))
        .to eq('[[["b", "x"], ["b", "y"]], true, false]')
    end

    it "is required" do
      expect(run('begin Iodine.subscribe("b") rescue $!.class end')).to eq("ArgumentError")
      expect(run("begin Iodine.subscribe { } rescue $!.class end")).to eq("ArgumentError")
    end

    it "may be made, and published to, before the start" do
      server.wait_for_log(/^before before the start$/)
    end

    it "survives the collector" do
      run("$c = 0; 100.times { |n| Iodine.subscribe(n.to_s) { $c += 1 } }; GC.start; GC.compact rescue nil; 1")
      run('100.times { |n| Iodine.publish(n.to_s, "x" * n) }; GC.start')
      wait_until("all calls") { run("$c") == "100" }
    end
  end

  describe "engines" do
    serve "pubsub.ru", threads: 2

    it "are the constants of Iodine::PubSub" do
      expect(run("%i[CLUSTER PROCESS SIBLINGS PUBLISH2ROOT].map { |name| Iodine::PubSub.const_get(name).is_a?(" \
                 "Iodine::PubSub::Engine) }.uniq")).to eq("[true]")
      expect(run("Iodine::PubSub.default.equal?(Iodine::PubSub::CLUSTER)")).to eq("true")
    end

    it "reach this process, or do not" do
      remote do |socket|
        ask(socket, 'client.subscribe("scope")')
        run("%w[CLUSTER PROCESS SIBLINGS PUBLISH2ROOT].each { |name| " \
            "Iodine::PubSub.const_get(name).publish('scope', name) }")

        expect(Array.new(3) { socket.read_message }).to eq(%w[CLUSTER PROCESS PUBLISH2ROOT])
      end
    end

    it "are told of channels that come and go, once attached" do
      remote do |socket|
        ask(socket, 'client.subscribe("early")')
        expect(run("($t = Telling.new(:t)).equal?(Iodine::PubSub.attach($t))")).to eq("true")
        server.wait_for_log(/^t \+"early" nil ASCII-8BIT master=true$/)
        ask(socket, 'client.subscribe("p*", match: :redis); client.subscribe("raise"); client.subscribe("last"); 1')
        server.wait_for_log(/^t \+"p\*" true/)
        server.wait_for_log(%r{a pub/sub engine raised: RuntimeError: raised by an engine})
        server.wait_for_log(/^t \+"last" nil/)
        ask(socket, 'client.unsubscribe("last")')
        server.wait_for_log(/^t -"last" nil/)
        socket.close
      end
      server.wait_for_log(/^t -"early" nil/)
      server.wait_for_log(/^t -"p\*" true/)
    end

    it "are told of no more channels once detached, and of all when reset" do
      run("Iodine::PubSub.attach($r = Telling.new(:r)); 1")
      server.wait_for_log(/^r \+"before" nil/)
      expect(run("Iodine::PubSub.reset($r).equal?($r)")).to eq("true")
      server.wait_for_log(/(^r \+"before" nil.*?){2}/m)
      expect(run("Iodine::PubSub.detach($r).equal?($r)")).to eq("true")
      run("Iodine::PubSub.attach($s = Telling.new(:s)); Iodine.subscribe('detached') { }; 1")
      server.wait_for_log(/^s \+"detached"/)

      expect(server.log).not_to match(/^r \+"detached"/)
    end

    it "publish as they are written" do
      remote do |socket|
        ask(socket, 'client.subscribe("e")')
        run("Iodine.publish('e', 'x', Telling.new(:engine))")
        expect(socket.read_message).to eq("engine: x")

        run("Iodine::PubSub.default = Telling.new(:default); Iodine.publish('e', 'y'); Iodine::PubSub.default = nil")
        expect(socket.read_message).to eq("default: y")
        expect(run("Iodine::PubSub.default.equal?(Iodine::PubSub::CLUSTER)")).to eq("true")
        expect(ask(socket, "Iodine.publish('e', 'x', Raising.new)")).to eq("RuntimeError")
      end
    end

    it "are not needed to count subscribers" do
      remote do |socket|
        ask(socket, 'client.subscribe("count"); client.subscribe("c*", match: :redis)')
        expect(ask(socket, "[Iodine::PubSub.subscribers(:count), Iodine::PubSub.subscribers('c*')]")).to eq("[1, 0]")
        expect(ask(socket, "Iodine::PubSub.channels & ['count', 'c*', 'before']").delete("[]").split(", "))
          .to contain_exactly('"count"', '"before"')
      end
    end

    it "are nothing else" do
      run_all = %w[default= attach detach reset].map do |name|
        run("begin Iodine::PubSub.send(:#{name}, 7) rescue $!.class end")
      end
      expect(run_all.uniq).to eq(["TypeError"])
    end
  end
end
