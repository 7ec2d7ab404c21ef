# frozen_string_literal: true

module Iodine
  module Base
    # `rack.input` of a request without a body. It has no state, so one serves all requests.
    class EmptyInput
      # "" for all, nil for +length+ bytes of it (Rack SPEC); +buffer+ is emptied.
      def read(length = nil, buffer = nil)
        raise RangeError, "negative length #{length} given to rack.input.read" if length&.negative?

        buffer&.clear
        buffer || String.new if length.nil? || length.zero?
      end

      def gets = nil

      def each
        block_given? ? self : enum_for(:each)
      end

      def rewind = 0
      def close = nil
      def size = 0
      def eof? = true
    end
  end
end
