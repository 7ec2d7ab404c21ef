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
    # @deprecated It is Iodine.listen with `service: :http`.
    # @param options [Hash{Symbol => Object}] those of Iodine.listen
    # @return [Object] the handler
    def listen2http(options = {}, **keywords, &block)
      Base.deprecated("Iodine.listen2http", "Iodine.listen(service: :http)")
      listen(options.merge(keywords, service: :http), &block)
    end

    # @!method before_fork
    #   @deprecated It is Iodine.on_state with `:before_fork`.
    #   @yield what is to be done
    #   @return [Proc] the block
    # @!method after_fork
    #   @deprecated It is Iodine.on_state with `:after_fork`.
    #   @yield what is to be done
    #   @return [Proc] the block
    # @!method after_fork_in_worker
    #   @deprecated It is Iodine.on_state with `:enter_child`.
    #   @yield what is to be done
    #   @return [Proc] the block
    # @!method after_fork_in_master
    #   @deprecated It is Iodine.on_state with `:enter_master`.
    #   @yield what is to be done
    #   @return [Proc] the block
    # @!method on_shutdown
    #   @deprecated It is Iodine.on_state with `:on_finish`.
    #   @yield what is to be done
    #   @return [Proc] the block
    { before_fork: :before_fork, after_fork: :after_fork, after_fork_in_worker: :enter_child,
      after_fork_in_master: :enter_master, on_shutdown: :on_finish }.each do |name, state|
      define_method(name) do |&block|
        Base.deprecated("Iodine.#{name}", "Iodine.on_state(:#{state})")
        on_state(state, &block)
      end
    end
  end

  class << PubSub
    # @deprecated It is Iodine::PubSub.detach.
    # @param engine [Engine]
    # @return [Engine] the engine
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
