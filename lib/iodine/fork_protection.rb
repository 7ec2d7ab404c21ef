# frozen_string_literal: true

module Iodine
  module Base
    # Closes the database connections of ActiveRecord and Sequel before a fork, for two processes that write to one
    # connection corrupt what is said on it. Both libraries open new ones by themselves, when they are needed, in the
    # master and in the worker.
    #
    # A database that lives in the memory of the process is left alone: it would be lost, and each process has its copy.
    module ForkProtection
      IN_MEMORY = [nil, "", ":memory:"].freeze

      class << self
        # In the master, when all that the application does before a fork is done.
        def close
          guard("ActiveRecord") { close_active_record } if defined?(::ActiveRecord::Base)
          guard("Sequel") { close_sequel } if defined?(::Sequel::DATABASES)
        end

        private

        # A connection that a thread uses at this moment is closed as well: it must not be in two processes.
        def close_active_record
          pools.each { |pool| pool.disconnect! unless in_memory?(pool.db_config.adapter, pool.db_config.database) }
        end

        def pools
          handler = ::ActiveRecord::Base.connection_handler
          # Its name up to Rails 7.0; then there was another one, which takes the role.
          return handler.connection_pool_list(:all) if handler.method(:connection_pool_list).arity != 0

          handler.all_connection_pools
        end

        def close_sequel
          ::Sequel::DATABASES.each do |database|
            database.disconnect unless in_memory?(database.database_type, database.opts[:database])
          end
        end

        def in_memory?(adapter, name) = adapter.to_s.start_with?("sqlite") && IN_MEMORY.include?(name)

        def guard(library)
          yield
        rescue StandardError => e
          Base.report(e, "the connections of #{library} could not be closed before the fork")
        end
      end
    end
  end
end
