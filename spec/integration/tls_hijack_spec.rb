# frozen_string_literal: true

RSpec.describe "rack.hijack over TLS" do
  get = Support::Server.method(:get)
  app = <<~RUBY
    run(lambda do |env|
      case env["PATH_INFO"]
      when "/echo"
        io = env["rack.hijack"].call
        Thread.new do
          io.write("HTTP/1.1 200 OK\\r\\n\\r\\n")
          loop { io.write(io.readpartial(65_536).upcase) }
        rescue EOFError
          io.write("<end>")
          io.close
        end
        [200, {}, []]
      when "/large"
        io = env["rack.hijack"].call
        Thread.new { io.write("HTTP/1.1 200 OK\\r\\nconnection: close\\r\\n\\r\\n" + "x" * 5_000_000) and io.close }
        [200, {}, []]
      when "/silent"
        io = env["rack.hijack"].call
        io.write("HTTP/1.1 200 OK\\r\\n\\r\\n")
        (IOS ||= []) << io
        [200, {}, []]
      when "/partial"
        [200, { "rack.hijack" => ->(io) { io.write("partial") and io.close } }, []]
      else [200, {}, ["plain"]]
      end
    end)
  RUBY
  serve app, "-tls", threads: 2

  it "gives a socket whose other end is the client" do
    server.connect_tls do |peer|
      peer.write("#{get["/echo"]}early")
      expect(peer.read_head.status).to eq(200)
      expect(peer.read(5)).to eq("EARLY")
      sent = "abc" * 200_000
      sender = Thread.new { peer.write(sent) }
      expect(peer.read(sent.bytesize)).to eq(sent.upcase)
      sender.join
      # close_notify, which OpenSSL sends with the rest kept open.
      peer.io.stop rescue nil # rubocop:disable Style/RescueModifier
    end
  end

  it "carries what is large to a client that reads slowly, and ends with close_notify" do
    server.connect_tls do |peer|
      peer.write(get["/large"])
      expect(peer.read_head.status).to eq(200)
      expect(peer.read_to_end.bytesize).to eq(5_000_000)
    end
  end

  it "works as a response header" do
    server.connect_tls do |peer|
      peer.write(get["/partial"])
      expect(peer.read_head.status).to eq(200)
      expect(peer.read_to_end).to eq("partial")
    end
  end

  it "ends the client's connection with the server, without waiting for it" do
    server = Support::Server.rackup(app, "-tls")
    server.connect_tls do |peer|
      peer.write(get["/silent"])
      peer.read_head
      expect(seconds { server.stop }).to be < 4
      expect(peer).to be_eof
    end
  ensure
    server&.stop
  end

  it "holds a client back whose data the application does not read" do
    server.connect_tls do |peer|
      peer.write(get["/silent"])
      peer.read_head
      expect { peer.write("x" * 50_000_000, within: 2) }.to raise_error(Support::DeadlineError)
      expect(server.process.resident_memory).to be < 200 << 20
    end
  end
end
