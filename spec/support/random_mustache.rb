# frozen_string_literal: true

module Support
  # Templates, their partials and data for property tests, the same ones for the same seed. What the mustache gem takes
  # otherwise than the specification is not among them: mustache_gem_spec.rb has a list.
  class RandomMustache
    NAMES = %w[a two c h.a h.two h.h.c .].freeze
    TEXTS = ["x", "\n", "\n\n", "<&>\"'", "text ", "\t.", "{ ", " }", "é", "line\n  two"].freeze
    VALUES = ["text", "<b>&amp;\"'</b>", "two\nlines", "{{a}}", " ", "é", 0, 1, -5, 12_345_678_901_234_567_890,
              1.5, nil, []].freeze
    PARTIALS = %w[p q].freeze

    def initialize(seed)
      @random = Random.new(seed)
    end

    # A template; its partials use none, so that they end.
    def template = parts(3, PARTIALS)

    def partials = PARTIALS.to_h { |name| [name, parts(2, [])] }

    # A Hash of a, two, c, and h, which is always a Hash.
    def data(depth = 3)
      data = %w[a two c].select { @random.rand(5).positive? }.to_h { |name| [name, value(depth - 1)] }
      depth <= 0 ? data : data.merge("h" => data(depth - 1))
    end

    private

    def any(choices) = choices[@random.rand(choices.size)]

    def value(depth)
      return any(VALUES) unless depth.positive?

      case @random.rand(4)
      when 0 then data(depth)
      when 1 then Array.new(@random.rand(3)) { value(depth - 1) }
      else any(VALUES)
      end
    end

    def parts(depth, partials) = Array.new(@random.rand(6)) { part(depth, partials) }.join

    def part(depth, partials)
      case @random.rand(12)
      when 0..4 then any(TEXTS)
      when 5..7 then variable
      when 8 then any(["{{! a comment }}", "{{!\n  of lines\n}}"])
      when 9 then partials.empty? ? any(TEXTS) : partial(any(partials))
      else depth.zero? ? any(TEXTS) : section(depth, partials)
      end
    end

    # Within a line, or on one of its own.
    def partial(name) = any(["x%s", "\n%s\n"]).sub("%s", "{{>#{blank}#{name}#{blank}}}")

    def variable
      name = "#{blank}#{any(NAMES)}#{blank}"
      any(["{{#{name}}}", "{{{#{name}}}}", "{{&#{name}}}", "{{=<% %>=}}<%#{name}%><%={{ }}=%>"])
    end

    # On lines of its own, half of the time.
    def section(depth, partials)
      name = any(NAMES)
      line = any(["", "\n"])
      "{{#{any(["#", "^"])}#{blank}#{name}}}#{line}#{parts(depth - 1, partials)}#{line}{{/#{name}#{blank}}}#{line}"
    end

    def blank = any(["", "", " "])
  end
end
