# frozen_string_literal: true

RSpec.describe "Slow TLS clients" do
  get = Support::Server.method(:get)

  before(:all) do
    @folder = Dir.mktmpdir("iodine-spec-tls")
    File.binwrite(File.join(@folder, "large"), "x" * (20 << 20))
  end
  after(:all) { FileUtils.rm_rf(@folder) }

  serving { Support::Server.rackup("run ->(_env) { [404, {}, []] }", "-tls", "-www", @folder) }

  # Seconds of CPU time that the server takes during the block.
  def cpu
    before = server.process.cpu_seconds
    yield
    server.process.cpu_seconds - before
  end

  it "cost what their bytes cost, and nothing while they do not read" do
    quick = cpu do
      server.connect_tls do |peer|
        5.times do
          peer.write(get["/large"])
          expect(peer.read_response.body.bytesize).to eq(20 << 20)
        end
      end
    end

    memory = server.process.resident_memory
    peers = Array.new(50) { server.connect_tls }
    peers.each { |peer| peer.write(get["/large"]) }
    peers.each(&:read_head)
    # As much as the quick one has read, by turns.
    slow = cpu { 64.times { peers.each { |peer| peer.read(32_768) } } }
    expect(slow).to be < [quick * 4, 0.5].max
    expect(server.process.resident_memory - memory).to be < 64 << 20

    # The kernel's buffers are full by now, or soon.
    wait_until("the server to rest") { cpu { sleep 0.5 } < 0.05 }
  ensure
    peers&.each(&:close)
  end
end
