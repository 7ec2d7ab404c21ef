# frozen_string_literal: true

module Iodine
  module Base
    module JSON
      MAX_NESTING = 100

      # The option +max_nesting+ as a number, or nil for any.
      def self.max_nesting(options)
        depth = options.fetch(:max_nesting, MAX_NESTING)
        depth unless depth == 0 || !depth # rubocop:disable Style/NumericPredicate
      end

      # Writes documents with the options of Iodine::JSON.generate.
      class Generator
        def initialize(options)
          @options = options.merge(max_nesting: JSON.max_nesting(options))
          @format = Format.new(@options)
        end

        def generate(object) = @format.generate(object, self)

        # The JSON of an object of a class that JSON does not know, at a depth of nesting; nil when it has no +to_json+.
        def convert(object, depth)
          object.to_json(*state(depth)) if object.respond_to?(:to_json)
        end

        private

        # What Ruby's json, once it is loaded, hands to every +to_json+.
        def state(depth)
          return [] unless defined?(::JSON::State)

          [::JSON::State.new(@options.merge(max_nesting: @options[:max_nesting] || 0, depth: depth))]
        end
      end
    end
  end
end
