# frozen_string_literal: true

require "net/http"

# The configuration in docs/deployment.md, as it is written there but for the two places that depend on the machine.
# Debian has nginx where not everybody's PATH looks.
nginx = [*ENV["PATH"].split(":"), "/usr/sbin"].map { |folder| "#{folder}/nginx" }.find { |path| File.executable?(path) }

RSpec.describe "Behind nginx", if: nginx do
  before(:all) do
    @folder = Dir.mktmpdir("iodine-nginx")
    # nginx drops its privileges.
    File.chmod(0o755, @folder)
    @server = Support::Server.rackup(<<~RUBY, "-b", "#{@folder}/iodine.sock")
      module Echo
        def self.on_message(client, data) = client.write(data)
      end

      run lambda { |env|
        env["rack.upgrade"] = Echo if env["rack.upgrade?"] == :websocket
        [200, {}, [env.values_at("rack.url_scheme", "HTTP_HOST", "HTTP_X_FORWARDED_FOR").join(" ")]]
      }
    RUBY
    @port = TCPServer.open("127.0.0.1", 0) { |listener| listener.addr[1] }
    @nginx = start(nginx)
  end

  after(:all) do
    @nginx&.kill_group
    @server&.stop
    FileUtils.rm_rf(@folder)
  end

  def start(nginx)
    page = File.read("#{Support::ROOT}/docs/deployment.md")
    site = page[/^```nginx\n(.*?)^```$/m, 1].sub("/run/app/iodine.sock", "#{@folder}/iodine.sock")
                                            .sub("listen 80", "listen 127.0.0.1:#{@port}")
    File.write("#{@folder}/nginx.conf", <<~CONF)
      daemon off;
      pid #{@folder}/nginx.pid;
      error_log stderr notice;
      events {}
      http {
        access_log off;
        #{%w[client_body proxy fastcgi uwsgi scgi].map { |name| "#{name}_temp_path #{@folder}/#{name};" }.join("\n")}
        #{site}
      }
    CONF
    process = Support::ChildProcess.new(nginx, "-p", @folder, "-c", "nginx.conf")
    process.wait_for_log(/start worker process \d/)
    process
  end

  it "answers several requests on one connection, and knows scheme, host and client" do
    Net::HTTP.start("127.0.0.1", @port) do |client|
      answers = Array.new(3) { client.get("/", "Host" => "a.test", "X-Forwarded-Proto" => "https").body }
      expect(answers).to eq(["http a.test 127.0.0.1"] * 3)
    end
  end

  it "passes WebSockets" do
    Support::RawHTTP.use(TCPSocket.new("127.0.0.1", @port)) do |peer|
      socket = Support::WebSocket.new(peer, "/")
      socket.text("hello")
      expect(socket.read_message).to eq("hello")
    end
  end
end
