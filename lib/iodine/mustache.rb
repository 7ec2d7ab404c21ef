# frozen_string_literal: true

module Iodine
  # Mustache templates, compiled once and rendered as often as wanted:
  #
  #     template = Iodine::Mustache.new(template: "{{#people}}Hello {{name}}!\n{{/people}}")
  #     template.render(people: [{ name: "Ada" }, { name: "Grace" }])
  #
  #     page = Iodine::Mustache.new(filename: "views/page") # or views/page.mustache
  #     page.render(title: "Home", user: current_user)
  #
  # Data are Hashes, Arrays and any other objects, whose public methods are called by name. docs/templates.md describes
  # the language, how names are looked up and where partials are found.
  #
  # A template is not changed by rendering, and threads may share it.
  class Mustache
    # How many templates Mustache.render keeps.
    KEPT = 128

    # Compiles a template and its partials.
    #
    #     Iodine::Mustache.new("views/page")
    #     Iodine::Mustache.new(filename: "views/page", reload: ENV["RACK_ENV"] == "development")
    #     Iodine::Mustache.new(template: "{{>greeting}}", partials: { "greeting" => "Hello {{name}}" })
    #
    # [filename] String, the file with or without `.mustache`; partials are looked for beside it
    # [template] String, the source, instead of the file's content
    # [partials] Hash of names and sources, instead of files; a partial that is not in it prints nothing. nil
    # [reload] whether #render looks for changed files before it renders, and compiles them again. false
    #
    # @param name [String, nil] the file, as in 0.7; filename: wins
    # @param source [String, nil] the template, as in 0.7; template: wins
    # @param filename [String, nil] see above, as are the others
    # @param template [String, nil]
    # @param partials [Hash{String, Symbol => String}, nil]
    # @param reload [Boolean]
    # @raise [ArgumentError] without a file name and a template
    # @raise [TypeError] for a file name or a template that is not a String
    # @raise [LoadError] when the file or one of its partials cannot be found or read
    # @raise [RuntimeError] for a mistake in a template, with its file, line and column
    def initialize(name = nil, source = nil, filename: name, template: source, partials: nil, reload: false)
      raise ArgumentError, "need either template contents or file name." unless filename || template

      @arguments = [filename&.dup, template&.dup, partials&.dup].freeze
      @reload = reload
      @compiled = Base::Template.compile(*@arguments)
    end

    # Renders data to a UTF-8 String.
    #
    # What a method or a lambda of the data raises is logged, and its value taken as empty.
    #
    # @param data [Object] a Hash, or any other object
    # @return [String]
    # @raise [RuntimeError] for partials that use one another without end, and for a lambda's text that is no template
    # @raise [LoadError] when a partial whose name comes from the data cannot be found
    def render(data)
      current.render(data)
    end

    # As #initialize. Options may be a Hash in braces, as they could in 0.7.
    #
    # @param arguments [Array] those of #initialize
    # @param options [Hash{Symbol => Object}] those of #initialize
    # @return [Iodine::Mustache]
    def self.new(*arguments, **options)
      arguments in [Hash => given] and return super(**given, **options)
      super
    end

    # Renders a template that is compiled at its first use:
    #
    #     Iodine::Mustache.render("views/page", { title: "Home" })
    #     Iodine::Mustache.render(template: "Hello {{name}}", data: { name: "Ada" })
    #
    # The last KEPT templates are kept, by file name and source, and compiled again when their files change. A template
    # that is used often is better kept by Mustache.new, which does not look at the files.
    #
    # @param arguments [Array] `(filename, data, template = nil)`, or keywords as Mustache.new has them, and `data`
    # @return [String]
    # @raise [ArgumentError, TypeError, LoadError, RuntimeError] as Mustache.new and #render
    def self.render(*arguments)
      if arguments.size == 1 && arguments.first.is_a?(Hash)
        render_with(**arguments.first)
      else
        render_positional(*arguments)
      end
    end

    class << self
      private

      def render_positional(filename, data, template = nil)
        render_with(filename: filename, data: data, template: template)
      end

      def render_with(filename: nil, data: nil, template: nil)
        key = [filename, template]
        (kept[key] || keep(key.map { |text| text&.dup.freeze })).render(data)
      end

      # The oldest goes first. Threads may compile the same template twice, which does no harm.
      def keep(key)
        mustache = new(*key, reload: true)
        kept.shift if kept.size >= KEPT
        kept[key] = mustache
      end

      def kept = @kept ||= {}
    end

    private

    def current
      @compiled = Base::Template.compile(*@arguments) if @reload && @compiled.changed?
      @compiled
    end
  end
end
