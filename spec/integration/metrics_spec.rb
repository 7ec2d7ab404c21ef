# frozen_string_literal: true

require "json"
require "socket"

RSpec.describe "Metrics" do
  app = <<~RUBY
    run(lambda do |env|
      case env["PATH_INFO"]
      when "/slow" then sleep 0.03
      when "/raise" then raise "on purpose"
      when "/socket"
        handler = Object.new
        def handler.on_message(client, data) = client.write(data)
        env["rack.upgrade"] = handler
      end
      [200, {}, [Process.pid.to_s]]
    end)
  RUBY

  # A server that answers for metrics at a port that was free a moment ago.
  def serve(app, *flags, workers: 2, **options)
    @metrics = TCPServer.open("127.0.0.1", 0) { |listener| listener.addr[1] }
    @server = Support::Server.rackup(app, "-metrics", @metrics, *flags, workers: workers, **options)
    server.wait_for_log(/(?:is running.*){#{workers}}/m) if workers > 1
    wait_until("metrics") { answers? }
  end

  after { @server&.stop }

  attr_reader :server

  def answers?
    ask("/metrics")
  rescue Errno::ECONNREFUSED
    false
  end

  def ask(path) = server.get(path, port: @metrics)
  def json = JSON.parse(ask("/metrics.json").body)

  # The value of one sample.
  def sample(name) = ask("/metrics").body[/^#{Regexp.escape(name)} (\S+)$/, 1]&.to_f

  [1, 2].each do |workers|
    describe "with -w #{workers}" do
      before { serve(app, workers: workers) }

      it "count answers by status and time, over all workers" do
        12.times { server.get("/") }
        3.times { server.get("/slow") }
        server.get("/raise")
        server.request("BAD\r\n\r\n")

        expect(json["requests"]).to eq("1xx" => 0, "2xx" => 15, "3xx" => 0, "4xx" => 1, "5xx" => 1)
        expect(sample('iodine_requests_total{status="2xx"}')).to eq(15)
        expect(sample("iodine_request_seconds_count")).to eq(16)
        expect(sample('iodine_request_seconds_bucket{le="0.025"}')).to be_between(1, 13)
        expect(sample("iodine_request_seconds_sum")).to be > 0.09
        expect(sample("iodine_queue_seconds_count")).to eq(16)
      end

      it "count open connections by kind, and not those who ask" do
        expect(json["connections"]["http"]).to eq("open" => 0, "total" => 0)
        server.connect do |peer|
          peer.write(Support::Server.get("/"))
          peer.read_response
          expect(json["connections"]["http"]).to eq("open" => 1, "total" => 1)
        end
        server.connect do |peer|
          socket = Support::WebSocket.new(peer, "/socket")
          socket.text("x")
          socket.read_message
          expect(json["connections"]["websocket"]).to eq("open" => 1, "total" => 1)
        end
        wait_until("none is open") { json["connections"].values.sum { |kind| kind["open"] }.zero? }
      end

      it "tell how long requests have waited before they came" do
        now = Time.now.to_f
        ["t=#{now - 2}", ((now - 2) * 1000).to_i.to_s, "t=#{((now - 2) * 1_000_000).to_i}", "nonsense"].each do |value|
          server.get("/", "X-Request-Start: #{value}")
        end

        expect(json["proxy_queue"]["count"]).to eq(3)
        expect(json["proxy_queue"]["seconds"]).to be_between(6, 30)
      end

      it "tell of each worker" do
        pids = Array.new(12) { server.get("/").body.to_i }
        told = wait_until("a beat of each") do
          json["workers"].then { |all| all if all.size == workers && all.all? { |worker| worker["live_objects"] > 0 } }
        end

        expect(told.map { |worker| worker["pid"] }).to include(*pids.uniq)
        expect(told.sum { |worker| worker["requests"] }).to eq(12)
        expect(told.map { |worker| worker["resident_bytes"] }).to all be > 5_000_000
        expect(told.map { |worker| worker["threads"] }).to all eq(1)
      end

      it "answer other requests with what there is" do
        expect(ask("/other").status).to eq(404)
        expect(server.request(Support::Server.post("/metrics", "x"), port: @metrics).status).to eq(405)
        expect(server.request("HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n", port: @metrics).status).to eq(200)
        expect(ask("/metrics")["content-type"]).to eq("text/plain; version=0.0.4; charset=utf-8")
      end

      it "are in the format of Prometheus" do
        server.get("/")
        lines = ask("/metrics").body.lines(chomp: true)
        families = lines.grep(/\A# TYPE/).map { |line| line.split[2] }
        samples = lines.grep_v(/\A#/)

        expect(samples).to all match(/\Aiodine_\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? [\d.e+-]+\z/)
        expect(families).to eq(families.uniq)
        bare = samples.map { |line| line[/\A\w+/].sub(/_(bucket|sum|count)\z/, "") }.uniq
        expect(bare).to match_array(families)
      end
    end
  end

  it "go on when workers are replaced, and count that" do
    serve(app)
    5.times { server.get("/") }
    before = server.children
    server.kill("USR1")
    wait_until("new workers") { (now = server.children).size == 2 && (now & before).empty? }
    Process.kill("KILL", server.children.first)
    server.wait_for_log(/(?:is running.*){5}/m)
    5.times { server.get("/") }

    facts = json
    expect(facts["requests"]["2xx"]).to eq(10)
    expect(facts.values_at("worker_starts", "worker_crashes", "restarts")).to eq([5, 1, 1])
    expect(facts["workers"].map { |worker| worker["pid"] }).to match_array(server.children)
  end

  it "are answered while all of Ruby hangs" do
    serve("run ->(env) { sleep }", workers: 1)
    server.connect do |peer|
      peer.write(Support::Server.get("/"))
      wait_until("the connection") { json["connections"]["http"]["open"] == 1 }
    end
  end

  it "are off by default" do
    @server = Support::Server.rackup(app)

    expect(server.log).not_to include("Metrics")
    expect(Dir.glob("/proc/#{server.pid}/fd/*").map { |fd| File.readlink(fd) }.grep(/socket/).uniq.size).to eq(1)
  end

  it "are not at a place that cannot be opened, status 1" do
    TCPServer.open("127.0.0.1", 0) do |taken|
      process = Support::ChildProcess.new(RbConfig.ruby, "-I#{Support::ROOT}/lib", "#{Support::ROOT}/exe/iodine",
                                          "-p", "0", "-metrics", taken.addr[1].to_s,
                                          File.expand_path("../apps/workers.ru", __dir__))
      expect(process.wait.exitstatus).to eq(1)
      expect(process.log.text).to match(/^error: .*127\.0\.0\.1:#{taken.addr[1]}: .*in use/i)
    ensure
      process&.kill_group
    end
  end

  describe "printed by iodine stats" do
    def stats(*arguments)
      Support::ChildProcess.new(RbConfig.ruby, "-I#{Support::ROOT}/lib", "#{Support::ROOT}/exe/iodine", "stats",
                                *arguments).tap(&:wait)
    end

    it "are lines for a person" do
      serve(app)
      3.times { server.get("/") }
      process = stats(@metrics.to_s)

      expect(process.wait).to be_success
      expect(process.out.text).to match(/^iodine \S+, 2 workers/)
      expect(process.out.text).to match(/^requests +3  2xx 3$/)
      expect(process.out.text).to match(/^answered after +[\d.]+ ms  50 % at most/)
      server.children.each { |pid| expect(process.out.text).to match(/^ +\d  +#{pid} .* MiB/) }
    ensure
      process&.kill_group
    end

    it "are an error where nobody answers" do
      process = stats("1")

      expect(process.wait.exitstatus).to eq(1)
      expect(process.log.text).to match(/^error: no metrics at 127.0.0.1:1: .*refused/i)
    ensure
      process&.kill_group
    end

    it "are an error where somebody else answers" do
      @server = Support::Server.rackup(app)
      process = stats(server.port.to_s)

      expect(process.wait.exitstatus).to eq(1)
      expect(process.log.text).to match(/^error: what answers at 127.0.0.1:\d+ is no iodine server/)
    ensure
      process&.kill_group
    end
  end
end
