# frozen_string_literal: true

RSpec.describe "TLS with client certificates" do
  get = Support::Server.method(:get)
  root = Support::Authority.new
  clients = Support::Authority.new("Clients")
  localhost = root.issue("localhost")
  alice = clients.issue("alice")
  revoked = clients.issue("mallory")
  pinned = Support::Authority.self_signed("pinned")
  app = <<~RUBY
    run(lambda do |env|
      shown = %w[SSL_CLIENT_S_DN SSL_CLIENT_FINGERPRINT SSL_CLIENT_CERT HTTP_SSL_CLIENT_S_DN].map { |key| env[key] }
      [200, {}, [shown.inspect]]
    end)
  RUBY

  before(:all) do
    @folder = Support::TLS.write(Dir.mktmpdir("iodine-spec-tls"), root, localhost: localhost)
    File.write("#{@folder}/clients.crt", clients.certificate.to_pem + pinned.pem)
    File.write("#{@folder}/revoked.crl", clients.revoke(revoked).to_pem)
  end
  after(:all) { FileUtils.rm_rf(@folder) }

  serving do
    Support::Server.script(<<~RUBY)
      require "iodine"
      require "rack"
      app = Rack::Builder.app { #{app} }
      tls = Iodine::TLS.new(nil, "#{@folder}/localhost.crt", "#{@folder}/localhost.key")
      tls.trust("#{@folder}/clients.crt").trust("#{@folder}/revoked.crl")
      Iodine.threads = 1
      Iodine.workers = 2
      Iodine.listen(service: :http, address: "127.0.0.1", port: 0, tls: tls, handler: app)
      Iodine.start
    RUBY
  end

  # What the application says to a client with a certificate.
  def ask(issued, *fields, **options)
    identity = issued ? { cert: issued.certificate, key: issued.key } : {}
    server.connect_tls(**identity, **options) do |peer|
      peer.write(Support::Server.get("/", *fields))
      peer.read_response.body
    end
  end

  it "tells the application who asks" do
    expected = ["CN=alice,O=Iodine", alice.fingerprint, alice.certificate.to_pem, nil]
    [OpenSSL::SSL::TLS1_2_VERSION, OpenSSL::SSL::TLS1_3_VERSION].each do |version|
      expect(ask(alice, "SSL_CLIENT_S_DN: CN=root", max_version: version)).to eq(expected.inspect)
    end
  end

  it "takes a certificate for clients, and one that is itself in the file" do
    expect(ask(clients.issue("bob", purpose: "clientAuth"))).to include("CN=bob")
    expect(ask(pinned)).to include("CN=pinned")
  end

  it "refuses clients without one, with one of another authority, not valid now, for servers, or revoked" do
    day = Support::Authority::DAY
    {
      nil => /certificate required|handshake failure/,
      root.issue("alice") => /unknown ca/,
      Support::Authority.self_signed("alice") => /alert|unknown ca|bad certificate/,
      clients.issue("alice", from: Time.now - (2 * day), to: Time.now - day) => /certificate expired/,
      clients.issue("alice", from: Time.now + day, to: Time.now + (2 * day)) => /expired|bad certificate|alert/,
      clients.issue("alice", purpose: "serverAuth") => /alert|unsupported certificate|bad certificate/,
      revoked => /certificate revoked/
    }.each do |issued, alert|
      expect { ask(issued) }.to raise_error(OpenSSL::SSL::SSLError, alert)
    end
  end

  it "knows the client of a resumed session" do
    sessions = Thread::Queue.new
    remember = ->((_socket, session)) { sessions << session }
    expect(ask(alice, session_new_cb: remember,
                      session_cache_mode: OpenSSL::SSL::SSLContext::SESSION_CACHE_CLIENT)).to include("CN=alice")
    session = sessions.pop
    8.times do
      server.connect_tls(session: session, cert: alice.certificate, key: alice.key) do |peer|
        expect(peer.io.session_reused?).to be(true)
        peer.write(get["/"])
        expect(peer.read_response.body).to include("CN=alice,O=Iodine")
      end
    end
  end
end
