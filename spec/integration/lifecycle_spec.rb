# frozen_string_literal: true

RSpec.describe "The life of a process" do
  # A script that serves, in a folder of its own, and writes what is told to its standard error. Returns when the log
  # says what is +awaited+.
  def start(source, workers: 2, threads: 1, awaited: serving(workers))
    @server = Support::Server.script(<<~RUBY)
      require "iodine"
      $root = Process.pid
      STATES = %i[pre_start before_fork after_fork enter_child enter_master on_start on_parent_crush on_child_crush
                  start_shutdown on_finish]
      def tell(*words) = $stderr.write([*words].join(" ") + "\\n")
      Iodine.workers = #{workers}
      Iodine.threads = #{threads}
      Iodine.listen(service: :http, address: "127.0.0.1", port: 0) do |env|
        next [200, {}, [Process.pid.to_s]] if env["PATH_INFO"] == "/"
        tell "begun"
        sleep(*env["PATH_INFO"].scan(/\\d+/).map(&:to_i))
        [200, {}, ["late"]]
      end
      #{source}
      Iodine.start
      tell "returned", Process.pid == $root
    RUBY
    server.wait_for_log(awaited)
    server
  end

  # A signal that comes before the handlers are there is not the server's.
  def serving(workers) = workers > 1 ? /(?:is running.*){#{workers}}/m : /Press \^C/

  after { @server&.stop }

  attr_reader :server

  # What the processes told, by process id, in order.
  def told = server.log.scan(/^state (\d+) (\w+)$/).group_by(&:first).transform_values { |all| all.map(&:last) }

  describe "in a cluster" do
    recorder = 'STATES.each { |state| Iodine.on_state(state) { tell "state", Process.pid, state } }'
    birth = %w[after_fork enter_child on_start]
    death = %w[start_shutdown on_finish]
    fork = %w[before_fork after_fork enter_master]

    it "reaches its states in order through a restart" do
      start(recorder)
      old = server.children
      server.kill("USR1")
      wait_until("new workers") { (now = server.children).size == 2 && (now & old).empty? }
      server.stop

      expect(told.delete(server.pid.to_s)).to eq(["pre_start", *(fork * 4), *death])
      expect(told.reject { |pid, _| pid == server.pid.to_s }.values).to eq([birth + death] * 4)
    end

    it "reaches its states in order when a worker crashes" do
      start(recorder)
      victim = server.children.first
      Process.kill("KILL", victim)
      server.wait_for_log(/(?:is running.*){3}/m)
      server.stop

      expect(told[server.pid.to_s]).to eq(["pre_start", *(fork * 2), "on_child_crush", *fork, *death])
      expect(told[victim.to_s]).to eq(birth)
    end

    {
      "" => [recorder, /(?:is running.*){2}/m],
      " before its workers serve" => [<<~RUBY, /(?:on_start$.*){2}/m]
        #{recorder}
        Iodine.on_state(:on_start) { sleep 0.01 while Process.ppid == $root }
      RUBY
    }.each do |time, (source, awaited)|
      it "reaches its states in order when the master is killed#{time}" do
        start(source, awaited: awaited)
        workers = server.children
        server.kill("KILL")
        wait_until("no workers") { workers.none? { |pid| Support::ChildProcess.running?(pid) } }
        # The log may not have come yet.
        server.wait

        expect(told.values_at(*workers.map(&:to_s))).to all eq(birth + ["on_parent_crush"] + death)
      end
    end

    it "goes on when callbacks raise, in every state" do
      start(<<~RUBY)
        STATES.each { |state| Iodine.on_state(state) { raise "on purpose in \#{state}" } }
        #{recorder}
      RUBY
      first, second = server.children
      expect(server.get("/").status).to eq(200)
      Process.kill("KILL", first)
      server.wait_for_log(/(?:is running.*){3}/m)
      expect(server.stop).to be_success

      expect(server.log.scan(/on purpose in (\w+)/).flatten.uniq)
        .to match_array(%w[pre_start before_fork after_fork enter_child enter_master on_start on_child_crush
                           start_shutdown on_finish])
      expect(told[server.pid.to_s]).to eq(["pre_start", *(fork * 2), "on_child_crush", *fork, *death])
      expect(told[second.to_s]).to eq(birth + death)
    end
  end

  describe "told by signals" do
    [1, 2].each do |workers|
      it "QUIT stops, -w #{workers}" do
        start("", workers: workers)
        server.wait_for_log(/Press \^C/)

        expect(server.stop("QUIT")).to be_success
        expect(server.log).to include("returned true")
      end

      it "INT leaves at once the second time, -w #{workers}" do
        start("", workers: workers)
        pids = server.children
        server.connect do |peer|
          peer.write(Support::Server.get("/for/ever"))
          server.wait_for_log(/begun/)
          server.kill("INT")
          server.wait_for_log(/etected exit signal/)
          began = monotonic
          server.kill("INT")

          expect(server.wait.exitstatus).to eq(130)
          expect(monotonic - began).to be < 3
        end
        wait_until("no workers") { pids.none? { |pid| Support::ChildProcess.running?(pid) } }
      end

      it "TERM twice is one orderly stop, -w #{workers}" do
        start("", workers: workers)
        server.connect do |peer|
          peer.write(Support::Server.get("/for/1"))
          server.wait_for_log(/begun/)
          2.times { server.kill("TERM") }

          expect(peer.read_response.body).to eq("late")
        end
        expect(server.wait).to be_success
      end

      it "TERM before it serves is an orderly stop, -w #{workers}" do
        start(<<~RUBY, workers: 1)
          Iodine.workers = #{workers}
          Iodine.on_state(:pre_start) { Process.kill("TERM", Process.pid) }
        RUBY

        expect(server.wait).to be_success
        expect(server.log).to include("returned true")
      end

      it "TERM stops what a callback has made a daemon of, -w #{workers}" do
        start("Iodine.on_state(:pre_start) { Process.daemon(true, true) }", workers: workers, awaited: /on port/)
        response = wait_until("an answer") { server.get("/").body.to_i }
        daemon = workers == 1 ? response : File.read("/proc/#{response}/stat")[/\) \S (\d+)/, 1].to_i
        expect(daemon).not_to eq(server.pid)
        Process.kill("TERM", daemon)

        server.wait_for_log(/Shutdown Complete/)
      rescue Support::DeadlineError
        # It is in no group of the specs'.
        Process.kill("KILL", daemon) if daemon
        raise
      end

      it "HUP reads again what can be, in every process, -w #{workers}" do
        start('Iodine::Base::Reload.add("the weather") { tell "read by", Process.pid }', workers: workers)
        pids = [server.pid, *server.children]
        server.get("/")
        server.kill("HUP")
        wait_until("all have read") { pids - server.log.scan(/read by (\d+)/).flatten.map(&:to_i) == [] }

        expect(server.get("/").status).to eq(200)
      end
    end

    it "to a worker that has just been forked are not lost" do
      start(<<~RUBY)
        Iodine.on_state(:enter_master) do
          $first ||= system("true") && Process.kill("TERM", File.read("/proc/self/task/\#{Process.pid}/children").to_i)
        end
        Iodine.on_state(:on_finish) { tell "left", Process.pid }
      RUBY
      server.wait_for_log(/(?:is running.*){2}/m)

      server.wait_for_log(/shutdown. Respawning/)
    end

    it "wake a process that is about to wait for them" do
      process = Support::ChildProcess.run_ruby(<<~RUBY)
        require "iodine"

        events = Thread::Queue.new
        Iodine::Base::Signals.install(events) { nil }
        reader, writer = IO.pipe
        main = Process.pid
        fork do
          writer.close
          Process.kill("USR1", main) while reader.gets
        end
        1000.times { writer.puts("now") && events.pop }
        writer.close
        puts "all"
      RUBY

      expect(process.out.text).to eq("all\n")
    end

    it "are all told to a process that takes them over, whenever they come" do
      process = Support::ChildProcess.run_ruby(<<~RUBY)
        require "iodine"

        Iodine::Base::Signals.install(Thread::Queue.new) { nil }
        Process.wait(Iodine::Base::ProcessFork.worker do
          events = Thread::Queue.new
          sent = 0
          each_line = TracePoint.new(:line) do |at|
            next unless at.method_id == :inherit && sent < 50

            sent += 1
            Process.kill("USR1", Process.pid)
          end
          each_line.enable { Iodine::Base::Signals.inherit(events) }
          p [sent, Array.new(sent) { events.pop }.size]
        end)
      RUBY

      sent, told = process.out.text.scan(/\d+/).map(&:to_i)
      expect(sent).to be > 3
      expect(told).to eq(sent)
    end

    it "TTIN adds a worker, TTOU lets the youngest one leave, and one stays" do
      start("")
      first, second = server.children.sort
      server.kill("TTIN")
      wait_until("three workers") { server.children.size == 3 }
      server.kill("TTOU")
      wait_until("two workers") { server.children.size == 2 }
      expect(server.children).to contain_exactly(first, second)
      server.kill("TTOU")
      wait_until("one worker") { server.children == [first] }
      server.kill("TTOU")
      server.wait_for_log(/0 workers would not do/)

      expect(server.get("/").body.to_i).to eq(first)
    end

    it "CHLD of the application's children are its own business" do
      start(<<~RUBY)
        Iodine.on_state(:on_start) do
          Iodine.run { tell "child said", Process.wait2(spawn("exit 3")).last.exitstatus }
        end
      RUBY

      server.wait_for_log(/(?:child said 3.*){2}/m)
      expect(server.log).not_to include("shutdown")
    end
  end

  describe "forked by the application" do
    [1, 2].each do |workers|
      it "has neither the server's signal handlers nor its sockets, -w #{workers}" do
        start(<<~RUBY, workers: workers)
          Iodine.on_state(:on_start) do
            Iodine.run do
              pid = fork do
                tell "child", Process.pid, Iodine.running?, Iodine.worker?
                sleep
              end
              tell "ended by", Process.wait2(pid).last.termsig
            end
          end
        RUBY
        pid = server.wait_for_log(/child (\d+) false false/)[1].to_i
        sockets = ->(id) { Dir.glob("/proc/#{id}/fd/*").map { |fd| File.readlink(fd) }.grep(/socket/) }
        listening = File.read("/proc/#{pid}/net/tcp").lines.filter_map do |line|
          fields = line.split
          "socket:[#{fields[9]}]" if fields[1].end_with?(":#{format("%04X", server.port)}") && fields[3] == "0A"
        end
        expect(listening).not_to be_empty
        expect(sockets.call(pid) & listening).to be_empty
        Process.kill("TERM", pid)

        server.wait_for_log(/ended by 15/)
      end

      it "has none of the connections, and the server serves on, -w #{workers}" do
        start(<<~RUBY, workers: workers, threads: 2)
          class Forking
            def on_message(client, _)
              pid = fork do
                tell "child", Process.pid, client.write("from the child"), client.open?
                sleep
              end
              tell "forked", Process.pid, client.write("bye")
              client.close
              tell "ended by", Process.wait2(pid).last.termsig
            end
          end
          Iodine.listen(service: :raw, address: "127.0.0.1", port: 0) { Forking.new }
        RUBY
        port = server.wait_for_log(/(?:Listening on port (\d+).*){2}/m)[1].to_i
        server.connect(port: port) do |peer|
          peer.write("fork")
          expect(peer.read_to_end).to eq("bye")
          pid, written = server.wait_for_log(/child (\d+) (\S+ \S+)/).captures
          expect(written).to eq("false false")
          expect(server.get("/").status).to eq(200)
          Process.kill("TERM", pid.to_i)
          server.wait_for_log(/ended by 15/)
        end
      end

      # The server's objects close what they have once more, when they go.
      it "is given no number that a descriptor of the server has, -w #{workers}" do
        start(<<~RUBY, workers: workers)
          def sockets = Dir.glob("/proc/self/fd/*").select { |fd| File.readlink(fd).start_with?("socket") rescue false }
          Iodine.on_state(:on_start) do
            Thread.new do
              before = sockets
              Process.wait(fork do
                files = Array.new(64) { File.open("/dev/zero") }
                opened = files.map { |file| "/proc/self/fd/\#{file.fileno}" }
                tell "shared", (opened & before).size, "of", before.size, "left", (before - sockets).size
              end)
            end
          end
        RUBY
        shared, all, left = server.wait_for_log(/shared (\d+) of (\d+) left (\d+)/).captures.map(&:to_i)

        expect(all).to be_positive
        expect(left).to be_positive
        expect(shared).to eq(0)
      end

      it "counts for itself, -w #{workers}" do
        start(<<~RUBY, workers: workers)
          Iodine.on_state(:on_start) do
            Iodine.run do
              Process.wait(fork { Iodine::Base::Metrics.add(0, "restarts", 7) })
              tell "counted", Iodine::Base::Metrics.get(0, "restarts")
            end
          end
        RUBY

        expect(server.wait_for_log(/counted (\d+)/)[1]).to eq("0")
      end

      it "may serve by itself, -w #{workers}" do
        start(<<~RUBY, workers: workers)
          Iodine.on_state(:start_shutdown) { tell "forked server stops" if $forked }
          Iodine.run_every(1) { tell "a timer of the parent" if $forked }
          Iodine.on_state(:on_start) do
            next if $forked
            Thread.new do
              pid = fork do
                $forked = true
                Iodine.listen(service: :http, address: "127.0.0.1", port: 0) { [200, {}, ["forked", Process.pid.to_s]] }
                Iodine.start
                tell "forked server returned", Iodine.running?
              end
              tell "forked", pid
              tell "forked server left", Process.wait2(pid).last.to_i
            end
          end
        RUBY
        pid = server.wait_for_log(/^forked (\d+)/)[1].to_i
        port = server.wait_for_log(/Listening on port \d+.*Listening on port (\d+)/m)[1].to_i
        answer = wait_until("an answer") { server.get("/", port: port).body }
        Process.kill("TERM", pid)
        server.wait_for_log(/forked server left 0/)

        expect(answer).to start_with("forked")
        expect(server.log).to match(/forked server stops.*forked server returned false/m)
        expect(server.log).not_to match(/a timer of the parent/)
        expect(server.get("/").status).to eq(200)
      end

      # A fork without a block, whose child goes on where it was forked: in the middle of a request, or a task.
      it "and running on, answers no request, and ends, -w #{workers}" do
        start(<<~RUBY, workers: workers)
          def fork_here(place)
            pid = fork or return tell("child", Process.pid, place)
            Thread.new { tell "ended", Process.wait2(pid) }
          end
          Iodine.on_state(:on_start) { Iodine.run { fork_here("task") } }
          Iodine.run { fork_here("master") if Iodine.master? && Iodine.workers > 1 }
          Iodine.listen(service: :http, address: "127.0.0.1", port: 0) do |env|
            fork_here("request") if env["PATH_INFO"] == "/fork"
            [200, {}, ["from \#{Process.pid}"]]
          end
        RUBY
        port = server.wait_for_log(/Listening on port \d+.*Listening on port (\d+)/m)[1].to_i
        served = server.connect(port: port) do |peer|
          Array.new(4) do |turn|
            peer.write(Support::Server.get(turn == 1 ? "/fork" : "/"))
            peer.read_response.body[/\d+/].to_i
          end
        end
        count = workers == 1 ? 2 : 4
        server.wait_for_log(/(?:^ended.*exit 0.*){#{count}}/m)
        children = server.log.scan(/^child (\d+)/).flatten.map(&:to_i)
        others = together(20) { server.get("/", port: port).body[/\d+/].to_i }

        expect(children.size).to eq(count)
        expect(served.uniq.size).to eq(1)
        expect(served + others).not_to include(*children)
        expect(server.log).not_to match(/ERROR/)
      end

      # More than may wait for a peer: nobody takes it in the child.
      it "and running on in a long body has nobody to write to, and ends, -w #{workers}" do
        start(<<~'RUBY', workers: workers)
          def fork_here
            pid = fork or return tell("child")
            Thread.new { tell "ended", Process.wait2(pid) }
          end
          part = "0123456789abcdef" * 4096
          produce = ->(from, write) { from.upto(15) { |turn| fork_here if turn == 4; write.call(part) } }
          each = Object.new
          each.define_singleton_method(:each) { |&block| produce.call(0, block) }
          answers = {
            "/each" => -> { each },
            "/each/later" => -> { fork_here.then { (5..20).lazy.map { part } } },
            "/call" => -> { ->(stream) { produce.call(0, stream.method(:write)) && stream.close } }
          }
          Iodine.listen(service: :http, address: "127.0.0.1", port: 0) do |env|
            [200, {}, answers.fetch(env["PATH_INFO"]).call]
          end
        RUBY
        port = server.wait_for_log(/Listening on port \d+.*Listening on port (\d+)/m)[1].to_i
        bodies = %w[/each /each/later /call].map { |path| server.get(path, port: port).body }
        server.wait_for_log(/(?:^ended.*exit 0.*){3}/m)

        expect(bodies).to all eq("0123456789abcdef" * 4096 * 16)
      end

      it "and running on cannot hijack what is the parent's, -w #{workers}" do
        start(<<~'RUBY', workers: workers)
          Iodine.listen(service: :http, address: "127.0.0.1", port: 0) do |env|
            pid = fork
            tell "ended", Process.wait2(pid) if pid
            begin
              env["rack.hijack"].call
              env["rack.hijack_io"].write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")
              env["rack.hijack_io"].close
            rescue IOError => e
              tell "refused", e.message, pid.inspect
            end
          end
        RUBY
        port = server.wait_for_log(/Listening on port \d+.*Listening on port (\d+)/m)[1].to_i
        expect(server.get("/", port: port).body).to eq("hi")

        server.wait_for_log(/^refused .* nil$.*^ended.*exit 0/m)
      end
    end

    it "in the master does not keep the workers from seeing it die" do
      start("Iodine.on_state(:pre_start) { }\nIodine.run { fork { tell 'child'; sleep } if Iodine.master? }")
      server.wait_for_log(/child/)
      workers = server.log.scan(/(\d+) is running/).flatten.map(&:to_i)
      server.kill("KILL")

      wait_until("no workers") { workers.none? { |pid| Support::ChildProcess.running?(pid) } }
    end
  end
end
