# frozen_string_literal: true

# Values that the extension keeps, and has not told the collector about, are gone or have moved when it looks for them
# again: the server crashes, or answers with something else. IODINE_MEMORY=all has all modes make the whole tour.
RSpec.describe "A server whose garbage collector works all the time" do
  patience = 60
  whole = Support::Tour::PARTS
  # Compacting takes twice as long, and is for what is kept beyond a call.
  long_lived = %i[requests bodies documents hijacked web_socket raw]
  tours = { "stress" => whole, "young" => whole, "compact" => long_lived }
  tours.transform_values! { whole } if ENV["IODINE_MEMORY"] == "all"

  # Collections, and those that have compacted, so far.
  def collections = @server.request(Support::Server.get("/collections"), within: 60).body.split.map(&:to_i)

  tours.each do |mode, parts|
    it "does all that it should (#{mode})" do
      @server = Support::Tour.start(env: Support::Collector.environment(mode), within: patience)
      before = collections
      Support::Tour.new(@server, within: patience).run(parts)
      after = collections

      expect(@server.stop(within: patience)).to be_success, @server.log
      expect(after[0] - before[0]).to be > 500
      expect(after[1] - before[1]).to mode == "compact" ? (be > 500) : eq(0)
    ensure
      @server&.stop
    end
  end

  it "does so in a cluster" do
    env = { **Support::Collector.environment("young"), "WORKERS" => "2" }
    @server = Support::Tour.start(env: env, within: patience)
    Support::Tour.new(@server, within: patience).run(%i[requests bodies timers publications])
    expect(@server.stop(within: patience)).to be_success, @server.log
  ensure
    @server&.stop
  end
end
