# frozen_string_literal: true

RSpec.describe "Rack extensions and failures" do
  get = Support::Server.method(:get)

  serve "protocol.ru"

  after { expect(server.get("/fine").body).to eq("fine") }

  describe "rack.hijack" do
    it "gives the connection, with the bytes that came after the head" do
      server.connect do |peer|
        peer.write("#{get["/hijack"]}ping\n")
        first = "same true, read ping\n"

        expect(peer.read(first.size)).to eq(first)
        peer.write("pong\n")
        expect(peer.read_to_end).to eq("then pong\n")
      end
    end

    it "gives the connection when nothing came after the head" do
      server.connect do |peer|
        peer.write(get["/hijack"])
        peer.write("late\nlater\n")

        expect(peer.read_to_end).to eq("same true, read late\nthen later\n")
      end
    end

    it "can be interrupted while a peer does not read what was written before" do
      server.connect do |peer|
        peer.write(get["/large"] + get["/impatient"])
        server.wait_for_log(/^hijack interrupted$/)
      end
    end

    it "as a response field gets the connection after the head" do
      server.connect do |peer|
        peer.write(get["/partial"])
        head = peer.read_head

        expect([head.status, head["x-partial"]]).to eq([200, "yes"])
        expect(head.names).not_to include("rack.hijack", "content-length", "transfer-encoding")
        expect(peer.read_to_end).to eq("written raw, closed by the application")
      end
    end
  end

  describe "rack.early_hints" do
    it "sends interim responses at once" do
      server.connect do |peer|
        peer.write(get["/hints"])
        hints = []
        head = peer.read_head
        while head.status == 103
          hints.concat(head.all("link"))
          head = peer.read_head
        end

        expect(hints).to eq(["</a.css>; rel=preload", "</b.js>; rel=preload", "</c.js>; rel=preload"])
        expect(head.status).to eq(200)
      end
    end

    it "sends nothing to HTTP/1.0, which knows no interim response" do
      server.connect do |peer|
        peer.write("GET /hints HTTP/1.0\r\n\r\n")

        expect(peer.read_head.status).to eq(200)
      end
    end
  end

  describe "rack.response_finished" do
    it "calls back in reverse order with the response" do
      server.get("/finished")

      facts = "/finished 200 true NilClass"
      server.wait_for_log(/finished second: #{facts}.*finished first: #{facts}/m)
    end

    it "calls back with the exception of the application" do
      expect(server.get("/finished-error").status).to eq(500)

      server.wait_for_log(%r{finished second: /finished-error .* RuntimeError raised in the app$})
    end

    it "calls back with the exception of the body" do
      server.connect do |peer|
        peer.write(get["/finished-body"])
        peer.read_to_end
      end

      server.wait_for_log(%r{finished second: /finished-body .* RuntimeError raised in the body$})
    end

    it "goes on after a callback that raises" do
      expect(server.get("/finished-raises").body).to eq("body")

      server.wait_for_log(/raised in a callback/)
      server.wait_for_log(/finished survivor/)
    end
  end

  it "sends rack.errors to standard error" do
    server.get("/errors")

    server.wait_for_log(/^written to rack\.errors$/)
  end

  it "logs an exception with class, message and backtrace" do
    server.get("/raise")

    server.wait_for_log(/^ERROR: .*ArgumentError: raised on purpose.*protocol\.ru:\d+/m)
  end

  # One thread serves all of these: each must come back to its pool.
  %w[/raise /exit /abort /interrupt /no-memory /deep /throw /timeout /kill].each do |path|
    it "answers 500 to #{path.delete("/")}, keeps the connection and lives on" do
      server.connect do |peer|
        2.times do
          peer.write(get[path] + get["/fine"])

          expect(peer.read_response.status).to eq(500)
          expect(peer.read_response.body).to eq("fine")
        end
      end
      expect(server.process).to be_alive
    end
  end

  it "lets Timeout work inside the application" do
    expect(server.get("/timeout-rescued").body).to eq("timed out")
  end
end
