# frozen_string_literal: true

RSpec.describe "TLS with a browser" do
  root = Support::Authority.new
  localhost = root.issue("localhost")

  before(:all) do
    @folder = Support::TLS.write(Dir.mktmpdir("iodine-spec-tls"), root, localhost: localhost)
    files = ["-tls-cert", "#{@folder}/localhost.crt", "-tls-key", "#{@folder}/localhost.key"]
    @server = Support::Server.rackup(<<~RUBY, *files)
      module Echo
        def self.on_message(client, data) = client.write("\#{data} by \#{client.env["rack.url_scheme"]}")
      end

      run lambda { |env|
        env["rack.upgrade"] = Echo if env["rack.upgrade?"] == :websocket
        [200, { "content-type" => "text/html" }, ["<title>trusted</title>"]]
      }
    RUBY
  end

  after(:all) do
    @server&.stop
    FileUtils.rm_rf(@folder)
  end

  # A home in which Chromium finds the root among those that it trusts.
  def home_with_root
    home = "#{@folder}/home"
    database = "sql:#{home}/.pki/nssdb"
    FileUtils.mkdir_p("#{home}/.pki/nssdb")
    [["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "root", "-i", "#{@folder}/root.crt"]].each do |arguments|
      system("certutil", "-d", database, *arguments, exception: true)
    end
    home
  end

  it "shows a page and opens a WebSocket, if it knows the root" do
    Support::Browser.open(env: { "HOME" => home_with_root }) do |browser|
      tab = browser.tab("https://localhost:#{@server.port}/")
      expect(tab.value("document.title")).to eq("trusted")
      tab.value("(socket = new WebSocket('wss://localhost:#{@server.port}/'), " \
                "socket.onopen = () => socket.send('sent'), socket.onmessage = (event) => heard = event.data, 1)")
      wait_until("an answer", within: 60) { tab.value("window.heard") == "sent by https" }
    end
  end

  it "has nothing to do with it otherwise" do
    FileUtils.mkdir_p("#{@folder}/other")
    Support::Browser.open(env: { "HOME" => "#{@folder}/other" }) do |browser|
      tab = browser.tab("https://localhost:#{@server.port}/")
      expect(tab.value("document.body.innerText")).to include("ERR_CERT_AUTHORITY_INVALID")
    end
  end
end
