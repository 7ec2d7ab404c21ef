# frozen_string_literal: true

require "tmpdir"
require_relative "../../bench/lib/bench"
require_relative "../../bench/lib/bench/soak"

RSpec.describe Bench do
  describe Bench::Statistics do
    [[[], nil], [[3], 3], [[9, 1, 4], 4], [[4, 1, 9, 2], 3.0]].each do |values, median|
      it "finds #{median.inspect} in the middle of #{values}" do
        expect(described_class.median(values)).to eq(median)
      end
    end
  end

  describe Bench::ProcessTree::Stat do
    it "adds user and kernel time of a process and of the children it reaped" do
      line = "42 (ruby) S 7 42 42 0 -1 4194304 99 0 0 0 100 20 3 4 20 0 1 0 80057 3133440 410"
      expect(described_class.parse(line)).to have_attributes(pid: 42, parent: 7, ticks: 127)
    end

    it "is not misled by the name of a program" do
      line = "42 (a) S 1 (b) R 7 42 42 0 -1 4194304 99 0 0 0 1 2 3 4 20 0"
      expect(described_class.parse(line)).to have_attributes(pid: 42, parent: 7, ticks: 10)
    end
  end

  describe Bench::ProcessTree, if: Bench::ProcessTree.available? do
    it "loses no CPU time of threads, living children and exited children" do
      expect(Bench::Calibration.new(seconds: 0.3).tree_checks).to all(be_pass)
    end

    it "knows the memory of this process" do
      expect(described_class.new(Process.pid).rss_bytes).to be > 1 << 20
    end

    it "is empty for a process that is gone" do
      Process.wait(pid = Process.spawn("true"))
      expect(described_class.new(pid)).to have_attributes(pids: [], cpu_seconds: 0, rss_bytes: 0)
    end
  end

  describe Bench::Wrk::Result do
    it "reads what the script printed among wrk's own lines" do
      output = "Running 1s test\nresult requests=300 duration_us=1500000 errors=2 p50_us=10 p99_us=20 p999_us=30\n"
      expect(described_class.parse(output)).to have_attributes(
        requests: 300, duration: 1.5, requests_per_second: 200.0, errors: 2, p50_us: 10, p99_us: 20, p999_us: 30
      )
    end

    it "takes a percentile of zero for no measurement" do
      output = "result requests=300 duration_us=1500000 bytes=9 errors=0 p50_us=0 p99_us=0 p999_us=0\n"
      expect(described_class.parse(output)).to have_attributes(p50_us: nil, p999_us: nil)
    end

    it "shows what wrk said instead of a result" do
      expect { described_class.parse("unable to connect") }.to raise_error(Bench::Error, /unable to connect/)
    end
  end

  describe Bench::Crowd::Result do
    it "reads what bench/crowd printed" do
      expect(described_class.parse("result messages=30 duration_us=1500000\n"))
        .to have_attributes(messages: 30, duration: 1.5)
    end

    it "shows what it said instead of a result, or that it said nothing" do
      expect { described_class.parse("oops\n") }.to raise_error(Bench::Error, /oops/)
      expect { described_class.parse(nil) }.to raise_error(Bench::Error, /nil/)
    end
  end

  describe Bench::Request do
    it "is twenty headers as a browser sends them" do
      head = described_class.from_browser.bytes(80)
      expect(head.scan(/^[A-Za-z-]+: .+\r$/).size).to eq(20)
    end

    it "states the length of its body" do
      bytes = described_class.new(verb: "POST", path: "/a", body_bytes: 3).bytes(80)
      expect(bytes).to eq("POST /a HTTP/1.1\r\nHost: 127.0.0.1:80\r\nContent-Length: 3\r\n\r\nxxx")
    end
  end

  describe Bench::Client do
    def exchange(answer)
      near, far = UNIXSocket.pair
      far.write(answer)
      far.close_write
      described_class.new(near).fetch("GET / HTTP/1.1\r\n\r\n")
    ensure
      [near, far].each(&:close)
    end

    {
      "a length" => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
      "chunks" => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
    }.each do |framing, answer|
      it "reads a body framed by #{framing} and counts its bytes" do
        expect(exchange(answer)).to have_attributes(status: 200, body: "hello", wire_bytes: answer.bytesize,
                                                    first_byte_ms: be >= 0)
      end

      it "does not accept a part of a body framed by #{framing}" do
        expect { exchange(answer[0..-2]) }.to raise_error(EOFError)
      end
    end
  end

  describe Bench::Results do
    subject(:results) { described_class.new }

    def add(server, *values)
      values.each { |value| results.add(:hello, server, { rps: value, errors: 1 }) }
    end

    it "takes ratios round by round, so that a busy minute cancels out" do
      add(:iodine, 100, 10, 100)
      add(:puma, 50, 5, 40)
      expect(results.ratio(:rps, %i[hello iodine], %i[hello puma])).to eq(2.0)
    end

    it "has no ratio to what was not measured" do
      add(:iodine, 100)
      expect(results.ratio(:rps, %i[hello iodine], %i[hello puma])).to be_nil
      expect(results.ratio(:cpu_us, %i[hello iodine], %i[hello iodine])).to be_nil
    end

    it "tells how far the rounds lie apart" do
      add(:iodine, 90, 100, 120)
      expect(results.spread(:rps, :hello, :iodine)).to eq(0.3)
      expect(results.spread(:rps, :hello, :puma)).to be_nil
    end

    it "adds the errors of all rounds" do
      add(:iodine, 100, 10)
      expect(results.errors(:hello, :iodine)).to eq(2)
      expect(results.errors(:hello, :puma)).to eq(0)
    end
  end

  describe Bench::Bar do
    let(:results) { Bench::Results.new }
    let(:cheap) { described_class.new(metric: :cpu_us, scenario: :a, bound: :at_most, limit: 1.5, to: %i[b floor]) }
    let(:quick) { described_class.new(metric: :rps, scenario: :a, bound: :at_least, limit: 100) }

    def outcome(bar, figures, base = {})
      results.add(:a, :iodine, figures)
      results.add(:b, :floor, base)
      bar.verdict(results).outcome
    end

    [[14.9, :pass], [15.0, :pass], [15.1, :miss]].each do |value, expected|
      it "calls #{value} to 10 a #{expected} for a ratio of at most 1.5" do
        expect(outcome(cheap, { cpu_us: value }, { cpu_us: 10.0 })).to eq(expected)
      end
    end

    [[99.9, :miss], [100, :pass], [100.1, :pass]].each do |value, expected|
      it "calls #{value} a #{expected} for at least 100" do
        expect(outcome(quick, { rps: value })).to eq(expected)
      end
    end

    it "is missed by failing requests, however quickly" do
      expect(outcome(quick, { rps: 1000, errors: 1 })).to eq(:miss)
    end

    it "is open while one side was not measured" do
      expect(outcome(cheap, { cpu_us: 1.0 })).to eq(:unmeasured)
      expect(cheap.verdict(results).to_s).to eq("unmeasured cpu_us <= 1.5 x b/floor: -")
    end

    it "speaks of scenarios and servers that exist" do
      scenarios = Bench::SCENARIOS.to_h { |scenario| [scenario.name, scenario] }
      Bench::BARS.each do |bar|
        expect(scenarios.fetch(bar.scenario).servers).to include(:iodine)
        next unless bar.to

        expect(scenarios.fetch(bar.to.first)).to have_attributes(group: scenarios.fetch(bar.scenario).group,
                                                                 servers: include(bar.to.last))
      end
    end
  end

  describe Bench::Report do
    it "has passed when each bar was reached" do
      stub_const("Bench::BARS", Bench::BARS.select { |bar| bar.scenario == :memory })
      expect(report).to be_passed
      results.add(:memory, :iodine, { growth: 1.2 })
      results.add(:memory, :iodine, { growth: 1.2 })
      expect(report).not_to be_passed
      expect(report.summary).to eq(["bars", "  memory           miss       growth <= 1.05: 1.2",
                                    "0 pass, 1 miss, 0 unmeasured"])
    end

    let(:results) { Bench::Results.new }
    let(:scenario) { Bench::SCENARIOS.find { |candidate| candidate.name == :memory } }
    let(:report) { described_class.new(results, Bench::Plan.quick) }

    before do
      results.add(:memory, :iodine, { early_mib: 20.0, late_mib: 20.5, growth: 1.025, errors: 0 })
      results.add(:memory, :floor, { early_mib: 2.0, late_mib: 2.0, growth: 1.0, errors: 0 })
    end

    it "aligns the columns that were measured and ends with the bars" do
      expect(report.table(scenario).lines.drop(1).join).to eq(<<~TEXT.chomp)
        \s         early RSS MiB  late RSS MiB  growth  errors
        \s iodine           20.0          20.5   1.025       0
        \s floor             2.0           2.0   1.000       0
        \s pass       growth <= 1.05: 1.025
      TEXT
    end

    it "writes every round and every verdict as JSON, into a folder it makes" do
      Dir.mktmpdir do |folder|
        path = File.join(folder, "new", "file.json")
        report.write_json(path, [scenario])
        written = JSON.parse(File.read(path))
        expect(written.dig("scenarios", "memory", "iodine", "rounds", 0, "late_mib")).to eq(20.5)
        expect(written["bars"]).to include(include("scenario" => "memory", "outcome" => "pass"))
      end
    end
  end

  describe Bench::Picture do
    svg = Bench::Chart.new("iodine" => [[0, 20 << 20], [60, 90 << 20]],
                           "puma" => [[0, 30 << 20], [60, 95 << 20]]).to_svg

    it "is a PNG or an SVG, as its name says, in a folder it makes" do
      Dir.mktmpdir do |folder|
        png, plain = %w[png svg].map { |ending| File.join(folder, "new", "file.#{ending}") }
        [png, plain].each { |path| described_class.new(path).write(svg) }

        expect(File.binread(png, 8)).to eq("\x89PNG\r\n\x1A\n".b)
        # Width and height, twice those of the drawing.
        expect(File.binread(png, 8, 16).unpack("N2")).to eq([1600, 800])
        expect(File.read(plain)).to eq(svg)
      end
    end

    it "tells what is missing before it is drawn" do
      allow(Bench::Machine).to receive(:executable).and_return(nil)
      expect(described_class.new("a.png").missing).to include("librsvg2-bin")
      expect(described_class.new("a.svg").missing).to be_nil
    end

    it "tells what the converter says" do
      expect do
        described_class.new("#{Dir.tmpdir}/a.png").write("no drawing")
      end.to raise_error(Bench::Error, /rsvg-convert/)
    end
  end

  describe Bench::BarChart do
    def chart(**times)
      results = Bench::Results.new
      times.each { |server, cpu_us| results.add(:hello_t1, server, { cpu_us: cpu_us }) }
      described_class.new(results, Bench::SCENARIOS.first(1)).to_svg
    end

    it "has bars of one scale, and the figures beside them" do
      drawn = %r{width="([\d.]+)" height="12" fill="[^"]+"/><text[^>]+>([^<]+)}
      bars = chart(iodine: 6.0, puma: 24.0, floor: 3.0).scan(drawn)
      expect(bars.last(3)).to eq([["61.3", "6.0 us"], ["245.0", "24.0 us"], ["30.6", "3.0 us"]])
    end

    it "cuts long bars off, and says so" do
      expect(chart(iodine: 5.0, puma: 100.0)).to include(">100 us (20.0 x)<")
    end

    it "leaves out what iodine alone has run, or has not" do
      expect(chart(iodine: 5.0)).not_to include("hello_t1")
      expect(chart(puma: 5.0, floor: 1.0)).not_to include("hello_t1")
    end
  end

  describe Bench::FrameworkLoad do
    it "finds out what a call of the application takes by itself" do
      load = described_class.new(connections: 1, request: Bench::Request.new, app_path: "bench/apps/hello.ru")
      stub_const("Bench::FrameworkLoad::SECONDS", 0.05)
      expect(load.send(:microseconds_a_call)).to be_between(0.1, 1000)
    end
  end

  describe Bench::Scenario do
    it "names an application that exists, and no name twice" do
      expect(Bench::SCENARIOS.map(&:app_path)).to all(satisfy { |path| File.exist?(path) })
      expect(Bench::SCENARIOS.map(&:name).uniq.size).to eq(Bench::SCENARIOS.size)
    end
  end

  describe Bench::CommandLine do
    {
      %w[--only hello_t1,nothing] => /nothing is none of hello_t1/,
      %w[--servers apache] => /apache is none of iodine, puma, nginx, floor/,
      %w[--rounds 0] => /0 is not a positive number/,
      %w[hello_t1] => /hello_t1/
    }.each do |arguments, message|
      it "explains why it refuses #{arguments.join(" ")}" do
        expect { expect(described_class.new(arguments.dup).run).to eq(1) }.to output(message).to_stderr
      end
    end
  end
end
