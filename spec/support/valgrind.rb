# frozen_string_literal: true

module Support
  # What valgrind's memcheck has found in a program, and which of it the extension has to answer for.
  class Valgrind
    # +frames+ are functions, the innermost first.
    Finding = Struct.new(:kind, :text, :frames, keyword_init: true) do
      # Whether it is an error of the extension: it has touched the memory itself, it has had somebody touch what is no
      # memory any more, or it has lost what it has allocated. Ruby's collector looks at whatever lies on a stack, also
      # when the extension has called Ruby: what is undefined there is no error.
      def ours?
        return frames.any?(&:ours?) if kind.match?(/\AInvalid/) && !leak?

        frames.find { |frame| !frame.replaced? }&.ours? || false
      end

      def leak? = kind.start_with?("Leak_")
      def to_s = ["#{kind}: #{text}", *frames].join("\n  ")
    end

    Frame = Struct.new(:object, :function, :place, keyword_init: true) do
      def ours? = object.include?("iodine_ext")
      # Memcheck's own functions, which stand in for others, and the C library's.
      def replaced? = object.match?(%r{/vgpreload_|/libc\.so|/libc-})
      def to_s = "#{function || "?"} (#{place || object})"
    end

    SUPPRESSIONS = "#{ROOT}/spec/memory/valgrind.supp".freeze

    # The command that runs a program, whose findings go into +file+.
    def self.command(file)
      ["valgrind", "--tool=memcheck", "--num-callers=40", "--fair-sched=yes", "--max-stackframe=9000000",
       "--error-limit=no", "--leak-check=full", "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite",
       "--suppressions=#{SUPPRESSIONS}", "--gen-suppressions=no", "--xml=yes", "--xml-file=#{file}"]
    end

    # All that is in a file of memcheck, which writes XML of always the same shape.
    def self.findings(file)
      xml = File.read(file)
      raise "memcheck has not come to its end: #{xml[-200..] || xml}" unless xml.rstrip.end_with?("</valgrindoutput>")

      xml.scan(%r{<error>.*?</error>}m).map do |error|
        frames = error[%r{<stack>.*?</stack>}m].scan(%r{<frame>.*?</frame>}m).map { |frame| frame_of(frame) }
        Finding.new(kind: text(error, "kind"), text: text(error, "what") || text(error, "text"), frames: frames)
      end
    end

    def self.frame_of(element)
      file = text(element, "file")
      place = "#{file}:#{text(element, "line")}" if file
      Frame.new(object: text(element, "obj").to_s, function: text(element, "fn"), place: place)
    end

    # What the first element of a name contains.
    def self.text(xml, name)
      found = xml[%r{<#{name}>(.*?)</#{name}>}m, 1]
      found&.gsub(/&(?:lt|gt|amp);/, "&lt;" => "<", "&gt;" => ">", "&amp;" => "&")
    end
    private_class_method :frame_of, :text
  end
end
