# frozen_string_literal: true

RSpec.describe "the iodine command, serving" do
  let(:folder) { Dir.mktmpdir("iodine-command") }

  after { FileUtils.rm_rf(folder) }

  def serving(app, *flags, **options)
    server = Support::Server.rackup(app, *flags, **options)
    yield server
  ensure
    server&.stop
  end

  it "keeps the master's process id in the pid file while it runs" do
    pid_file = File.join(folder, "iodine.pid")
    File.write(pid_file, "#{Process.spawn("true").tap { |pid| Process.wait(pid) }}\r\n")
    serving("run ->(_env) { [200, {}, ['']] }", "-pid", "#{folder}/", workers: 2) do |server|
      server.wait_for_log(/is running/)
      expect(File.binread(pid_file)).to eq "#{server.pid}\r\n"
      server.stop
      expect(File.exist?(pid_file)).to be false
    end
  end

  it "leaves the pid file alone when a worker ends" do
    pid_file = File.join(folder, "iodine.pid")
    app = "run ->(_env) { [200, {}, [Process.pid.to_s]] }"
    serving(app, "-pid", pid_file, workers: 2) do |server|
      worker = server.get("/").body.to_i
      Process.kill("TERM", worker)
      server.wait_for_log(/\(#{worker}\)/)
      expect(File.exist?(pid_file)).to be true
    end
  end

  it "requests / once in a worker that warms up" do
    app = <<~RUBY
      seen = []
      run ->(env) { seen << env["PATH_INFO"]; [200, {}, [seen.join(" ")]] }
    RUBY
    serving(app, "-warmup") { |server| expect(server.get("/visitor").body).to eq "/ /visitor" }
  end

  it "serves although the warm-up fails, and says so" do
    app = "run ->(env) { env['PATH_INFO'] == '/' ? raise('cold') : [200, {}, ['ok']] }"
    serving(app, "-warmup") do |server|
      expect(server.get("/visitor").body).to eq "ok"
      server.wait_for_log(/^WARNING: the warm-up request failed: .*cold/)
    end
  end
end
