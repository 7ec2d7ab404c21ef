# frozen_string_literal: true

module Iodine
  module Base
    # The socket of which metrics are asked. The reactor answers there by itself, in the master of a cluster or in the
    # only process. DEFAULT_SETTINGS[:metrics] says where:
    #
    #     9394, "9394"           a port of the loopback address
    #     "0.0.0.0:9394"         an address and a port
    #     "/run/app/metrics"     a Unix socket
    class MetricsListener < Listener
      # Where metrics are asked for when nothing else is said.
      PORT = 9394
      # What is spoken there needs no more.
      LIMITS = { max_body: 1, timeout: 60, metrics_only: true }.freeze

      # The setting is wrong, or the socket cannot be opened.
      class Unopened < RuntimeError; end

      # Opens it; nil when there is no such setting. Raises Unopened when that is not possible.
      def self.open
        setting = DEFAULT_SETTINGS[:metrics]
        new(*place(setting.to_s)) if setting
      rescue RuntimeError => e
        raise Unopened, e.message
      end

      # The address and the port of what the user has written.
      def self.place(text)
        case text
        when /\A\d+\z/ then ["127.0.0.1", text.to_i]
        when %r{/} then [text, nil]
        when /\A\[?(.+?)\]?:(\d+)\z/ then [Regexp.last_match(1), Regexp.last_match(2).to_i]
        else raise "metrics: must be a port, HOST:PORT or the path of a socket, not #{text.inspect}"
        end
      end

      def initialize(address, port) # rubocop:disable Lint/MissingSuper
        @socket = open_socket([nil, address, port], LIMITS, nil)
        Log.info("Metrics on #{[*address, *@socket.address[1]].join(":")}")
        Metrics.measure_times
      end

      # Has +reactor+ answer.
      def serve(reactor) = reactor.listen_metrics(@socket)
    end
  end
end
