# frozen_string_literal: true

require "json"
require "optparse"
require "tmpdir"

module Bench
  # Counts the instructions of iodine's process for a request, beside those of the kernel, and compares them with the
  # figures that are kept. Unlike times they hardly depend on what else the machine does.
  class Instructions
    KEPT = File.join(ROOT, "icount.json")
    SCENARIOS = %i[hello_t1 hello_pipelined headers post_10k streamed].freeze
    TOLERANCE = 0.05
    # Counts of a scenario, of which the least is taken, and again as often when that one is too high: on a busy machine
    # another thread may have run the reactor.
    BATCHES = 3
    ATTEMPTS = 4
    # Longer than the guardian keeps the reactor.
    PAUSE_SECONDS = 3.5

    def initialize(arguments)
      @update = false
      @parser = OptionParser.new("Usage: bench/icount [--update]") do |options|
        options.on("--update", "keep the figures in #{File.basename(KEPT)}") { @update = true }
      end
      @arguments = arguments
    end

    # The exit status: 1 when a figure has grown by more than 5 %, or nothing could be counted.
    def run
      @parser.parse!(@arguments)
      missing = [Iodine, CountedIodine].filter_map(&:missing)
      raise Error, missing.join("\n") if missing.any?

      counts = count_all
      @update ? keep(counts) : judge(counts)
    rescue OptionParser::ParseError, Error => e
      warn "bench: #{e.message}"
      1
    end

    private

    def count_all
      wanted = Bench::SCENARIOS.select { |scenario| SCENARIOS.include?(scenario.name) }
      wanted.group_by(&:app).values.map { |scenarios| count_together(scenarios) }.reduce(:merge)
    end

    # Those of one application.
    def count_together(scenarios)
      CountedIodine.serve(scenarios.first) do |server|
        scenarios.to_h { |scenario| [scenario.name, count(server, scenario)] }
      end
    end

    def count(server, scenario)
      attempts = 0
      least = nil
      loop do
        least = [least, *server.count(scenario.request, BATCHES)].compact.min
        attempts += 1
        return least if @update || !grown?(scenario.name, least) || attempts == ATTEMPTS

        sleep PAUSE_SECONDS
      end
    end

    def judge(counts)
      counts.each { |name, count| puts line(name, count) }
      puts "no figures are kept for #{platform}: there is nothing to compare with" if kept.empty?
      grown = counts.select { |name, count| grown?(name, count) }.keys
      puts "grown by more than #{(TOLERANCE * 100).round} %: #{grown.join(", ")}" if grown.any?
      grown.any? ? 1 : 0
    end

    def line(name, count)
      before = kept[name.to_s]
      change = format(" (%+.1f %% of %d)", (count.fdiv(before) - 1) * 100, before) if before
      "#{name.to_s.ljust(16)} #{count} instructions a request#{change}"
    end

    def grown?(name, count)
      before = kept[name.to_s]
      before && count > before * (1 + TOLERANCE)
    end

    def keep(counts)
      all = all_kept.merge(platform => counts).sort.to_h
      File.write(KEPT, "#{JSON.pretty_generate(all)}\n")
      judge(counts)
    end

    def kept = all_kept.fetch(platform, {})
    def all_kept = File.exist?(KEPT) ? JSON.parse(File.read(KEPT)) : {}

    # Half of the instructions are Ruby's own.
    def platform = "ruby #{RUBY_VERSION} #{RbConfig::CONFIG["arch"]}"
  end

  # iodine under callgrind, which counts when it is told to.
  class CountedIodine < Iodine
    WARM_UP = 640
    REQUESTS = 1600

    def self.missing
      return if Machine.executable("callgrind_control")

      "valgrind is not installed: try `apt-get install valgrind`"
    end

    # Gives a server for the application of the scenario to the block, and stops it after.
    def self.serve(scenario)
      Dir.mktmpdir("bench-icount") do |folder|
        server = new(scenario, folder)
        server.start
        yield server
      ensure
        server&.stop
      end
    end

    def initialize(scenario, folder)
      super(scenario, answer_bytes: -> { 0 })
      @folder = folder
    end

    # Instructions of one of many such requests, as often as +times+ says.
    def count(request, times)
      connect(request) do |exchange|
        exchange.call(WARM_UP)
        Array.new(times) { dumped { exchange.call(REQUESTS) } / REQUESTS }
      end
    end

    private

    def command
      ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=#{@folder}/out", *super]
    end

    # No collection happens while it counts: when one does would be a matter of chance.
    def environment
      limits = %w[MALLOC_LIMIT MALLOC_LIMIT_MAX OLDMALLOC_LIMIT OLDMALLOC_LIMIT_MAX]
      super.merge("RUBY_GC_HEAP_INIT_SLOTS" => "1500000", **limits.to_h { |name| ["RUBY_GC_#{name}", "4000000000"] })
    end

    # Yields what sends so many requests over one connection and reads their answers, which are all of one size.
    def connect(request)
      size = Client.fetch(port, request).wire_bytes * request.pipeline
      packet = request.bytes(port) * request.pipeline
      Socket.tcp("127.0.0.1", port) do |socket|
        yield(lambda do |requests|
          (requests / request.pipeline).times do
            socket.write(packet)
            raise Error, "the server closed the connection:\n#{log}" unless socket.read(size)&.bytesize == size
          end
        end)
      end
    end

    # The instructions of the block.
    def dumped
      control("--instr=on")
      yield
      control("--instr=off")
      control("--dump")
      newest = Dir.glob("#{@folder}/out.*").max_by { |path| path[/\d+\z/].to_i }
      File.read(newest)[/^totals: (\d+)/, 1].to_i
    end

    def control(option)
      system("callgrind_control", option, @tree.pids.first.to_s, out: File::NULL, err: File::NULL) or
        raise Error, "callgrind_control #{option} failed: it must be allowed to trace the server's process"
    end
  end
end
