# frozen_string_literal: true

RSpec.describe "A TLS handshake" do
  get = Support::Server.method(:get)
  app = 'run ->(_env) { [200, {}, ["hello"]] }'

  describe "that is not finished in time" do
    serve app, "-tls", "-tls-timeout", "1", "-keep-alive", "30"

    it "ends its connection, and no other" do
      server.connect_tls do |finished|
        silent = server.connect
        slow = server.connect
        trickle = Thread.new { client_hello.each_char { |byte| slow.write(byte) && sleep(0.05) } rescue nil } # rubocop:disable Style/RescueModifier
        expect(silent).to be_eof
        expect(slow).to be_eof
        finished.write(get["/"])
        expect(finished.read_response.body).to eq("hello")
        [silent, slow].each(&:close)
        trickle.join
      end
    end
  end

  describe "of many silent clients" do
    serve app, "-tls"

    # They say nothing, half of a hello, or a hello and nothing more.
    it "slows nobody down" do
      hello = client_hello
      said = ["", hello[0, hello.bytesize / 2], hello]
      silent = Array.new(500) { |number| server.connect.tap { |peer| peer.write(said[number % 3]) } }
      took = seconds do
        20.times do
          server.connect_tls do |peer|
            peer.write(get["/"])
            expect(peer.read_response.body).to eq("hello")
          end
        end
      end
      expect(took).to be < 5
      expect(silent.each_slice(3).flat_map { |one| one.first(2) })
        .to all(satisfy { |peer| !IO.select([peer.io], nil, nil, 0) })
    ensure
      silent&.each(&:close)
    end
  end

  describe "with a client that speaks something else" do
    serve app, "-tls"

    it "is answered plainly when that is HTTP" do
      server.connect do |peer|
        peer.write(get["/", "X: #{"y" * 5000}"])
        response = peer.read_response
        expect([response.status, response["connection"]]).to eq([400, "close"])
        expect(response.body).to include("https://")
        expect(peer).to be_eof
      end
    end

    it "ends by an alert when that is nothing" do
      ["\x00" * 100, "\xff\xff\xff\xff\xff", "\x16\x03\x01\xff\xff#{"x" * 100}",
       "\x17\x03\x03\x00\x10#{"x" * 16}"].each do |garbage|
        server.connect do |peer|
          peer.write(garbage)
          expect(peer.read(2).unpack("CC")).to eq([0x15, 3])
          peer.read_to_end
        end
      end
    end

    it "ends without a word when the client leaves" do
      hello = client_hello
      [1, 5, 100, hello.bytesize - 1].each do |length|
        server.connect do |peer|
          peer.write(hello[0, length])
          peer.close_write
          expect(peer).to be_eof
        end
      end
    end
  end

  it "is refused with a TLS client on a plain port" do
    server = Support::Server.rackup(app)
    server.connect do |peer|
      peer.write(client_hello)
      expect(peer.read_response.status).to eq(400)
    end
  ensure
    server&.stop
  end

  # What a client says first.
  def client_hello
    ours, theirs = UNIXSocket.pair
    tls = OpenSSL::SSL::SSLSocket.new(ours, OpenSSL::SSL::SSLContext.new)
    tls.connect_nonblock(exception: false)
    theirs.readpartial(10_000)
  ensure
    [ours, theirs].each(&:close)
  end
end
