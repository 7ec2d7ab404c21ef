# frozen_string_literal: true

RSpec.describe "Redis over TLS" do
  root = Support::Authority.new
  other = Support::Authority.new("Other Root")

  before(:all) do
    @folder = Support::TLS.write(Dir.mktmpdir("iodine-spec-tls"), root,
                                 redis: root.issue("localhost", "127.0.0.1"), client: root.issue("client"))
    File.write("#{@folder}/other.crt", other.certificate.to_pem)
    @secure_port = TCPServer.open("127.0.0.1", 0) { |listener| listener.addr[1] }
    @redis = Support::RedisServer.new(
      "tls-port": @secure_port, "tls-cert-file": "#{@folder}/redis.crt", "tls-key-file": "#{@folder}/redis.key",
      "tls-ca-cert-file": "#{@folder}/root.crt", "tls-auth-clients": "optional"
    )
  end

  after(:all) do
    @redis.stop
    FileUtils.rm_rf(@folder)
  end

  attr_reader :redis

  # Runs a script that prints what it is sent on the channel "news".
  def listen(tls, host: "localhost")
    process = Support::ChildProcess.ruby(<<~RUBY)
      require "iodine"
      tls = Iodine::TLS.new#{tls}
      Iodine::PubSub.default = Iodine::PubSub::Redis.new("rediss://#{host}:#{@secure_port}/0", tls: tls, timeout: 2)
      Iodine.subscribe("news") { |_, message| puts message }
      Iodine.threads = Iodine.workers = 1
      Iodine.on_state(:on_start) { Iodine.run_after(10) { Iodine.publish("news", "from here") } }
      Iodine.start
    RUBY
    yield process
  ensure
    process&.stop
  end

  it "publishes and subscribes" do
    ["localhost", "127.0.0.1"].each do |host|
      listen(".trust(\"#{@folder}/root.crt\")", host: host) do |process|
        process.out.wait_for(/^from here$/)
        redis.publish("news", "x" * 200_000)
        wait_until("all of it") { process.out.text.lines(chomp: true).include?("x" * 200_000) }
      end
    end
  end

  it "shows its certificate" do
    listen("(nil, \"#{@folder}/client.crt\", \"#{@folder}/client.key\").trust(\"#{@folder}/root.crt\")") do |process|
      process.out.wait_for(/^from here$/)
    end
  end

  it "is not used when nobody vouches for the server, unless that does not matter" do
    listen(".trust(\"#{@folder}/other.crt\")") do |process|
      process.wait_for_log(%r{WARNING: Redis at rediss://localhost:\d+/0 cannot be used: no trusted authority})
    end
    listen(".tap { |tls| tls.verify = false }") do |process|
      process.out.wait_for(/^from here$/)
      expect(process.log.text).to match(/WARNING: TLS connections to others are made without verifying/)
    end
  end

  it "is given up when it does not finish the handshake within the timeout" do
    Support::FakeServer.use(->(peer) { peer.read_to_end }) do |silent|
      secure = @secure_port
      @secure_port = silent.port
      listen(".trust(\"#{@folder}/root.crt\")") do |process|
        process.wait_for_log(%r{WARNING: Redis at rediss://localhost:\d+/0 cannot be used: it has not answered for 2 s})
      end
    ensure
      @secure_port = secure
    end
  end

  it "is not used on a port for plain connections" do
    secure = @secure_port
    @secure_port = redis.port
    listen(".trust(\"#{@folder}/root.crt\")") do |process|
      process.wait_for_log(%r{WARNING: Redis at rediss://localhost:\d+/0 cannot be used: })
    end
  ensure
    @secure_port = secure
  end
end
