# frozen_string_literal: true

# Iodine.connect against a server that is not ours.
RSpec.describe "openssl s_server" do
  day = Support::Authority::DAY
  root = Support::Authority.new
  revoked = root.issue("localhost")
  issued = {
    fine: root.issue("localhost", "127.0.0.1"),
    rsa: root.issue("localhost", key: :rsa),
    expired: root.issue("localhost", from: Time.now - (2 * day), to: Time.now - day),
    early: root.issue("localhost", from: Time.now + day, to: Time.now + (2 * day)),
    other: root.issue("other.test"),
    stranger: Support::Authority.new("Stranger").issue("localhost"),
    itself: Support::Authority.self_signed("localhost"),
    client: root.issue("localhost", purpose: "clientAuth"),
    revoked: revoked
  }

  before(:all) do
    @folder = Support::TLS.write(Dir.mktmpdir("iodine-spec-tls"), root, **issued)
    File.write("#{@folder}/trusted.crt", root.certificate.to_pem + root.revoke(revoked).to_pem)
  end
  after(:all) { FileUtils.rm_rf(@folder) }

  client = <<~RUBY
    require "iodine"
    module Told
      def self.on_open(client) = puts("open").then { client.write("hello\\n") }
      def self.on_message(client, data) = puts(data).then { client.close }
      def self.on_close(_client) = puts("close").then { Iodine.stop }
    end
    Iodine.threads = Iodine.workers = 1
    Iodine.connect(url: "tls://localhost:\#{ARGV[0]}", handler: Told, tls: Iodine::TLS.new.trust(ARGV[1]))
    Iodine.start
  RUBY

  # What a client has printed, and what it has logged. The server sends each line back, reversed.
  define_method(:meet) do |name, *flags|
    server = Support::ChildProcess.new("openssl", "s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-rev",
                                       "-cert", "#{@folder}/#{name}.crt", "-key", "#{@folder}/#{name}.key", *flags)
    port = server.out.wait_for(/^ACCEPT \S+:(\d+)/)[1]
    process = Support::ChildProcess.run_ruby(client, port, "#{@folder}/trusted.crt")
    [process.out.lines, process.log.text]
  ensure
    server&.kill_group
  end

  it "is spoken to by TLS 1.2 and 1.3, whatever its key is" do
    %i[fine rsa].each do |name|
      %w[-tls1_2 -tls1_3].each { |version| expect(meet(name, version).first).to eq(%w[open olleh close]) }
    end
  end

  it "is refused below TLS 1.2" do
    lines, log = meet(:fine, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
    expect(lines).to eq(%w[close])
    expect(log).to match(/no connection was opened: /)
  end

  {
    expired: "the peer's certificate has expired",
    early: "the peer's certificate is not valid yet",
    other: "the peer's certificate is not for localhost, but for other.test",
    stranger: "no trusted authority vouches for the peer's certificate",
    client: "the peer's certificate is for another purpose",
    itself: "the peer's certificate vouches for itself (self-signed), and is not trusted",
    revoked: "the peer's certificate has been revoked"
  }.each do |name, reason|
    it "is refused with a certificate that is #{name}, and the log says why" do
      lines, log = meet(name)
      expect(lines).to eq(%w[close])
      expect(log).to include("no connection was opened: #{reason}")
    end
  end
end
