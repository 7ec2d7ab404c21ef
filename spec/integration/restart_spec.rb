# frozen_string_literal: true

RSpec.describe "A restart" do
  def cluster(*flags, app: "workers.ru", workers: 2, threads: 2, **options)
    @server = Support::Server.rackup(app, *flags, workers: workers, threads: threads, **options)
    wait_until("#{workers} workers") { server.children.size == workers }
    server.wait_for_log(/(?:is running.*){#{workers}}/m)
    server
  end

  after do |example|
    puts @server.log.lines.last(25) if example.exception && @server
    @server&.stop
  end

  attr_reader :server

  # Restarts the workers and waits until the last of them has been replaced.
  def restart
    before = server.children
    server.kill("USR1")
    wait_until("new workers") { (now = server.children).size == before.size && (now & before).empty? && now }
  end

  describe "by USR1" do
    it "fails no request" do
      cluster
      visitors = Support::Visitors.new(server)
      pids = server.children + Array.new(3) { restart }.flatten
      served = visitors.answers
      wait_until("visits after the restarts") { visitors.answers > served + 20 }
      bodies = visitors.finish

      expect(visitors.failures.size.times.map { visitors.failures.pop.inspect }).to be_empty
      expect(bodies.keys.map(&:to_i) - pids).to be_empty
      expect(server.log).not_to match(/ERROR|FATAL/)
    end

    it "starts a new worker before the old one leaves" do
      cluster(app: <<~RUBY)
        Iodine.on_state(:on_start) { $stderr.write("begins\n") }
        Iodine.on_state(:start_shutdown) { $stderr.write("ends\n") if Iodine.worker? }
        run ->(_env) { [200, {}, []] }
      RUBY
      restart
      server.wait_for_log(/(?:^ends.*){2}/m)

      expect(server.log.scan(/^begins|^ends/)).to eq(%w[begins begins begins ends begins ends])
    end

    it "answers one more request of a connection that is kept, and says that it is the last" do
      cluster
      peer = server.connect
      peer.write(Support::Server.get("/"))
      pid = peer.read_response.body
      server.kill("USR1")
      server.wait_for_log(/\(#{pid}\) detected exit signal/)
      last = wait_until("the last response") do
        peer.write(Support::Server.get("/"))
        response = peer.read_response
        expect([response.status, response.body]).to eq([200, pid])
        response if response["connection"] == "close"
      end

      expect(last.body).to eq(pid)
      expect(peer).to be_eof
    end

    it "closes a connection that stays idle" do
      cluster
      peer = server.connect
      peer.write(Support::Server.get("/"))
      peer.read_response
      server.kill("USR1")

      expect(peer).to be_eof
    end

    it "waits for a request that runs" do
      cluster
      peer = server.connect
      peer.write(Support::Server.get("/second"))
      server.wait_for_log(/second begins/)
      restart

      expect(peer.read_response.body).to eq("a second later")
    end

    it "sent twice at once replaces no worker twice" do
      cluster(app: <<~RUBY)
        Iodine.on_state(:on_start) { $stderr.write("begins\n") }
        run ->(_env) { [200, {}, []] }
      RUBY
      before = server.children
      2.times { server.kill("USR1") }
      wait_until("new workers") { (now = server.children).size == 2 && (now & before).empty? }
      server.stop

      expect(server.log.scan("begins").size).to be_between(4, 6)
    end

    it "tells WebSockets, and closes them with code 1001" do
      cluster(app: "realtime.ru")
      socket = Support::WebSocket.new(server.connect, "/echo")
      socket.text("hello")
      socket.read_message
      server.kill("USR1")

      expect(socket.read_message).to eq("shutdown true")
      expect(socket.read_frame.code).to eq(1001)
    end
  end

  # The whole of it takes a minute; without CI=true, a quarter: the same restarts, closer together.
  describe "again and again, and an upgrade, under load" do
    minute = ENV["CI"] == "true" ? 60 : 15

    # wrk with kept connections, for the whole time; what it says at the end.
    def load(seconds)
      command = ["wrk", "-t2", "-c50", "-d#{seconds}s", "--timeout", "10", "http://127.0.0.1:#{server.port}/"]
      Thread.new { IO.popen(command, err: %i[child out], &:read) }
    end

    it "fails and resets nothing in #{minute} s" do
      @folder = Dir.mktmpdir("iodine-restarts")
      cluster("-pid", "#{@folder}/pid")
      wrk = load(minute)
      visitors = Support::Visitors.new(server, kept: 4, brief: 10)
      began = monotonic
      5.times do |turn|
        sleep [(began + (minute * (turn + 1) / 8.0)) - monotonic, 0].max
        restart
      end
      server.kill("USR2")
      server.wait_for_log(/The new server serves/, within: 30)
      expect(server.wait).to be_success
      report = wrk.value
      bodies = visitors.finish

      expect(Array.new(visitors.failures.size) { visitors.failures.pop.inspect }).to be_empty
      expect(report).to match(/Requests.sec/)
      expect(report).not_to match(/Socket errors|Non-2xx/)
      # A process for each worker, first and after each restart and upgrade.
      expect(bodies.size).to be >= 10
    ensure
      successor = File.read("#{@folder}/pid").to_i
      Process.kill("TERM", successor)
      wait_until("the end of the successor") { !Support::ChildProcess.running?(successor) }
      FileUtils.rm_rf(@folder)
    end
  end

  # As impatient operators, deploy scripts and managers of services send them, at the same time.
  it "among other signals, in whatever order, fails no request" do
    folder = Dir.mktmpdir("iodine-storm")
    cluster("-pid", "#{folder}/pid")
    visitors = Support::Visitors.new(server, kept: 2, brief: 4)
    random = Random.new(42)
    master = -> { File.read("#{folder}/pid").to_i }
    (%w[USR1 USR1 USR1 USR2 HUP HUP TTIN TTOU CHLD CONT WINCH] * 4).shuffle(random: random).each do |signal|
      Process.kill(signal, master.call)
      sleep random.rand(0.1)
    end
    served = visitors.answers
    wait_until("visits after the storm", within: 30) { visitors.answers > served + 100 }
    last = wait_until("one master", within: 30) { (pid = master.call) && Support::ChildProcess.running?(pid) && pid }
    visitors.finish

    expect(Array.new(visitors.failures.size) { visitors.failures.pop.inspect }).to be_empty
    expect(server.log).not_to match(/FATAL/)
    Process.kill("TERM", last)
    wait_until("its end", within: 20) { !Support::ChildProcess.running?(last) }
  ensure
    FileUtils.rm_rf(folder) if folder
  end

  describe "with -reload" do
    def version(text) = "run ->(_env) { [200, {}, [#{text.inspect}]] }"

    around do |example|
      Dir.mktmpdir("iodine-reload") do |folder|
        @file = "#{folder}/app.ru"
        example.run
      end
    end

    # A cluster that serves the file.
    def serve(source)
      File.write(@file, source)
      command = [RbConfig.ruby, "-I#{Support::ROOT}/lib", "#{Support::ROOT}/exe/iodine", "-b", "127.0.0.1", "-p", "0",
                 "-w", "2", "-t", "1", "-reload", @file]
      @server = Support::Server.new(command)
      server.wait_for_log(/(?:is running.*){2}/m)
    end

    it "brings the new code" do
      serve(version("old"))
      expect(server.get("/").body).to eq("old")
      File.write(@file, version("new"))
      restart

      expect(Array.new(4) { server.get("/").body }.uniq).to eq(["new"])
    end

    it "keeps the old workers when the new code does not load" do
      serve(version("old"))
      before = server.children
      File.write(@file, "raise 'a mistake in line 1'")
      server.kill("USR1")
      server.wait_for_log(/FATAL: .*could not be loaded.*a mistake in line 1/m)
      server.wait_for_log(/ERROR: .*before it could serve.*stay/)

      expect(server.children).to match_array(before)
      expect(server.get("/").body).to eq("old")
    end
  end
end
