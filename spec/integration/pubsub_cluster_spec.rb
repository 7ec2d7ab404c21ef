# frozen_string_literal: true

RSpec.describe "publish and subscribe in a cluster" do
  include Support::RemoteRuby

  # Runs Ruby in the master.
  def in_master(socket, source)
    socket.text("Iodine.publish('eval', #{source.dump}, Iodine::PubSub::PUBLISH2ROOT); :silent")
  end

  describe "with two workers" do
    serve "pubsub.ru", workers: 2, threads: 2

    it "reaches the subscribers of all workers, and the blocks of all processes" do
      remote_of_each(2) do |sockets|
        sockets.each_value { |socket| ask(socket, 'client.subscribe("a")') }
        note = 'Journal.note("block", Process.pid, Iodine.master?)'
        ask(sockets.values.first, "Iodine.publish('eval', #{note.dump})")
        sockets.values.first.text('Iodine.publish("a", "to all"); :silent')

        expect(sockets.values.map(&:read_message)).to eq(["to all"] * 2)
        [[server.pid, true], *sockets.keys.map { |pid| [pid, false] }].each do |pid, master|
          server.wait_for_log(/^block #{pid} #{master}$/)
        end
        expect(server.log.scan(/^block/).size).to eq(3)
      end
    end

    it "has engines for the process, for the others and for the master" do
      remote_of_each(2) do |sockets|
        one, other = sockets.values
        [one, other].each { |socket| ask(socket, 'client.subscribe("scope")') }
        in_master(one, 'Iodine.subscribe("scope") { |_, m| Journal.note("master got", m) }; Journal.note("ready")')
        server.wait_for_log(/^ready$/)
        one.text("%w[PROCESS SIBLINGS PUBLISH2ROOT CLUSTER].each { |name| " \
                 "Iodine::PubSub.const_get(name).publish('scope', name) }; :silent")

        expect(Array.new(2) { one.read_message }).to eq(%w[PROCESS CLUSTER])
        expect(Array.new(2) { other.read_message }).to eq(%w[SIBLINGS CLUSTER])
        server.wait_for_log(/^master got SIBLINGS\nmaster got PUBLISH2ROOT\nmaster got CLUSTER$/)
        expect(server.log).not_to include("master got PROCESS")
      end
    end

    it "takes messages of the master" do
      remote_of_each(2) do |sockets|
        sockets.each_value { |socket| ask(socket, 'client.subscribe("m")') }
        in_master(sockets.values.first, "%w[CLUSTER PROCESS SIBLINGS PUBLISH2ROOT].each { |name| " \
                                        "Iodine::PubSub.const_get(name).publish('m', name) }")

        sockets.each_value { |socket| expect(Array.new(2) { socket.read_message }).to eq(%w[CLUSTER SIBLINGS]) }
      end
    end

    it "keeps the order of each publisher, whatever the sizes" do
      remote_of_each(2) do |sockets|
        sockets.each_value { |socket| ask(socket, 'client.subscribe("o")') }
        publish = "200.times { |n| Iodine.publish('o', [Process.pid, n, 'x' * (n % 50 == 7 ? 200_000 : 9)].join(' ')) }"
        sockets.each_value { |socket| socket.text("#{publish}; :silent") }
        received = sockets.values.map { |socket| Array.new(400) { socket.read_message.split.first(2).map(&:to_i) } }

        expected = sockets.keys.to_h { |pid| [pid, (0...200).to_a] }
        expect(received.map { |messages| messages.group_by(&:first).transform_values { |all| all.map(&:last) } })
          .to eq([expected] * 2)
      end
    end

    it "lets small messages overtake a large one of another channel" do
      remote_of_each(2) do |sockets|
        one, other = sockets.values
        %w[large small].each { |name| ask(other, "client.subscribe('#{name}')") }
        one.text('Iodine.publish("large", "x" * (16 << 20)); Iodine.publish("small", "y"); ' \
                 'Iodine.publish("large", "z"); :silent')

        messages = Array.new(3) { other.read_message }
        expect(messages.map(&:bytesize)).to eq([1, 16 << 20, 1])
        expect(messages.map { |message| message[0] }).to eq(%w[y x z])
      end
    end

    it "delivers nothing of before the subscription, though the message is still on its way" do
      remote_of_each(2) do |sockets|
        one, other = sockets.values
        50.times do |round|
          expect(ask(one, "Iodine.publish('before #{round}', 'x')")).to eq("true")
          expect(ask(other, "client.subscribe('before #{round}')")).to eq("\"before #{round}\"")
        end
        expect(ask(other, "1")).to eq("1")
      end
    end

    it "counts the subscribers of all processes" do
      remote_of_each(2) do |sockets|
        sockets.each_value { |socket| ask(socket, 'client.subscribe("count"); client.subscribe("c*", match: :redis)') }
        # What another worker has counted is on its way to the master.
        sockets.values.reverse_each do |socket|
          wait_until("the count") { ask(socket, "Iodine::PubSub.subscribers(:count)") == "2" }
          expect(ask(socket, 'Iodine::PubSub.channels.grep(/\A(count|c\*|eval)\z/).sort')).to eq('["count", "eval"]')
          expect(ask(socket, 'Iodine::PubSub.subscribers("eval")')).to eq("3")
        end
        ask(sockets.values.first, 'client.unsubscribe("count"); client.unsubscribe("none")')

        expect(ask(sockets.values.first, "Iodine::PubSub.subscribers('count')")).to eq("1")
        expect(ask(sockets.values.last, "Iodine::PubSub.subscribers('none')")).to eq("0")
      end
    end

    it "tells engines of the master of each channel once, and those of workers of their own channels" do
      remote_of_each(2) do |sockets|
        in_master(sockets.values.first, "Iodine::PubSub.attach(Telling.new('master'))")
        server.wait_for_log(/^master \+"eval" nil ASCII-8BIT master=true$/)
        sockets.each { |pid, socket| ask(socket, "Iodine::PubSub.attach(Telling.new('worker-#{pid}'))") }
        sockets.each_value { |socket| ask(socket, 'client.subscribe("c")') }
        sockets.each_key { |pid| server.wait_for_log(/^worker-#{pid} \+"c" nil/) }
        server.wait_for_log(/^master \+"c" nil/)
        ask(sockets.values.first, 'client.unsubscribe("c")')
        server.wait_for_log(/^worker-#{sockets.keys.first} -"c" nil/)
        expect(server.log).not_to match(/^master -"c"/)
        ask(sockets.values.last, 'client.unsubscribe("c")')
        server.wait_for_log(/^master -"c" nil/)

        expect(server.log.scan(/^master [+-]"c"/)).to eq(['master +"c"', 'master -"c"'])
      end
    end
  end

  describe "when a worker dies" do
    serve "pubsub.ru", workers: 2, threads: 2

    it "loses nothing that the others publish, and takes the next worker in" do
      remote_of_each(2) do |sockets|
        (victim, dying), (survivor, living) = sockets.to_a
        in_master(living, "Iodine::PubSub.attach(Telling.new('master'))")
        ask(dying, 'client.subscribe("only there"); client.subscribe("a")')
        ask(living, 'client.subscribe("a")')
        server.wait_for_log(/^master \+"only there"/)
        Process.kill("KILL", victim)
        server.wait_for_log(/^master -"only there"/)
        living.text('Iodine.publish("a", "still here"); :silent')
        expect(living.read_message).to eq("still here")

        wait_until("another worker") { server.children.size == 2 && (server.children - [survivor, victim]).any? }
        remote_of_each(2) do |replaced|
          newcomer = replaced.fetch((replaced.keys - [survivor]).first)
          ask(newcomer, 'client.subscribe("a")')
          living.text('Iodine.publish("a", "welcome"); :silent')
          expect([living, newcomer].map(&:read_message)).to eq(["welcome"] * 2)
          newcomer.text('Iodine.publish("a", "thanks"); :silent')
          expect([living, newcomer].map(&:read_message)).to eq(["thanks"] * 2)
        end
      end
    end
  end

  describe "when a worker is stuck" do
    serve "pubsub.ru", workers: 2, threads: 1

    it "goes on without it" do
      remote_of_each(2) do |sockets|
        stuck = sockets.keys.first
        living = sockets.values.last
        ask(living, 'client.subscribe("a")')
        Process.kill("STOP", stuck)
        180.times do |number|
          living.text("Iodine.publish('a', [#{number}, 'x' * (1 << 20)].join(' ')); :silent")
          expect(living.read_message.to_i).to eq(number)
        end
        server.wait_for_log(/another process of the cluster takes too little: 1 messages for it were dropped/)
        Process.kill("CONT", stuck)
      end
    end
  end

  describe "when a worker takes nothing for longer than it may" do
    app = "Iodine::DEFAULT_SETTINGS[:cluster_timeout] = 1\n#{File.read("#{Support::ROOT}/spec/apps/pubsub.ru")}"
    serving { Support::Server.rackup(app, workers: 2, threads: 1) }

    it "cuts it off, and another one takes its place" do
      remote_of_each(2) do |sockets|
        stuck = sockets.keys.first
        living = sockets.values.last
        Process.kill("STOP", stuck)
        ask(living, "3.times { Iodine.publish('a', 'x' * (1 << 20)) }")
        server.wait_for_log(/a peer stopped reading: its connection is closed/)
        Process.kill("CONT", stuck)
        wait_until("another worker") { server.children.size == 2 && !server.children.include?(stuck) }
        remote_of_each(2) do |replaced|
          replaced.each_value { |socket| ask(socket, 'client.subscribe("a")') }
          living.text('Iodine.publish("a", "again"); :silent')
          expect(replaced.values.map(&:read_message)).to eq(["again"] * 2)
        end
      end
    end
  end

  describe "at the end" do
    serve "pubsub.ru", workers: 2, threads: 2

    it "takes the last words of the workers" do
      remote_of_each(2) do |sockets|
        in_master(sockets.values.first, 'Iodine.subscribe("farewell") { |_, m| Journal.note("heard:", m) }')
        in_master(sockets.values.first, 'Journal.note("subscribed")')
        server.wait_for_log(/^subscribed$/)
        server.stop

        sockets.each_key { |pid| expect(server.log).to match(/^heard: bye from #{pid}$/) }
      end
    end
  end
end
