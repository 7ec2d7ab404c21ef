# frozen_string_literal: true

module Iodine
  module Rack
    # Decoding of URLs, and dates, as functions of the module:
    #
    #     Iodine::Rack::Utils.decode_url("a+%62")  # => "a b"
    #     Iodine::Rack::Utils.time2str             # => "Sun, 09 Sep 2001 01:46:40 GMT"
    #
    # They are native. A time is a Time or an Integer, seconds since 1970.
    module Utils
      # @!method self.decode_url(text)
      #   Decodes a part of a query or a form: <tt>%XX</tt> is a byte, <tt>+</tt> a space.
      #   @param text [String]
      #   @return [String] a new one, binary
      #   @raise [RuntimeError] for a <tt>%</tt> without two hexadecimal digits
      #   @raise [TypeError] for what is no String

      # @!method self.decode_url!(text)
      #   As decode_url, in place, which leaves the encoding of the String.
      #   @param text [String]
      #   @return [String] the same
      #   @raise [RuntimeError] as decode_url; the String stays as it was
      #   @raise [FrozenError] for a frozen String

      # @!method self.decode_path(text)
      #   As decode_url, and a <tt>+</tt> is itself.
      #   @param text [String]
      #   @return [String] a new one, binary
      #   @raise [RuntimeError, TypeError] as decode_url

      # @!method self.decode_path!(text)
      #   As decode_path, in place.
      #   @param text [String]
      #   @return [String] the same
      #   @raise [RuntimeError, FrozenError] as decode_url!

      # @!method self.time2str(time = nil)
      #   A date of HTTP (RFC 9110 section 5.6.7): <tt>Sun, 09 Sep 2001 01:46:40 GMT</tt>.
      #   @param time [Time, Integer, nil] now, when it is nil or 0
      #   @return [String]
      #   @raise [TypeError] for anything else

      # @!method self.rfc2109(time)
      #   The date of a cookie: <tt>Sun, 09-Sep-2001 01:46:40 GMT</tt>.
      #   @param time [Time, Integer]
      #   @return [String]
      #   @raise [TypeError] for anything else

      # @!method self.rfc2822(time)
      #   The date of a mail in UTC: <tt>Sun, 09 Sep 2001 01:46:40 -0000</tt>.
      #   @param time [Time, Integer]
      #   @return [String]
      #   @raise [TypeError] for anything else
    end
  end

  module Base
    # Changes to other libraries that an application may ask for.
    module MonkeyPatch
      # The methods +unescape+, +unescape_path+, +rfc2109+ and +rfc2822+ of Rack::Utils, native. What is malformed or
      # unusual they leave to the methods they stand before, so answers and errors are Rack's.
      module RackUtils
        extend self
      end
    end
  end

  # Makes Rack faster: puts native methods before +unescape+, +unescape_path+, +rfc2109+ and +rfc2822+ of Rack::Utils,
  # for the same arguments with the same results.
  #
  # @return [Array<Symbol>] their names
  # @raise [NameError] when Rack is not installed
  def self.patch_rack
    begin
      require "rack"
    rescue LoadError
      raise NameError, "Iodine.patch_rack needs the gem rack"
    end
    ::Rack::Utils.singleton_class.prepend(Base::MonkeyPatch::RackUtils)
    Base::MonkeyPatch::RackUtils.instance_methods
  end
end
