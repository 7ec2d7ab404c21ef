# frozen_string_literal: true

# Things that applications should not do, and that once hurt more than their own request.
RSpec.describe "A server with a careless application" do
  app = <<~'RUBY'
    kept = {}
    ended = []
    fifo = File.join(Dir.mktmpdir, "fifo")
    File.mkfifo(fifo)
    piece = Struct.new(:path) do
      def to_path = path
      def each = yield("read by each")
    end
    body = Class.new do
      define_method(:each) { |&block| kept[:block] = block; block.call("x") }
    end
    closing = Class.new do
      def each = yield("y")
      def close = Thread.current.kill
    end
    require "tmpdir"
    run(lambda do |env|
      case env["PATH_INFO"]
      when "/keep" then kept[:env] = env; [200, {}, ["kept"]]
      when "/late-hijack"
        [200, {}, [begin; kept[:env]["rack.hijack"].call; rescue IOError => e; e.message; end]]
      when "/block" then [200, {}, body.new]
      when "/late-block"
        GC.start
        [200, {}, [begin; kept[:block].call("late"); rescue RuntimeError => e; e.message; end]]
      when "/fifo" then [200, {}, piece.new(fifo)]
      when "/kill-in-close" then [200, {}, closing.new]
      when "/kill-when-finished"
        env["rack.response_finished"] << ->(*) { ended << "called too" } << ->(*) { Thread.current.kill }
        [200, {}, ["y"]]
      when "/ended" then [200, {}, [ended.uniq.inspect]]
      when "/thread" then [200, {}, [Thread.current.object_id.to_s]]
      when "/raise" then raise "as usual"
      when "/read-later"
        [200, {}, lambda do |stream|
          Thread.new do
            10.times { GC.start; Array.new(20_000) { "x" * 30 } }
            stream.write(stream.read)
            stream.close
          end
        end]
      else [200, {}, ["fine"]]
      end
    end)
  RUBY

  serve "require 'tmpdir'\n#{app}", threads: 1

  after { expect(server.get("/fine").body).to eq("fine") }

  it "refuses to hijack a request that is over" do
    server.get("/keep")
    expect(server.get("/late-hijack").body).to match(/the request is over/)
  end

  it "refuses a block of each that is called later" do
    expect(server.get("/block").body).to eq("x")
    expect(server.get("/late-block").body).to match(/after each had returned/)
  end

  it "reads no named pipe" do
    expect(server.get("/fifo").body).to eq("read by each")
  end

  %w[/kill-in-close /kill-when-finished].each do |path|
    it "answers, and then ends the thread as #{path.delete("/").tr("-", " ")} says" do
      thread = server.get("/thread").body
      server.connect do |peer|
        peer.write(Support::Server.get(path) + Support::Server.get("/raise") + Support::Server.get("/thread"))
        expect(peer.read_response.body).to eq("y")
        expect(peer.read_response.status).to eq(500)
        expect(peer.read_response.body).not_to eq(thread)
      end
    end
  end

  it "calls the other callbacks of a response when one has killed the thread" do
    server.get("/kill-when-finished")
    expect(server.get("/ended").body).to eq('["called too"]')
  end

  it "keeps the input of a stream that another thread reads" do
    expect(server.request(Support::Server.post("/read-later", "a body")).body).to eq("a body")
  end
end
