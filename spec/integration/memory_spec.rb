# frozen_string_literal: true

require "socket"

RSpec.describe "Memory" do
  app = <<~RUBY
    class Quiet
      def on_message(client, data) = nil
    end
    run(lambda do |env|
      env["rack.upgrade"] = Quiet.new if env["rack.upgrade?"]
      [200, {}, []]
    end)
  RUBY

  handshake = Support::Server.get("/", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")

  # Descriptors for the server, and for the sockets of this process.
  around do |example|
    limits = Process.getrlimit(:NOFILE)
    Process.setrlimit(:NOFILE, 4096, limits[1])
    example.run
  ensure
    Process.setrlimit(:NOFILE, *limits)
  end

  after { @server&.stop }

  def memory = @server.process.resident_memory

  # WebSockets that are open.
  define_method(:crowd) do |count|
    sockets = Array.new(count) { TCPSocket.new("127.0.0.1", @server.port).tap { |socket| socket.write(handshake) } }
    sockets.each { |socket| expect(socket.readpartial(1000)).to start_with("HTTP/1.1 101") }
  end

  [1, 4].each do |threads|
    it "of a crowd of WebSockets that has left is given back, -t #{threads}" do
      @server = Support::Server.rackup(app, threads: threads)
      @server.get("/")
      before = memory
      sockets = crowd(3000)
      grown = memory - before
      sockets.each(&:close)

      # Without that all of it stays.
      wait_until("less memory", within: 20) { memory - before < 0.75 * grown }
      expect(grown).to be > 4 << 20
    end
  end

  # Each thread that allocates takes one of its own, which keeps what is free for itself.
  [["1", {}], ["5", { "MALLOC_ARENA_MAX" => "5" }],
   ["5", { "GLIBC_TUNABLES" => "glibc.malloc.arena_max=5" }]].each do |most, env|
    it "is taken by 16 threads from so many arenas: #{most}#{", when #{env.keys.first} says so" if env.any?}" do
      @server = Support::Server.rackup(<<~RUBY, threads: 16, env: { "MALLOC_ARENA_MAX" => nil, **env })
        8.times { Thread.new { "x" * 20_000 }.join }
        require "fiddle"
        require "tmpdir"
        def c(name, *types) = Fiddle::Function.new(Fiddle.dlopen(nil)[name], types, Fiddle::TYPE_VOIDP)
        run(lambda do |env|
          next sleep(0.01).then { [200, {}, ["x" * 20_000]] } if env["PATH_INFO"] == "/"
          path = "\#{Dir.tmpdir}/arenas"
          file = c("fopen", Fiddle::TYPE_VOIDP, Fiddle::TYPE_VOIDP).call(path, "w")
          c("malloc_info", Fiddle::TYPE_INT, Fiddle::TYPE_VOIDP).call(0, file)
          c("fclose", Fiddle::TYPE_VOIDP).call(file)
          [200, {}, [File.read(path).scan("<heap").size.to_s]]
        end)
      RUBY
      5.times { together(32) { @server.get("/") } }

      expect(@server.get("/arenas").body).to eq(most)
    end
  end

  it "of fewer WebSockets is kept, for the next ones" do
    @server = Support::Server.rackup(app, "-V", "5", threads: 1)
    crowd(900).each(&:close)
    crowd(10)
    sleep 2.5

    expect(@server.log).not_to include("given back")
  end

  it "of a crowd is not looked at while there is work" do
    @server = Support::Server.rackup(app, "-V", "5", threads: 1)
    sockets = crowd(1100)
    at_work = Thread.new { loop { @server.get("/") } }
    sockets.each(&:close)
    sleep 2.5
    log = @server.log
    at_work.kill.join
    @server.wait_for_log(/given back/)

    expect(log).not_to include("given back")
  end
end
