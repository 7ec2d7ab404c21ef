# frozen_string_literal: true

module Iodine
  module Base
    # The TLS of clients. Its files are read again at SIGHUP, for as long as anybody has it.
    module TLSClients
      @known = ObjectSpace::WeakMap.new

      class << self
        # Returns the settings, which are a client's from now on.
        def add(settings)
          @hook ||= Reload.add("the TLS of clients") { reload }
          @known[settings] = true
          settings
        end

        private

        def reload
          @known.keys.filter_map(&:reload_client).each do |reason|
            Log.error("the TLS of clients stays as it was: #{reason}")
          end
        end
      end
    end
  end
end
