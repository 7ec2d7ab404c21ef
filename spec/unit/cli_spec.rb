# frozen_string_literal: true

require "json"
require_relative "../../lib/iodine/version"

RSpec.describe "the iodine command" do
  let(:folder) { Dir.mktmpdir("iodine-cli") }

  after { FileUtils.rm_rf(folder) }

  # Runs the command in the folder to its end and returns [exit status, standard output, standard error].
  def iodine(*arguments, env: {})
    command = [RbConfig.ruby, "-I#{Support::ROOT}/lib", "#{Support::ROOT}/exe/iodine", *arguments]
    process = Support::ChildProcess.new(*command, env: env, chdir: folder)
    status = process.wait.exitstatus
    process.kill_group
    [status, process.out.text, process.log.text]
  end

  # What a command line leaves in the settings. The configuration file is loaded after that, and ends the command.
  def settings(*arguments, env: {})
    write "report.rb", <<~RUBY
      require "json"
      puts JSON.generate([Iodine::DEFAULT_SETTINGS, Iodine.threads, Iodine.workers, Iodine.verbosity])
      exit
    RUBY
    status, out, log = iodine(*arguments, "-config", "report", env: env)
    expect(status).to eq(0), log
    [*JSON.parse(out, symbolize_names: true), log]
  end

  def write(name, text) = File.write(File.join(folder, name), text)

  describe "help and version" do
    %w[-? -h -help --help].each do |flag|
      it "prints the help for #{flag} and succeeds" do
        status, out, log = iodine(flag)
        expect([status, log]).to eq [0, ""]
        expect(out).to start_with "Iodine's HTTP/WebSocket server, version #{Iodine::VERSION}"
        expect(out).to include "Address Binding:", "-p, --port <PORT>", "[env: WEB_CONCURRENCY, WORKERS]"
      end
    end

    it "prints the version and succeeds" do
      expect(iodine("--version")).to eq [0, "iodine #{Iodine::VERSION}\n", ""]
    end
  end

  describe "a wrong command line" do
    {
      %w[-prot 3000] => [/'--prot'/, /'--port'/],
      %w[-unknown app.ru] => [/'--unknown'/],
      %w[-vv] => [/'--vv'/],
      %w[-log=5] => [/unexpected value '5' for '--log'/],
      %w[-p 65536] => [/'65536' for '--port <PORT>': must be an integer from 0 to 65535/],
      %w[-t 4096] => [/--threads.* from -4095 to 4095/],
      %w[-w many] => [/--workers.* from -511 to 511/],
      %w[-b] => [/a value is required for '--bind <ADDRESS>'/]
    }.each do |arguments, messages|
      it "fails with status 2 for #{arguments.join(" ")}" do
        status, out, log = iodine(*arguments)
        expect([status, out]).to eq [2, ""]
        expect(log).to match(messages.first).and match(messages.last)
      end
    end

    it "names the variable PORT when that is wrong" do
      status, _out, log = iodine(env: { "PORT" => "http" })
      expect(status).to eq 2
      expect(log).to include "environment variable PORT: must be an integer from 0 to 65535"
    end
  end

  describe "settings" do
    it "come from flags" do
      values, threads, workers, verbosity, = settings(*%w[-p3000 -b=::1 -t -1 -w 2 -k 5 -maxbd 7 -maxhd=8 -V 3
                                                          -max-pending 9 -deflate -deflate-min 10 my.ru])
      expect(values).to include(port: "3000", address: "::1", timeout: 5, max_body: 7, max_headers: 8,
                                max_pending: 9, deflate: true, deflate_min: 10, filename_: "my.ru")
      expect([threads, workers, verbosity]).to eq [-1, 2, 3]
    end

    it "come from the environment without any flag for them" do
      env = { "PORT" => "5000", "THREADS" => "3", "WORKERS" => "4", "IODINE_REDIS_URL" => "redis://localhost" }
      values, threads, workers, = settings(env: env)
      expect(values).to include(port: "5000", redis_: "redis://localhost")
      expect([threads, workers]).to eq [3, 4]
    end

    it "prefer WEB_CONCURRENCY to WORKERS, and a flag to both" do
      env = { "WORKERS" => "4", "WEB_CONCURRENCY" => "5" }
      expect(settings(env: env)[2]).to eq 5
      expect(settings("-w", "6", env: env)[2]).to eq 6
    end

    it "ignore a count in the environment that is no number, with a warning" do
      _values, threads, _workers, _verbosity, log = settings(env: { "THREADS" => "auto" })
      expect(threads).to eq 0
      expect(log).to match(/^WARNING: .*'auto'.* THREADS/)
    end

    it "have port 0 for a Unix socket" do
      values, *, log = settings("-b", "./x.sock", "-p", "80")
      expect(values).to include(port: "0", address: "./x.sock")
      expect(log).to match(/^WARNING: ignoring port 80/)
    end

    it "keep the internal keys out once they are used" do
      values, = settings("-pid", "./")
      expect(values).to include(pid: end_with("/iodine.pid"))
      expect(values.keys).not_to include(:conf_, :pid_)
    end
  end

  describe "an application that cannot be served" do
    it "fails with status 1 and the names it tried" do
      status, out, log = iodine("missing")
      expect([status, out]).to eq [1, ""]
      expect(log).to include "tried missing, missing.ru, config.ru"
    end

    it "shows the help when nothing is named and there is no config.ru" do
      status, out, log = iodine
      expect([status, out]).to eq [1, ""]
      expect(log).to include "config.ru", "Usage: iodine"
    end

    it "says so before it falls back to config.ru" do
      write "config.ru", "exit 7"
      status, _out, log = iodine("missing")
      expect(status).to eq 7
      expect(log).to match(/^WARNING: there is no missing and no missing\.ru: serving config\.ru/)
    end

    it "shows the error and the backtrace of a file that raises" do
      write "bad.ru", "\nraise 'boom'"
      status, _out, log = iodine("bad")
      expect(status).to eq 1
      expect(log).to include "bad.ru could not be loaded", "boom (RuntimeError)", "bad.ru:2"
    end

    it "names the constant a Ruby file lacks" do
      write "my_app.rb", "Other = 1"
      status, _out, log = iodine("my_app.rb")
      expect(status).to eq 1
      expect(log).to include "my_app.rb does not define the constant MyApp"
    end

    it "refuses what cannot be called" do
      write "my_app.rb", "MyApp = 5"
      status, _out, log = iodine("my_app.rb")
      expect(status).to eq 1
      expect(log).to include "does not respond to call"
    end

    it "asks for the rack gem when a rackup file needs it" do
      write "config.ru", "run nil"
      write "rack.rb", "raise LoadError.new.tap { |error| error.instance_variable_set(:@path, 'rack') }, 'no rack'"
      write "without_rack.rb", "$LOAD_PATH.unshift __dir__; class LoadError; def path = @path; end"
      status, _out, log = iodine("-config", "without_rack")
      expect(status).to eq 1
      expect(log).to include "config.ru is a rackup file, which needs the rack gem"
    end
  end

  describe "files that cannot be used" do
    it "fails for a configuration file that is not there" do
      expect(iodine("-C", "nowhere")).to match [1, "", /there is no configuration file nowhere/]
    end

    it "shows the error of a configuration file that raises" do
      write "conf.rb", "raise 'boom'"
      expect(iodine("-C", "conf.rb")).to match [1, "", /conf\.rb could not be loaded:.*boom \(RuntimeError\)/m]
    end

    it "refuses a pid file that is not a file" do
      Dir.mkdir(File.join(folder, "run"))
      expect(iodine("-pid", "run")).to match [1, "", /the pid file .*run is not a file/]
    end
  end
end
