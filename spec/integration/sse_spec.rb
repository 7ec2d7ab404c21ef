# frozen_string_literal: true

RSpec.describe "Server-Sent Events" do
  get = Support::Server.method(:get)
  accept = "Accept: text/event-stream"
  greeting = "data: hello\r\ndata: world\r\n\r\n" \
             "event: news\r\nid: 7\r\nretry: 1500\r\ndata: x\r\n\r\n" \
             "data: ArgumentError\r\n\r\n"

  describe "an event stream" do
    serve "realtime.ru", threads: 2

    it "is offered to who accepts it" do
      { accept => ":sse", "Accept: text/html, Text/Event-Stream;q=0.9" => ":sse", "Accept: */*" => "nil",
        "Accept: text/event" => "nil" }.each do |field, offer|
        2.times { expect(server.get("/offer", field).body).to eq(offer) }
        server.connect do |peer|
          peer.write(get["/offer", field] * 4)
          expect(Array.new(4) { peer.read_response.body }).to eq([offer] * 4)
        end
      end
    end

    it "begins with a head that nobody keeps, and the application's headers" do
      server.connect do |peer|
        peer.write(get["/events", accept, "Last-Event-ID: 6"])
        head = peer.read_head

        expect([head.status, head["content-type"], head["cache-control"]]).to eq([200, "text/event-stream", "no-cache"])
        expect([head["x-app"], head.all("set-cookie")]).to eq(["yes", ["a=1", "b=2"]])
        expect(head.names).not_to include("content-length", "transfer-encoding")
        expect(peer.read(greeting.bytesize)).to eq(greeting)
      end
      server.wait_for_log(/events sse 0 "6"/)
    end

    it "ends when the application closes it" do
      server.connect do |peer|
        peer.write(get["/events?close", accept])

        expect(peer.read_response.body).to eq(greeting)
      end
      server.wait_for_log(/events closed false false nil/)
    end

    it "serves HTTP/1.0" do
      response = server.request("GET /events?close HTTP/1.0\r\n#{accept}\r\n\r\n")

      expect([response["connection"], response.body]).to eq(["close", greeting])
    end

    it "tells when all has left" do
      server.connect do |peer|
        peer.write(get["/events", accept])

        server.wait_for_log(/events drained 0/)
      end
    end

    it "ignores what the client sends, and tells when it is gone" do
      server.connect do |peer|
        peer.write(get["/events", accept] + get["/offer"])
        peer.read_head
        peer.write("anything")

        expect(peer.read(greeting.bytesize)).to eq(greeting)
      end
      server.wait_for_log(/events closed false false nil/)
    end

    it "is kept alive by comments" do
      server.connect do |peer|
        peer.write(get["/events?ping", accept])
        peer.read_head

        expect(peer.read(greeting.bytesize)).to eq(greeting)
        expect(peer.read(20)).to eq(": ping\r\n\r\n" * 2)
      end
    end

    it "is no answer to HEAD" do
      response = server.request("HEAD /events HTTP/1.1\r\nHost: a.test\r\n#{accept}\r\n\r\n")

      expect([response.status, response["content-type"]]).to eq([200, "text/plain"])
    end
  end

  it "is told that the server stops, and can be written to" do
    server = Support::Server.rackup("realtime.ru")
    server.connect do |peer|
      peer.write(get["/events", accept])
      peer.read_head
      peer.read(greeting.bytesize)
      server.kill("INT")

      expect(peer.read_to_end).to eq("data: bye\r\n\r\n")
    end
    expect(server.wait).to be_success
    expect(server.log).to match(/events closed/)
  ensure
    server&.stop
  end
end
