# frozen_string_literal: true

module Support
  # Objects and texts for property tests, the same ones for the same seed.
  class RandomJSON
    def initialize(seed)
      @random = Random.new(seed)
    end

    # Anything that JSON can say, `depth` levels deep at most.
    def value(depth = 4)
      case @random.rand(depth.zero? ? 7 : 10)
      when 0 then [nil, true, false].sample(random: @random)
      when 1 then @random.rand(-1000..1000)
      when 2 then @random.rand(-(2**@random.rand(1..100))..(2**@random.rand(1..100)))
      when 3 then float
      when 4..6 then string
      when 7 then Array.new(@random.rand(8)) { value(depth - 1) }
      else Array.new(@random.rand(12)) { [string, value(depth - 1)] }.to_h
      end
    end

    # As #value, without what Ruby's json lays out differently from version to version: empty Arrays and Hashes.
    def filled_value(depth = 4)
      fill(value(depth))
    end

    def string
      Array.new(@random.rand(12)) { CHARACTERS.sample(random: @random) }.join
    end

    # Of all magnitudes, and numbers that people write.
    def float
      return @random.rand.round(@random.rand(1..6)) * (10**@random.rand(-8..20)) if @random.rand(2).zero?

      number = [@random.bytes(8)].join.unpack1("D")
      number.finite? ? number : 0.5
    end

    # The text with some bytes taken out, doubled or replaced by others that mean something in JSON. Not by a slash or a
    # backslash, which Ruby's json reads more than JSON says.
    def damaged(text)
      text = text.dup
      @random.rand(1..3).times do
        at = @random.rand(text.size)
        text[at, @random.rand(2)] = [+"", text[at], DAMAGE.sample(random: @random)].sample(random: @random)
        return text if text.empty?
      end
      text
    end

    CHARACTERS = ["a", "b", "Z", " ", "0", "\"", "\\", "/", "\n", "\t", "\b", "\f", "\r", "\0", "\x1f", "\x7f", "é",
                  "ß", "€", "\u2028", "\u{FFFF}", "\u{1F600}", "long " * 20, "{", "}", "[", "]", ",", ":"].freeze
    DAMAGE = %w([ ] { } , : " - + . 0 1 9 e E n t N I) + [" ", "\n", "\t"]
    private_constant :CHARACTERS, :DAMAGE

    private

    def fill(value)
      case value
      when Array then value.empty? ? [nil] : value.map { |element| fill(element) }
      when Hash then value.empty? ? { "a" => 1 } : value.transform_values { |element| fill(element) }
      else value
      end
    end
  end
end
