# frozen_string_literal: true

RSpec.describe "Streamed bodies" do
  serve "streaming.ru", threads: 2

  get = Support::Server.method(:get)

  %w[/each /call].each do |path|
    it "of #{path.delete("/")} go out as they are produced" do
      server.connect do |peer|
        peer.write(get[path])

        expect(peer.read_head["transfer-encoding"]).to eq("chunked")
        expect(peer.read_chunk).to eq("before")
        server.get("/release")
        expect([peer.read_chunk, peer.read_chunk]).to eq(["after", nil])
      end
    end

    it "of #{path.delete("/")} go out as they are produced, to HTTP/1.0 too" do
      server.connect do |peer|
        peer.write("GET #{path} HTTP/1.0\r\n\r\n")
        peer.read_head

        expect(peer.read(6)).to eq("before")
        server.get("/release")
        expect(peer.read_to_end).to eq("after")
      end
    end
  end

  describe "to a reader that does not read" do
    part = 65_536
    # 200 MB
    parts = 200_000_000 / part
    mebibyte = 1024 * 1024

    def produced = server.get("/produced").body.to_i

    # What the producer stands at when it does not go on any more.
    def stalled
      latest = []
      wait_until("a producer that waits", within: 30, every: 0.05) do
        latest = [produced, *latest.first(7)]
        latest.size == 8 && latest.uniq.size == 1 && latest[0].positive?
      end
      latest[0]
    end

    it "make the producer wait, take bounded memory, and arrive whole when read" do
      server.get("/")
      memory = server.process.resident_memory
      server.connect do |peer|
        peer.write(get["/flood?#{parts}"])
        peer.read_head

        expect(stalled).to be < 64 * mebibyte
        expect(server.process.resident_memory - memory).to be < 64 * mebibyte
        total = 0
        while (chunk = peer.read_chunk)
          total += chunk.bytesize
        end
        expect(total).to eq(parts * part)
        expect(server.process.resident_memory - memory).to be < 96 * mebibyte
      end
    end

    it "let the thread go when the reader goes away" do
      server.connect do |peer|
        peer.write(get["/flood?#{parts}"])
        peer.read_head
        stalled
      end

      server.wait_for_log(/closed a streamed body/)
      # Both threads are free again.
      expect(server.connect do |peer|
        peer.write(get["/each"])
        peer.read_head
        peer.read_chunk
        server.get("/release")
        peer.read_chunk
      end).to eq("after")
    end
  end
end
