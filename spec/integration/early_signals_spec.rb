# frozen_string_literal: true

# Signals before there is a server that handles them: to the command, from its first line on.
RSpec.describe "A signal during the start" do
  around do |example|
    Dir.mktmpdir("iodine-early") do |folder|
      @folder = folder
      example.run
    end
  end

  after { @process&.kill_group }

  attr_reader :folder, :process

  # Runs the command. +before+ is Ruby code that comes before its first line.
  def start(*flags, before: "", app: "run ->(_env) { [200, {}, ['it serves']] }")
    File.write("#{folder}/before.rb", before)
    File.write("#{folder}/app.ru", app)
    @process = Support::ChildProcess.new(RbConfig.ruby, "-I#{Support::ROOT}/lib", "-r#{folder}/before.rb",
                                         "#{Support::ROOT}/exe/iodine", "-t", "1", *flags, "#{folder}/app.ru")
  end

  # Ruby code for the first process that runs +action+ before each line of iodine, of which it knows the number.
  def each_line(action)
    <<~RUBY
      line, first = 0, Process.pid
      TracePoint.new(:line) do |at|
        next unless at.path.start_with?("#{Support::ROOT}") && Process.pid == first

        line += 1
        #{action}
      end.enable
    RUBY
  end

  # The lines that are run until the server listens, and until it has announced itself.
  def milestones(*flags)
    start(*flags, before: each_line('$stderr.write("line #{line}\n")')) # rubocop:disable Lint/InterpolationCheck
    log = process.wait_for_log(/\A.*Listening on.*Press \^C/m)[0]
    process.stop
    [log[/.*Listening on/m], log].map { |text| text.scan(/^line (\d+)$/).last[0].to_i }
  end

  # Numbers from 1 to +last+: many of what follows +listening+, and some before.
  def chosen(listening, last)
    (1..listening).step(listening / 8).to_a | (listening..last).step([(last - listening) / 12, 1].max).to_a
  end

  # What is wrong with the end of the command when the signal comes before that line.
  def mistakes(signal, line, *flags, socket)
    start(*flags, socket, before: each_line("Process.kill('#{signal}', first) if line == #{line}"))
    status = process.wait
    [("ended by #{status}" unless status.exitstatus&.zero?),
     process.log.text[/.*(?:Interrupt|SignalException).*|^\s+from .*/],
     ("the socket is left" if File.exist?(socket))].compact
  ensure
    process.kill_group
  end

  [1, 2].each do |workers|
    it "that tells to stop ends the command in order, before whatever line it comes, -w #{workers}" do
      flags = ["-w", workers.to_s, "-b", "#{folder}/socket"]
      signals = %w[INT TERM QUIT].cycle
      found = chosen(*milestones(*flags)).to_h { |line| [line, mistakes(signals.next, line, *flags)] }

      expect(found.size).to be > 12
      expect(found.reject { |_, mistakes| mistakes.empty? }).to be_empty
    end

    it "that the server knows is kept for it, -w #{workers}" do
      start("-w", workers.to_s, "-b", "#{folder}/socket", app: <<~RUBY)
        %w[HUP USR1 TTIN TTOU].each { |signal| Process.kill(signal, Process.pid) }
        Iodine::Base::Reload.add("the weather") { warn "read again" }
        run ->(_env) { [200, {}, []] }
      RUBY

      process.wait_for_log(workers > 1 ? /Restarting workers/ : /Press \^C/)
      process.wait_for_log(/read again/)
      expect(process.stop).to be_success
    end
  end

  it "that the server knows reaches the handler that the application has set before" do
    start("-w", "1", "-b", "#{folder}/socket", app: <<~RUBY)
      trap("USR1") { warn "the application's" }
      run ->(_env) { [200, {}, []] }
    RUBY
    process.wait_for_log(/Press \^C/)
    process.kill("USR1")

    process.wait_for_log(/the application's/)
  end

  it "that the server would have kept is not kept from a process that the application has forked" do
    start("-w", "1", "-b", "#{folder}/socket", app: <<~RUBY)
      reader, writer = IO.pipe
      pid = fork do
        writer.puts
        sleep
      end
      reader.gets
      Process.kill("HUP", pid)
      warn "ended by \#{Process.wait2(pid).last.termsig}"
      run ->(_env) { [200, {}, []] }
    RUBY

    process.wait_for_log(/ended by 1$/)
  end
end
