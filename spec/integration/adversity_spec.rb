# frozen_string_literal: true

require "socket"

RSpec.describe "In adversity" do
  around do |example|
    Dir.mktmpdir("iodine-adversity") do |folder|
      @folder = folder
      File.write("#{folder}/config.ru", "run ->(env) { [200, {}, [env['rack.input'].read.bytesize.to_s]] }")
      example.run
    end
  end

  after { @server&.stop }

  attr_reader :server, :folder

  # The command run to its end, which is its failure.
  def failing(*flags)
    process = Support::ChildProcess.new(RbConfig.ruby, "-I#{Support::ROOT}/lib", "#{Support::ROOT}/exe/iodine",
                                        "-w", "1", "-t", "1", *flags, "#{folder}/config.ru")
    expect(process.wait(within: 20).exitstatus).to eq(1)
    process.log.text
  ensure
    process&.kill_group
  end

  def serve(*flags, **options)
    @server = Support::Server.rackup(File.read("#{folder}/config.ru"), *flags, **options)
  end

  describe "the pid file" do
    it "that is a folder is an error" do
      expect(failing("-p", "0", "-pid", folder)).to match(/^error: the pid file #{folder} is not a file/)
    end

    {
      "in a folder that does not exist" => ["none/pid", /No such file/],
      "below a file" => ["config.ru/pid", /Not a directory/]
    }.each do |name, (path, reason)|
      it "#{name} is an error" do
        expect(failing("-p", "0", "-pid", "#{folder}/#{path}"))
          .to match(%r{^error: the pid file #{folder}/#{path} cannot be .*#{reason}})
      end
    end

    it "that is a link is an error, and what it leads to stays" do
      File.write("#{folder}/precious", "1")
      File.symlink("precious", "#{folder}/pid")

      expect(failing("-p", "0", "-pid", "#{folder}/pid")).to match(/^error: the pid file \S+ is not a file/)
      expect(File.read("#{folder}/precious")).to eq("1")
    end

    it "of another process that runs is an error, and stays" do
      other = Process.spawn("sleep 60")
      File.write("#{folder}/pid", other.to_s)

      expect(failing("-p", "0", "-pid", "#{folder}/pid")).to match(/^error: the pid file \S+ names process #{other}/)
      expect(File.read("#{folder}/pid")).to eq(other.to_s)
    ensure
      Process.kill("KILL", other).then { Process.wait(other) }
    end

    ended = Process.spawn("true").tap { |pid| Process.wait(pid) }.to_s

    { "" => "nothing", "a word" => "a word", "-5" => "a negative number", "9" * 20 => "a large number",
      ended => "a process that has ended" }.each do |text, name|
      it "that says #{name} is replaced" do
        File.write("#{folder}/pid", text)
        serve("-pid", "#{folder}/pid")
        server.get("/")

        expect(File.read("#{folder}/pid").to_i).to eq(server.pid)
      end
    end
  end

  it "a port in use is named, status 1" do
    TCPServer.open("127.0.0.1", 0) do |listener|
      port = listener.addr[1]

      expect(failing("-b", "127.0.0.1", "-p", port.to_s)).to match(/^error: .*127\.0\.0\.1:#{port}: .*in use/i)
    end
  end

  it "a socket path that is a file is named, status 1, and the file stays" do
    File.write("#{folder}/app.sock", "precious")

    expect(failing("-b", "#{folder}/app.sock")).to match(%r{^error: .*#{folder}/app.sock: .*no socket})
    expect(File.read("#{folder}/app.sock")).to eq("precious")
  end

  it "a socket that nobody answers is replaced" do
    UNIXServer.new("#{folder}/app.sock").close
    serve("-b", "#{folder}/app.sock")

    expect(server.get("/").status).to eq(200)
  end

  it "a configuration file that raises ends the command, status 1, with the place" do
    File.write("#{folder}/config.rb", "\nraise 'on purpose'")

    expect(failing("-p", "0", "-C", "#{folder}/config.rb")).to match(/^error: .*config.rb.*config.rb:2:.*on purpose/m)
  end

  describe "without file descriptors" do
    def cpu_time = File.read("/proc/#{server.pid}/stat").split[13, 2].sum(&:to_i)

    it "connections wait, the log says so once, nothing spins, and all are served in the end" do
      @folder_app = "#{folder}/app.ru"
      File.write(@folder_app, "run ->(_env) { [200, {}, ['served']] }")
      command = ["bash", "-c", "ulimit -n 48; exec \"$@\"", "bash", RbConfig.ruby, "-I#{Support::ROOT}/lib",
                 "#{Support::ROOT}/exe/iodine", "-b", "127.0.0.1", "-p", "0", "-w", "1", "-t", "1", @folder_app]
      @server = Support::Server.new(command)
      peers = Array.new(80) { server.connect }
      server.wait_for_log(/ERROR: cannot accept connections/)
      before = cpu_time
      sleep 1
      spent = cpu_time - before
      peers.each { |peer| peer.write(Support::Server.get("/", "Connection: close")) }

      expect(peers.map { |peer| peer.read_response.body }).to all eq("served")
      expect(spent).to be < 30
      expect(server.log.scan("cannot accept").size).to eq(1)
    ensure
      peers&.each(&:close)
    end
  end

  # In Ruby 3.3 a thread that could not be made still gets the VM lock when it is its turn, and no other one runs again.
  describe "without processes", if: RUBY_VERSION < "3.3" do
    # The limit is one user's, and root has none. +room+ is for how many processes and threads more than there are.
    app = <<~RUBY
      Process::UID.change_privilege(ENV["TO_BE"].to_i)
      def tasks = Dir.glob("/proc/[0-9]*/task/*").count { |task| File.stat(task).uid == Process.uid rescue false }
      forks = 0
      Iodine.on_state(:before_fork) do
        next unless (forks += 1) == 3

        most = Process.getrlimit(:NPROC)[1]
        Thread.new { sleep(1) && Process.setrlimit(:NPROC, most, most) }
        Process.setrlimit(:NPROC, tasks + ENV["ROOM"].to_i, most)
      end
      run ->(env) { [200, {}, [Process.pid.to_s]] }
    RUBY

    # No process; one that has no second thread; one, and no thread for the master to watch it; and so on.
    5.times do |room|
      it "with room for #{room} the master goes on, and replaces a worker when there is room again" do
        skip "to be another user takes root" unless Process.uid.zero?
        uid = 700_000 + (Process.pid % 10_000 * 10) + room
        @server = Support::Server.rackup(app, workers: 2, env: { "TO_BE" => uid.to_s, "ROOM" => room.to_s })
        server.wait_for_log(/(?:is running.*){2}/m)
        first, second = server.children
        Process.kill("KILL", first)
        server.wait_for_log(/ERROR: .*(?:Resource temporarily unavailable|crashed)/)
        server.wait_for_log(/(?:is running.*){3}/m)

        expect(server.children.size).to eq(2)
        expect(server.children).to include(second)
        expect(server.get("/").status).to eq(200)
        expect(server.stop("TERM")).to be_success
      end
    end
  end

  describe "with a full disk" do
    def mounted
      system("mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", folder, err: File::NULL) or
        skip "mounting a file system takes root"
      yield
    ensure
      system("umount", "-l", folder, err: File::NULL)
    end

    it "a pid file that finds no room is an error" do
      mounted do
        File.write("#{folder}/config.ru", "run ->(env) {}")
        begin
          File.write("#{folder}/all", "x" * 1_000_000)
        rescue Errno::ENOSPC
          nil
        end

        said = failing("-p", "0", "-pid", "#{folder}/pid")
        expect(said).to match(/^error: the pid file \S+ cannot be written: No space left/)
        expect(Dir.children(folder)).to contain_exactly("config.ru", "all")
      end
    end

    it "a body that finds no room is answered with 507, and the server serves on" do
      app = "run ->(env) { [200, {}, [env['rack.input'].read.bytesize.to_s]] }"
      mounted do
        @server = Support::Server.rackup(app, env: { "TMPDIR" => folder })
        response = server.connect do |peer|
          peer.offer(Support::Server.post("/", "x" * 1_000_000))
          peer.read_response(to: "POST")
        end

        expect(response.status).to eq(507)
        expect(server.request(Support::Server.post("/", "x" * 70_000)).body).to eq("70000")
        expect(server.log).to match(/ERROR: could not keep a request body/)
        server.stop
      end
    end
  end

  it "a worker that is killed fails its own requests only, and is replaced within a second" do
    @server = Support::Server.script(<<~RUBY)
      require "iodine"
      Iodine.workers = 2
      Iodine.threads = 8
      Iodine.listen(service: :http, address: "127.0.0.1", port: 0) do
        $stderr.write("begun in \#{Process.pid}\\n")
        sleep 2
        [200, {}, [Process.pid.to_s]]
      end
      Iodine.start
    RUBY
    server.wait_for_log(/(?:is running.*){2}/m)
    peers = Array.new(8) { server.connect.write(Support::Server.get("/")) }
    server.wait_for_log(/(?:begun in.*){8}/m)
    victim = server.log[/begun in (\d+)/, 1].to_i
    theirs = server.log.scan(/begun in (\d+)/).flatten.map(&:to_i).count(victim)
    Process.kill("KILL", victim)
    seconds { server.wait_for_log(/(?:is running.*){3}/m) }.then { |time| expect(time).to be < 1 }
    answers = peers.map do |peer|
      peer.read_response.body.to_i
    rescue Support::RawHTTP::MalformedError
      nil
    end

    expect(answers.count(nil)).to eq(theirs)
    expect(answers.compact).not_to include(victim)
  ensure
    peers&.each(&:close)
  end
end
