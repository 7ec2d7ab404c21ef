# frozen_string_literal: true

module Support
  # Clients that ask a server again and again, and note whatever is no answer. Those that keep their connection use it
  # until the server says `connection: close`; a connection that ends without an answer to what was sent is a failure.
  class Visitors
    attr_reader :failures

    # +kept+ clients keep their connections; +brief+ connections a second are opened for one request.
    def initialize(server, kept: 8, brief: 10)
      @server = server
      @failures = Thread::Queue.new
      @bodies = Thread::Queue.new
      @done = false
      @threads = Array.new(kept) { Thread.new { visit } }
      @threads << Thread.new { drop_in(1.0 / brief) }
    end

    # Ends the visits. The number of answers by their bodies.
    def finish
      @done = true
      @threads.each(&:join)
      Array.new(@bodies.size) { @bodies.pop }.tally
    end

    # Different answers so far.
    def answers = @bodies.size

    private

    def visit
      until @done
        peer = @server.connect
        nil while !@done && ask(peer)
        peer.close
      end
    rescue StandardError => e
      @failures << e
      retry unless @done
    end

    def drop_in(pause)
      until @done
        @server.connect { |peer| ask(peer) }
        sleep pause
      end
    rescue StandardError => e
      @failures << e
      retry unless @done
    end

    # Whether another request may follow.
    def ask(peer)
      peer.write(Server.get("/"))
      response = peer.read_response
      response.status == 200 ? @bodies << response.body : @failures << "status #{response.status}"
      response["connection"] != "close"
    end
  end
end
