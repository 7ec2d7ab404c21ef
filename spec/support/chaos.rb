# frozen_string_literal: true

module Support
  # A bad network: a proxy to a server under test that delays what passes, cuts it into other pieces and harms
  # connections (ext/iodine-testkit, chaos).
  class Chaos
    # A new seed, or the one of a failure that is to be seen again.
    def self.seed = Integer(ENV.fetch("IODINE_CHAOS_SEED") { Random.new_seed % (1 << 32) })

    attr_reader :port

    # A proxy to a port of this machine. +faults+ are arguments of the program.
    def initialize(port, **faults)
      input, @orders = IO.pipe
      arguments = { to: "127.0.0.1:#{port}", **faults }.map { |name, value| "#{name}=#{value}" }
      @process = ChildProcess.new(Testkit.program("chaos"), *arguments, input: input)
      input.close
      @port = @process.out.wait_for(/^port (\d+)$/)[1].to_i
    end

    # Harms no connection from now on.
    def calm = @orders.puts("calm")

    # What was done to the connection of this local port, or nil.
    def harm(local_port) = log[/^harmed #{local_port}: .*/]

    # How many connections were harmed.
    def harmed = log.scan(/^harmed /).size
    def log = @process.out.text

    def stop
      @orders.close
      @process.stop("TERM")
    end
  end
end
