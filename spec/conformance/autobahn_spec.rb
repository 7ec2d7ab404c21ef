# frozen_string_literal: true

# The Autobahn cases: a quick choice, or all of them with CI=true or AUTOBAHN=all in the environment. What they ended in
# is kept in expected/, so that a change of it is a diff; each run leaves its own in tmp/autobahn.
RSpec.describe "The Autobahn cases" do
  autobahn = Support::Autobahn
  kept = ->(side) { autobahn.read(File.expand_path("expected/autobahn-#{side}.txt", __dir__)) }

  around do |example|
    Dir.mktmpdir("iodine-autobahn") do |folder|
      @folder = folder
      example.run
    end
  end

  it "are as expected against a server" do
    server = Support::Server.rackup("echo.ru", "-deflate", "-deflate-min", 1, "-max-msg", 16 << 10, "-max-pending", 64)
    outcome = autobahn.fuzz_server(server.port, @folder)
    autobahn.keep("server", outcome)

    expect(autobahn.differences(kept["server"], outcome)).to be_empty
    expect(outcome.size).to eq(autobahn.all? ? kept["server"].size : autobahn::QUICK_COUNT)
  ensure
    server&.stop
  end

  it "are as expected against a server that compresses with the context of earlier messages" do
    server = Support::Server.rackup("echo.ru", "-deflate", "-deflate-min", 1, "-deflate-write-context",
                                    "-deflate-read-context", "-max-msg", 16 << 10, "-max-pending", 64)
    cases = autobahn.all? ? autobahn::COMPRESSION : autobahn::QUICK_COMPRESSION
    outcome = autobahn.fuzz_server(server.port, @folder, cases)

    expect(outcome.keys).to all match(/\A1[23]\./)
    expect(autobahn.differences(kept["server"], outcome)).to be_empty
    expect(outcome).not_to be_empty
  ensure
    server&.stop
  end

  it "are as expected with a client" do
    outcome = autobahn.fuzz_client(@folder) do |address|
      client = Support::Server.script("autobahn_client.rb", address, listeners: 0)
      expect(client.wait(within: 1200)).to be_success
    ensure
      client&.stop
    end
    autobahn.keep("client", outcome)

    expect(autobahn.differences(kept["client"], outcome)).to be_empty
    expect(outcome.size).to eq(autobahn.all? ? kept["client"].size : autobahn::QUICK_COUNT)
  end

  %w[server client].each do |side|
    it "end well for a #{side}, one and all" do
      bad = kept[side].reject do |_, (behavior, closing)|
        %w[OK NON-STRICT INFORMATIONAL].include?(behavior) && %w[OK INFORMATIONAL].include?(closing)
      end

      expect(bad).to be_empty
      expect(kept[side].size).to eq(517)
    end
  end
end
