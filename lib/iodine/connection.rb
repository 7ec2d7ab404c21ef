# frozen_string_literal: true

module Iodine
  # A WebSocket, an event stream or a raw connection: what the callbacks of a handler are given. All callbacks of one
  # connection get the same object.
  #
  #     module Echo
  #       def self.on_open(client) = client.write("Welcome.")
  #       def self.on_message(client, data) = client.write(data)
  #       def self.on_close(client) = puts("left with #{client.close_code}")
  #     end
  #
  # A handler has any of the methods `on_open(client)`, `on_message(client, data)`, `on_drained(client)`, `ping(client)`
  # (raw connections), `on_shutdown(client)` and `on_close(client)`. Callbacks of one client come in order and never
  # overlap. docs/websockets.md, docs/sse.md and docs/raw.md tell more.
  #
  # Methods may be called from any thread; none of them blocks. They are native, as far as they are described here.
  class Connection
    # @!method write(data, event: nil, id: nil, retry: nil)
    #   Sends a message of a WebSocket (a text if it is valid UTF-8, else binary), an event of a stream, or bytes.
    #   @param data [String, #to_s] other objects are sent as their `to_s`, with a warning
    #   @param event [String, nil] the name of the event; event streams alone, as the following
    #   @param id [String, nil] what the client names as the last one when it comes back
    #   @param retry [Integer, nil] milliseconds that the client should wait before it comes back
    #   @return [Boolean] false when the connection is closed
    #   @raise [ArgumentError] for line ends in `event` or `id`, and for the keywords unless it is an event stream

    # @!method close(code = nil, reason = nil)
    #   Closes the connection when all that was written has left. No message is told after it.
    #   @param code [Integer, nil] of a WebSocket: 1000 to 1003, 1007 to 1014, 3000 to 4999
    #   @param reason [String, nil] of a WebSocket, with a code; cut to 123 bytes
    #   @return [nil]
    #   @raise [ArgumentError] for another code

    # @!method open?
    #   @return [Boolean] false from #close on, and when the peer has gone

    # @!method pending
    #   @return [Integer] writes that have not left; falls when all of them have. -1 when the connection is closed

    # @!method protocol
    #   @return [Symbol, nil] `:websocket`, `:sse` or `:raw`; nil when `on_close` has returned

    # @!method timeout
    #   @return [Integer, nil] seconds of silence before a ping; 0 is never. nil when the connection is closed

    # @!method timeout=(seconds)
    #   Sets the seconds of silence before a ping, or before the `ping` callback of a raw connection.
    #   @param seconds [Integer] 0 to 255; 0 is never
    #   @raise [TypeError] for anything but an Integer
    #   @raise [RangeError] for others

    # @!method env
    #   @return [Hash{String => Object}, nil] the environment of the request; nil for raw connections that began without
    #     one, for clients (Iodine.connect), and when `on_close` has returned

    # @!method handler
    #   @return [Object, nil] the object whose callbacks are called; nil when `on_close` has returned

    # @!method handler=(other)
    #   Gives the connection to another handler: `on_close` of the old one and `on_open` of the new one are called at
    #   once.
    #   @param other [Object, nil] nil closes the connection

    # @!method close_code
    #   @return [Integer, nil] of a WebSocket, in `on_close` and after it: what the close frame said. 1005 without one,
    #     1006 without a close frame; 1002, 1007 or 1009 when the peer broke the rules

    # @!method close_reason
    #   @return [String, nil] the words of that close frame, or why a connection to a server did not come about

    # @!method pubsub?
    #   @return [Integer] the version of the interface for publish and subscribe: 0
  end
end
