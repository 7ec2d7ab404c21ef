# frozen_string_literal: true

# Names of iodine 0.7 and before. Each warns, and does what its successor does.
module Iodine
  module Base
    # Tells about the successor of a deprecated name.
    def self.deprecated(name, successor)
      warn("#{name} is deprecated, use #{successor}", uplevel: 2)
    end
  end

  class << self
    # Deprecated: Iodine.listen with `service: :http`.
    def listen2http(options = {}, **keywords, &block)
      Base.deprecated("Iodine.listen2http", "Iodine.listen(service: :http)")
      listen(options.merge(keywords, service: :http), &block)
    end

    { before_fork: :before_fork, after_fork: :after_fork, after_fork_in_worker: :enter_child,
      after_fork_in_master: :enter_master, on_shutdown: :on_finish }.each do |name, state|
      define_method(name) do |&block|
        Base.deprecated("Iodine.#{name}", "Iodine.on_state(:#{state})")
        on_state(state, &block)
      end
    end
  end

  class << PubSub
    # Deprecated: Iodine::PubSub.detach.
    def dettach(engine)
      Base.deprecated("Iodine::PubSub.dettach", "Iodine::PubSub.detach")
      detach(engine)
    end
  end
end

# The hooks that configuration files of other servers call. None replaces a method that is there already.
{ after_fork: :after_fork, on_worker_boot: :after_fork, after_fork_in_worker: :enter_child,
  after_fork_in_master: :enter_master, on_worker_fork: :before_fork, before_fork: :before_fork }.each do |name, state|
  next if Object.method_defined?(name) || Object.private_method_defined?(name)

  Object.define_method(name) do |*, &block|
    Iodine::Base.deprecated(name.to_s, "Iodine.on_state(:#{state})")
    Iodine.on_state(state, &block)
  end
  Object.send(:private, name)
end
