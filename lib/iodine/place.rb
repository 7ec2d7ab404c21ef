# frozen_string_literal: true

module Iodine
  module Base
    # Where to listen, or to connect to, as the options of Iodine.listen and Iodine.connect say it: the URL, the address
    # and the port, as Socket and Dial take them. Each may be nil.
    module Place
      class << self
        # Raises RuntimeError for a port that is no number.
        def of(options) = [options[:url]&.to_s, address(options[:address]), port(options[:port])]

        private

        # An empty one is none.
        def address(value)
          text = value.to_s
          text unless text.empty?
        end

        def port(value)
          case value
          when nil, Integer then value
          when /\A\s*\d+\s*\z/ then value.to_i
          else raise "the port must be a number, got #{value.inspect}"
          end
        end
      end
    end
  end
end
