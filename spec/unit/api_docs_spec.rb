# frozen_string_literal: true

require "json"

# The comments of the public API, as YARD reads them: every method says what it takes and what it returns.
RSpec.describe "The public API's comments" do
  # Methods of the public modules: name, file and line (nil when native), and parameters.
  public_methods = <<~RUBY
    require "iodine"
    require "json"

    def describe(mod, found)
      own = mod.singleton_methods(false).map { |name| [".", mod.method(name)] }
      own << [".", mod.method(:new)] if mod.is_a?(Class) && mod.method(:new).owner == mod.singleton_class
      own += mod.public_instance_methods(false).map { |name| ["#", mod.instance_method(name)] }
      own << ["#", mod.instance_method(:initialize)] if mod.private_method_defined?(:initialize, false)
      own.uniq.each do |mark, method|
        next unless method.name == method.original_name

        found << [mod.name, mark, method.name, method.source_location, method.parameters]
      end
      mod.constants(false).map { |name| mod.const_get(name) }.grep(Module).each do |inner|
        describe(inner, found) unless inner == Iodine::Base
      end
      found
    end

    puts JSON.generate(describe(Iodine, []))
  RUBY

  before(:all) do
    process = Support::ChildProcess.run_ruby(public_methods)
    @methods = JSON.parse(process.out.text)
  end

  # `@!method name(...)` and what is indented below it, by name, in all files.
  directives = Dir["#{Support::ROOT}/lib/**/*.rb"].flat_map do |file|
    File.read(file).scan(/^ *# @!method (?:self\.)?(\S+?)(\(.*\))?\n((?: *#(?:   .*)?\n)*)/)
  end

  # The comment above a line of a file.
  def comment_above(file, line)
    File.readlines(file).first(line - 1).reverse.take_while { |text| text.match?(/\A\s*#/) }.reverse.join
  end

  define_method(:comment) do |name, place|
    written = comment_above(*place) if place
    return written if written&.match?(/@(return|param|deprecated)/)

    _, parameters, text = directives.find { |directive, *| directive == name }
    text && "#{parameters}\n#{text}"
  end

  # Names that a caller gives values by. A keyword splat that goes with an options Hash is the same options.
  def named(parameters)
    names = parameters.filter_map { |kind, name| name if %w[req opt key keyreq rest keyrest].include?(kind) }
    names -= %w[keywords] if names.include?("options")
    names.grep(/\A_?[a-z]/)
  end

  # What is missing in the comment of a method.
  def faults(name, place, parameters)
    text = comment(name, place) or return ["no comment"]

    lacking = named(parameters).map { |parameter| "@param #{parameter}" }.reject { |tag| text.include?("#{tag} [") }
    returns = name == "initialize" || name.end_with?("=") || text.match?(/@return \[/)
    lacking << "@return" unless returns
    lacking
  end

  it "tell parameters and results" do
    expect(@methods.size).to be > 80
    wanting = @methods.filter_map do |mod, mark, name, place, parameters|
      lacking = faults(name, place, parameters)
      "#{mod}#{mark}#{name}: #{lacking.join(", ")}" unless lacking.empty?
    end
    expect(wanting).to be_empty, wanting.join("\n")
  end
end
