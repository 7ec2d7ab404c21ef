# frozen_string_literal: true

require "tmpdir"

RSpec.describe "publishing from a process that is no server" do
  include Support::RemoteRuby

  around { |example| Dir.mktmpdir("iodine-publisher") { |folder| (@path = "#{folder}/pubsub.sock") && example.run } }
  attr_reader :path, :server

  # Serves with the socket open.
  def serving(**options)
    @server = Support::Server.rackup("pubsub.ru", "--pubsub-socket", path, **options)
    server.wait_for_log(/^INFO: Publishers may connect at #{path}$/)
    yield
  ensure
    @server&.stop
  end

  # What comes until the server closes, which may be before it has read all.
  def answer(socket)
    socket.read
  rescue Errno::ECONNRESET
    ""
  end

  # Runs Ruby in a process that has loaded iodine and serves nothing; what it prints.
  def elsewhere(source)
    process = Support::ChildProcess.run_ruby("require 'iodine'; PATH = ARGV[0]; #{source}", path)
    process.out.text
  end

  [1, 2].each do |workers|
    it "reaches subscribers, with #{workers} workers" do
      serving(workers: workers) do
        remote_of_each(workers) do |sockets|
          sockets.each_value { |socket| ask(socket, 'client.subscribe("news")') }
          printed = elsewhere(<<~RUBY)
            publisher = Iodine::PubSub::Publisher.new(PATH)
            p publisher.publish("news", "one").equal?(publisher)
            publisher.publish(:news, "x" * 100_000)
            Iodine::PubSub.default = publisher
            p Iodine.publish("news", "two")
          RUBY

          expect(printed).to eq("true\ntrue\n")
          sockets.each_value do |socket|
            expect(Array.new(3) { socket.read_message }).to eq(["one", "x" * 100_000, "two"])
          end
        end
      end
      expect(File.exist?(path)).to be(false)
    end
  end

  it "is for the user of the server alone" do
    serving { expect(File.stat(path).mode & 0o777).to eq(0o600) }
  end

  it "says that there is no server" do
    expect(elsewhere(<<~RUBY)).to match(/\A.* has not taken a message: No such file or directory/)
      Iodine::PubSub::Publisher.new(PATH).publish("a", "b") rescue puts $!.message
    RUBY
  end

  it "takes what Iodine.publish takes" do
    expect(elsewhere(<<~RUBY)).to eq("TypeError\nArgumentError\nArgumentError\n")
      publisher = Iodine::PubSub::Publisher.new(PATH)
      [[:a, 7], ["a", nil], [nil, "b"]].each { |pair| publisher.publish(*pair) rescue puts $!.class }
    RUBY
  end

  it "goes on with the server that takes the place of another" do
    go = "#{path}.go"
    process = nil
    serving do
      process = Support::ChildProcess.ruby(<<~RUBY, path, go)
        require "iodine"
        publisher = Iodine::PubSub::Publisher.new(ARGV[0])
        publisher.publish("before", "to the first")
        sleep 0.01 until File.exist?(ARGV[1])
        publisher.publish("before", "to the second")
      RUBY
      server.wait_for_log(/^before before to the first$/)
    end
    serving do
      File.write(go, "")
      server.wait_for_log(/^before before to the second$/)
    end
  ensure
    process&.kill_group
  end

  it "closes the connections of more than 64 at a time" do
    serving do
      silent = Array.new(64) { UNIXSocket.new(path) }
      expect(answer(UNIXSocket.new(path))).to eq("")
      silent.shift.close
      publisher = "Iodine::PubSub::Publisher.new(PATH)"
      wait_until("a connection that is taken") do
        elsewhere("#{publisher}.publish('room', 'again') && print('taken') rescue nil") == "taken"
      end
    ensure
      silent&.each(&:close)
    end
  end

  it "survives peers that send anything" do
    serving do
      ["\xff" * 8, "\0\0\0\1\0\0\0\5ab", "\0" * 7, "GET / HTTP/1.1\r\n\r\n"].each do |bytes|
        socket = UNIXSocket.new(path)
        socket.write(bytes)
        socket.close_write
        expect(answer(socket)).to eq("")
        socket.close
      end
      elsewhere('Iodine::PubSub::Publisher.new(PATH).publish("before", "still there")')
      server.wait_for_log(/^before before still there$/)
    end
  end

  # Whether the server takes a message on this connection.
  def taken?(socket)
    socket.write("#{[1, 1].pack("NN")}ab")
    socket.read(1) == "+"
  rescue SystemCallError
    false
  end

  it "has a bound for connections, whose refusals do not flood the log" do
    limited = "Iodine::DEFAULT_SETTINGS[:max_publishers] = 3\nrun ->(_) { [200, {}, []] }"
    @server = Support::Server.rackup(limited, "--pubsub-socket", path)
    server.wait_for_log(/^INFO: Publishers may connect/)
    sockets = Array.new(3) { UNIXSocket.new(path) }
    expect(sockets.map { |socket| taken?(socket) }).to eq([true, true, true])
    20.times { UNIXSocket.open(path) { |socket| expect(taken?(socket)).to be(false) } }
    server.wait_for_log(/3 publishers are connected, and no others taken .*; 16 were turned away by now/)
    expect(server.log.scan(/; (\d+) were turned away/).flatten).to eq(%w[1 2 4 8 16])

    sockets.pop.close
    wait_until("room for another one") { UNIXSocket.open(path) { |socket| taken?(socket) } }
  ensure
    @server&.stop
  end

  it "goes on when descriptors have run out for a while" do
    set = "Process.setrlimit(Process::RLIMIT_NOFILE, env['QUERY_STRING'].to_i, 4096)"
    few = "run ->(env) { [200, {}, [#{set}.inspect]] }"
    @server = Support::Server.rackup(few, "--pubsub-socket", path)
    server.wait_for_log(/^INFO: Publishers may connect/)
    server.connect do |peer|
      ask = lambda do |limit|
        peer.write(Support::Server.get("/?#{limit}"))
        expect(peer.read_response(to: "GET").status).to eq(200)
      end
      ask.call(3)
      socket = UNIXSocket.new(path)
      server.wait_for_log(/WARNING: a publisher could not be accepted: Too many open files/)
      ask.call(1024)
      expect(taken?(socket)).to be(true)
    end
  ensure
    @server&.stop
  end

  start = <<~RUBY
    require "iodine"
    Iodine::DEFAULT_SETTINGS[:pubsub_socket] = ARGV[0]
    Iodine.start rescue puts $!.message
  RUBY

  it "does not take the place of a server that runs, nor of a file" do
    serving do
      process = Support::ChildProcess.run_ruby(start, path)
      expect(process.out.text).to include("another server answers at #{path}")
    end
    File.write(path, "precious")
    process = Support::ChildProcess.run_ruby(start, path)

    expect(process.out.text).to include("is there, and is no socket")
    expect(File.read(path)).to eq("precious")
  end
end
