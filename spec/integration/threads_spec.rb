# frozen_string_literal: true

RSpec.describe "Threads" do
  # Statuses of +count+ requests that all wait for each other.
  def meet(server, count)
    together(count) { server.get("/together?#{count}").status }
  ensure
    server.get("/leave")
  end

  [1, 2, 4, 16].each do |count|
    it "run #{count} requests at the same time with -t #{count}" do
      server = Support::Server.rackup("threads.ru", threads: count)

      expect(meet(server, count)).to all eq(200)
      expect(meet(server, count)).to all eq(200)
    ensure
      server&.stop
    end
  end

  it "are as many as THREADS says" do
    server = Support::Server.rackup("threads.ru", threads: nil, env: { "THREADS" => "3" })

    expect(meet(server, 3)).to all eq(200)
    server.wait_for_log(/1 workers? x 3 threads?/i)
  ensure
    server&.stop
  end

  it "are as many as -t says when THREADS says another number" do
    server = Support::Server.rackup("threads.ru", threads: 2, env: { "THREADS" => "5" })

    expect(meet(server, 2)).to all eq(200)
    server.wait_for_log(/1 workers? x 2 threads?/i)
  ensure
    server&.stop
  end

  it "answer the first requests, however many come at once" do
    5.times do
      server = Support::Server.rackup("threads.ru", threads: 16)
      expect(together(16) { server.get("/").status }).to all eq(200)
    ensure
      server&.stop
    end
  end

  it "run one request at a time with -t 1" do
    server = Support::Server.rackup("threads.ru", threads: 1)
    peers = Array.new(2) { server.connect.write(Support::Server.get("/second")) }

    expect(peers.map { |peer| peer.read_response.body }).to all eq("a second later")
    server.wait_for_log(/begins.*ends.*ends/m)
    expect(server.log.scan(/second (begins|ends)/).flatten).to eq(%w[begins ends begins ends])
  ensure
    peers&.each(&:close)
    server&.stop
  end

  it "serve more connections than there are threads" do
    server = Support::Server.rackup("threads.ru", threads: 2)
    peers = Array.new(200) { server.connect }
    peers.each { |peer| peer.write(Support::Server.get("/")) }

    expect(peers.map { |peer| peer.read_response.body }.uniq).to eq(["fine"])
  ensure
    peers&.each(&:close)
    server&.stop
  end

  describe "and Ruby" do
    serve "threads.ru", threads: 2

    # Requests without a pause, by two clients, while the block runs. Returns how many were answered.
    def under_load
      done = false
      clients = Array.new(2) do
        Thread.new do
          count = 0
          server.connect do |peer|
            until done
              peer.write(Support::Server.get("/"))
              raise "refused" unless peer.read_response.status == 200

              count += 1
            end
          end
          count
        end
      end
      yield
      done = true
      clients.sum(&:value)
    end

    # How often +text+ is in the log.
    def logged(text) = server.log.scan(text).size

    it "run traps of the application while idle" do
      3.times do |turn|
        before = logged("trapped WINCH")
        server.kill("WINCH")
        wait_until("trap #{turn}") { logged("trapped WINCH") > before }
      end
    end

    it "run traps of the application under load" do
      answered = under_load do
        3.times do |turn|
          before = logged("trapped WINCH")
          server.kill("WINCH")
          wait_until("trap #{turn}") { logged("trapped WINCH") > before }
        end
      end

      expect(answered).to be_positive
    end

    it "run background threads of the application while idle" do
      before = logged("background tick")

      wait_until("25 ticks") { logged("background tick") >= before + 25 }
    end

    it "run background threads of the application under load" do
      before = logged("background tick")

      under_load { wait_until("25 ticks") { logged("background tick") >= before + 25 } }
    end

    %w[sleep spin].each do |way|
      it "let Timeout end a #{way}" do
        expect(server.get("/timeout?#{way}").body).to eq("Timeout::Error")
      end
    end

    it "let the application start child processes" do
      expect(server.get("/fork").body).to eq("from a child\n")
    end
  end

  describe "stop" do
    %w[INT TERM].each do |signal|
      it "by #{signal} while idle, with status 0" do
        server = Support::Server.rackup("threads.ru", threads: 4)

        expect(server.get("/").status).to eq(200)
        expect(server.stop(signal)).to be_success
      ensure
        server&.stop
      end

      it "by #{signal} before any request, with status 0" do
        server = Support::Server.rackup("threads.ru", threads: 4)
        server.wait_for_log(/Server is running|Starting up/i)

        expect(server.stop(signal)).to be_success
      ensure
        server&.stop
      end

      it "by #{signal} under load, with status 0" do
        server = Support::Server.rackup("threads.ru", threads: 4)
        clients = Array.new(4) do
          Thread.new do
            loop { server.get("/") }
          rescue SystemCallError, Support::RawHTTP::MalformedError
            :ended
          end
        end
        wait_until("some requests") { server.get("/").status == 200 }

        expect(server.stop(signal)).to be_success
        expect(clients.map(&:value)).to all eq(:ended)
      ensure
        server&.stop
      end

      it "by #{signal} with idle connections open" do
        server = Support::Server.rackup("threads.ru", threads: 2)
        server.connect do |peer|
          peer.write(Support::Server.get("/"))
          peer.read_response

          expect(server.stop(signal)).to be_success
          expect(peer).to be_eof
        end
      ensure
        server&.stop
      end
    end

    it "after the request that runs" do
      server = Support::Server.rackup("threads.ru", threads: 1)
      server.connect do |peer|
        peer.write(Support::Server.get("/second"))
        server.wait_for_log(/second begins/)
        server.kill("TERM")

        expect(peer.read_response.body).to eq("a second later")
      end
      expect(server.wait).to be_success
    ensure
      server&.stop
    end
  end
end
