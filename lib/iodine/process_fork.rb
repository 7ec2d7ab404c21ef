# frozen_string_literal: true

module Iodine
  module Base
    # Tells the forks of workers from those of the application, whose children must not answer for the server: they
    # keep neither its signal handlers nor its sockets. A connection that a child has as well would not end when the
    # server closes it. Ruby calls `_fork` for each kind of fork, and means it to be extended like this.
    module ProcessFork
      # Forks a worker, which runs the block; its process id.
      def self.worker
        @for_worker = true
        Process.fork do
          @for_worker = false
          yield
        end
      ensure
        @for_worker = false
      end

      def self.for_worker? = @for_worker

      # In a child: lets go of the server's descriptors. Their numbers stay taken, by nothing, for the server's objects
      # will close them.
      def self.let_go(numbers)
        numbers.each { |number| IO.for_fd(number, autoclose: false).reopen(File::NULL) }
      end

      def _fork
        # A thread does not survive a fork, and must not be in the middle of something.
        RedisClients.pause
        Server.hold unless ProcessFork.for_worker?
        pid = super
        pid.zero? ? RedisClients.forget(worker: ProcessFork.for_worker?) : RedisClients.resume
        Server.leave_to_application if pid.zero? && !ProcessFork.for_worker?
        pid
      rescue SystemCallError
        RedisClients.resume
        raise
      ensure
        Server.release unless pid&.zero?
      end
    end
  end
end

Process.singleton_class.prepend(Iodine::Base::ProcessFork)
