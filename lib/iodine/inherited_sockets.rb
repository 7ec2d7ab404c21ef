# frozen_string_literal: true

require "socket"

module Iodine
  module Base
    # Listening sockets that this process was started with: those of the server it replaces (Upgrade), and those that a
    # service manager has opened (socket activation, sd_listen_fds(3)). A listener takes the one that fits, if there is
    # one, instead of opening its own.
    module InheritedSockets
      # What a predecessor says of each of its sockets, as JSON: the descriptor, whether it was lent, and the host and
      # port, or the path, that its listener had asked for.
      VARIABLE = "IODINE_SOCKETS"
      # The first descriptor of a service manager.
      FIRST = 3

      @lent = []

      class << self
        # The descriptor of the socket for this host and port, or for this path and no port; nil when there is none.
        def take(host, port)
          handed_over.delete([host, port]) || activated.find { |socket| fits?(socket, host, port) }.tap do |descriptor|
            @lent << activated.delete(descriptor) if descriptor
          end
        end

        # Whether a service manager keeps the socket: its file is not ours to remove.
        def lent?(descriptor) = @lent.include?(descriptor)

        # What a predecessor says about its listeners.
        def describe(listeners)
          Iodine::JSON.generate(listeners.map { |one| [one.descriptor, lent?(one.descriptor), one.target] })
        end

        # Closes what nobody has asked for.
        def close_rest
          rest = handed_over.values + activated
          handed_over.clear
          activated.clear
          return if rest.empty?

          Log.warning("#{rest.size} inherited sockets are closed, for nothing listens there any more")
          rest.each { |descriptor| IO.for_fd(descriptor).close }
        end

        private

        # Descriptors of a predecessor's sockets by what was asked for. The application's children are not told.
        def handed_over
          @handed_over ||= Iodine::JSON.parse(ENV.delete(VARIABLE) || "[]").to_h do |descriptor, lent, target|
            @lent << descriptor if lent
            [target, descriptor]
          end
        end

        # Descriptors from a service manager.
        def activated
          @activated ||= begin
            ours = ENV["LISTEN_PID"] == Process.pid.to_s
            count = ours ? ENV["LISTEN_FDS"].to_i : 0
            %w[LISTEN_PID LISTEN_FDS LISTEN_FDNAMES].each { |name| ENV.delete(name) } if ours
            Array.new(count) { |number| FIRST + number }
          end
        end

        def fits?(descriptor, host, port)
          address = ::Socket.for_fd(descriptor).tap { |socket| socket.autoclose = false }.local_address
          return port.nil? && host == address.unix_path if address.unix?
          return false unless address.ip? && port == address.ip_port

          host.nil? || Addrinfo.getaddrinfo(host, port, nil, :STREAM).any? do |wanted|
            wanted.ip_address == address.ip_address
          end
        rescue SystemCallError, SocketError => e
          Log.warning("the inherited descriptor #{descriptor} cannot be used: #{e.message}")
          false
        end
      end
    end
  end
end
