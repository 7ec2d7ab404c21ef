# frozen_string_literal: true

require "net/http"
require "open3"

RSpec.describe "TLS" do
  get = Support::Server.method(:get)
  root = Support::Authority.new
  localhost = root.issue("localhost", "127.0.0.1")

  # An application that shows its environment.
  env = <<~RUBY
    run(lambda do |env|
      shown = %w[rack.url_scheme HTTPS SERVER_NAME SERVER_PORT HTTP_HOST].to_h { |key| [key, env[key]] }
      [200, { "content-type" => "text/plain" }, [shown.inspect]]
    end)
  RUBY

  before(:all) { @folder = Support::TLS.write(Dir.mktmpdir("iodine-spec-tls"), root, localhost: localhost) }
  after(:all) { FileUtils.rm_rf(@folder) }

  def flags(name = "localhost") = ["-tls-cert", "#{@folder}/#{name}.crt", "-tls-key", "#{@folder}/#{name}.key"]

  describe "requests" do
    serving { Support::Server.rackup(env, *flags, "-max-header", 64) }

    it "have an environment that says https" do
      server.connect_tls do |peer|
        peer.write(get["/"])
        peer.read_response.then do |response|
          expect(response.body).to eq({ "rack.url_scheme" => "https", "HTTPS" => "on", "SERVER_NAME" => "a.test",
                                        "SERVER_PORT" => "443", "HTTP_HOST" => "a.test" }.inspect)
        end
        peer.write("GET / HTTP/1.1\r\nHost: a.test:#{server.port}\r\n\r\n")
        expect(peer.read_response.body).to include(%("SERVER_PORT"=>"#{server.port}"))
        peer.write("GET / HTTP/1.0\r\n\r\n")
        expect(peer.read_response.body).to include(%("SERVER_PORT"=>"#{server.port}"))
        # By close_notify: the client would raise without it.
        expect(peer).to be_eof
      end
    end

    it "are answered in order, however many come in one packet" do
      server.connect_tls do |peer|
        peer.write(get["/"] * 100)
        100.times { expect(peer.read_response.status).to eq(200) }
      end
    end

    it "may be cut into records of any size" do
      request = get["/", "X-Long: #{"x" * 3000}"]
      [1, 7, 1000].each do |size|
        server.connect_tls do |peer|
          request.scan(/.{1,#{size}}/m) { |part| peer.io.write(part) }
          expect(peer.read_response.status).to eq(200)
        end
      end
    end

    it "are made by curl and Net::HTTP, which verify the certificate" do
      uri = URI("https://localhost:#{server.port}/x")
      http = Net::HTTP.new("127.0.0.1", uri.port)
      http.use_ssl = true
      http.cert_store = root.store
      expect(http.start { http.get("/x").code }).to eq("200")

      written = ["-o", "/dev/null", "-w", "%{http_version} %{ssl_verify_result}"]
      out, = Open3.capture2("curl", "-s", "--cacert", "#{@folder}/root.crt", *written, uri.to_s)
      expect(out).to eq("1.1 0")
    end

    it "are made by TLS 1.2 and 1.3, and ALPN says http/1.1" do
      { "TLSv1.2" => OpenSSL::SSL::TLS1_2_VERSION, "TLSv1.3" => OpenSSL::SSL::TLS1_3_VERSION }.each do |name, version|
        server.connect_tls(max_version: version, min_version: version, alpn_protocols: %w[h2 http/1.1]) do |peer|
          expect(peer.io.ssl_version).to eq(name)
          expect(peer.io.alpn_protocol).to eq("http/1.1")
          peer.write(get["/"])
          expect(peer.read_response.status).to eq(200)
        end
      end
    end
  end

  describe "bodies" do
    app = <<~RUBY
      run(lambda do |env|
        case env["PATH_INFO"]
        when "/sum" then [200, {}, [env["rack.input"].read.sum.to_s]]
        when "/string" then [200, {}, ["x" * 3_000_000]]
        when "/stream" then [200, {}, ->(stream) { 300.times { |i| stream.write(i.to_s * 5000) } and stream.close }]
        when "/broken" then [200, {}, Enumerator.new { |body| body << "begun" and raise "broken" }]
        end
      end)
    RUBY
    serving { Support::Server.rackup(app, *flags) }

    it "of requests arrive in full" do
      body = Random.new(1).bytes(5_000_000)
      server.connect_tls do |peer|
        [1_048_576, 100].each do |chunk|
          peer.write(Support::Server.post_chunked("/sum", body[0, chunk * 40], chunk: chunk))
          expect(peer.read_response.body).to eq(body[0, chunk * 40].sum.to_s)
        end
      end
    end

    it "of responses arrive in full" do
      server.connect_tls do |peer|
        peer.write(get["/string"] + get["/stream"])
        expect(peer.read_response.body).to eq("x" * 3_000_000)
        expect(peer.read_response.body).to eq((0...300).map { |i| i.to_s * 5000 }.join)
      end
    end

    it "that fail do not look complete: there is no close_notify" do
      server.connect_tls do |peer|
        peer.write("GET /broken HTTP/1.0\r\n\r\n")
        expect { peer.read_response }.to raise_error(OpenSSL::SSL::SSLError, /unexpected eof/)
      end
    end
  end

  describe "real time" do
    serving { Support::Server.rackup("realtime.ru", *flags) }

    it "works by WebSocket" do
      server.connect_tls do |peer|
        socket = Support::WebSocket.new(peer, "/echo")
        ["a", "b" * 100_000].each do |message|
          socket.text(message)
          expect(socket.read_message).to eq(message)
        end
        expect(socket.close.code).to eq(1000)
        expect(peer).to be_eof
      end
    end
  end

  describe "static files" do
    serving do
      public = File.join(@folder, "public")
      FileUtils.mkdir_p(public)
      File.binwrite(File.join(public, "large"), Random.new(2).bytes(20 << 20))
      File.binwrite(File.join(public, "small"), "small")
      Support::Server.rackup("run ->(_env) { [404, {}, []] }", *flags, "-www", public)
    end

    it "are sent whole and in ranges" do
      large = File.binread("#{@folder}/public/large")
      server.connect_tls do |peer|
        peer.write(get["/large"] + get["/small"] + get["/large", "Range: bytes=5000000-5999999"])
        expect(peer.read_response.body == large).to be(true)
        expect(peer.read_response.body).to eq("small")
        expect(peer.read_response.body == large[5_000_000, 1_000_000]).to be(true)
      end
    end
  end

  describe "on a Unix socket" do
    serving do
      FileUtils.mkdir_p("#{@folder}/run")
      Support::Server.rackup(env, "-b", "#{@folder}/run/tls.sock", *flags)
    end

    it "is served as well" do
      server.connect_tls(path: server.path) do |peer|
        peer.write("GET / HTTP/1.0\r\n\r\n")
        expect(peer.read_response.body).to include('"SERVER_PORT"=>"443"', '"rack.url_scheme"=>"https"')
      end
    end
  end

  describe "without a certificate" do
    serve env, "-tls"

    it "makes one for this machine" do
      server.connect_tls do |peer|
        names = peer.io.peer_cert.extensions.find { |extension| extension.oid == "subjectAltName" }.value
        expect(names).to include("DNS:#{Socket.gethostname}", "DNS:localhost", "IP Address:127.0.0.1")
        peer.write(get["/"])
        expect(peer.read_response.status).to eq(200)
      end
    end
  end

  describe "of a script" do
    serve_script(<<~RUBY, listeners: 3)
      require "iodine"
      Iodine.threads = Iodine.workers = 1
      app = ->(env) { [200, {}, [env["rack.url_scheme"]]] }
      tls = Iodine::TLS.new("a.test")
      Iodine.listen(url: "https://127.0.0.1:0", handler: app)
      Iodine.listen(service: :wss, address: "127.0.0.1", port: 0, handler: app)
      Iodine.listen(service: :http, address: "127.0.0.1", port: 0, handler: app, tls: tls)
      Iodine.start
    RUBY

    it "is asked for by the scheme of a URL, the name of the service, or a certificate" do
      server.ports.each do |port|
        server.connect_tls(port: port) do |peer|
          peer.write(get["/"])
          expect(peer.read_response.body).to eq("https")
        end
      end
      server.connect_tls(port: server.ports.last) { |peer| expect(peer.io.peer_cert.subject.to_s).to eq("/CN=a.test") }
    end
  end
end
