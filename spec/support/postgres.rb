# frozen_string_literal: true

module Support
  # A PostgreSQL server of its own in a temporary folder, reached by a Unix socket. It refuses to be run by root, so for
  # root another user runs it.
  class Postgres
    USER = "nobody"

    attr_reader :folder

    def initialize
      @folder = Dir.mktmpdir("iodine-postgres")
      FileUtils.chown(USER, nil, folder) if Process.uid.zero?
      run("initdb", "-D", data, "-U", "app", "-A", "trust", "--no-sync", "--no-instructions")
      @pid = Process.spawn(*as_user, program("postgres"), "-D", data, "-k", folder, "-c", "listen_addresses=",
                           "-c", "fsync=off", out: File::NULL, err: "#{folder}/log", pgroup: true)
      Waiting.wait_until("PostgreSQL accepts connections", within: 60) { system(*ready, out: File::NULL) }
    rescue DeadlineError => e
      raise e.class, "#{e.message}\n#{File.read("#{folder}/log")}"
    end

    # Variables of clients, for the URL postgres:///postgres.
    def environment = { "PGHOST" => folder, "PGUSER" => "app" }

    # Process ids of the server's ends of all connections but that of who asks.
    def connections
      query = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
      IO.popen([program("psql"), "-h", folder, "-U", "app", "-Atc", query, "postgres"], &:read).split.map(&:to_i)
    end

    def stop
      # INT is a fast shutdown.
      Process.kill("INT", -@pid)
      Process.wait(@pid)
    ensure
      FileUtils.rm_rf(folder)
    end

    private

    def data = "#{folder}/data"
    def ready = [program("pg_isready"), "-q", "-h", folder]
    def as_user = Process.uid.zero? ? ["setpriv", "--reuid=#{USER}", "--clear-groups"] : []

    def run(name, *arguments)
      system(*as_user, program(name), *arguments, out: File::NULL) or raise "#{name} failed"
    end

    # Debian keeps most of them out of PATH.
    def program(name) = Dir.glob("/usr/lib/postgresql/*/bin/#{name}").max || name
  end
end
