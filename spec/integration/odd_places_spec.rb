# frozen_string_literal: true

# The server's objects and methods where nobody expects them: copied, frozen, made by hand, in finalizers, fibers,
# handlers of signals, and Ractors.
RSpec.describe "Objects of the server in odd places" do
  include Support::RemoteRuby

  serve "pubsub.ru", threads: 2

  # What the server's Ruby returns.
  {
    "Iodine::Connection.allocate.write('x')" => "false",
    "Iodine::Connection.allocate.then { |c| [c.open?, c.pending, c.protocol, c.env, c.handler, c.close] }" =>
      "[false, -1, nil, nil, nil, nil]",
    "Iodine::Connection.new.then { |c| [c.subscribe('x'), c.unsubscribe('x'), c.handler = 7, c.timeout = 5] }" =>
      "[nil, nil, 7, 5]",
    "Class.new(Iodine::Connection).new.write('x')" => "false",
    "Iodine::Connection.instance_method(:write).bind_call(Object.new, 'x')" => "TypeError",
    "[client.dup.open?, client.clone.write('x'), client.dup.handler, client.open?]" => "[false, false, nil, true]",
    "Marshal.dump(client)" => "TypeError",
    "client.freeze.open?" => "true",
    "Ractor.make_shareable(client)" => "Ractor::Error",
    "Ractor.new { begin Iodine::Base.send(:native_verbosity=, 4) rescue $!.class end }.take" => "Ractor::UnsafeError",
    "%w[Call RackIO Stream Roots].map { |name| Iodine::Base.const_get(name).allocate rescue $!.class }.uniq" =>
      "[TypeError]",
    "ObjectSpace.each_object(Iodine::Connection) { |c| [c.env, c.handler, c.pending] }.class" => "Integer"
  }.each do |source, answer|
    it "do what they can: #{source}" do
      remote { |socket| expect(ask(socket, source)).to eq(answer) }
    end
  end

  it "may be used by finalizers" do
    remote do |socket|
      socket.text(<<~RUBY)
        200.times do
          ObjectSpace.define_finalizer(Object.new, proc { client.env; client.write("final"); Iodine.publish("x", "y") })
        end
        :silent
      RUBY
      socket.text("GC.start; :silent")
      expect(Array.new(100) { socket.read_message }.uniq).to eq(["final"])
    end
  end

  it "may be used by a fiber that is not resumed" do
    remote do |socket|
      socket.text("Fiber.new { client.write('from a fiber'); Fiber.yield; client.close }.resume; GC.start; :silent")
      expect(socket.read_message).to eq("from a fiber")
      expect(ask(socket, "client.open?")).to eq("true")
    end
  end

  { "write" => "client.write('queued')", "publish" => "Iodine.publish('trap', 'queued')",
    "run" => "Iodine.run { client.write('queued') }", "run_after" => "Iodine.run_after(1) { client.write('queued') }",
    "run_every" => "Iodine.run_every(1, 1) { client.write('queued') }",
    "on_idle" => "Iodine.on_idle {}; client.write('queued')" }.each do |name, source|
    it "may be used by a handler of a signal: #{name}" do
      remote do |socket|
        ask(socket, "client.subscribe('trap')")
        socket.text("trap('USR2') { #{source} }; Process.kill('USR2', Process.pid); :silent")
        expect(socket.read_message).to eq("queued")
      end
    end
  end

  it "are of no use when the server has stopped, and do no harm" do
    process = Support::ChildProcess.run_ruby(<<~'RUBY')
      require "iodine"
      clients = []
      at_exit do
        puts clients.map { |client| [client.write("x"), client.close, client.env, client.subscribe("x")] }.inspect
        puts [Iodine.publish("x", "y"), Iodine.run { puts "never" }.class, Iodine.run_after(1) { puts "never" }.class].inspect
        3.times { GC.start }
      end
      handler = Object.new
      handler.define_singleton_method(:on_open) { |client| clients << client.tap { Iodine.stop } }
      ours, theirs = UNIXSocket.pair
      Iodine.workers = 1
      Iodine.on_state(:on_start) { Iodine.attach_fd(ours.fileno, handler) }
      Iodine.start
    RUBY
    expect(process.out.text).to eq("[[false, nil, nil, nil]]\n[true, Proc, Proc]\n")
    expect(process.wait).to be_success
  end
end
