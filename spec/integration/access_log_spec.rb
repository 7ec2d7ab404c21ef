# frozen_string_literal: true

require "json"

RSpec.describe "The request log" do
  # A server that is stopped after the block, so that its log is complete; the log.
  def log_of(*flags, **options)
    server = Support::Server.rackup("http.ru", *flags, **options)
    yield server
    server.stop
    server.log
  ensure
    server&.stop
  end

  def lines(log) = log.lines.grep(%r{HTTP/1\.\d})

  fields = ["Referer: http://r.test/", "User-Agent: me \"and\" you"]

  {
    ["-log"] =>
      %r{\A127\.0\.0\.1 - - \[\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\] "GET / HTTP/1\.1" 200 \d+b \d+ms\n\z},
    ["-v"] => %r{"GET / HTTP/1\.1" 200 \d+b \d+ms\n\z},
    ["-log-format", "common"] =>
      %r{\A127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET /\?b=c HTTP/1\.1" 200 \d+ \d\.\d{6}\n\z},
    ["-log-format", "combined"] =>
      %r{"GET /\?b=c HTTP/1\.1" 200 \d+ "http://r\.test/" "me \\"and\\" you" \d\.\d{6}\n\z}
  }.each do |flags, expected|
    it "has a line a response by #{flags.join(" ")}" do
      log = log_of(*flags) { |server| server.get("/?b=c", *fields) }

      expect(lines(log)).to contain_exactly(expected)
    end
  end

  it "has a JSON object a response by -log-format json" do
    log = log_of("-log-format", "json") { |server| server.get("/?b=c", *fields) }

    expect(JSON.parse(lines(log).first)).to include(
      "peer" => "127.0.0.1", "method" => "GET", "path" => "/", "query" => "b=c", "status" => 200,
      "user_agent" => "me \"and\" you", "time" => match(/\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\z/)
    )
  end

  it "has a line for a refused request" do
    log = log_of("-log") { |server| server.connect { |peer| peer.write("nonsense\r\n\r\n") && peer.read_to_end } }

    expect(log).to match(/^127\.0\.0\.1 - - \[.*GMT\] "-" 400 -- 0ms$/)
  end

  it "lets no peer forge a line or steer a terminal" do
    log = log_of("-log-format", "combined") do |server|
      server.request("GET /\xE9\" HTTP/1.1\r\nHost: a.test\r\nUser-Agent: \xFF\\\r\n\r\n".b, to: "GET")
    end

    expect(log).to include('"GET /\xE9\" HTTP/1.1"').and include('"\xFF\\\\"')
  end

  it "has neither line ends nor control characters of a peer, whatever it sends" do
    log = log_of("-log-format", "combined") do |server|
      ["\e[31m", "a\rb", "a\nb", "\x07", "\x7F", "\x00"].each do |bad|
        expect(server.get("/", "User-Agent: #{bad}")).to have_attributes(status: 400)
      end
      expect(server.get("/%0d%0a%1b%5b31m", "User-Agent: \x9B31m".b)).to have_attributes(status: 200)
    end

    expect(lines(log)).to contain_exactly(%r{"GET /%0d%0a%1b%5b31m HTTP/1\.1" 200 \d+ "-" "\\x9B31m"})
    expect(log.lines.grep(/ "-" 400 /).size).to eq(6)
    expect(log).not_to match(/[\x00-\x09\x0B-\x1F\x7F-\u009F]/)
  end

  # A pipe holds 64 KiB, and the server 1 MiB of lines for it.
  it "makes no request wait when nobody reads it, and counts what is lost" do
    log = log_of("-log") do |server|
      server.process.log.unread do
        server.connect do |peer|
          400.times do
            peer.write(Support::Server.get("/#{"x" * 7000}"))
            expect(peer.read_response.status).to eq(200)
          end
        end
      end
      server.wait_for_log(/WARNING: \d+ lines of the request log were dropped/)
      server.get("/after")
    end

    expect(lines(log).last).to include("GET /after ")
    expect(lines(log).size + log[/WARNING: (\d+) lines of the request log were dropped/, 1].to_i).to eq(401)
  end

  it "makes no message of the server wait either" do
    app = 'run ->(env) { [200, env["PATH_INFO"] == "/lost" ? { "x-sendfile" => "/nonesuch" } : {}, []] }'
    server = Support::Server.rackup(app, "-log", "-www", Dir.tmpdir)
    server.process.log.unread do
      server.connect do |peer|
        20.times { peer.write(Support::Server.get("/#{"x" * 7000}")) && peer.read_response }
        400.times do
          peer.write(Support::Server.get("/lost"))
          expect(peer.read_response.status).to eq(404)
        end
      end
    end
    server.wait_for_log(%r{GET /lost })
    server.get("/lost")
    server.wait_for_log(/WARNING: \d+ lines of the log were dropped: nobody read them in time\nERROR: GET /)
  ensure
    server&.stop
  end

  it "keeps the lines of threads and workers apart" do
    log = log_of("-log", threads: 4, workers: 2) do |server|
      Array.new(8) { Thread.new { 50.times { server.get("/") } } }.each(&:join)
    end

    expect(lines(log).size).to eq(400)
    expect(lines(log)).to all match(%r{\A127\.0\.0\.1 - - \[[^\]]+\] "GET / HTTP/1\.1" 200 \d+b \d+ms\n\z})
  end

  it "is off unless asked for" do
    expect(lines(log_of { |server| server.get("/") })).to be_empty
  end

  it "refuses a format it does not know" do
    process = Support::ChildProcess.new(RbConfig.ruby, "-I#{Support::ROOT}/lib", "#{Support::ROOT}/exe/iodine",
                                        "-p", "0", "-log-format", "xml", "#{Support::ROOT}/spec/apps/http.ru")
    expect(process.wait.exitstatus).to eq(1)
    expect(process.log.text).to match(/unknown log format "xml"/)
  ensure
    process&.kill_group
  end
end
