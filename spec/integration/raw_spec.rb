# frozen_string_literal: true

RSpec.describe "Raw connections" do
  names = %i[echo lobby orderly pinged raising silent refusing failing small]
  greeting = "open raw nil 0 true\n"

  serving { Support::Server.script("raw.rb", listeners: names.size + 1) }

  # Opens a connection to the listener of this name.
  define_method(:open_raw) do |name = :echo, &block|
    server.connect(port: server.ports.fetch(names.index(name)), &block)
  end

  # Opens one to the echo server, reads its greeting and sends it a line.
  def tell(line, &block)
    open_raw do |peer|
      peer.read(greeting.bytesize)
      peer.write("#{line}\n")
      block.call(peer)
    end
  end
  define_method(:greeting) { greeting }

  def alive? = tell("still there") { |peer| peer.read(12) } == "still there\n"

  describe "a listener" do
    it "calls its handler once a connection, and what that returns is called back" do
      open_raw do |peer|
        expect(peer.read(greeting.bytesize)).to eq(greeting)
        peer.write("hello\0\xff".b)
        expect(peer.read(7)).to eq("hello\0\xff".b)
      end
    end

    it "serves a Unix socket" do
      server.connect(path: server.path) do |peer|
        peer.write("bye")
        expect(peer.read_to_end).to eq("#{greeting}bye\n")
      end
    end

    it "closes the connection without a handler" do
      open_raw(:refusing) { |peer| expect(peer.read_to_end).to eq("") }
    end

    it "closes the connection when the handler raises, and says so" do
      open_raw(:failing) { |peer| expect(peer.read_to_end).to eq("") }
      server.wait_for_log(/the handler of a raw listener raised.*no handler on purpose/)
    end

    it "serves handlers without callbacks" do
      open_raw(:silent) { |peer| expect(peer.write("nobody cares").eof?).to be(true) }
    end
  end

  describe "the data" do
    it "is binary and not frozen" do
      tell("encoding") { |peer| expect(peer.read(17)).to eq("ASCII-8BIT false\n") }
    end

    it "of any size comes back whole" do
      data = Random.new(7).bytes(3_000_000)
      open_raw do |peer|
        sender = Thread.new { peer.write(data) }
        peer.read(greeting.bytesize)
        expect(peer.read(data.bytesize)).to eq(data)
        sender.join
      end
    end

    it "of a peer that closes its side is answered before the end" do
      open_raw do |peer|
        peer.write("last words").close_write
        expect(peer.read_to_end).to eq("#{greeting}last words")
      end
    end

    it "is what to_s returns for other objects, with a warning" do
      tell("seven") { |peer| expect(peer.read(1)).to eq("7") }
      server.wait_for_log(/WARNING: .*to_s/)
    end

    it "of threads is not mixed up, and in the order of each" do
      tell("threads") do |peer|
        writes = Array.new(200) { peer.read(4).then { |text| text.end_with?(";") ? text : text + peer.read(1) } }
        numbers = writes.map { |text| text.delete(";").split(":").map(&:to_i) }
        expect(numbers.group_by(&:first).transform_values { |of_one| of_one.map(&:last) })
          .to eq((0..3).to_h { |thread| [thread, [*0..49]] })
      end
    end

    it "takes no fields of events" do
      tell("event") do |peer|
        # What is written at once may come together with it.
        server.wait_for_log(/ArgumentError.*event streams/)
        peer.write("still there")
        expect(peer.read(11)).to eq("still there")
      end
    end
  end

  describe "callbacks" do
    it "come in order and apart" do
      open_raw(:orderly) do |peer|
        sent = ("a".."z").to_a * 4
        sent.each { |letter| peer.write(letter) }
        peer.close_write
        expect(peer.read_to_end).to match(/\Aom+\z/)
        server.wait_for_log(/^orderly open#{sent.join}close$/)
      end
    end

    it "may raise whatever they like" do
      open_raw(:raising) do |peer|
        peer.write("x")
        server.wait_for_log(/on_message on purpose/)
        peer.close_write
        expect(peer.read_to_end).to eq("")
      end
      %w[on_open on_message on_drained on_close].each { |name| server.wait_for_log(/#{name} on purpose/) }
      expect(alive?).to be(true)
    end

    it "tell the end once, when the client is closed to them" do
      tell("raise") do |peer|
        server.wait_for_log(/raised on purpose/)
        peer.write("go on")
        expect(peer.read(5)).to eq("go on")
      end
      server.wait_for_log(/^closed false -1 false :raw nil nil$/)
    end
  end

  describe "#close" do
    it "lets what was written leave" do
      tell("bye") { |peer| expect(peer.read_to_end).to eq("bye\n") }
    end

    it "closes at once for who asks" do
      tell("after") { |peer| expect(peer.read_to_end).to eq("") }
      server.wait_for_log(/^after close: false -1 false nil$/)
    end

    it "does not cut off an answer because the peer still sends" do
      open_raw do |peer|
        peer.read(greeting.bytesize)
        peer.write("bye#{"more" * 100_000}")
        expect(peer.read_to_end).to start_with("bye\n")
      end
    end
  end

  describe "#handler=" do
    it "hands over to another handler" do
      open_raw(:lobby) do |peer|
        expect(peer.read(5)).to eq("name?")
        peer.write("Ada")
        expect(peer.read(11)).to eq("welcome Ada")
        peer.write("hi")
        expect(peer.read(7)).to eq("Ada: hi")
      end
      server.wait_for_log(/handler was Lobby\nlobby closed, open true\n(?m:.*)chat of Ada closed, open false/)
    end

    it "closes with nil" do
      tell("nil") { |peer| expect(peer.read_to_end).to eq("") }
    end
  end

  describe "silence" do
    it "is left alone without a timeout, and closed by one" do
      tell("timeout") { |peer| expect(peer.read_to_end(within: 5)).to eq("") }
    end

    it "asks for a ping where there is one" do
      open_raw(:pinged) { |peer| expect(peer.read(10, within: 8)).to eq("ping\nping\n") }
    end
  end

  describe "a peer that does not read" do
    it "is closed at the bound" do
      open_raw(:small) do |peer|
        peer.write("flood")
        server.wait_for_log(/WARNING: a client reads too slowly/)
      end
    end

    it "does not hold up others" do
      open_raw { |peer| peer.write("flood") && expect(alive?).to(be(true)) }
    end
  end

  it "survives a thousand peers that vanish at once" do
    peers = Array.new(1000) { TCPSocket.new("127.0.0.1", server.port) }
    peers.each { |peer| peer.setsockopt(Socket::SOL_SOCKET, Socket::SO_LINGER, [1, 0].pack("ii")) }.each(&:close)
    expect(alive?).to be(true)
  end
end

RSpec.describe "Raw connections of a server that stops" do
  it "are told, may write and are closed" do
    server = Support::Server.script(<<~RUBY)
      require "iodine"
      handler = Class.new do
        def on_open(client) = client.write("open ")
        def on_shutdown(client) = client.write("shutdown \#{client.open?}")
        def on_close(_client) = warn("closed")
      end
      Iodine.listen(service: :tcp, address: "127.0.0.1", port: 0) { handler.new }
      Iodine.start
    RUBY
    server.connect do |peer|
      expect(peer.read(5)).to eq("open ")
      server.kill("INT")
      expect(peer.read_to_end).to eq("shutdown true")
    end
    expect(server.wait).to be_success
    expect(server.log).to include("closed\n")
  ensure
    server&.stop
  end
end

RSpec.describe "Iodine.listen" do
  {
    "service: nil" => "service: nil, port: 0", "service: :raw" => "service: :raw, port: 0",
    "service: 'unix'" => "service: 'unix', port: 0", "an unknown service" => "service: 'xyz', port: 0",
    "a raw URL" => "url: 'raw://127.0.0.1:0'", "a tcp URL" => "url: 'tcp://127.0.0.1:0'",
    "a path" => "url: './raw.sock'"
  }.each do |name, options|
    it "is raw with #{name}" do
      server = Support::Server.script(<<~RUBY)
        require "iodine"
        module Hi
          def self.on_open(client) = client.write("hi") && client.close
        end
        p Iodine.listen(address: "127.0.0.1", #{options}) { Hi }.class
        Iodine.start
      RUBY
      path = server.paths.first && File.expand_path(server.paths.first, server.process.tmpdir)
      server.connect(path: path) { |peer| expect(peer.read_to_end).to eq("hi") }
      expect(server.process.out.text).to eq("Proc\n")
    ensure
      server&.stop
    end
  end

  it "raises without a handler that can be called" do
    process = Support::ChildProcess.run_ruby(<<~RUBY)
      require "iodine"
      begin Iodine.listen(service: :raw, port: 0, handler: Object) rescue puts("\#{$!.class} \#{$!.message}") end
      begin Iodine.listen(service: :raw, port: 0) rescue puts("\#{$!.class} \#{$!.message}") end
    RUBY
    expect(process.out.lines)
      .to match([/ArgumentError the handler of raw connections must have a method call/, /ArgumentError a :handler/])
  end
end
