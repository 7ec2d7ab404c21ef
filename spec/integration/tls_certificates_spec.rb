# frozen_string_literal: true

require "open3"

RSpec.describe "Certificates for TLS" do
  get = Support::Server.method(:get)
  root = Support::Authority.new
  between = Support::Authority.new("Test Intermediate", parent: root)
  a_test = root.issue("a.test", "www.a.test")
  wild = root.issue("*.b.test", key: :rsa)
  chained = between.issue("c.test")
  app = 'run ->(env) { [200, {}, [env["rack.url_scheme"]]] }'

  before(:all) do
    @folder = Support::TLS.write(Dir.mktmpdir("iodine-spec-tls"), root, a: a_test, wild: wild, chained: chained)
  end
  after(:all) { FileUtils.rm_rf(@folder) }

  attr_reader :folder

  # The common name of the certificate that a client is shown.
  def shown(name: nil, **options)
    server.connect_tls(name: name, **options) { |peer| peer.io.peer_cert.subject.to_a.assoc("CN")[1] }
  end

  describe "several of them" do
    serving do
      Support::Server.script(<<~RUBY)
        require "iodine"
        tls = Iodine::TLS.new(nil, "#{@folder}/a.crt", "#{@folder}/a.key")
        tls.use_certificate(certificate: "#{@folder}/wild.crt", private_key: "#{@folder}/wild.key")
           .add_cert({ server_name: "D.test", certificate: "#{@folder}/chained.crt", private_key: "#{@folder}/chained.key" })
        tls.use_certificate("made.test")
        Iodine.threads = Iodine.workers = 1
        Iodine.listen(service: :http, address: "127.0.0.1", port: 0, tls: tls, handler: ->(_env) { [200, {}, []] })
        Iodine.start
      RUBY
    end

    it "are chosen by the name that the client asks for" do
      {
        nil => "a.test", "a.test" => "a.test", "WWW.A.test" => "a.test", "x.b.test" => "*.b.test",
        "x.y.b.test" => "a.test", "b.test" => "a.test", "c.test" => "c.test", "d.test" => "c.test",
        "made.test" => "made.test", "unknown.test" => "a.test"
      }.each { |name, subject| expect([name, shown(name: name)]).to eq([name, subject]) }
    end

    it "are sent with what leads to their authority" do
      options = { verify_mode: OpenSSL::SSL::VERIFY_PEER, cert_store: root.store }
      %w[a.test x.b.test c.test].each { |name| expect(shown(name: name, **options)).to be_a(String) }
      expect { shown(name: "made.test", **options) }.to raise_error(OpenSSL::SSL::SSLError, /certificate verify failed/)
    end
  end

  describe "keys" do
    # What openssl writes, by its arguments.
    def convert(*arguments)
      out, status = Open3.capture2("openssl", *arguments, err: File::NULL)
      raise "openssl #{arguments.join(" ")}" unless status.success?

      out
    end

    # Whether a server can be made of a certificate and this key.
    def use(certificate, key, password = nil)
      File.write("#{folder}/tried.key", key)
      Support::ChildProcess.run_ruby(<<~RUBY).out.text
        require "iodine"
        begin
          Iodine::TLS.new(nil, "#{folder}/#{certificate}.crt", "#{folder}/tried.key", #{password.inspect})
          puts "fine"
        rescue Iodine::TLS::Error => e
          puts e.message
        end
      RUBY
    end

    it "may be PKCS#8, PKCS#1 or SEC1" do
      { "wild" => "rsa", "a" => "ec" }.each do |name, kind|
        expect(use(name, convert("pkcs8", "-topk8", "-nocrypt", "-in", "#{folder}/#{name}.key"))).to eq("fine\n")
        traditional = ["-traditional"] if kind == "rsa"
        expect(use(name, convert(kind, "-in", "#{folder}/#{name}.key", *traditional))).to eq("fine\n")
      end
    end

    it "may be encrypted" do
      # 3DES is what `openssl req` uses, SHA-1 what versions before 1.1 did.
      [%w[-v2 aes-256-cbc], %w[-v2 aes-128-cbc -v2prf hmacWithSHA512], %w[-scrypt], %w[-v2 des3],
       %w[-v2 aes-256-cbc -v2prf hmacWithSHA1]].each do |cipher|
        key = convert("pkcs8", "-topk8", "-in", "#{folder}/wild.key", *cipher, "-passout", "pass:secret")
        expect(use("wild", key, "secret")).to eq("fine\n")
        expect(use("wild", key, "wrong")).to match(%r{/tried\.key is encrypted: the password is wrong})
        expect(use("wild", key)).to match(%r{/tried\.key is encrypted: give its password})
      end
    end

    it "that are encrypted in another way are refused with the command that converts them" do
      old = ["-in", "#{folder}/wild.key", "-passout", "pass:secret"]
      [["rsa", "-traditional", "-aes128", *old], ["pkcs8", "-topk8", "-v1", "PBE-SHA1-3DES", *old],
       ["pkcs8", "-topk8", "-v2", "camellia-256-cbc", *old]].each do |command|
        expect(use("wild", convert(*command), "secret")).to include("openssl pkcs8 -topk8 -in #{folder}/tried.key")
      end
    end

    it "of other kinds are refused with those that are taken" do
      { "ed448" => [], "rsa" => %w[-pkeyopt rsa_keygen_bits:1024],
        "ec" => %w[-pkeyopt ec_paramgen_curve:P-521] }.each do |algorithm, options|
        key = convert("genpkey", "-algorithm", algorithm, *options)
        expect(use("a", key)).to match(/tried\.key cannot be used: .* RSA from 2048 to 8192 bits, ECDSA with P-256/)
      end
      ["ec -pkeyopt ec_paramgen_curve:P-384", "ed25519", "rsa -pkeyopt rsa_keygen_bits:4096"].each do |kind|
        key = convert("genpkey", "-algorithm", *kind.split)
        expect(use("a", key)).to include("does not belong to the certificate")
      end
    end

    it "may be in the file of the certificate" do
      File.write("#{folder}/both.crt", File.read("#{folder}/a.crt") + File.read("#{folder}/a.key"))
      process = Support::ChildProcess.run_ruby(<<~RUBY)
        require "iodine"
        puts Iodine::TLS.new(nil, "#{folder}/both.crt").inspect
      RUBY
      expect(process.out.text).to eq("#<Iodine::TLS>\n")
    end
  end

  it "without a name are a mistake on the command line, rather than none" do
    ["-tls-cert", "-tls-key"].each do |flag|
      [[flag, ""], ["#{flag}="], ["-tls", flag, ""]].each do |flags|
        command = [RbConfig.ruby, "-I#{Support::ROOT}/lib", "#{Support::ROOT}/exe/iodine", *flags]
        process = Support::ChildProcess.new(*command)
        expect(process.wait.exitstatus).to eq(2)
        expect(process.log.text).to match(/'-?#{flag} <FILE>'.*is empty/)
      ensure
        process&.kill_group
      end
    end
  end

  describe "files that cannot be used" do
    # What the command says about them, and its status.
    def refusal(*flags)
      Support::Server.rackup("run ->(_env) { [200, {}, []] }", *flags).stop
      raise "it listened"
    rescue Support::DeadlineError => e
      e.message[/ in:\n(.*)/m, 1]
    end

    it "end the command, which names the file and the reason, before it listens" do
      File.write("#{folder}/empty.crt", "")
      File.write("#{folder}/cut.crt", File.read("#{folder}/a.crt")[0, 300])
      File.write("#{folder}/damaged.crt", File.read("#{folder}/a.crt").sub(/^MII.{20}/, "!!!!"))
      File.write("#{folder}/order.crt", chained.pem.lines.slice_before(/BEGIN/).to_a.reverse.join)
      File.write("#{folder}/none.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
      File.write("#{folder}/none.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
      {
        %w[missing.crt a.key] => %r{/missing\.crt cannot be read: No such file},
        %w[a.crt missing.key] => %r{/missing\.key cannot be read: No such file},
        %w[. a.key] => /\S+ cannot be read: it is no regular file/,
        %w[empty.crt a.key] => %r{/empty\.crt has no certificate in it},
        %w[cut.crt a.key] => %r{/cut\.crt cannot be used: the line -----END CERTIFICATE----- is missing},
        %w[damaged.crt a.key] => %r{/damaged\.crt cannot be used: it is damaged},
        %w[a.crt empty.crt] => %r{/empty\.crt has no private key in it},
        %w[none.crt a.key] => %r{/none\.crt cannot be used: its first certificate is damaged},
        %w[a.crt none.key] => %r{/none\.key cannot be used: its key is damaged or not supported},
        %w[order.crt chained.key] => %r{/order\.crt has its certificates in the wrong order},
        %w[a.crt wild.key] => %r{the key in /\S+/wild\.key does not belong to the certificate in /\S+/a\.crt}
      }.each do |(certificate, key), reason|
        said = refusal("-tls-cert", "#{folder}/#{certificate}", "-tls-key", "#{folder}/#{key}")
        expect(said).to match(reason)
        expect(said).not_to include("Listening")
      end
      expect(refusal("-tls-key", "#{folder}/a.key")).to include("-tls-key and -tls-pass need a -tls-cert")
    end
  end

  describe "changed files" do
    [1, 2].each do |workers|
      it "are taken by #{workers} workers at HUP, and a bad one changes nothing" do
        Dir.mktmpdir do |files|
          Support::TLS.write(files, root, own: root.issue("first.test"))
          @server = Support::Server.rackup(app, "-tls-cert", "#{files}/own.crt", "-tls-key", "#{files}/own.key",
                                           workers: workers)
          before = server.connect_tls
          expect(shown).to eq("first.test")

          Support::TLS.write(files, root, own: root.issue("second.test"))
          server.kill("HUP")
          wait_until("the new certificate everywhere") { Array.new(8) { shown }.uniq == ["second.test"] }
          before.write(get["/"])
          expect(before.read_response.body).to eq("https")
          before.close

          File.write("#{files}/own.key", "nothing")
          server.kill("HUP")
          server.wait_for_log(/ERROR: the certificates of port \d+ stay as they were: \S+own\.key has no private key/)
          expect(Array.new(8) { shown }.uniq).to eq(["second.test"])
        ensure
          server&.stop
        end
      end

      it "are taken by #{workers} workers without a signal, once both are there" do
        Dir.mktmpdir do |files|
          Support::TLS.write(files, root, own: root.issue("first.test"))
          @server = Support::Server.rackup(app, "-tls-cert", "#{files}/own.crt", "-tls-key", "#{files}/own.key",
                                           workers: workers)
          expect(shown).to eq("first.test")
          Support::TLS.write(files, root, own: root.issue("second.test"))
          wait_until("the new certificate everywhere") { Array.new(8) { shown }.uniq == ["second.test"] }

          File.write("#{files}/own.key", "nothing")
          server.wait_for_log(/ERROR: the certificates of port \d+ stay as they were: \S+own\.key has no private key/)
          Support::TLS.write(files, root, own: root.issue("third.test"))
          wait_until("the new certificate everywhere") { Array.new(8) { shown }.uniq == ["third.test"] }
          # Once for each process: the master of two workers is one as well.
          expect(server.log.scan("stay as they were").size).to be <= (workers == 1 ? 1 : 3)
        ensure
          server&.stop
        end
      end
    end
  end

  attr_reader :server
end
