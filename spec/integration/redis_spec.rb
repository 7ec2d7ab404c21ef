# frozen_string_literal: true

RSpec.describe "Redis" do
  include Support::RemoteRuby

  # A Redis server for the group.
  def self.with_redis(**options)
    before(:all) { @redis = Support::RedisServer.new(**options) }
    after(:all) { @redis.stop }
    attr_reader :redis
  end

  # Serves pubsub.ru, connected to the Redis of the group; +flags+ may be a block of the group's instance.
  def self.serve_with_redis(*flags, **options)
    serving { Support::Server.rackup("pubsub.ru", "-r", redis.url, *flags, **options) }
  end

  # Runs Ruby whose value nobody asks for.
  def tell(socket, source) = socket.text("#{source}; :silent")

  # What a WebSocket is sent, until it has been sent so many messages.
  def messages(socket, count) = Array.new(count) { socket.read_message }

  # Waits until Redis knows of a subscription.
  def wait_for_subscription(channel, count = 1)
    wait_until("the subscription to #{channel}") { redis.subscribers(channel) == count }
  end

  [1, 2].each do |workers|
    describe "with #{workers} worker(s)" do
      with_redis
      serve_with_redis(workers: workers)

      it "brings what others publish" do
        remote do |socket|
          ask(socket, 'client.subscribe("news")')
          wait_for_subscription("news")
          redis.publish("news", "from elsewhere")
          redis.publish("news", "\xff\0".b)

          expect(messages(socket, 2)).to eq(["from elsewhere", "\xff\0".b])
        end
      end

      it "brings what is published here once, and to others" do
        listener = redis.connect
        listener.call("SUBSCRIBE", "echo")
        remotes do |one, other|
          [one, other].each { |socket| ask(socket, 'client.subscribe("echo")') }
          tell(one, 'client.publish("echo", "1"); Iodine.publish("echo", "2"); client.publish(:echo, "3")')

          expect(messages(one, 3)).to eq(%w[1 2 3])
          expect(messages(other, 3)).to eq(%w[1 2 3])
          expect(Array.new(3) { listener.read }).to eq(%w[1 2 3].map { |text| ["message", "echo", text] })
          # Nothing came twice: the next message is the next one.
          tell(one, 'Iodine.publish("echo", "last")')
          expect([one, other].map(&:read_message)).to eq(%w[last last])
        end
      ensure
        listener&.close
      end

      it "brings what is published right behind the subscription" do
        remote do |socket|
          50.times do |round|
            tell(socket, "client.subscribe('right#{round}'); Iodine.publish('right#{round}', 'now')")
            expect(socket.read_message).to eq("now")
          end
        end
      end

      it "gives each subscription a message once, those to patterns as well" do
        remotes do |one, other|
          ask(one, 'client.subscribe("pat.a")')
          ask(one, 'client.subscribe("pat.*", match: :redis) { |*got| client.write(got.inspect) }')
          ask(other, 'client.subscribe("pa[t]*", match: :redis); client.subscribe("pat.?", match: :redis)')
          # They may be clients of two workers, of which either may be heard first.
          wait_for_subscription("pat.a")
          wait_until("the patterns") { redis.patterns == 3 }
          tell(other, 'Iodine.publish("pat.a", "x")')

          expect(messages(one, 2)).to match_array(["x", '["pat.a", "x"]'])
          expect(messages(other, 2)).to eq(%w[x x])
          # The same message again is another one.
          2.times { redis.publish("pat.a", "x") }
          expect(messages(one, 4)).to match_array(["x", '["pat.a", "x"]'] * 2)
          expect(messages(other, 4)).to eq(%w[x] * 4)
        end
      end

      it "subscribes for the first subscriber, and unsubscribes after the last" do
        remotes do |one, other|
          [one, other].each { |socket| ask(socket, 'client.subscribe("shared")') }
          wait_for_subscription("shared")
          ask(one, 'client.unsubscribe("shared")')
          tell(other, 'Iodine.publish("shared", "still")')
          expect(other.read_message).to eq("still")
          ask(other, 'client.unsubscribe("shared")')

          wait_for_subscription("shared", 0)
          ask(one, 'client.subscribe("shared*", match: :redis)')
          wait_until("the pattern") { redis.patterns >= 1 }
        end
        wait_until("no pattern") { redis.patterns.zero? }
      end

      it "has two connections" do
        wait_until("two connections") { redis.clients.size >= 2 }
        expect(redis.clients.size).to eq(2)
      end

      it "takes names and messages of any bytes and size" do
        remote do |socket|
          ["", "\xff\r\n\0".b, "n" * 65_536].each do |name|
            ask(socket, "$name = [#{name.unpack1("H*").inspect}].pack('H*'); client.subscribe($name)")
            tell(socket, 'Iodine.publish($name, "m" * 1_000_000); Iodine.publish($name, "")')

            expect(messages(socket, 2).map(&:bytesize)).to eq([1_000_000, 0])
          end
        end
      end

      it "leaves other engines as they are" do
        listener = redis.connect
        listener.call("SUBSCRIBE", "local")
        remote do |socket|
          ask(socket, 'client.subscribe("local")')
          tell(socket, 'Iodine.publish("local", "here", false)')
          tell(socket, 'Iodine.publish("local", "all", Iodine::PubSub::CLUSTER)')
          expect(messages(socket, 2)).to eq(%w[here all])
          tell(socket, 'Iodine.publish("local", "through")')
          expect(socket.read_message).to eq("through")
        end
        expect(listener.read).to eq(%w[message local through])
      ensure
        listener&.close
      end

      describe "commands" do
        # What the block of a command is called with.
        def command(source)
          run("queue = Queue.new; Iodine::PubSub.default.cmd(#{source}) { |reply| queue << reply }; queue.pop")
        end

        it "are answered by values of Ruby" do
          table = {
            '"PING"' => '"PONG"', '"SET", "key", 1' => "true", '"GET", :key' => '"1"', '"GET", "none"' => "nil",
            '"INCRBY", "key", 41' => "42", '"INCRBYFLOAT", "float", 1.5' => '"1.5"', '"ECHO", nil' => '""',
            '"ECHO", false' => '"false"', '"ECHO", true' => '"true"', '"ECHO", "\\xff\\r\\n".b' => '"\\xFF\\r\\n"',
            '"RPUSH", "list", "a", "b"' => "2", '"LRANGE", "list", 0, -1' => '["a", "b"]',
            '"LRANGE", "none", 0, -1' => "[]",
            '"EVAL", "return {1, {2, {false, {}}}, {}}", 0' => "[1, [2, [nil, []]], []]"
          }
          table.each { |source, reply| expect([source, command(source)]).to eq([source, reply]) }
        end

        it "are answered by error objects" do
          expect(command('"NO SUCH"')).to match(/\A#<Iodine::PubSub::Redis::Error: ERR unknown command/)
          expect(command('"LPUSH", "key", 1')).to match(/Error: WRONGTYPE/).or eq("1")
          expect(command('"EVAL", "return {1, redis.error_reply(\'MY own\')}", 0'))
            .to eq("[1, #<Iodine::PubSub::Redis::Error: MY own>]")
        end

        it "are answered in their order, and return the engine" do
          expect(run(<<~RUBY)).to eq("[true, true]")
            queue = Queue.new
            redis = Iodine::PubSub.default
            same = (1..500).all? { |number| redis.cmd("ECHO", number) { |reply| queue << reply }.equal?(redis) }
            [same, Array.new(500) { queue.pop } == (1..500).map(&:to_s)]
          RUBY
        end

        it "take Strings, Symbols and numbers, and nothing that would take the connection away" do
          ["", '"GET", []', '"GET", Object.new', '"SUBSCRIBE", "a"', ':psubscribe, "a"', '"monitor"',
           '"CLIENT", "reply", "off"'].each do |source|
            expect(run("begin Iodine::PubSub.default.cmd(#{source}) rescue $!.class end")).to eq("ArgumentError")
          end
        end

        it "may raise in their blocks" do
          expect(run('Iodine::PubSub.default.cmd("PING") { raise "on purpose" }; 1')).to eq("1")

          server.wait_for_log(/a block of a Redis command raised: RuntimeError: on purpose/)
          expect(command('"PING"')).to eq('"PONG"')
        end
      end
    end
  end

  describe "with a cluster" do
    with_redis
    serve_with_redis(workers: 3)

    # The processes that answer.
    def workers = Array.new(60) { run("Process.pid") }.uniq

    it "has two connections, which are the master's" do
      wait_until("all workers") { workers.size == 3 }
      60.times { run('Iodine.publish("a", "b"); Iodine::PubSub.default.cmd("PING"); 1') }

      expect(redis.clients.size).to eq(2)
    end

    it "answers commands in the process that has asked" do
      30.times do |number|
        expect(run(<<~RUBY)).to eq("[true, \"#{number}\"]")
          queue = Queue.new
          asked = Process.pid
          Iodine::PubSub.default.cmd("ECHO", #{number}) { |reply| queue << [Process.pid == asked, reply] }
          queue.pop
        RUBY
      end
    end

    it "delivers once to each subscriber of every worker, when any of them publishes" do
      open = Array.new(12) { server.connect }
      sockets = open.map { |peer| Support::WebSocket.new(peer, "/").tap(&:read_message) }
      sockets.each { |socket| ask(socket, 'client.subscribe("all"); client.subscribe("al*", match: :redis)') }
      sockets.each_with_index { |socket, number| tell(socket, "Iodine.publish('all', '#{number}')") }
      redis.publish("all", "12")

      got = sockets.map { |socket| messages(socket, 26) }
      expect(got.map(&:tally).uniq).to eq([(0..12).to_h { |number| [number.to_s, 2] }])
      sockets.each { |socket| expect(ask(socket, "1")).to eq("1") }
    ensure
      open&.each(&:close)
    end

    it "goes on when workers die" do
      3.times do
        Process.kill("KILL", run("Process.pid").to_i)
        remote do |socket|
          tell(socket, 'client.subscribe("again"); Iodine.publish("again", "works")')
          expect(socket.read_message).to eq("works")
          expect(redis.clients.size).to eq(2)
        end
      end
      wait_for_subscription("again", 0)
    end

    it "brings what a worker publishes while the master still starts" do
      app = <<~RUBY + File.read("#{Support::ROOT}/spec/apps/pubsub.ru")
        module Late
          def attach(*)
            sleep 2 if Iodine.master?
            super
          end
        end
        Iodine::Base::Scheduler.singleton_class.prepend(Late)
      RUBY
      server = Support::Server.rackup(app, "-r", redis.url, workers: 2, threads: 1)
      server.connect do |peer|
        socket = Support::WebSocket.new(peer, "/")
        expect(socket.read_message).to eq("open")
        tell(socket, 'client.subscribe("early"); Iodine.publish("early", "works")')
        expect(socket.read_message).to eq("works")
      end
    ensure
      server&.stop
    end

    it "refuses an engine that a worker makes" do
      expect(run("begin Iodine::PubSub::Redis.new('redis://localhost') rescue $!.class end")).to eq("RuntimeError")
    end

    # How many connections to Redis a process holds.
    def connections(pid)
      remote_end = format(":%04X", redis.port)
      mine = File.readlines("/proc/net/tcp").map(&:split).select { |fields| fields[2].end_with?(remote_end) }
      inodes = mine.map { |fields| "socket:[#{fields[9]}]" }
      Dir.glob("/proc/#{pid}/fd/*").count { |descriptor| inodes.include?(File.readlink(descriptor)) }
    end

    it "has no worker that holds a connection" do
      wait_until("all workers") { workers.size == 3 }
      before = workers
      Process.kill("KILL", before.first.to_i)
      wait_until("a new worker") { (workers - before).any? }

      expect([server.pid, *server.children].map { |pid| connections(pid) }).to eq([2, 0, 0, 0])
    end

    it "comes back after the connections were lost" do
      remote do |socket|
        ask(socket, 'client.subscribe("back")')
        redis.call("CLIENT", "KILL", "TYPE", "normal")
        redis.call("CLIENT", "KILL", "TYPE", "pubsub")
        server.wait_for_log(/is back/)
        tell(socket, 'Iodine.publish("back", "works")')

        expect(socket.read_message).to eq("works")
        expect(redis.clients.size).to eq(2)
      end
    end
  end

  describe "with two clusters" do
    with_redis
    serve_with_redis(workers: 2)
    before(:all) { @second = Support::Server.rackup("pubsub.ru", "-r", redis.url, workers: 2) }
    after(:all) { @second.stop }

    it "lets each hear the other" do
      remote do |one|
        @second.connect do |peer|
          other = Support::WebSocket.new(peer, "/")
          other.read_message
          [one, other].each { |socket| ask(socket, 'client.subscribe("both")') }
          wait_for_subscription("both", 2)
          tell(one, 'Iodine.publish("both", "from the first")')
          expect([one, other].map(&:read_message)).to eq(["from the first"] * 2)
          tell(other, 'Iodine.publish("both", "from the second")')
          expect([one, other].map(&:read_message)).to eq(["from the second"] * 2)
        end
      end
    end
  end

  describe "that is reached in other ways" do
    with_redis(requirepass: "s3cr%t/")
    after { server.stop }
    attr_reader :server

    # The server says what it is given.
    def expect_to_work(*flags, **options)
      @server = Support::Server.rackup("pubsub.ru", *flags, **options)
      remote do |socket|
        tell(socket, 'client.subscribe("a"); Iodine.publish("a", "works")')
        expect(socket.read_message).to eq("works")
      end
      expect(server.log).not_to include("s3cr")
    end

    it "is a password" do
      expect_to_work("-r", redis.url(":s3cr%25t%2F@"))
      expect(server.log).to match(%r{Initializing Redis engine for address: redis://:\*\*\*@127.0.0.1:\d+/0})
    end

    it "is a user, and a database" do
      redis.call("ACL", "SETUSER", "bob", "on", ">pass", "allcommands", "allkeys", "allchannels")
      redis.call("ACL", "SETUSER", "default", "allchannels")
      expect_to_work("-r", redis.url("bob:pass@", 3))

      expect(redis.clients.map { |client| client.values_at("user", "db") }).to eq([%w[bob 3]] * 2)
    end

    it "is a Unix socket" do
      expect_to_work("-r", "redis+unix://:s3cr%25t%2F@#{redis.path}?db=1")
      expect(redis.clients.map { |client| client["db"] }).to eq(%w[1 1])
    end

    it "is a variable, and a ping in seconds" do
      expect_to_work("-rp", "1", env: { "IODINE_REDIS_URL" => redis.url(":s3cr%25t%2F@") })
      wait_until("a ping on both") { redis.clients.map { |client| client["cmd"] } == %w[ping ping] }
    end
  end

  describe "that is no help" do
    after { server&.stop }
    attr_reader :server

    def serve(*flags, **options)
      @server = Support::Server.rackup("pubsub.ru", *flags, **options)
    end

    def hung_up?(socket)
      loop { Timeout.timeout(Support::Waiting::DEADLINE) { socket.readpartial(4096) } }
    rescue EOFError, SystemCallError
      true
    rescue Timeout::Error
      false
    end

    it "is waited for, and the log says so once" do
      redis = Support::RedisServer.new
      redis.kill
      serve("-r", redis.url)
      server.wait_for_log(/WARNING: Redis at .* cannot be used: Connection refused/)
      remote do |socket|
        tell(socket, 'client.subscribe("late"); 10.times { |number| Iodine.publish("late", number.to_s) }')
        sleep(0.5) # Long enough for some attempts.
        redis.start
        expect(messages(socket, 10)).to eq(("0".."9").to_a)
      end
      server.wait_for_log(/INFO: Redis at .* is back/)

      expect(server.log.scan("cannot be used").size).to eq(1)
    ensure
      redis&.stop
    end

    it "is looked for at once by an engine that is made while the server runs" do
      serve(env: { "URL" => "redis://127.0.0.1:1" })
      run("Iodine::PubSub::Redis.new(ENV['URL']); 1")

      server.wait_for_log(/WARNING: Redis at .* cannot be used: Connection refused/)
    end

    it "says that the password is wrong" do
      redis = Support::RedisServer.new(requirepass: "right")
      { redis.url(":wr0ng@") => /it says "WRONGPASS/, redis.url => /it says "NOAUTH Authentication required/,
        redis.url(":right@", "99") => /it says "ERR DB index is out of range/ }.each do |url, text|
        serve("-r", url)
        server.wait_for_log(text)
        expect(server.get("/run").status).to eq(200)
        expect(server.log).not_to include("wr0ng")
        server.stop
      end
    ensure
      redis&.stop
    end

    it "backs off" do
      fake = Support::FakeRedis.new
      serve("-r", fake.url(":no@"))
      times = Array.new(8) do
        socket, = fake.accept
        socket.write("-WRONGPASS no\r\n")
        Support::Waiting.monotonic
      end

      # Two connections, whose pauses are half of 0.2, 0.4 and 0.8 s, or more.
      expect(times.last - times.first).to be > 0.7
      expect(server.log.scan("cannot be used").size).to eq(1)
    ensure
      fake&.close
    end

    it "may be killed and started again, and messages wait for it" do
      redis = Support::RedisServer.new
      serve("-r", redis.url)
      remote do |socket|
        tell(socket, 'client.subscribe("a"); client.subscribe("b*", match: :redis); Iodine.publish("a", "before")')
        expect(socket.read_message).to eq("before")
        redis.kill
        tell(socket, '5.times { |number| Iodine.publish("a", "a%d" % number); Iodine.publish("bb", "b%d" % number) }')
        server.wait_for_log(/cannot be used/)
        redis.start

        expect(messages(socket, 10)).to eq((0..4).flat_map { |number| ["a#{number}", "b#{number}"] })
        wait_until("two connections") { redis.clients.size == 2 }
        redis.publish("a", "after")
        expect(socket.read_message).to eq("after")
      end
    ensure
      redis&.stop
    end

    it "has its messages in the order of publication while it comes and goes" do
      redis = Support::RedisServer.new
      serve("-r", redis.url)
      remote do |socket|
        ask(socket, 'client.subscribe("count")')
        tell(socket, 'Thread.new { 3000.times { |number| Iodine.publish("count", number.to_s); sleep(0.0005) } }')
        got = [socket.read_message.to_i]
        3.times do
          got << socket.read_message.to_i until got.size % 300 == 0
          redis.kill
          redis.start
          got << socket.read_message.to_i
        end
        got << socket.read_message.to_i until got.last == 2999

        expect(got).to eq(got.uniq.sort)
        # What was on the way when it died may be lost; the log counts it.
        counted = server.log.scan(/(\d+) messages were sent and not confirmed/).flatten.sum(&:to_i)
        expect(3000 - got.size).to be <= counted
      end
    ensure
      redis&.stop
    end

    it "drops messages that find no room, and counts them" do
      redis = Support::RedisServer.new
      redis.kill
      serve(env: { "URL" => redis.url })
      run("Iodine::PubSub.default = Iodine::PubSub::Redis.new(ENV['URL'], max_pending: 1); 1")
      run('20.times { Iodine.publish("big", "m" * 100_000) }; 1')
      server.wait_for_log(/WARNING: a message for Redis was dropped, and others may be/)
      answer = run("Queue.new.tap { |got| Iodine::PubSub.default.cmd('ECHO', 'x' * 100_000, &got.method(:<<)) }.pop")
      expect(answer).to match(/Redis::Error: FULL/)
      redis.start

      server.wait_for_log(/WARNING: Redis at .*: 10 messages were dropped while it was away, or too slow/)
    ensure
      redis&.stop
    end

    it "may stop answering" do
      redis = Support::RedisServer.new
      serve("-rp", "1", "-r", redis.url)
      remote do |socket|
        tell(socket, 'client.subscribe("a"); Iodine.publish("a", "before")')
        expect(socket.read_message).to eq("before")
        redis.freeze_it
        server.wait_for_log(/cannot be used: it has not answered for 1 s/)
        redis.thaw
        server.wait_for_log(/is back/)
        tell(socket, 'Iodine.publish("a", "after")')
        expect(socket.read_message).to eq("after")
      end
    ensure
      redis&.stop
    end

    it "may send what is no answer" do
      fake = Support::FakeRedis.new
      serve("-r", fake.url)
      ["HTTP/1.1 400 Bad Request\r\n\r\n", "\0" * 100_000, "*9223372036854775807\r\n:x\r\n", "+PONG\r\n" * 1000,
       "*1\r\n" * 10_000, "$-9\r\n" * 10, ">1\r\n+x\r\n", Random.new(3).bytes(1000)].each do |garbage|
        socket, = fake.greet
        begin
          socket.write(garbage)
        rescue SystemCallError
          # It has hung up already.
        end
        expect(hung_up?(socket)).to be(true), garbage[0, 50].inspect
      end
      server.wait_for_log(/what it sends is not the protocol of Redis/)

      expect(server.get("/run").status).to eq(200)
    ensure
      fake&.close
    end

    it "may refuse messages and subscriptions" do
      redis = Support::RedisServer.new
      redis.call("ACL", "SETUSER", "narrow", "on", ">pass", "allcommands", "allkeys", "resetchannels", "&open*")
      serve("-r", redis.url("narrow:pass@"))
      remote do |socket|
        tell(socket, 'client.subscribe("closed"); client.subscribe("open")')
        tell(socket, 'Iodine.publish("closed", "1"); Iodine.publish("open", "2")')
        expect(socket.read_message).to eq("2")
      end

      server.wait_for_log(/ERROR: .* has refused subscriptions, 1 by now: NOPERM/)
      server.wait_for_log(/ERROR: .* has refused messages, 1 by now: NOPERM/)
      remote do |socket|
        tell(socket,
             '99.times { Iodine.publish("closed", "1") }; client.subscribe("open"); Iodine.publish("open", "2")')
        expect(socket.read_message).to eq("2")
      end
      server.wait_for_log(/has refused messages, 64 by now/)
      expect(server.log.scan(/has refused messages, (\d+)/).flatten).to eq(%w[1 2 4 8 16 32 64])
    ensure
      redis&.stop
    end
  end

  describe "from a process that is no server" do
    with_redis

    # Runs a script, and returns what it has printed and logged.
    def script(source, **options)
      process = Support::ChildProcess.run_ruby("require 'iodine'; #{source}", redis.url, **options)
      [process.out.text, process.log.text, process.wait]
    end

    # What subscribers of a channel get of it.
    def published(channel, count)
      listener = redis.connect
      listener.call("SUBSCRIBE", channel)
      yield
      Array.new(count) { listener.read.last }
    ensure
      listener&.close
    end

    it "is published, and nothing is lost at its end" do
      got = published("console", 1000) do
        _, log, status = script(<<~RUBY)
          Iodine.verbosity = 3
          Iodine::PubSub.default = Iodine::PubSub::Redis.new(ARGV[0])
          1000.times { |number| Iodine.publish("console", number.to_s) }
        RUBY
        expect([log, status.success?]).to eq(["", true])
      end
      expect(got).to eq((0..999).map(&:to_s))
    end

    it "is published by the children of a process that has published itself" do
      got = published("forked", 4) do
        script(<<~RUBY)
          redis = Iodine::PubSub.default = Iodine::PubSub::Redis.new(ARGV[0])
          Iodine.publish("forked", "parent")
          child = fork do
            Iodine.publish("forked", "child")
            fork { Iodine.publish("forked", "grandchild") }
            Process.wait
          end
          Process.wait(child)
          Iodine.publish("forked", "parent again")
        RUBY
      end
      expect(got).to match_array(["parent", "child", "grandchild", "parent again"])
    end

    it "has the answers to its commands" do
      out, = script(<<~RUBY)
        redis = Iodine::PubSub::Redis.new(ARGV[0])
        redis.cmd("SET", "a", 1) { |reply| p reply }
        redis.cmd("GET", "a") { |reply| p reply }
        Process.wait(fork { redis.cmd("ECHO", "child") { |reply| p reply } })
        redis.cmd("GET", "none") { |reply| p reply }
      RUBY
      expect(out.lines(chomp: true)).to match_array(["true", '"1"', '"child"', "nil"])
    end

    it "is no URL that the command takes" do
      ["http://h", "redis://:secret@h:x", "rediss://h?x=1"].each do |url|
        command = ["#{Support::ROOT}/exe/iodine", "-p", "0", "-r", url, "#{Support::ROOT}/spec/apps/pubsub.ru"]
        process = Support::ChildProcess.new(RbConfig.ruby, "-I#{Support::ROOT}/lib", *command)
        expect(process.wait.exitstatus).to eq(2)
        expect(process.log.text).to match(/^error: .*Redis URL/)
        expect(process.log.text).not_to include("secret")
      ensure
        process&.kill_group
      end
    end

    it "is counted when there is no Redis" do
      _, log, status = script(<<~RUBY)
        Iodine::PubSub.default = Iodine::PubSub::Redis.new("redis://127.0.0.1:1")
        3.times { Iodine.publish("a", "lost") }
      RUBY
      expect(log).to match(/ERROR: Redis at .*: 3 messages were not delivered before the end/)
      expect(status).to be_success
    end

    it "is an engine with checked arguments" do
      table = {
        "new" => "ArgumentError", "new(1)" => "TypeError", "new(nil)" => "TypeError",
        "new('redis://h', 5)" => "TypeError", "new('redis://h', {}, {})" => "ArgumentError",
        "new('redis://h', ping: -1)" => "ArgumentError", "new('redis://h', ping: 'x')" => "ArgumentError",
        "new('redis://h', tls: Iodine::TLS.new)" => "ArgumentError", "new('rediss://h', tls: 1)" => "TypeError",
        "new('redis://h', pong: 1)" => "ArgumentError", "new('redis://h', timeout: Float::NAN)" => "ArgumentError",
        "new('x' * 4097)" => "Redis URL too long.", "new('http://h')" => "ArgumentError",
        "new('redis://:secret@h:port')" => "ArgumentError", "new('redis://h', { ping: 5 })" => "Redis",
        "new('redis://h', ping: 0)" => "Redis", "new('redis://u:secret@h/3').inspect" => "redis://u:***@h:6379/3"
      }
      out, = script(<<~RUBY)
        #{table.keys.inspect}.each do |source|
          value = begin eval("Iodine::PubSub::Redis." + source) rescue $! end
          puts "\#{source}: \#{value.class} \#{value.is_a?(Exception) ? value.message : value}"
        end
      RUBY
      expect(out.lines.size).to eq(table.size)
      out.lines.zip(table.values).each { |line, expected| expect(line).to include(expected) }
      expect(out.lines.map { |line| line[/\): (.*)/, 1] }.grep(/secret/)).to be_empty
    end
  end
end
