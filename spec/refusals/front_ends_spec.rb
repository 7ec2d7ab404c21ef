# frozen_string_literal: true

require "json"

# A server in front and iodine behind it have to agree on where each request ends, or somebody's request is answered
# with somebody else's response (request smuggling). Each front end marks what it sends on with a number of its own, and
# each answer with the same: a request without a mark, a mark that comes twice or an answer with another one's mark is
# one that only one of the two has seen.
RSpec.describe "Malformed requests behind" do
  count = ENV["CI"] ? 10_000 : 1000

  nginx = <<~CONF
    daemon off;
    pid %<folder>s/front.pid;
    error_log /dev/null;
    events { worker_connections 512; }
    http {
      log_format passed '$request_id $upstream_status';
      access_log %<folder>s/front.log passed;
      client_body_temp_path %<folder>s/body;
      proxy_temp_path %<folder>s/proxy;
      fastcgi_temp_path %<folder>s/fastcgi;
      uwsgi_temp_path %<folder>s/uwsgi;
      scgi_temp_path %<folder>s/scgi;
      client_header_timeout 5s;
      client_body_timeout 5s;
      underscores_in_headers on;
      ignore_invalid_headers off;
      upstream iodine { server 127.0.0.1:%<back>d; keepalive 4; }
      server {
        listen unix:%<folder>s/front.sock;
        location / {
          proxy_pass http://iodine;
          proxy_http_version 1.1;
          proxy_request_buffering off;
          proxy_next_upstream off;
          proxy_ignore_client_abort on;
          proxy_set_header Connection "";
          proxy_set_header X-Front $request_id;
          add_header X-Front-Mark $request_id always;
        }
      }
    }
  CONF

  haproxy = <<~CONF
    global
      maxconn 200
      stats socket unix@%<folder>s/stats.sock
    defaults
      mode http
      timeout connect 5s
      timeout client 5s
      timeout server 5s
      timeout http-request 5s
    frontend front
      bind unix@%<folder>s/front.sock
      option accept-invalid-http-request
      http-request set-var(txn.mark) uuid()
      http-request set-header X-Front %%[var(txn.mark)]
      http-response set-header X-Front-Mark %%[var(txn.mark)]
      default_backend back
    backend back
      http-reuse always
      server iodine 127.0.0.1:%<back>d
  CONF

  # How many requests were passed on and answered by 200. nginx has written it all when it has ended; the log of haproxy
  # leaves lines out when it is read slowly, so it is asked for its count.
  in_log = lambda do |folder, process|
    process.stop("TERM")
    File.foreach("#{folder}/front.log").count { |line| line.end_with?(" 200\n") }
  end
  in_stats = lambda do |folder, _|
    table = UNIXSocket.open("#{folder}/stats.sock") { |socket| socket.write("show stat\n") && socket.read }
    names, *rows = table.delete_prefix("# ").lines(chomp: true).map { |line| line.split(",") }
    rows.map { |row| names.zip(row).to_h }.find { |row| row["svname"] == "BACKEND" }.fetch("hrsp_2xx").to_i
  end

  fronts = {
    "nginx" => [nginx, ["-p", ".", "-c", "front.conf"], in_log],
    "haproxy" => [haproxy, %w[-db -f front.conf], in_stats]
  }

  before(:all) do
    @folder = Dir.mktmpdir("iodine-front")
    # nginx drops its privileges.
    File.chmod(0o755, @folder)
    @server = Support::Server.rackup(<<~RUBY, threads: 4)
      require "json"
      marks = Queue.new
      run(lambda do |env|
        if env["PATH_INFO"] == "/marks"
          [200, {}, [JSON.generate(Array.new(marks.size) { marks.pop })]]
        else
          env["rack.input"]&.read
          marks << env["HTTP_X_FRONT"]
          [200, { "x-mark" => env["HTTP_X_FRONT"].to_s }, ["fine"]]
        end
      end)
    RUBY
  end

  after(:all) do
    @server&.stop
    FileUtils.rm_rf(@folder)
  end

  # Starts the front end.
  def start(command, configuration, arguments)
    FileUtils.rm_f("#{@folder}/front.sock")
    File.write("#{@folder}/front.conf", format(configuration, folder: @folder, back: @server.port))
    process = Support::ChildProcess.new(command, *arguments, chdir: @folder)
    wait_until("#{command} listens") { listens? }
    process
  end

  def listens?
    connect.close
    true
  rescue Errno::ENOENT, Errno::ECONNREFUSED
    false
  end

  def connect = UNIXSocket.new("#{@folder}/front.sock")

  # What comes back to a client that says no more.
  def answers(bytes)
    socket = connect
    socket.write(bytes)
    socket.close_write
    raise "no end: #{bytes.inspect}" unless socket.wait_readable(20)

    socket.read.b
  rescue Errno::EPIPE, Errno::ECONNRESET, Errno::ENOTCONN
    "".b
  ensure
    socket&.close
  end

  def attack(requests)
    parts = requests.each_slice((requests.size / 8.0).ceil).to_a
    together(parts.size) { |part| parts[part].map { |bytes| answers(bytes) } }.flatten
  end

  fronts.each do |name, (configuration, arguments, passed)|
    paths = [*ENV["PATH"].split(":"), "/usr/sbin"].map { |folder| "#{folder}/#{name}" }
    command = paths.find { |path| File.executable?(path) }

    it "#{name} are as many for iodine, and their answers go to who asked", if: command do
      seed = Random.new_seed % 100_000
      malformed = Support::Malformed.new(seed)
      last = "GET /last HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
      process = start(command, configuration, arguments)
      answers = attack(Array.new(count) { malformed.next << last })
      marks = JSON.parse(@server.get("/marks").body)

      pairs = answers.flat_map { |answer| answer.scan(/^x-mark: (\S+)\r\n(?:[^\r\n]+\r\n)*?x-front-mark: (\S+)\r\n/i) }
      expect(marks.size).to be > count / 10, "seed #{seed}"
      expect(marks).not_to include(nil), "seed #{seed}"
      expect(marks.tally.values.max).to eq(1), "seed #{seed}"
      expect(marks.size).to eq(passed.call(@folder, process)), "seed #{seed}"
      expect(pairs).to all(satisfy { |one, other| one == other }), "seed #{seed}"
    ensure
      process&.kill_group
    end
  end
end
