# frozen_string_literal: true

module Support
  # Ruby that is run by the server of spec/apps/pubsub.ru, for the specs of publish and subscribe.
  module RemoteRuby
    # Opens a WebSocket whose messages are run by the server.
    def remote(*fields)
      server.connect do |peer|
        socket = Support::WebSocket.new(peer, "/", *fields)
        expect(socket.read_message).to eq("open")
        yield socket
      end
    end

    # Two of them.
    def remotes
      remote { |one| remote { |other| yield one, other } }
    end

    # What the client's Ruby returned, in the server's words; messages that come before it are not expected.
    def ask(socket, source)
      socket.text(source)
      answer = socket.read_message
      raise "a message came before the answer: #{answer}" unless answer.start_with?("=> ")

      answer.delete_prefix("=> ").force_encoding("UTF-8")
    end

    # What Ruby returned that some worker has run.
    def run(source) = server.request(Support::Server.post("/run", source)).body

    # A WebSocket of each of so many workers. The kernel chooses who accepts, so there may have to be some more of them.
    def remote_of_each(workers)
      peers = []
      sockets = {}
      Waiting.wait_until("a connection of each worker") do
        peers << server.connect
        socket = WebSocket.new(peers.last, "/")
        expect(socket.read_message).to eq("open")
        sockets[ask(socket, "Process.pid").to_i] ||= socket
        sockets.size == workers
      end
      yield sockets
    ensure
      peers.each(&:close)
    end
  end
end
