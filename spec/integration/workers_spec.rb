# frozen_string_literal: true

require "etc"

RSpec.describe "Workers" do
  # A cluster for one example.
  def cluster(*flags, app: "workers.ru", workers: 2, threads: 1, **options)
    @server = Support::Server.rackup(app, *flags, workers: workers, threads: threads, **options)
  end

  after { @server&.stop }

  attr_reader :server

  # Waits until +count+ workers live and returns their ids. None of them is one of +instead_of+.
  def workers(count, instead_of: [])
    wait_until("#{count} workers") do
      children = server.children
      children if children.size == count && (children & instead_of).empty?
    end
  end

  # The process that answers, asked on a new connection.
  def answering = server.get("/").body.to_i

  it "answer in as many processes as -w says" do
    cluster(workers: 3)
    pids = workers(3)
    seen = []

    wait_until("an answer of each") { (seen |= together(8) { answering }).size == 3 }
    expect(seen).to match_array(pids)
    expect(pids).not_to include(server.pid)
  end

  it "are the process itself with -w 1" do
    cluster(workers: 1)

    expect(answering).to eq(server.pid)
    expect(server.children).to be_empty
  end

  describe "and threads are counted" do
    cores = Etc.nprocessors
    # With more than three cores one is left to the rest of the machine.
    spare = cores > 3 ? 1 : 0
    half = [cores / 2, 1].max
    crowded = cores > 3 && half * half >= cores ? 1 : 0

    # [-t, -w] => [workers, threads].
    {
      [0, 0] => [[cores, 8].min - spare, [cores, 8].min],
      [0, 4] => [4, 1],
      [4, 0] => [1, 4],
      [-1, 0] => [1, cores - spare],
      [0, -1] => [cores - spare, 1],
      [-2, -2] => [half - crowded, half - crowded],
      [-2, 4] => [4, half - spare],
      [3, -1] => [cores - spare, 3]
    }.each do |(threads, workers), expected|
      it "#{expected.join(" x ")} for -t #{threads} -w #{workers}" do
        cluster(threads: threads, workers: workers)

        expect(server.wait_for_log(/(\d+) workers? x (\d+) threads?/i).captures.map(&:to_i)).to eq(expected)
        workers(expected[0] == 1 ? 0 : expected[0])
      end
    end

    { "WORKERS" => { "WORKERS" => "3" },
      "WEB_CONCURRENCY" => { "WEB_CONCURRENCY" => "3" },
      "WEB_CONCURRENCY rather than WORKERS" => { "WEB_CONCURRENCY" => "3", "WORKERS" => "2" } }.each do |name, env|
      it "by #{name}" do
        cluster(workers: nil, env: env)

        expect(workers(3).size).to eq(3)
      end
    end

    it "by -w rather than by WORKERS" do
      cluster(workers: 2, env: { "WORKERS" => "4", "WEB_CONCURRENCY" => "5" })

      server.wait_for_log(/2 workers? x 1 threads?/i)
      expect(workers(2).size).to eq(2)
    end

    it "by the environment without any argument but the application" do
      dir = Dir.mktmpdir("iodine-spec-app")
      FileUtils.cp(File.expand_path("../apps/workers.ru", __dir__), "#{dir}/config.ru")
      command = [RbConfig.ruby, "-I#{Support::ROOT}/lib", "#{Support::ROOT}/exe/iodine"]
      @server = Support::Server.new(command, dir: dir, chdir: dir,
                                             env: { "WORKERS" => "2", "THREADS" => "3", "PORT" => free_port.to_s })

      server.wait_for_log(/2 workers? x 3 threads?/i)
      expect(workers(2)).to include(answering)
    end

    def free_port = TCPServer.open("127.0.0.1", 0) { |listener| listener.addr[1] }
  end

  describe "that end" do
    it "by KILL are replaced" do
      cluster
      before = workers(2)
      Process.kill("KILL", before[0])

      after = wait_until("a new worker") { (now = server.children).size == 2 && now != before && now }
      expect(after).to include(before[1])
      expect(after).not_to include(before[0])
      expect(after).to include(answering)
      server.wait_for_log(/ERROR: Child worker \(#{before[0]}\) crashed/)
    end

    it "by exit!(1) are replaced" do
      cluster
      before = workers(2)
      server.connect do |peer|
        peer.write(Support::Server.get("/exit"))
        expect(peer).to be_eof
      end

      after = wait_until("a new worker") { (now = server.children).size == 2 && (now - before).any? && now }
      expect(after).to include(answering)
      server.wait_for_log(/ERROR: Child worker \(\d+\) crashed/)
    end

    it "by TERM are replaced" do
      cluster
      before = workers(2)
      Process.kill("TERM", before[0])

      wait_until("a new worker") { (now = server.children).size == 2 && (now - before).size == 1 }
      expect(server.process).to be_alive
    end

    it "are replaced with all their threads" do
      folder = Dir.mktmpdir("iodine-release")
      cluster(threads: 4, env: { "RELEASE" => "#{folder}/release" })
      before = workers(2)
      before.each { |pid| Process.kill("KILL", pid) }
      after = workers(2, instead_of: before)
      peers = Array.new(40) { server.connect.write(Support::Server.get("/crowd")) }

      server.wait_for_log(/^4 inside of (#{after.join("|")})$/)
      FileUtils.touch("#{folder}/release")
      expect(peers.map { |peer| peer.read_response.body.to_i }.uniq - after).to be_empty
    ensure
      peers&.each(&:close)
      FileUtils.rm_rf(folder) if folder
    end

    it "at once are not replaced at full speed" do
      cluster(app: <<~RUBY)
        Iodine.on_state(:enter_child) do
          $stderr.write("born\n")
          exit!(1)
        end
        run ->(_env) { [200, {}, []] }
      RUBY
      server.wait_for_log(/born/)
      # Two seconds of a crash loop; a master that gives up earlier is fine too.
      begin
        server.wait(within: 2)
      rescue Support::DeadlineError
        nil
      end

      expect(server.log.scan("born").size).to be_between(2, 20)
    end

    it "at once, all of them, end the server with a message" do
      cluster(app: <<~RUBY)
        Iodine.on_state(:enter_child) { exit!(1) }
        run ->(_env) { [200, {}, []] }
      RUBY

      expect(server.wait(within: 30).exitstatus).to eq(1)
      expect(server.log).to match(/^error: the workers die as soon as they are started/)
    end

    it "at once, while others live, end nothing" do
      cluster(app: <<~RUBY)
        $born = 0
        Iodine.on_state(:before_fork) { $born += 1 }
        Iodine.on_state(:enter_child) { exit!(1) if $born > 1 }
        run ->(_env) { [200, {}, []] }
      RUBY
      server.wait_for_log(/7 workers in a row died/, within: 30)

      expect(server.get("/").status).to eq(200)
    end

    it "at once leave a master that stops when told to" do
      cluster(app: <<~RUBY)
        Iodine.on_state(:enter_child) { exit!(1) }
        run ->(_env) { [200, {}, []] }
      RUBY
      server.wait_for_log(/crashed/)
      server.stop("TERM")

      expect(server.process).not_to be_alive
    end
  end

  describe "that are told to stop" do
    %w[INT TERM].each do |signal|
      it "by #{signal} to the master leave with it, status 0" do
        cluster
        pids = workers(2)

        expect(server.stop(signal)).to be_success
        expect(pids.select { |pid| Support::ChildProcess.running?(pid) }).to be_empty
      end

      it "by #{signal} to the whole group, as Ctrl-C does, leave, status 0" do
        cluster
        pids = workers(2)
        server.connect do |peer|
          peer.write(Support::Server.get("/second"))
          server.wait_for_log(/second begins/)
          Process.kill(signal, -server.pid)

          expect(peer.read_response.body).to eq("a second later")
        end
        expect(server.wait).to be_success
        expect(pids.select { |pid| Support::ChildProcess.running?(pid) }).to be_empty
      end

      it "by #{signal} finish the requests that run" do
        cluster(threads: 2)
        workers(2)
        server.connect do |peer|
          peer.write(Support::Server.get("/second"))
          server.wait_for_log(/second begins/)
          server.kill(signal)

          expect(peer.read_response.body).to eq("a second later")
        end
        expect(server.wait).to be_success
      end
    end

    it "are not reported as crashed" do
      cluster
      workers(2)
      server.stop

      expect(server.log).not_to match(/crash|ERROR|FATAL/i)
    end

    [1, 2].each do |count|
      it "leave at the shutdown deadline, -w #{count}" do
        cluster("--shutdown-timeout", "1", workers: count)
        pids = workers(count == 1 ? 0 : count)
        server.connect do |peer|
          peer.write(Support::Server.get("/forever"))
          server.wait_for_log(/forever begins/)
          server.kill("TERM")
          server.wait(within: 15)
        end

        expect(pids.select { |pid| Support::ChildProcess.running?(pid) }).to be_empty
      end
    end

    it "accept no new connection" do
      cluster
      workers(2)
      server.connect do |peer|
        peer.write(Support::Server.get("/second"))
        server.wait_for_log(/second begins/)
        server.kill("TERM")

        wait_until("refused connections") do
          server.connect(&:close)
          false
        rescue Errno::ECONNREFUSED, Errno::ECONNRESET
          true
        end
        peer.read_response
      end
    end
  end

  it "leave when the master is killed" do
    cluster
    pids = workers(2)
    server.kill("KILL")

    wait_until("no worker") { pids.none? { |pid| Support::ChildProcess.running?(pid) } }
  end
end
