# frozen_string_literal: true

require "socket"

RSpec.describe "An upgrade" do
  around do |example|
    Dir.mktmpdir("iodine-upgrade") do |folder|
      @folder = folder
      example.run
    end
  end

  after do |example|
    puts @server.log.lines.last(25) if example.exception && @server
    @server&.stop
    stop_successors
  end

  attr_reader :server, :folder

  def version(text) = "run ->(_env) { [200, {}, [\"#{text} \#{Process.pid}\"]] }"

  # A server of the file, which says which version it is and which process serves.
  def serve(*flags, workers: 2, env: {}, bind: %w[-b 127.0.0.1 -p 0])
    File.write("#{folder}/app.ru", version("old"))
    command = [RbConfig.ruby, "-I#{Support::ROOT}/lib", "#{Support::ROOT}/exe/iodine", *bind,
               "-w", workers.to_s, "-t", "2", "-pid", "#{folder}/pid", *flags, "#{folder}/app.ru"]
    @server = Support::Server.new(command, env: env)
    wait_until("the pid file") { File.exist?("#{folder}/pid") }
    wait_until("an answer") { server.get("/").status == 200 }
  end

  # Has the server replaced; the process id of the new one. Until the old one has left it may be the one that answers.
  def upgrade
    old = master
    before = server.log.scan("The new server serves").size
    Process.kill("USR2", old)
    wait_until("the upgrade", within: 20) { server.log.scan("The new server serves").size > before }
    wait_until("the end of the old server", within: 20) { !Support::ChildProcess.running?(old) }
    master
  end

  def master = File.read("#{folder}/pid").to_i

  def stop_successors
    pid = File.read("#{folder}/pid").to_i
    Process.kill("TERM", pid)
    wait_until("the end of the successor") { !Support::ChildProcess.running?(pid) }
  rescue Errno::ENOENT, Errno::ESRCH
    nil
  end

  [1, 2].each do |workers|
    describe "by USR2, -w #{workers}" do
      it "brings the new code, on the same port, in a new process, and fails no request" do
        serve(workers: workers)
        old = server.pid
        expect(master).to eq(old)
        visitors = Support::Visitors.new(server)
        File.write("#{folder}/app.ru", version("new"))
        fresh = upgrade
        expect(server.wait).to be_success
        served = visitors.answers
        wait_until("visits after the upgrade") { visitors.answers > served + 20 }
        visitors.finish

        expect(Array.new(visitors.failures.size) { visitors.failures.pop.inspect }).to be_empty
        expect(fresh).not_to eq(old)
        expect(server.get("/").body).to start_with("new")
      end

      it "leaves the old server alone when the new one does not start" do
        serve(workers: workers)
        File.write("#{folder}/app.ru", "raise 'a mistake'")
        server.kill("USR2")
        server.wait_for_log(/ERROR: The new server did not come to serve/)

        expect(server.get("/").body).to start_with("old")
        expect(master).to eq(server.pid)
        File.write("#{folder}/app.ru", version("new"))
        upgrade
        expect(server.get("/").body).to start_with("new")
      end

      it "hands a Unix socket over, whose file the last server removes" do
        serve(workers: workers, bind: ["-b", "#{folder}/app.sock"])
        upgrade
        server.wait
        upgrade
        expect(server.get("/").status).to eq(200)
        stop_successors

        expect(File.exist?("#{folder}/app.sock")).to be(false)
      end
    end
  end

  it "that is asked for twice is done once" do
    serve
    File.write("#{folder}/app.ru", "sleep 1\n#{version("new")}")
    2.times { server.kill("USR2").then { sleep 0.2 } }
    server.wait_for_log(/WARNING: an upgrade is under way/)
    server.wait_for_log(/The new server serves/)
    server.wait

    expect(server.log.scan("Started the new server").size).to eq(1)
  end

  [1, 2].each do |workers|
    it "to a server that does not come to serve is given up, and may be tried again, -w #{workers}" do
      serve("-boot-timeout", "2", workers: workers)
      File.write("#{folder}/app.ru", "def hang_in_here = sleep\nhang_in_here")
      server.kill("USR2")
      server.wait_for_log(/ERROR: The new server, process \d+, did not come to serve within 2 s .* is killed/)
      server.wait_for_log(/hang_in_here.*ERROR: The new server did not come to serve/m)
      File.write("#{folder}/app.ru", version("new"))
      upgrade

      expect(server.get("/").body).to start_with("new")
    end

    it "to a server that fails leaves the old one its Unix socket, -w #{workers}" do
      serve("-boot-timeout", "1", workers: workers, bind: ["-b", "#{folder}/app.sock"])
      File.write("#{folder}/app.ru", "Iodine.on_state(:pre_start) { sleep }\n#{version("new")}")
      server.kill("USR2")
      server.wait_for_log(/ERROR: The new server did not come to serve/, within: 20)

      expect(server.get("/").body).to start_with("old")
    end

    it "to a server that bears no signal is given up, -w #{workers}" do
      serve("-boot-timeout", "1", workers: workers)
      File.write("#{folder}/app.ru", "trap('INT') {}\n`sleep 60 >&2 &`\nsleep")
      server.kill("USR2")
      server.wait_for_log(/ERROR: The new server did not come to serve/, within: 20)

      expect(server.get("/").body).to start_with("old")
    end
  end

  it "ends with the old server when that is stopped meanwhile" do
    serve
    File.write("#{folder}/app.ru", "$stderr.write(\"loading\n\"); sleep")
    server.kill("USR2")
    pid = server.wait_for_log(/Started the new server, process (\d+)/)[1].to_i
    server.wait_for_log(/loading/)
    server.stop("TERM")

    wait_until("the end of the new one") { !Support::ChildProcess.running?(pid) }
  end
end

RSpec.describe "The watchdog of a service manager" do
  # Seconds between two looks, the machine being busy, and the seconds at which it has been told.
  def times(patience, looks:)
    process = Support::ChildProcess.run_ruby(<<~RUBY, env: { "WATCHDOG_USEC" => (patience * 1_000_000).to_s })
      require "iodine"
      times = [#{looks.join(",")}]
      Iodine::Base.define_singleton_method(:now) { times.first }
      Iodine::Base::ServiceManager.define_singleton_method(:tell) { |_| puts times.first }
      Iodine::Base::ServiceManager.watchdog.then { times.shift } until times.empty?
    RUBY
    process.out.text.lines.map(&:to_f)
  end

  { 2 => 1.5, 3 => 1.5, 4 => 2, 10 => 5, 30 => 15 }.each do |patience, longest|
    it "is told within #{longest} of #{patience} seconds" do
      told = times(patience, looks: (0..80).map { |turn| turn * 0.999 })
      gaps = told.each_cons(2).map { |one, another| another - one }

      expect(gaps).not_to be_empty
      expect(gaps.max).to be <= longest
    end
  end
end

RSpec.describe "A service manager" do
  # Plays systemd: a datagram socket that services write to, and listening sockets that it passes on.
  def manage(*flags, env: {}, listeners: [], workers: 1)
    @folder = Dir.mktmpdir("iodine-systemd")
    @manager = Socket.new(:UNIX, :DGRAM).tap { |socket| socket.bind(Addrinfo.unix("#{@folder}/notify")) }
    File.write("#{@folder}/app.ru", "run ->(env) { [200, {}, [Process.pid.to_s]] }")
    start = listeners.empty? ? "" : "LISTEN_PID=$$ LISTEN_FDS=#{listeners.size} "
    places = listeners.each_index.map { |number| "#{number + 3}<&#{number + 13}" }.join(" ")
    passed = listeners.each_with_index.to_h { |listener, number| [number + 13, listener] }
    command = ["bash", "-c", "#{start}exec \"$@\" #{places}", "bash", RbConfig.ruby, "-I#{Support::ROOT}/lib",
               "#{Support::ROOT}/exe/iodine", "-w", workers.to_s, "-t", "1", *flags, "#{@folder}/app.ru"]
    @server = Support::Server.new(command, env: { "NOTIFY_SOCKET" => "#{@folder}/notify", **env }, descriptors: passed)
  end

  after do |example|
    puts @server.log.lines.last(25) if example.exception && @server
    @server&.stop
    @manager&.close
    FileUtils.rm_rf(@folder) if @folder
  end

  attr_reader :server

  # The next datagram that begins with this.
  def told(beginning)
    wait_until("#{beginning} told", within: 15) do
      message = @manager.recv_nonblock(4096, exception: false)
      message if message.is_a?(String) && message.start_with?(beginning)
    end
  end

  [1, 2].each do |workers|
    it "is told when the server serves, begins anew, and stops, -w #{workers}" do
      manage("-b", "127.0.0.1", "-p", "0", workers: workers)
      expect(told("READY=1")).to include("MAINPID=#{server.pid}")
      expect(server.get("/").status).to eq(200)
      server.kill(workers == 1 ? "HUP" : "USR1")
      expect(told("RELOADING=1")).to match(/MONOTONIC_USEC=\d+/)
      told("READY=1")
      server.kill("TERM")
      told("STOPPING=1")

      expect(server.wait).to be_success
    end

    it "is told that the server is alive, -w #{workers}" do
      manage("-b", "127.0.0.1", "-p", "0", workers: workers, env: { "WATCHDOG_USEC" => "2000000" })
      2.times { told("WATCHDOG=1") }
    end

    it "is warned of when it has no patience, -w #{workers}" do
      manage("-b", "127.0.0.1", "-p", "0", workers: workers, env: { "WATCHDOG_USEC" => "1999000" })
      told("WATCHDOG=1")

      server.wait_for_log(/WARNING: the service manager wants to hear of this server each 1.999 s/)
    end

    it "hands over its sockets, TCP and Unix, -w #{workers}" do
      tcp = TCPServer.new("127.0.0.1", 0)
      path = File.join(Dir.mktmpdir("iodine-activation"), "app.sock")
      unix = UNIXServer.new(path)
      manage("-b", "127.0.0.1", "-p", tcp.addr[1].to_s, "-C", config(path), listeners: [unix, tcp], workers: workers)
      told("READY=1")
      expect(server.get("/").status).to eq(200)
      expect(server.get("/", path: path).status).to eq(200)
      server.stop

      expect(File.socket?(path)).to be(true)
      expect(TCPSocket.new("127.0.0.1", tcp.addr[1]).close).to be_nil
    ensure
      [tcp, unix].each { |socket| socket&.close }
      FileUtils.rm_rf(File.dirname(path)) if path
    end
  end

  it "that hands over sockets for which there is no listener is warned" do
    tcp = TCPServer.new("127.0.0.1", 0)
    manage("-b", "127.0.0.1", "-p", "0", listeners: [tcp])

    server.wait_for_log(/WARNING: 1 inherited sockets are closed/)
  ensure
    tcp&.close
  end

  def config(path)
    file = "#{File.dirname(path)}/config.rb"
    File.write(file, "Iodine.listen(service: :http, address: #{path.inspect}, port: 0) { [200, {}, ['unix']] }")
    file
  end
end
