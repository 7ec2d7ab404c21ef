# frozen_string_literal: true

require "time"

# The clock on the wall may be set while a server runs: by a person, by NTP after the start of a machine, by a machine
# that was asleep. Deadlines, timers and pauses go by the other clock, which nobody sets. Support::WallClock sets the
# first one for the server alone.
RSpec.describe "A clock that is set", if: RUBY_PLATFORM.include?("linux") do
  day = 24 * 3600
  handshake = Support::WebSocket.method(:handshake)
  get = Support::Server.method(:get)
  half = "GET /half HTTP/1.1\r\nHost: a.test\r\n"

  app = <<~'RUBY'
    ticks = 0
    Iodine.on_state(:on_start) do
      Iodine.run_every(20) { ticks += 1 }
      Iodine.run_after(60_000) { warn "fired: a minute" }
    end
    module News
      def self.on_open(client) = client.subscribe("news") && client.write("ready")
      def self.on_message(client, data) = client.write(data)
      def self.on_close(_client) = warn("closed")
    end
    run(lambda do |env|
      case env["PATH_INFO"]
      when "/ticks" then body = ticks.to_s
      when "/time" then body = Time.now.to_i.to_s
      when "/soon" then Iodine.run_after(100) { warn "fired: #{env["QUERY_STRING"]}" }
      when "/publish" then Iodine.publish("news", env["QUERY_STRING"])
      when "/news"
        env["rack.upgrade"] = News
        next [200, {}, []]
      end
      [200, {}, [body || Process.pid.to_s]]
    end)
  RUBY

  before { @clock = Support::WallClock.new }

  after do
    @server&.stop
    @clock.stop
  end

  attr_reader :server, :clock

  define_method(:start) do |*flags, **options|
    @server = Support::Server.rackup(app, *flags, threads: 2, env: clock.env, **options)
  end

  def date = Time.httpdate(server.get("/")["date"])
  def ask(peer, target) = peer.write(Support::Server.get(target)).read_response.body

  moves = { "a day forward" => day, "a day back" => -day }
  if ENV["IODINE_SOAK"]
    moves.update("twenty years forward" => 20 * 365 * day, "to 1980" => -(Time.now.to_i - (10 * 365 * day)))
  end

  moves.each do |name, seconds|
    describe name do
      it "shows in the Date, and ends nothing that is under way" do
        start
        idle, unfinished, socket = Array.new(3) { server.connect }
        ask(idle, "/")
        unfinished.write(half)
        socket = Support::WebSocket.new(socket, "/news")
        expect(socket.read_message).to eq("ready")
        server.get("/soon?before")
        began = monotonic
        before = ask(idle, "/ticks").to_i
        clock.set(seconds)

        expect(date).to be_within(60).of(Time.now + seconds)
        expect(server.get("/time").body.to_i).to be_within(60).of(Time.now.to_i + seconds)
        # Timers neither stop nor catch up.
        wait_until("timers to go on") { ask(idle, "/ticks").to_i > before + 10 }
        expect(ask(idle, "/ticks").to_i - before).to be <= ((monotonic - began) / 0.02) + 2
        server.wait_for_log(/fired: before/)
        server.get("/soon?after")
        server.wait_for_log(/fired: after/)
        expect(unfinished.write("\r\n").read_response.status).to eq(200)
        socket.text("still here")
        expect(socket.read_message).to eq("still here")
        expect(server.log).not_to match(/fired: a minute|closed|WARN|ERROR|FATAL/)
        expect(Support::Waiting.seconds { expect(server.stop).to be_success }).to be < 6
      end

      it "starves no deadline" do
        start("-header-timeout", "1", "-k", "1", "-ping", "1")
        peers = Array.new(3) { server.connect }
        slow, idle, silent = peers
        idle.write(get["/"]).read_response
        slow.write(half)
        silent.write(handshake["/news"]).read_head
        expect(silent.read(7)).to end_with("ready")
        clock.set(seconds)

        # Each comes a second later by the clock that nobody sets, and not before.
        expect(Support::Waiting.seconds { expect(slow.read_response.status).to eq(408) }).to be_between(0.3, 8)
        expect(idle.read_to_end).to eq("")
        expect(silent.read(2)).to eq("\x89\x00".b)
        expect(silent.read_to_end).to be_empty.or start_with("\x88".b)
      ensure
        peers&.each(&:close)
      end
    end
  end

  it "has no worker replaced, and messages come through" do
    start("-hang-report", "5", "-hang-replace", "5", workers: 2)
    server.wait_for_log(/(?:is running.*){2}/m)
    workers = server.children
    sockets = Array.new(6) { Support::WebSocket.new(server.connect, "/news") }
    sockets.each { |socket| expect(socket.read_message).to eq("ready") }
    [day, -day].each do |seconds|
      clock.set(seconds)
      10.times { |number| server.get("/publish?#{number}") }
      sockets.each { |socket| expect(Array.new(10) { socket.read_message }).to match_array("0".."9") }
      # The master looks each second.
      sleep 1.1
    end

    expect(server.children).to match_array(workers)
    expect(server.log).not_to match(/WARN|ERROR|FATAL/)
    expect(server.stop).to be_success
  ensure
    sockets&.each { |socket| socket.peer.close }
  end

  it "has changed certificates read anew, and sessions begun" do
    folder = Dir.mktmpdir("iodine-clock")
    root = Support::Authority.new
    show = lambda do |**options|
      server.connect_tls(**options) { |peer| peer.io.peer_cert.subject.to_a.assoc("CN")[1] }
    end
    Support::TLS.write(folder, root, one: root.issue("0.test"))
    start("-tls-cert", "#{folder}/one.crt", "-tls-key", "#{folder}/one.key")
    session = server.connect_tls { |peer| ask(peer, "/") && peer.io.session }
    [day, -day].each do |seconds|
      clock.set(seconds)
      time = server.connect_tls(session: session) { |peer| ask(peer, "/time").to_i }
      expect(time).to be_within(60).of(Time.now.to_i + seconds)
      Support::TLS.write(folder, root, one: root.issue("#{seconds}.test"))
      wait_until("the new certificate") { show.call == "#{seconds}.test" }
    end

    expect(server.log).not_to match(/ERROR|FATAL/)
  ensure
    FileUtils.rm_rf(folder)
  end
end
