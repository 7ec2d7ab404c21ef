# frozen_string_literal: true

# What each request makes for Ruby's collector to find, beside what the application makes.
RSpec.describe "Objects a request" do
  before(:context) { @server = Support::Server.rackup("allocations.ru") }
  after(:context) { @server&.stop }

  browser = ["Accept: text/html", "Accept-Language: en", "Accept-Encoding: gzip", "User-Agent: Mozilla/5.0",
             "DNT: 1", "Sec-Fetch-Mode: navigate", "Cache-Control: no-cache"]

  {
    # The environment, PATH_INFO, and what stands in rack.response_finished and rack.hijack.
    "a GET" => [Support::Server.get("/"), 4],
    "fields that come again" => [Support::Server.get("/", *browser), 4],
    "a query" => [Support::Server.get("/?a=b"), 5],
    "a field that is new each time" => [Support::Server.get("/", "Cookie: a=b"), 5],
    # rack.input, and CONTENT_LENGTH.
    "a body" => [Support::Server.post("/", "x" * 1000), 6]
  }.each do |name, (request, objects)|
    it "are #{objects} for #{name}" do
      expect(made_by(request)).to eq(objects)
    end
  end

  # Objects that the server makes for a request, by the least of three tries: once a second it makes others.
  def made_by(request)
    @server.connect do |peer|
      counts = Array.new(3) do
        before = total(peer)
        200.times { peer.write(request).read_response }
        middle = total(peer)
        (middle - before - (total(peer) - middle)).fdiv(200)
      end
      return counts.min.round(1)
    end
  end

  def total(peer) = peer.write(Support::Server.get("/total")).read_response.body.to_i
end
