# frozen_string_literal: true

RSpec.describe "Across the fork" do
  # A cluster of two whose application runs a query in the master, before it forks, and one for each request.
  # +library+ defines `ask`, which runs a query and returns what identifies its connection.
  def cluster(library, *arguments, env: {})
    @server = Support::Server.script(<<~RUBY, *arguments, env: env)
      require "iodine"
      #{library}
      Iodine.workers = 2
      Iodine.threads = 2
      $stderr.write("master \#{ask}\\n")
      def files = Dir.glob("/proc/self/fd/*").map { |fd| File.readlink(fd) rescue "" }.grep(/base.sqlite/)
      Iodine.on_state(:on_start) { $stderr.write("inherits \#{files.size}\\n") }
      Iodine.listen(service: :http, address: "127.0.0.1", port: 0) { [200, {}, ["\#{Process.pid} \#{ask}"]] }
      Iodine.start
    RUBY
    server.wait_for_log(/(?:is running.*){2}/m)
  end

  after { @server&.stop }

  attr_reader :server

  # Answers, until each worker has given some: worker => what identifies its connections.
  def asked
    seen = Hash.new { |hash, pid| hash[pid] = [] }
    wait_until("an answer of each worker") do
      together(8) { server.get("/") }.each do |response|
        expect(response.status).to eq(200)
        pid, connection = response.body.split
        seen[pid.to_i] << connection
      end
      seen.size == 2
    end
    seen.transform_values(&:uniq)
  end

  libraries = {
    "ActiveRecord" => <<~RUBY,
      require "active_record"
      ActiveRecord::Base.establish_connection(ARGV[0])
      def ask = ActiveRecord::Base.connection_pool.with_connection { |one| one.select_value("SELECT " + ARGV[1]) }
    RUBY
    "Sequel" => <<~RUBY
      require "sequel"
      DB = Sequel.connect(ARGV[0])
      def ask = DB.get(Sequel.lit(ARGV[1]))
    RUBY
  }

  describe "with PostgreSQL" do
    before(:all) { @postgres = Support::Postgres.new }
    after(:all) { @postgres.stop }

    libraries.each do |name, source|
      it "no connection of #{name} is shared, and none of the master is left" do
        cluster(source, "postgres:///postgres", "pg_backend_pid()", env: @postgres.environment)
        master = server.log[/master (\d+)/, 1].to_i
        expect(master).to be_positive
        expect(@postgres.connections).not_to include(master)
        first, second = asked.values

        expect(first & second).to be_empty
        expect(first + second).not_to include(master.to_s)
      end

      it "connections of #{name} are closed before workers are replaced, too" do
        cluster("#{source}\nIodine.run { $stderr.write(\"again \#{ask}\\n\") if Iodine.master? }",
                "postgres:///postgres", "pg_backend_pid()", env: @postgres.environment)
        again = server.wait_for_log(/again (\d+)/)[1].to_i
        wait_until("the connection of the master") { @postgres.connections.include?(again) }
        before = server.children
        server.kill("USR1")
        wait_until("new workers") { (now = server.children).size == 2 && (now & before).empty? }

        expect(@postgres.connections).not_to include(again)
        expect(asked.size).to eq(2)
      end
    end
  end

  describe "with SQLite" do
    around do |example|
      Dir.mktmpdir("iodine-sqlite") do |folder|
        @file = "#{folder}/base.sqlite"
        example.run
      end
    end

    { "ActiveRecord" => "sqlite3:%s", "Sequel" => "sqlite://%s" }.each do |name, url|
      it "no file that #{name} has opened is inherited" do
        cluster(libraries.fetch(name), format(url, @file), "1")
        server.wait_for_log(/(?:inherits \d+.*){2}/m)

        expect(server.log.scan(/inherits (\d+)/).flatten).to eq(%w[0 0])
        expect(asked.size).to eq(2)
      end
    end

    it "a database in memory is kept" do
      cluster(<<~RUBY)
        require "sequel"
        DB = Sequel.sqlite
        DB.create_table(:words) { String :text }
        DB[:words].insert("kept")
        def ask = DB[:words].get(:text)
      RUBY

      expect(asked.values).to eq([["kept"], ["kept"]])
    end
  end

  it "random numbers differ in all workers" do
    cluster(<<~RUBY)
      require "securerandom"
      Random.srand(42)
      rand
      def ask = [rand(1 << 40), Random.rand(1 << 40), SecureRandom.hex(8)].join("-")
    RUBY
    first, second = asked.values.map { |values| values.map { |value| value.split("-") }.transpose }

    first.zip(second).each { |one, other| expect(one & other).to be_empty }
  end

  it "a log file that was opened before is written line by line" do
    cluster(<<~RUBY, path = File.join(Dir.mktmpdir("iodine-log"), "app.log"))
      require "logger"
      LOG = Logger.new(ARGV[0])
      def ask = LOG.info("x" * 2000)
    RUBY
    total = 20 * 8
    20.times { together(8) { server.get("/") } }
    lines = File.readlines(path, chomp: true).grep_v(/\A#/)

    expect(lines.size).to eq(total + 1)
    expect(lines).to all match(/\AI, .* : x{2000}\z/)
  ensure
    FileUtils.rm_rf(File.dirname(path))
  end
end
