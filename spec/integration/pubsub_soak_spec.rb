# frozen_string_literal: true

require_relative "../soak/pubsub_soak"

RSpec.describe "publications while workers die" do
  it "reach every client of a living worker once and in order" do
    seen = PubSubSoak.new(seconds: 6, clients: 20).run

    expect(seen[:workers_killed]).to be_positive
    expect(seen[:clients_lost]).to be_positive
    expect(seen[:messages]).to be > 1000
  end
end
