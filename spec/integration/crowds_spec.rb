# frozen_string_literal: true

require_relative "../soak/bad_clients"
require_relative "../soak/open_websockets"

# The short forms of spec/soak; what they measure is of interest there.
RSpec.describe "Crowds" do
  it "of WebSockets get every message once, keep no descriptor, and are seen off" do
    seen = OpenWebSockets.new(seconds: 4, clients: 400, churn: 60).run

    expect(seen).to include(farewells: 400, ends: 0)
    expect(seen[:descriptors]).to be <= 0
    expect(seen[:opened]).to be > 500
    expect(seen[:pings]).to be_positive
    expect(seen[:messages]).to be > 10_000
  end

  (BadClients::SLOW + BadClients::FLOODS).each do |kind|
    it "of #{kind.to_s.tr("_", " ")} leave ordinary clients their answers" do
      figures, = BadClients.new(clients: 200, rounds: 1, requests: 200).run([kind])

      expect(figures.done).to be_positive
      # Generous, for the clients themselves take the processor; whoever waits for one of them waits for ever.
      expect(figures.beside).to be < 1000
    end
  end
end
