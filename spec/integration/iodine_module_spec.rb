# frozen_string_literal: true

RSpec.describe "Iodine as a library" do
  # Runs a script that requires iodine and returns the lines it printed. Fails when the script does.
  def lines(source, *arguments, status: 0, **options)
    process = Support::ChildProcess.run_ruby(%(require "iodine"\n#{source}), *arguments, **options)
    raise "status #{process.wait.inspect}: #{process.log.text}" unless process.wait.exitstatus == status

    @log = process.log.text
    process.out.lines
  end

  # The value of an expression, or the class and message of what it raises, as the script sees it.
  def value(expression, **options)
    lines(<<~RUBY, **options).last
      require "socket"
      begin
        p((#{expression}))
      rescue Exception => error
        puts "\#{error.class}: \#{error.message}"
      end
    RUBY
  end

  # How an example names what it expects.
  def self.outcome(expected) = expected.is_a?(Regexp) ? expected.source.delete_prefix("\\A").delete("\\") : expected

  # What the last script logged.
  attr_reader :log

  def process_of(source)
    @process = Support::ChildProcess.ruby(%(require "iodine"\n#{source}))
  end

  after { @process&.kill_group }

  describe "settings" do
    {
      "[Iodine.threads, Iodine.workers]" => "[0, 0]",
      "Iodine.threads = 5; Iodine.threads" => "5",
      "Iodine.workers = -2; Iodine.workers" => "-2",
      "Iodine.threads = 4095; Iodine.threads" => "4095",
      "Iodine.threads = 4096" => /\ARangeError/,
      "Iodine.workers = 511; Iodine.workers" => "511",
      "Iodine.workers = 512" => /\ARangeError/,
      "Iodine.threads = nil" => /\ATypeError/,
      "Iodine.threads = '4'" => /\ATypeError/,
      "Iodine.workers = nil" => /\ATypeError/,
      "Iodine.workers = 1.5" => /\ATypeError/,
      "Iodine.verbosity" => "4",
      "Iodine.verbosity = 2; Iodine.verbosity" => "2",
      "Iodine.verbosity = 'loud'" => /\ATypeError/,
      "Iodine.verbosity = nil" => /\ATypeError/,
      "Iodine::DEFAULT_SETTINGS" => '{:port=>"3000", :address=>nil}',
      "Iodine::DEFAULT_HTTP_ARGS.equal?(Iodine::DEFAULT_SETTINGS)" => "true",
      "Gem::Requirement.new('~> 0.7').satisfied_by?(Gem::Version.new(Iodine::VERSION))" => "true",
      "Iodine::VERSION.frozen?" => "true",
      "[Iodine.running?, Iodine.master?, Iodine.worker?]" => "[false, true, false]",
      "ENV['RACK_HANDLER']" => '"iodine"'
    }.each do |expression, expected|
      it "#{expression} is #{outcome(expected)}" do
        expect(value(expression)).to match(expected.is_a?(Regexp) ? expected : eq(expected))
      end
    end

    it "take the port of the environment" do
      expect(value("Iodine::DEFAULT_SETTINGS[:port]", env: { "PORT" => "4321" })).to eq('"4321"')
    end

    it "leave a RACK_HANDLER of the environment alone" do
      expect(value("ENV['RACK_HANDLER']", env: { "RACK_HANDLER" => "other" })).to eq('"other"')
    end

    it "are quiet at verbosity 0" do
      lines("Iodine.verbosity = 0; Iodine.workers = Iodine.threads = 1; Iodine.run { Iodine.stop }; Iodine.start")

      expect(log).to eq("")
    end
  end

  describe "scheduling" do
    {
      "block = proc {}; Iodine.run(&block).equal?(block)" => "true",
      "Iodine.defer {}.class" => "Proc",
      "Iodine.run_after(10) {}.class" => "Proc",
      "Iodine.run_after(nil) {}.class" => "Proc",
      "Iodine.run_every(10) {}.class" => "Proc",
      "Iodine.run_every(10, 3) {}.class" => "Proc",
      "Iodine.on_idle {}.class" => "Proc",
      "Iodine.on_state(:on_start) {}.class" => "Proc",
      "Iodine.run" => /\ALocalJumpError/,
      "Iodine.run_after('soon') {}" => /\ATypeError: milliseconds must be a number/,
      "Iodine.run_every('often') {}" => /\ATypeError/,
      "Iodine.on_state(:never) {}" => /\ATypeError/,
      "Iodine.on_state('on_start') {}" => /\ATypeError/
    }.each do |expression, expected|
      it "#{expression} is #{outcome(expected)}" do
        expect(value(expression)).to match(expected.is_a?(Regexp) ? expected : eq(expected))
      end
    end

    # A script in one process that ends when its block calls Iodine.stop.
    def in_one_process(source) = lines("Iodine.workers = Iodine.threads = 1\n#{source}\nIodine.start")

    it "runs tasks in their order, those of tasks too" do
      expect(in_one_process(<<~RUBY)).to eq(%w[one two three four])
        Iodine.run { puts "one"; Iodine.run { puts "four"; Iodine.stop } }
        Iodine.defer { puts "two" }
        Iodine.run { puts "three" }
      RUBY
    end

    it "runs timers by their time, not by their order" do
      expect(in_one_process(<<~RUBY)).to eq(%w[now 10 30 60])
        Iodine.run_after(60) { puts 60; Iodine.stop }
        Iodine.run_after(10) { puts 10 }
        Iodine.run_after(30) { puts 30 }
        Iodine.run_after(0) { puts "now" }
      RUBY
    end

    it "runs no timer early" do
      took = in_one_process(<<~RUBY).map(&:to_f)
        now = -> { Process.clock_gettime(Process::CLOCK_MONOTONIC) }
        began = now.call
        Iodine.run_after(100) { puts now.call - began; Iodine.stop }
      RUBY

      expect(took[0]).to be >= 0.099
    end

    it "repeats a timer as often as told" do
      expect(in_one_process(<<~RUBY)).to eq(%w[tick tick tick stop])
        Iodine.run_every(10, 3) { puts "tick" }
        Iodine.run_after(300) { puts "stop"; Iodine.stop }
      RUBY
    end

    it "repeats a timer for ever by default" do
      expect(in_one_process(<<~RUBY)).to eq(%w[0 1 2 3 4 5 6 7 8 9])
        count = -1
        Iodine.run_every(5) { (puts count += 1) if count < 9; Iodine.stop if count == 9 }
      RUBY
    end

    it "refuses to repeat without a pause" do
      expect(value("Iodine.run_every(0) {}")).to eq("nil")
      expect(log).to include("ERROR")
    end

    it "goes on after a task or timer that raises" do
      expect(in_one_process(<<~RUBY)).to eq(%w[next last])
        Iodine.run { raise "raised in a task" }
        Iodine.run { puts "next" }
        Iodine.run_after(5) { exit }
        Iodine.run_after(30) { puts "last"; Iodine.stop }
      RUBY
      expect(log).to match(/ERROR.*raised in a task/m)
    end

    it "calls on_idle once a registration" do
      expect(in_one_process(<<~RUBY)).to eq(%w[idle idle-again stop])
        Iodine.on_idle { puts "idle"; Iodine.on_idle { puts "idle-again" } }
        Iodine.run_after(50) { Iodine.run_after(50) { puts "stop"; Iodine.stop } }
      RUBY
    end

    it "runs tasks of foreign threads at once" do
      delays = in_one_process(<<~RUBY).map(&:to_f)
        now = -> { Process.clock_gettime(Process::CLOCK_MONOTONIC) }
        idle = Queue.new
        Iodine.on_idle { idle << true }
        Iodine.run {} # only who was busy becomes idle
        Thread.new do
          idle.pop
          21.times do
            done = Queue.new
            asked = now.call
            Iodine.run { puts now.call - asked; done << true }
            done.pop
            sleep 0.02
          end
          Iodine.stop
        end
      RUBY

      expect(delays.size).to eq(21)
      expect(delays.sort[10]).to be < 0.05
    end

    it "runs timers of foreign threads in time" do
      delays = in_one_process(<<~RUBY).map(&:to_f)
        now = -> { Process.clock_gettime(Process::CLOCK_MONOTONIC) }
        Thread.new do
          sleep 0.01 until Iodine.running?
          5.times do
            done = Queue.new
            asked = now.call
            Iodine.run_after(50) { puts now.call - asked; done << true }
            done.pop
            sleep 0.1
          end
          Iodine.stop
        end
      RUBY

      expect(delays.sort[2]).to be_between(0.049, 0.3)
    end

    it "stops at once when a foreign thread asks for it" do
      expect(in_one_process(<<~RUBY)).to eq(["true"])
        idle = Queue.new
        Iodine.on_idle { idle << true }
        Iodine.run {} # only who was busy becomes idle
        Thread.new do
          idle.pop
          $asked = Process.clock_gettime(Process::CLOCK_MONOTONIC)
          Iodine.stop
        end
        at_exit { p Process.clock_gettime(Process::CLOCK_MONOTONIC) - $asked < 0.5 }
      RUBY
    end
  end

  describe "start and stop" do
    it "return Iodine" do
      expect(lines(<<~RUBY)).to eq(%w[Iodine Iodine])
        Iodine.workers = Iodine.threads = 1
        Iodine.run { p Iodine.stop }
        p Iodine.start
      RUBY
    end

    it "may be called again" do
      expect(lines(<<~RUBY)).to eq(%w[1 2 3])
        Iodine.workers = Iodine.threads = 1
        3.times do |turn|
          Iodine.run { puts turn + 1; Iodine.stop }
          Iodine.start
        end
      RUBY
    end

    it "serve again after a stop, on a new listener" do
      source = <<~RUBY
        Iodine.workers = Iodine.threads = 1
        2.times do |turn|
          Iodine.listen(service: :http, address: "127.0.0.1", port: 0) do |_env|
            Iodine.stop
            [200, {}, [turn.to_s]]
          end
          Iodine.start
        end
      RUBY
      process = process_of(source)
      answers = Array.new(2) do |turn|
        ports = wait_until("listener #{turn}") do
          found = process.log.text.scan(/Listening on port (\d+)/).flatten
          found if found.size > turn
        end
        Support::RawHTTP.use(TCPSocket.new("127.0.0.1", ports.last.to_i)) do |peer|
          peer.write(Support::Server.get("/")).read_response.body
        end
      end

      expect(answers).to eq(%w[0 1])
      expect(process.wait).to be_success
    end

    it "refuse to start what runs" do
      expect(lines(<<~RUBY)).to eq(["RuntimeError: Iodine already running!", "[true, true, true]"])
        Iodine.workers = Iodine.threads = 1
        Iodine.run do
          begin
            Iodine.start
          rescue => error
            puts "\#{error.class}: \#{error.message}"
          end
          p [Iodine.running?, Iodine.master?, Iodine.worker?]
          Iodine.stop
        end
        Iodine.start
      RUBY
    end

    it "run on_state blocks of one process in their order" do
      expect(lines(<<~RUBY)).to eq(<<~LINES.split("\n"))
        Iodine.workers = Iodine.threads = 1
        states = %i[pre_start before_fork after_fork enter_child enter_master on_start on_parent_crush on_child_crush
                    start_shutdown on_finish]
        [1, 2].each do |turn|
          states.each do |state|
            Iodine.on_state(state) do
              puts [state, turn].join(" ")
              Iodine.run { Iodine.stop } if state == :on_start && turn == 2
            end
          end
        end
        Iodine.start
      RUBY
        pre_start 1
        pre_start 2
        on_start 1
        on_start 2
        start_shutdown 2
        start_shutdown 1
        on_finish 2
        on_finish 1
      LINES
    end

    it "know in on_state blocks what the process is" do
      expect(lines(<<~RUBY)).to eq(["on_start true true true", "start_shutdown true true false",
        Iodine.workers = Iodine.threads = 1
        %i[on_start start_shutdown on_finish].each do |state|
          Iodine.on_state(state) { puts [state, Iodine.master?, Iodine.worker?, Iodine.running?].join(" ") }
        end
        Iodine.run { Iodine.stop }
        Iodine.start
      RUBY
                                    "on_finish true true false"])
    end

    it "run on_state blocks of a cluster in their order" do
      told = lines(<<~RUBY)
        Iodine.workers = 2
        Iodine.threads = 1
        states = %i[pre_start before_fork after_fork enter_child enter_master on_start on_parent_crush on_child_crush
                    start_shutdown on_finish]
        $root = Process.pid
        [1, 2].each do |turn|
          states.each do |state|
            Iodine.on_state(state) do
              $stdout.write([Process.pid, state, turn, Iodine.master?, Iodine.worker?].join(" ") + "\\n")
            end
          end
        end
        reader, writer = IO.pipe
        Iodine.on_state(:on_start) { Iodine.run { writer.write(".") } }
        Thread.new { reader.read(2); Iodine.stop }
        at_exit { puts "root \#{$root}" if Process.pid == $root }
        Iodine.start
      RUBY
      root = told.last.split.last
      by_process = told[0..-2].map(&:split).group_by(&:first)
      steps = by_process.transform_values { |list| list.map { |line| line[1..2].join(" ") } }
      child = ["after_fork 1", "after_fork 2", "enter_child 1", "enter_child 2", "on_start 1", "on_start 2",
               "start_shutdown 2", "start_shutdown 1", "on_finish 2", "on_finish 1"]
      fork = ["before_fork 1", "before_fork 2", "after_fork 1", "after_fork 2", "enter_master 1", "enter_master 2"]

      expect(steps.size).to eq(3)
      expect(steps.delete(root)).to eq(["pre_start 1", "pre_start 2", *fork, *fork, "start_shutdown 2",
                                        "start_shutdown 1", "on_finish 2", "on_finish 1"])
      expect(steps.values).to all eq(child)
      expect(told[-2]).to start_with("#{root} on_finish 1")
      expect(by_process.delete(root).map { |line| line[3..4] }.uniq).to eq([%w[true false]])
      expect(by_process.values.flatten(1).map { |line| line[3..4] }.uniq).to eq([%w[false true]])
    end

    it "run tasks made before the start in master and workers, as what they are" do
      told = lines(<<~RUBY)
        Iodine.workers = 2
        Iodine.threads = 1
        $root = Process.pid
        reader, writer = IO.pipe
        Iodine.run do
          $stdout.write([Process.pid == $root, Iodine.master?, Iodine.worker?, Iodine.running?].join(" ") + "\\n")
          writer.write(".")
        end
        Thread.new { reader.read(3); Iodine.stop }
        Iodine.start
      RUBY

      expect(told.sort).to eq(["false false true true", "false false true true", "true true false true"])
    end

    it "run on_child_crush when a worker crashes, in the master" do
      expect(lines(<<~RUBY)).to eq(["true true"])
        Iodine.workers = 2
        Iodine.threads = 1
        $root = Process.pid
        marker = File.join(Dir.pwd, "crashed")
        Iodine.on_state(:on_child_crush) { puts "\#{Process.pid == $root} \#{Iodine.master?}"; Iodine.stop }
        Iodine.on_state(:on_start) do
          begin
            File.open(marker, File::CREAT | File::EXCL).close
            Iodine.run { exit!(1) }
          rescue Errno::EEXIST
            nil
          end
        end
        Iodine.start
      RUBY
    end

    it "warn of the deprecated names and take them" do
      expect(lines(<<~RUBY)).to eq(%w[finished])
        Iodine.workers = Iodine.threads = 1
        Iodine.on_shutdown { puts "finished" }
        Iodine.run { Iodine.stop }
        Iodine.start
      RUBY
      expect(log).to match(/deprecated/i)
    end
  end

  describe "listen" do
    {
      "app = ->(env) {}; Iodine.listen(service: :http, address: '127.0.0.1', port: 0, handler: app) == app" => "true",
      "Iodine.listen(service: :http, address: '127.0.0.1', port: 0) { |env| }.class" => "Proc",
      "Iodine.listen(service: 'http', address: '127.0.0.1', port: '0') { |env| }.class" => "Proc",
      "Iodine.listen(nil) {}" => /\ATypeError/,
      "Iodine.listen(5) {}" => /\ATypeError/,
      "Iodine.listen(service: :http, address: '127.0.0.1', port: 0)" => /\AArgumentError: a :handler is required\./,
      "Iodine.listen(service: :http, address: '203.0.113.1', port: 8) {}" =>
        /\ARuntimeError: Couldn't open listening socket\./,
      "Iodine.listen(service: :http, address: 'no such host', port: 8) {}" =>
        /\ARuntimeError: Couldn't open listening socket\./,
      "Iodine.listen(service: :http, address: '127.0.0.1', port: 'eighty') {}" => /\ARuntimeError/
    }.each do |expression, expected|
      it "#{expression} is #{outcome(expected)}" do
        expect(value(expression)).to match(expected.is_a?(Regexp) ? expected : eq(expected))
      end
    end

    it "refuses a port in use" do
      expect(value(<<~RUBY)).to start_with("RuntimeError: Couldn't open listening socket.")
        taken = TCPServer.new("127.0.0.1", 0)
        taken.listen(1)
        Iodine.listen(service: :http, address: "127.0.0.1", port: taken.addr[1]) {}
      RUBY
    end

    it "takes :app for :handler, and warns" do
      value("Iodine.listen(service: :http, address: '127.0.0.1', port: 0, app: ->(env) {})")

      expect(log).to match(/WARNING.*:app/).and match(/Listening/)
    end

    it "takes DEFAULT_SETTINGS for what is not given" do
      process = process_of(<<~RUBY)
        Iodine::DEFAULT_SETTINGS[:address] = "127.0.0.1"
        Iodine::DEFAULT_SETTINGS[:port] = 0
        Iodine.workers = Iodine.threads = 1
        Iodine.listen(service: :http) { |_env| [200, {}, ["by default"]] }
        Iodine.start
      RUBY
      port = process.wait_for_log(/Listening on port (\d+)/)[1].to_i

      Support::RawHTTP.use(TCPSocket.new("127.0.0.1", port)) do |peer|
        expect(peer.write(Support::Server.get("/")).read_response.body).to eq("by default")
      end
      expect(process.stop).to be_success
    end

    it "takes a URL" do
      process = process_of(<<~RUBY)
        Iodine.workers = Iodine.threads = 1
        port = TCPServer.open("127.0.0.1", 0) { |listener| listener.addr[1] }
        Iodine.listen(url: "http://127.0.0.1:\#{port}/ignored") { |_env| [200, {}, ["by URL"]] }
        Iodine.start
      RUBY
      port = process.wait_for_log(/Listening on port (\d+)/)[1].to_i

      Support::RawHTTP.use(TCPSocket.new("127.0.0.1", port)) do |peer|
        expect(peer.write(Support::Server.get("/")).read_response.body).to eq("by URL")
      end
      expect(process.stop).to be_success
    end

    it "opens a listener while the server runs" do
      process = process_of(<<~RUBY)
        Iodine.workers = Iodine.threads = 1
        Iodine.run do
          Iodine.listen(service: :http, address: "127.0.0.1", port: 0) { |_env| [200, {}, ["late"]] }
        end
        Iodine.start
      RUBY
      port = process.wait_for_log(/Listening on port (\d+)/)[1].to_i

      Support::RawHTTP.use(TCPSocket.new("127.0.0.1", port)) do |peer|
        expect(peer.write(Support::Server.get("/")).read_response.body).to eq("late")
      end
      expect(process.stop).to be_success
    end
  end

  describe "a program that merely requires iodine" do
    %w[INT TERM USR1 HUP].each do |signal|
      it "is ended by #{signal}" do
        process = process_of(%(puts "ready"; sleep))
        process.out.wait_for(/ready/)
        process.kill(signal)

        expect(process.wait.termsig).to eq(Signal.list.fetch(signal))
      end
    end

    it "is ended by INT after the server has stopped" do
      process = process_of(<<~RUBY)
        Iodine.workers = Iodine.threads = 1
        Iodine.run { Iodine.stop }
        Iodine.start
        puts "ready"
        sleep
      RUBY
      process.out.wait_for(/ready/)
      process.kill("INT")

      expect(process.wait.termsig).to eq(Signal.list.fetch("INT"))
    end

    it "keeps its own traps while the server runs" do
      process = process_of(<<~RUBY)
        trap("INT") { $stdout.write("own trap\\n") }
        Iodine.workers = Iodine.threads = 1
        Iodine.run { puts "ready" }
        Iodine.start
        puts "stopped"
      RUBY
      process.out.wait_for(/ready/)
      process.kill("INT")

      expect(process.wait).to be_success
      expect(process.out.lines).to include("own trap", "stopped")
    end

    it "works without rack" do
      expect(lines("p defined?(::Rack::Builder)")).to eq(["nil"])
    end

    it "works in irb-like use, start in a thread" do
      expect(lines(<<~RUBY)).to eq(%w[ran ended])
        Iodine.workers = Iodine.threads = 1
        ran = Queue.new
        server = Thread.new { Iodine.start }
        Iodine.run { ran << "ran" }
        puts ran.pop
        Iodine.stop
        server.join
        puts "ended"
      RUBY
    end
  end
end
