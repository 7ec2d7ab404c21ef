# frozen_string_literal: true

module Support
  # A block of code in a document, and what an HTML comment above it says of it. Readers do not see the comment:
  #
  #     <!-- run -->                    it runs to its end; each `code # => value` in it has that value
  #     <!-- prints: some words -->     it runs until it has printed the words, and is then interrupted
  #     <!-- serves: /path => words --> it is a server, whose answer to the path has the words in it
  #     <!-- session: words -->         commands, whose output has the words in it: bin/newcomer runs them
  #
  # Several expectations are separated by a semicolon and a blank. `after above` behind the first word puts the marked
  # blocks of the same language above it on the page before it.
  class Snippet
    MARKED = /^<!-- (?<mark>(?:run|prints|serves|session)\b[^\n]*?) -->\n```(?<language>ruby|sh)\n(?<code>.*?)^```$/m
    FENCED = /^```ruby\n(.*?)^```$/m
    DOCUMENTS = %w[README.md docs/**/*.md bench/*.md].freeze
    # `code # => value`, or the value on the line below; the code is an expression of that one line.
    VALUE = /^(?<code>\S[^\n]*?)(?:\n| +)# => (?<value>[^\n]+)$/

    class << self
      def documents = Dir.glob(DOCUMENTS, base: ROOT)
      def text(document) = File.read(File.join(ROOT, document))

      # The marked blocks of a document, in their order.
      def in(document)
        text = text(document)
        matches = text.to_enum(:scan, MARKED).map { Regexp.last_match }
        matches.each_with_object([]) do |match, found|
          line = match.pre_match.count("\n") + 3
          found << new(match[:mark], match[:language], match[:code], "#{document}:#{line}", found.dup)
        end
      end
    end

    # The language of the block, `document:line`, and the code of this block alone.
    attr_reader :language, :place, :own

    def initialize(mark, language, code, place, above)
      @mark = mark
      @language = language
      @own = code
      @place = place
      @above = above.select { |snippet| snippet.language == language }
    end

    # `:run`, `:prints`, `:serves` or `:session`.
    def kind = @mark[/\A\w+/].to_sym

    # What is expected: words, or pairs of a path and words.
    def expectations
      list = @mark[/: (.*)/, 1].to_s.split("; ")
      kind == :serves ? list.map { |one| one.split(" => ", 2) } : list
    end

    def rackup? = code.match?(/^run\b/)

    # The code as it is written, with what it goes on after.
    def code
      parts = @mark.match?(/\A\w+ after above/) ? [*@above.map(&:own), own] : [own]
      parts.join("\n")
    end

    # The code, with a line behind each expression that has its value beside it, which compares them.
    def checked_code
      code.gsub(VALUE) do
        code, value = Regexp.last_match.values_at(:code, :value)
        "__found = (#{code}); __found == (#{value}) or abort(\"#{place}: \#{__found.inspect}\")"
      end
    end
  end
end
