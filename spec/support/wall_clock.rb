# frozen_string_literal: true

require "tmpdir"

module Support
  # The time of day as a process sees it, which a spec sets while the process runs (set_clock.c). Linux only.
  class WallClock
    class << self
      # The library that is preloaded; built when it is first needed.
      def library
        @library ||= begin
          library = File.join(folder = Dir.mktmpdir("iodine-clock"), "set_clock.so")
          at_exit { FileUtils.rm_rf(folder) }
          system("cc", "-O1", "-shared", "-fPIC", "-o", library, File.join(__dir__, "set_clock.c"), exception: true)
          library
        end
      end
    end

    def initialize
      @folder = Dir.mktmpdir("iodine-clock")
      @file = File.join(@folder, "offset")
      set(0)
    end

    # Sets it so many seconds before the machine's.
    def set(seconds) = File.binwrite(@file, [seconds].pack("q"), 0)

    # The environment of the processes that go by it.
    def env = { "LD_PRELOAD" => self.class.library, "SPEC_CLOCK" => @file }
    def stop = FileUtils.rm_rf(@folder)
  end
end
