# frozen_string_literal: true

RSpec.describe "A client that does not read" do
  serve <<~RUBY, "--write-timeout", "1"
    body = "x" * 32 * 1024 * 1024
    run ->(_env) { [200, { "content-type" => "text/plain" }, [body]] }
  RUBY

  it "is closed at the write timeout, and the log says so" do
    server.connect do |peer|
      peer.write(Support::Server.get("/"))
      server.wait_for_log(/^WARNING: a peer stopped reading: its connection is closed, \d+ bytes unsent/)

      expect(peer.read_to_end.bytesize).to be < 32 * 1024 * 1024
    end
  end

  it "is served when it reads in time" do
    server.connect do |peer|
      peer.write(Support::Server.get("/"))

      expect(peer.read_response.body.bytesize).to eq(32 * 1024 * 1024)
    end
  end
end
