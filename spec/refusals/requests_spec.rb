# frozen_string_literal: true

require_relative "requests"

RSpec.describe "Requests over raw sockets" do
  before(:all) do
    @folder = Dir.mktmpdir("iodine-refusals")
    @server = Support::Server.script("recorder.rb", "#{@folder}/http.sock", listeners: 2)
  end

  after(:all) do
    @server&.stop
    FileUtils.rm_rf(@folder)
  end

  before { @log_before = server.log.size }

  # What a peer sends is its own fault: the log stays free of errors, backtraces and panics.
  after { expect(server.log[@log_before..]).not_to match(/ERROR|FATAL|panicked|\.rb:\d+/) }

  attr_reader :server

  # What the application was asked since the last look.
  def seen = server.get("/seen").body.split("\n")

  # What came back on one connection: the responses, and whether it ended after them.
  answers = Struct.new(:responses, :ended)

  # Sends +parts+, each after the server has read the one before, and reads +count+ responses.
  define_method(:exchange) do |parts, count, **where|
    server.connect(**where) do |peer|
      parts.each_with_index do |part, index|
        peer.wait_until_read if index.positive?
        peer.offer(part)
      end
      responses = Array.new(count) { peer.read_response }
      answers.new(responses, peer.eof?)
    end
  end

  # Every cut in two of a short request; of a long one the cuts near its ends and some between.
  def cuts(bytes)
    offsets = (1...bytes.bytesize)
    edge = bytes.bytesize > 65_536 ? 60 : 150
    if bytes.bytesize > 600
      offsets = [*offsets.first(edge), *offsets.step(bytes.bytesize / 24), *offsets.last(edge)].uniq
    end
    offsets.map { |offset| [offset, [bytes.byteslice(0, offset), bytes.byteslice(offset..)]] }
  end

  # Calls the block with every cut, several at the same time, and returns its values by offset.
  def each_cut(bytes, &block)
    queue = cuts(bytes).each_with_object(Queue.new) { |cut, all| all << cut }.close
    together(4) do
      results = {}
      while (offset, parts = queue.pop)
        results[offset] = block.call(parts)
      end
      results
    end.reduce(:merge)
  end

  Refusals::REFUSED.each do |name, status, request|
    describe name do
      bytes = request.b + Refusals::SMUGGLED

      it "is refused" do
        refusal = exchange([bytes], 1)

        expect(refusal.responses[0].status).to eq(status)
        expect(refusal.responses[0]["connection"]).to eq("close")
        expect(refusal.ended).to be(true), "the connection stays open"
        expect(seen).to be_empty
      end

      it "is refused after a good request" do
        both = exchange([Support::Server.get("/first").b + bytes], 2)

        expect(both.responses[0].body).to eq("GET /first 0")
        expect(both.responses[1].status).to eq(status)
        expect(both.ended).to be(true), "the connection stays open"
        expect(seen).to eq(["GET /first"])
      end

      it "is refused in the same way wherever it is cut in two packets" do
        outcomes = each_cut(bytes) do |parts|
          refusal = exchange(parts, 1, path: server.path)
          [refusal.responses[0].status, refusal.ended]
        end

        expect(outcomes.size).to eq(cuts(bytes).size)
        expect(outcomes.reject { |_, outcome| outcome == [status, true] }).to be_empty
        expect(seen).to be_empty
      end
    end
  end

  # The second request here asks to close, so that the end of the connection tells that there was no third.
  last = Refusals::SMUGGLED.sub("\r\n\r\n", "\r\nConnection: close\r\n\r\n")

  Refusals::ACCEPTED.each do |name, body, request|
    describe name do
      bytes = request.b + last
      bodies = [body, "GET /smuggled 0"]

      it "is accepted" do
        both = exchange([bytes], 2)

        expect(both.responses.map(&:status)).to eq([200, 200])
        expect(both.responses.map(&:body)).to eq(bodies)
        expect(both.ended).to be(true), "something came after two responses"
        expect(seen.size).to eq(2)
      end

      it "is accepted wherever it is cut in two packets" do
        outcomes = each_cut(bytes) do |parts|
          exchange(parts, 2, path: server.path).responses.map(&:body)
        end

        expect(outcomes.reject { |_, outcome| outcome == bodies }).to be_empty
        expect(seen.size).to eq(2 * outcomes.size)
      end
    end
  end
end
