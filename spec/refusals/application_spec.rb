# frozen_string_literal: true

RSpec.describe "Applications that break the Rack contract" do
  serve "misbehaving.ru", threads: 2

  # The response to one request, and the bytes that follow it until the connection ends.
  def ask(path)
    server.connect do |peer|
      peer.write(Support::Server.get(path, "Connection: close"))
      [peer.read_response, peer.read_to_end]
    end
  end

  # The first chunk of the body and all that came after it.
  def read_one_chunk(path)
    server.connect do |peer|
      peer.write(Support::Server.get(path))
      head = peer.read_head
      expect(head.status).to eq(200)
      [peer.read_chunk, peer.read_to_end]
    end
  end

  # How often the endless body was closed.
  def closings = server.log.scan("closed endless").size

  after { expect(server.get("/fine").body).to eq("fine") }

  %w[
    /value-cr /value-crlf /value-crlfcrlf /value-nul /value-array-cr
    /name-cr /name-lf /name-crlf /name-nul /name-colon /name-space /name-empty
    /length-letters /length-negative
    /status-nil /status-text /status-half /status-crlf /status-float /status-symbol
    /status-small /status-large /status-huge
    /answer-nil /answer-text /answer-short /answer-headers /answer-body
    /raises /raises-first
  ].each do |path|
    it "answers 500 to #{path.delete("/")} and logs an error" do
      errors = server.log.scan("ERROR").size
      response, rest = ask(path)

      expect(response.status).to eq(500)
      expect(response.names).not_to include("evil", "x-a")
      expect(response.body).not_to include("body")
      expect(rest).to eq("")
      wait_until("an error in the log") { server.log.scan("ERROR").size > errors }
    end
  end

  %w[/value-lf /value-array-lf].each do |path|
    it "starts no field of another name by #{path.delete("/")}" do
      response, rest = ask(path)

      expect(response.names).not_to include("evil")
      expect(rest).to eq("")
    end
  end

  it "logs class, message and backtrace of an exception" do
    ask("/raises")

    server.wait_for_log(/ERROR.*ArgumentError.*raised on purpose|ERROR.*raised on purpose.*ArgumentError/m)
    server.wait_for_log(/misbehaving\.ru:\d+/)
  end

  it "keeps the connection after an answer of 500" do
    server.connect do |peer|
      peer.write(Support::Server.get("/raises") + Support::Server.get("/fine"))

      expect(Array.new(2) { peer.read_response.status }).to eq([500, 200])
    end
  end

  it "does not complete a body that raises halfway, and closes body and connection" do
    first, rest = read_one_chunk("/raises-halfway")

    expect(first + rest).to include("one")
    expect(rest).not_to match(/^0\r\n/)
    server.wait_for_log(/raised halfway/)
    server.wait_for_log(/closed halfway/)
  end

  it "does not complete a streaming body that raises" do
    first, rest = read_one_chunk("/raises-stream")

    expect(first).to eq("one")
    expect(rest).not_to match(/^0\r\n/)
    server.wait_for_log(/raised while streaming/)
  end

  it "does not fill up a body of known length that raises" do
    server.connect do |peer|
      peer.write(Support::Server.get("/raises-short"))

      expect(peer.read_head["content-length"]).to eq("10")
      expect(peer.read_to_end).to eq("one")
    end
    server.wait_for_log(/closed short/)
  end

  it "does not fill up a body shorter than its content-length, and closes the connection" do
    server.connect do |peer|
      peer.write(Support::Server.get("/too-short"))

      expect(peer.read_head["content-length"]).to eq("10")
      expect(peer.read_to_end).to eq("body")
    end
    server.wait_for_log(/closed missing/)
  end

  it "never sends what exceeds the content-length" do
    expect(ask("/too-long").map { |part| part.is_a?(String) ? part : part.body }).to eq(["body", ""])
  end

  it "cuts a String at its content-length, or corrects the length" do
    response, rest = ask("/too-long-text")

    expect([4, 4 + "HTTP/1.1 200 OK\r\n\r\n".size]).to include(response.body.size)
    expect(rest).to eq("")
  end

  it "closes the body when the client goes away in the middle of it" do
    closed = closings
    server.connect do |peer|
      peer.write(Support::Server.get("/endless"))
      peer.read_head
      expect(peer.read_chunk).to start_with("one")
    end

    wait_until("close of the body") { closings == closed + 1 }
  end

  it "closes the body when the client has gone before it began" do
    closed = closings
    server.connect do |peer|
      peer.write(Support::Server.get("/gate"))
      server.wait_for_log(/at the gate/)
    end
    server.get("/open")

    wait_until("close of the body") { closings == closed + 1 }
  end
end
