# frozen_string_literal: true

# The server remembers field lines that applications send often, by the objects that they are made of. Each answer has
# to be the same at whatever time it comes.
RSpec.describe "Response headers that come again" do
  # Path, status, and the values of x-same.
  answers = [
    ["/one", 200, %w[one]], ["/two", 200, %w[two]], ["/both", 200, %w[one two]], ["/array", 200, %w[one two]],
    ["/number", 200, %w[1]], ["/nothing", 200, []], ["/upper", 200, %w[one]], ["/length", 200, []],
    ["/other-length", 200, []], ["/no-length", 500, []], ["/bad-name", 500, []], ["/bad-value", 500, []],
    ["/internal", 200, %w[one]], ["/dated", 200, []], ["/many", 200, []]
  ].freeze

  def check(path, status, values)
    response = server.get(path)
    expect([path, response.status, response.all("x-same")]).to eq([path, status, values])
    response
  end

  describe "in their many forms" do
    serve "fields.ru"

    answers.each do |path, status, values|
      it "are what they were, for #{path}" do
        5.times { check(path, status, values) }
      end
    end

    it "are told apart, in any order" do
      order = answers.reject { |path,| path == "/other-length" } * 4
      order.shuffle(random: Random.new(1)).each { |answer| check(*answer) }
    end

    it "follow a String that is changed in its place" do
      numbers = Array.new(6) { server.get("/same-object")["x-same"].to_i }
      expect(numbers.each_cons(2).map { |one, next_one| next_one - one }).to all(eq 1)
    end

    it "survive a collector that moves objects" do
      3.times do
        answers.first(4).each { |answer| 3.times { check(*answer) } }
        server.get("/compact")
      end
    end

    it "close the connection each time, when they say so" do
      5.times do
        server.connect do |peer|
          peer.write(Support::Server.get("/closing"))
          expect(peer.read_response["connection"]).to eq("close")
          expect(peer).to be_eof
        end
      end
    end

    it "have one date, and one length" do
      4.times do
        expect(server.get("/dated")["date"]).to eq("Thu, 01 Jan 1970 00:00:00 GMT")
        expect(server.get("/length")["content-length"]).to eq("4")
      end
    end

    it "leave out what is for the server" do
      4.times { expect(server.get("/internal").names.grep(/rack/)).to be_empty }
    end
  end

  describe "while the collector runs all the time" do
    serve "fields.ru", env: { "STRESS" => "1" }

    it "are what they were" do
      answers.first(5).each { |answer| 3.times { check(*answer) } }
    end
  end

  describe "in an environment that outlives its request" do
    serve "fields.ru", threads: 2

    it "neither hijack a later request of the connection, nor write into it" do
      server.connect do |peer|
        peer.write(Support::Server.get("/keep") * 3)
        3.times { expect(peer.read_response.body).to eq("done") }
        peer.write(Support::Server.get("/hijack-late"))
        expect(peer.read_response.body).to eq("the request is over: it cannot be hijacked")
        peer.write(Support::Server.get("/hint-late"))
        expect(peer.read_response.status).to eq(200)
      end
    end

    it "can be hijacked by another thread of the application" do
      server.connect do |peer|
        peer.write(Support::Server.get("/hijack-elsewhere"))
        expect(peer.read_to_end).to eq("taken by another thread")
      end
    end
  end
end
