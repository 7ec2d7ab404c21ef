# frozen_string_literal: true

module Iodine
  module Rack
    # Decoding of URLs, and dates, as functions of the module:
    #
    #     Iodine::Rack::Utils.decode_url("a+%62")  # => "a b"
    #     Iodine::Rack::Utils.time2str             # => "Sun, 09 Sep 2001 01:46:40 GMT"
    #
    # They are native:
    #
    # [decode_url(text)] a part of a query or a form: <tt>%XX</tt> is a byte, <tt>+</tt> a space; a new binary String
    # [decode_path(text)] as decode_url, and a <tt>+</tt> is itself
    # [decode_url!(text), decode_path!(text)] in place, which leaves the encoding of the String; returns it
    # [time2str(time = nil)] a date of HTTP (RFC 9110 section 5.6.7); now, when the time is nil or 0
    # [rfc2109(time)] the date of a cookie, <tt>Sun, 09-Sep-2001 01:46:40 GMT</tt>
    # [rfc2822(time)] the date of a mail in UTC, <tt>Sun, 09 Sep 2001 01:46:40 -0000</tt>
    #
    # A time is a Time or an Integer, seconds since 1970.
    #
    # Raises RuntimeError for a <tt>%</tt> without two hexadecimal digits (the String stays as it was), FrozenError,
    # TypeError for arguments of other classes.
    module Utils
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
  # for the same arguments with the same results. Returns their names.
  #
  # Raises NameError when Rack is not installed.
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
