# frozen_string_literal: true

module Bench
  # A load is what a scenario does to one server in one round. All answer
  # +warm_up(server, plan)+, +rounds(plan)+ and +measure(server, plan)+, a Hash of figures by metric name.
  #
  # A plan says how long: rounds, seconds a round, and the two ages in seconds at which memory is compared.
  Plan = Struct.new(:rounds, :seconds, :memory_ages, keyword_init: true) do
    def self.full
      new(rounds: 5, seconds: 2, memory_ages: [5, 60])
    end

    # Long enough to see that everything works, too short to believe a figure.
    def self.quick
      new(rounds: 2, seconds: 1, memory_ages: [1, 4])
    end
  end

  # Throughput, latency and CPU time a request under wrk.
  class WrkLoad
    # +processor+ is the number of the one that wrk keeps to, or nil.
    def initialize(connections:, request:, processor: nil)
      @connections = connections
      @wrk = Wrk.new(connections: connections, request: request, processor: processor)
    end

    def to_s
      @connections == 1 ? "1 connection" : "#{@connections} connections"
    end

    def rounds(plan)
      plan.rounds
    end

    def warm_up(server, _plan)
      @wrk.run(server.port, 1)
    end

    def measure(server, plan)
      before = server.tree.cpu_seconds
      result = @wrk.run(server.port, plan.seconds)
      cpu = server.tree.cpu_seconds - before
      raise Error, "#{server} answered no request in #{plan.seconds} s\n#{server.log}" if result.requests.zero?

      { rps: result.requests_per_second, cpu_us: cpu * 1e6 / result.requests,
        p50_ms: result.p50_us&.fdiv(1000), p99_ms: result.p99_us&.fdiv(1000), p999_ms: result.p999_us&.fdiv(1000),
        rss_mib: server.tree.rss_bytes.fdiv(1 << 20), errors: result.errors }
    end
  end

  # The same for an application whose own work is not small. +own_us+ is the CPU time a request without it: what the
  # application takes is measured in each round, by calling it in a loop.
  class FrameworkLoad < WrkLoad
    def initialize(app_path:, **rest)
      super(**rest)
      @app_path = app_path
    end

    def measure(server, plan)
      figures = super
      app_us = microseconds_a_call
      figures.merge(app_us: app_us, own_us: figures.fetch(:cpu_us) - app_us)
    end

    private

    def microseconds_a_call
      output, status = Open3.capture2(Server::ENVIRONMENT, RbConfig.ruby, CALLS, @app_path, SECONDS.to_s)
      raise Error, "#{@app_path} cannot be called in a loop" unless status.success?

      Float(output)
    end

    CALLS = File.join(ROOT, "apps", "calls.rb")
    SECONDS = 1
    private_constant :CALLS, :SECONDS
  end

  # How far resident memory rises above that of an idle server while large bodies are under way.
  class PeakLoad < WrkLoad
    def warm_up(server, _plan)
      Client.fetch(server.port, @request)
    end

    def initialize(request:, **rest)
      super
      @request = request
    end

    # A process is young only once.
    def rounds(_plan)
      1
    end

    def measure(server, plan)
      before = server.tree.rss_bytes
      peak = before
      watch = Thread.new { loop { peak = [peak, server.tree.rss_bytes].max.tap { sleep SAMPLE_SECONDS } } }
      figures = super
      figures.merge(rise_mib: ([peak, server.tree.rss_bytes].max - before).fdiv(1 << 20))
    ensure
      watch&.kill
    end

    SAMPLE_SECONDS = 0.05
    private_constant :SAMPLE_SECONDS
  end

  # How long the first byte of a body takes that the application has not finished.
  class FirstByteLoad
    def initialize(request:)
      @request = request
    end

    def to_s
      "1 request at a time"
    end

    def rounds(plan)
      plan.rounds
    end

    def warm_up(server, _plan)
      Client.fetch(server.port, @request)
    end

    def measure(server, _plan)
      times = Array.new(SAMPLES) { Client.fetch(server.port, @request).first_byte_ms }
      { first_byte_ms: Statistics.median(times) }
    end

    SAMPLES = 3
    private_constant :SAMPLES
  end

  # How much resident memory grows under a steady load, from shortly after the start to much later.
  class MemoryLoad
    def initialize(connections:, request:)
      @connections = connections
      @wrk = Wrk.new(connections: connections, request: request)
    end

    def to_s
      "#{@connections} connections"
    end

    # A process is young only once.
    def rounds(_plan)
      1
    end

    def warm_up(_server, _plan); end

    def measure(server, plan)
      early_age, late_age = plan.memory_ages
      first = @wrk.run(server.port, early_age)
      early = server.tree.rss_bytes
      second = @wrk.run(server.port, late_age - early_age)
      late = server.tree.rss_bytes
      { early_mib: early.fdiv(1 << 20), late_mib: late.fdiv(1 << 20), growth: late.fdiv(early),
        errors: first.errors + second.errors }
    end
  end
end
