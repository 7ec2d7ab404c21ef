# frozen_string_literal: true

# A body of a method.
KEEP_THE_LOCK = <<~'RUBY'.tr("\n", ";").prepend("() = begin;").concat("end")
  %w[fiddle io/nonblock].each { |library| require library }
  $pipe = IO.pipe.each { |one| one.nonblock = false }
  types = [Fiddle::TYPE_INT, Fiddle::TYPE_VOIDP, Fiddle::TYPE_SIZE_T]
  read = Fiddle::Function.new(Fiddle.dlopen(nil)["read"], types, Fiddle::TYPE_INT, need_gvl: true)
  read.call($pipe.first.fileno, " ", 1)
RUBY

RSpec.describe "A worker" do
  app = <<~RUBY
    def hang_in_here = sleep
    run(lambda do |env|
      case env["PATH_INFO"]
      when "/hang" then hang_in_here
      when "/pause" then sleep 5
      when "/grow" then ($kept ||= []) << "x" * 40_000_000
      end
      [200, {}, [Process.pid.to_s]]
    end)
  RUBY

  def serve(app, *flags, workers: 2, threads: 2, **options)
    @server = Support::Server.rackup(app, *flags, workers: workers, threads: threads, **options)
    server.wait_for_log(/(?:is running.*){#{workers}}/m) if workers > 1
  end

  after do
    @peers&.each(&:close)
    @server&.stop
  end

  attr_reader :server

  # Connections that ask for a path and read nothing.
  def occupy(path, count)
    @peers = Array.new(count) { server.connect.write(Support::Server.get(path)) }
  end

  [1, 2].each do |workers|
    it "whose threads all hang is reported, with what each of them does, -w #{workers}" do
      serve(app, "-hang-report", "1", workers: workers)
      occupy("/hang", 2 * workers)
      server.wait_for_log(/ERROR: \(\d+\) all threads have been busy for \d s.*thread 2 of 2:.*hang_in_here/m)

      expect(server.log).to match(/thread 1 of 2:\n\t\t.*sleep.*\n\t\t.*app.ru:1:in .*hang_in_here/)
      expect(server.process).to be_alive
    end
  end

  it "is not reported while one thread comes forward" do
    serve(app, "-hang-report", "1", workers: 1)
    occupy("/hang", 1)
    25.times { server.get("/").then { sleep 0.1 } }

    expect(server.log).not_to include("busy")
  end

  it "says when its threads come forward again" do
    serve(app, "-hang-report", "1", workers: 1, threads: 1)
    occupy("/pause", 1)
    server.wait_for_log(/all threads have been busy/)
    server.wait_for_log(/threads come forward again, after \d s/)
  end

  it "whose threads all hang is replaced, when that is wanted" do
    serve(app, "-hang-replace", "1", "-shutdown-timeout", "1", threads: 1)
    before = server.children
    occupy("/hang", 1)
    found = server.wait_for_log(/Child worker \((\d+)\) has not come forward for \d s: it is replaced/, within: 20)
    hung = found[1].to_i
    wait_until("its end", within: 20) { !server.children.include?(hung) }

    expect(server.children & before).to eq(before - [hung])
    expect(server.get("/").status).to eq(200)
  end

  # So is one in which C code keeps Ruby's lock for ever.
  it "that runs no Ruby at all is replaced, and killed" do
    serve(app, "-hang-replace", "2", "-shutdown-timeout", "1", threads: 1)
    victim = server.children.first
    Process.kill("STOP", victim)
    server.wait_for_log(/Child worker \(#{victim}\) has not come forward for \d s: it is replaced/, within: 20)
    server.wait_for_log(/Child worker \(#{victim}\) did not leave within \S+ s and is killed/, within: 20)
    wait_until("two workers") { server.children.size == 2 }

    expect(server.children).not_to include(victim)
    expect(server.get("/").status).to eq(200)
  end

  describe "that hangs before it serves" do
    # In what is started after the folder has got a file "hang".
    hang = <<~RUBY
      def hang_in_here = sleep
      Iodine.on_state(:STATE) { hang_in_here if File.exist?("\#{ENV["FOLDER"]}/hang") }
      run ->(env) { [200, {}, [Process.pid.to_s]] }
    RUBY

    around do |example|
      Dir.mktmpdir("iodine-boot") do |folder|
        @folder = folder
        example.run
      end
    end

    def serve_folder(app, *flags, **options) = serve(app, *flags, env: { "FOLDER" => @folder }, **options)

    def hang_from_now_on = FileUtils.touch("#{@folder}/hang")

    %w[enter_child on_start].each do |state|
      it "in a callback of :#{state} is killed, and a restart is given up, with the place in the log" do
        serve_folder(hang.sub("STATE", state), "-boot-timeout", "1")
        before = server.children
        hang_from_now_on
        server.kill("USR1")
        server.wait_for_log(/ERROR: \(\d+\) does not come to serve, for 1 s.*hang_in_here/m)
        server.wait_for_log(/ERROR: Child worker \(\d+\) did not come to serve within 1 s .* is killed/)
        server.wait_for_log(/ERROR: .*before it could serve.*stay/)

        expect(server.children).to match_array(before)
        expect(server.get("/").status).to eq(200)
      end
    end

    it "without running Ruby is killed" do
      serve_folder(hang.sub("STATE", "on_start").sub("= sleep", '= Process.kill("STOP", $$)'), "-boot-timeout", "1")
      hang_from_now_on
      server.kill("USR1")
      server.wait_for_log(/ERROR: .*before it could serve.*stay/)

      expect(server.get("/").status).to eq(200)
    end

    # C code that keeps Ruby's lock, so that no Ruby can say where it is.
    it "in C code is killed, with the place in the log" do
      serve_folder(hang.sub("STATE", "on_start").sub("= sleep", KEEP_THE_LOCK), "-boot-timeout", "1")
      hang_from_now_on
      server.kill("USR1")
      server.wait_for_log(/ERROR: .*before it could serve.*stay/)

      told = server.log[/^ERROR: \((\d+)\) thread \1 is here:\n((?:\t.*\n)+).*Child worker \(\1\) did not come/m, 2]
      expect(told).to match(/^\t.*app.ru:1:in hang_in_here$/)
      expect(server.log).not_to include("does not come to serve")
    end

    it "is replaced, when it is needed" do
      serve_folder(hang.sub("STATE", "on_start"), "-boot-timeout", "1")
      hang_from_now_on
      Process.kill("KILL", server.children.first)
      server.wait_for_log(/did not come to serve within 1 s/)
      FileUtils.rm("#{@folder}/hang")

      server.wait_for_log(/(?:is running.*){3}/m)
    end

    it "has all the time in the world, when that is wanted" do
      serve_folder(hang.sub("STATE", "on_start").sub("sleep", "sleep(2.5)"), "-boot-timeout", "0")
      hang_from_now_on
      Process.kill("KILL", server.children.first)
      server.wait_for_log(/(?:is running.*){3}/m)

      expect(server.log).not_to include("come to serve")
    end

    { "" => "= sleep", ", in C code" => KEEP_THE_LOCK }.each do |place, body|
      it "leaves when its master is killed#{place}" do
        serve_folder(hang.sub("STATE", "on_start").sub("= sleep", body), "-shutdown-timeout", "0")
        hang_from_now_on
        first, second = server.children
        Process.kill("KILL", first)
        hung, = wait_until("a new worker") { (fresh = server.children - [first, second]).any? && fresh }
        server.kill("KILL")

        wait_until("its end") { !Support::ChildProcess.running?(hung) }
      end
    end

    it "is killed when the server stops" do
      serve_folder(hang.sub("STATE", "on_start"), "-shutdown-timeout", "0")
      hang_from_now_on
      first, second = server.children
      Process.kill("KILL", first)
      wait_until("a new worker") { (server.children - [first, second]).any? }
      server.stop

      expect(server.log).to match(/ERROR: 1 workers did not stop within 3.0 s and are killed/)
    end
  end

  it "is replaced after so many requests, by one that serves before it leaves" do
    serve(app, "-max-requests", "50", workers: 2, threads: 1)
    before = server.children
    wait_until("new workers", within: 20) do
      40.times { expect(server.get("/").status).to eq(200) }
      (server.children & before).empty? && server.children.size == 2
    end

    expect(server.log).to match(/WARNING: Child worker \(\d+\) has answered \d+ requests: it is replaced/)
    expect(server.log).not_to match(/ERROR/)
  end

  it "is replaced when it takes so much memory" do
    serve(app, "-max-rss", "150", workers: 2, threads: 1)
    before = server.children
    wait_until("new workers", within: 20) do
      server.get("/grow")
      (server.children & before).empty?
    end

    expect(server.log).to match(/WARNING: Child worker \(\d+\) takes \d+ MiB of memory: it is replaced/)
  end
end
