# frozen_string_literal: true

require "open3"

RSpec.describe "TLS sessions" do
  versions = { "1.2" => OpenSSL::SSL::TLS1_2_VERSION, "1.3" => OpenSSL::SSL::TLS1_3_VERSION }
  root = Support::Authority.new
  app = "run ->(_env) { [200, {}, [Process.pid.to_s]] }"

  before(:all) { @folder = Support::TLS.write(Dir.mktmpdir("iodine-spec-tls"), root, own: root.issue("a.test")) }
  after(:all) { FileUtils.rm_rf(@folder) }

  attr_reader :folder

  # A request on a connection of its own: the answer, whether the session was resumed, and the new session.
  def ask(version, session = nil)
    sessions = Thread::Queue.new
    context = { min_version: version, max_version: version, session: session,
                session_cache_mode: OpenSSL::SSL::SSLContext::SESSION_CACHE_CLIENT,
                session_new_cb: ->((_socket, made)) { sessions << made } }
    server.connect_tls(**context) do |peer|
      peer.write(Support::Server.get("/"))
      [peer.read_response.body, peer.io.session_reused?, sessions.empty? ? peer.io.session : sessions.pop]
    end
  end

  describe "in a cluster" do
    serving do
      Support::Server.rackup(app, "-tls-cert", "#{@folder}/own.crt", "-tls-key", "#{@folder}/own.key", workers: 3)
    end

    versions.each do |name, version|
      it "of TLS #{name} are resumed by every worker, one that came later too" do
        _, reused, session = ask(version)
        expect(reused).to be(false)
        server.process.children.first.then { |worker| Process.kill("TERM", worker) }
        server.wait_for_log(/Respawning/)

        workers = []
        wait_until("an answer of every worker") do
          # Several at once: of clients that come one by one, a worker may have all.
          answers = together(6) { ask(version, session) }
          expect(answers.map { |answer| answer[1] }).to all(be(true))
          workers |= answers.map(&:first)
          workers.size >= 3
        end
      end
    end
  end

  describe "of a former certificate" do
    serving { Support::Server.rackup(app, "-tls-cert", "#{@folder}/own.crt", "-tls-key", "#{@folder}/own.key") }

    it "are not resumed" do
      session = ask(versions["1.3"]).last
      expect(ask(versions["1.3"], session)[1]).to be(true)
      Support::TLS.write(folder, root, own: root.issue("a.test"))
      server.kill("HUP")
      server.wait_for_log(/reloading the certificates/)
      wait_until("a full handshake") { !ask(versions["1.3"], session)[1] }
    end
  end

  describe "with openssl s_client" do
    serving { Support::Server.rackup(app, "-tls-cert", "#{@folder}/own.crt", "-tls-key", "#{@folder}/own.key") }

    def s_client(*arguments)
      command = ["openssl", "s_client", "-connect", "127.0.0.1:#{server.port}", "-CAfile", "#{folder}/root.crt",
                 "-servername", "a.test", *arguments]
      Open3.capture2e(*command, stdin_data: "").first
    end

    it "need TLS 1.2 at least" do
      old = ["-cipher", "ALL:@SECLEVEL=0"]
      %w[-tls1 -tls1_1].each { |flag| expect(s_client(flag, *old)).to include("alert protocol version") }
      { "-tls1_2" => "TLSv1.2", "-tls1_3" => "TLSv1.3" }.each do |flag, name|
        expect(s_client(flag)).to match(/^New, #{name}/).and include("Verify return code: 0 (ok)")
      end
    end

    it "speak http/1.1, and nothing else, by ALPN" do
      expect(s_client("-alpn", "h2,http/1.1")).to include("ALPN protocol: http/1.1")
      expect(s_client("-alpn", "h2")).to include("alert no application protocol")
    end

    it "have forward secrecy, and neither compression nor renegotiation" do
      expect(s_client("-tls1_2", "-cipher", "kRSA:@SECLEVEL=0")).to include("alert handshake failure")
      said = s_client("-tls1_2")
      expect(said).to include("Compression: NONE", "Secure Renegotiation IS supported")
    end
  end

  describe "with SSLKEYLOGFILE" do
    it "are written to it, with a warning, and only then" do
      keys = "#{folder}/keys"
      @server = Support::Server.rackup(app, "-tls", env: { "SSLKEYLOGFILE" => keys })
      expect(server.log).to match(/WARNING: the secrets of TLS sessions are written to #{keys}/)
      ask(versions["1.3"])
      expect(File.read(keys)).to match(/^SERVER_TRAFFIC_SECRET_0 \h+ \h+$/)
    ensure
      server&.stop
    end

    it "are kept when it cannot be written, with a warning" do
      @server = Support::Server.rackup(app, "-tls", env: { "SSLKEYLOGFILE" => "#{folder}/none/keys" })
      expect(server.log).to match(%r{WARNING: \S+/none/keys \(SSLKEYLOGFILE\) cannot be written: No such file})
      expect(ask(versions["1.3"]).first).to match(/\A\d+\z/)
    ensure
      server&.stop
    end
  end

  attr_reader :server
end
