# frozen_string_literal: true

require_relative "json/generator"

module Iodine
  # Reads and writes JSON (RFC 8259).
  #
  #     Iodine::JSON.parse('{"a": [1, 2.5, null]}')           # => {"a" => [1, 2.5, nil]}
  #     Iodine::JSON.parse('{"a": 1}', symbolize_names: true) # => {a: 1}
  #     Iodine::JSON.generate({ a: [1, 2.5, nil] })           # => '{"a":[1,2.5,null]}'
  #
  # Options and results are those of Ruby's json; docs/json.md tells what differs.
  module JSON
    module_function

    # The value of a JSON document.
    #
    # Strings are UTF-8, names of members frozen. Of members that have the same name the last one counts.
    #
    # [symbolize_names] names become Symbols; false
    # [max_nesting] arrays and objects within each other; 100. 0, false and nil stand for any number
    # [allow_nan] reads NaN, Infinity and -Infinity; false
    #
    # A warning tells of options of Ruby's json that are not known here.
    #
    # @param source [String] the document
    # @param options [Hash{Symbol => Object}, nil] the options, as a Hash or as keywords
    # @return [Hash, Array, String, Integer, Float, true, false, nil]
    # @raise [EncodingError] for text that is not JSON (naming line and column), is not UTF-8 or is nested too deep
    # @raise [TypeError] for what is not a String
    def parse(source, options = nil, **keywords)
      return PARSER.parse(source, MAX_NESTING, false, false) unless options || !keywords.empty?

      options = options.to_h.merge(keywords)
      warn_of_ignored(options)
      max_nesting = Base::JSON.max_nesting(options)
      PARSER.parse(source, max_nesting, options[:allow_nan] ? true : false, options[:symbolize_names] ? true : false)
    end

    # As .parse, for documents that are trusted: nested at will, and with NaN and the infinities, unless the options say
    # otherwise.
    #
    # @param source [String] the document
    # @param options [Hash{Symbol => Object}, nil] as of .parse
    # @return [Hash, Array, String, Integer, Float, true, false, nil]
    # @raise [EncodingError, TypeError] as .parse
    def parse!(source, options = nil, **keywords)
      parse(source, max_nesting: nil, allow_nan: true, **options.to_h, **keywords)
    end

    # The JSON document of an object: of nil, true, false, Integer, Float, String, Symbol, Array and Hash.
    #
    # Other objects are asked for +to_json+ if they have it, and are written as the String of their +to_s+ if not. Keys
    # are Strings in the document: a key that is none is asked for +to_s+.
    #
    # [max_nesting] Arrays and Hashes within each other; 100. 0, false and nil stand for any number
    # [allow_nan] writes NaN, Infinity and -Infinity, which JSON does not have; false
    # [indent] String for each level of nesting; empty, as the following
    # [space, space_before] String after the colon, and before it
    # [object_nl, array_nl] String before each member, each element, and the end of what has any
    # [ascii_only] writes what is not ASCII as <tt>\uXXXX</tt>; false
    # [script_safe] escapes <tt>/</tt>, U+2028 and U+2029 as well; false
    #
    # @param object [Object]
    # @param options [Hash{Symbol => Object}, nil] the options, as a Hash or as keywords
    # @return [String] UTF-8
    # @raise [EncodingError] for a String that is not text, for NaN and the infinities, and for what is nested too deep
    def generate(object, options = nil, **keywords)
      return GENERATOR.generate(object) unless options || !keywords.empty?

      Base::JSON::Generator.new(options.to_h.merge(keywords)).generate(object)
    end

    # As .generate, one line for each member and element, indented by two spaces.
    #
    # @param object [Object]
    # @param options [Hash{Symbol => Object}, nil] as of .generate
    # @return [String] UTF-8
    # @raise [EncodingError] as .generate
    def pretty_generate(object, options = nil, **keywords)
      generate(object, **PRETTY, **options.to_h, **keywords)
    end

    MAX_NESTING = Base::JSON::MAX_NESTING
    # Keeps names of members that documents repeat.
    PARSER = Base::JSON::Parser.new
    GENERATOR = Base::JSON::Generator.new({})
    PRETTY = { indent: "  ", space: " ", object_nl: "\n", array_nl: "\n" }.freeze
    # Options of Ruby's json that would change what .parse returns.
    IGNORED = %i[create_additions object_class array_class decimal_class freeze].freeze

    private_constant :MAX_NESTING, :PARSER, :GENERATOR, :PRETTY, :IGNORED

    def self.warn_of_ignored(options)
      ignored = IGNORED.select { |name| options[name] }
      warn "Iodine::JSON.parse ignores #{ignored.join(", ")}", uplevel: 2 unless ignored.empty?
    end
    private_class_method :warn_of_ignored
  end
end
