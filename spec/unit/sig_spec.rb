# frozen_string_literal: true

require "json"
require "pathname"
require "rbs"

RSpec.describe "sig/iodine.rbs" do
  # Every module below Iodine as it loads: its methods with their arity, its constants, and the modules in it.
  loaded_api = <<~RUBY
    require "iodine"
    require "iodine/cli"
    require "json"

    def describe(mod, api)
      singleton = mod.singleton_methods(false).to_h { |name| [name, mod.method(name).arity] }
      # Ruby's own `new` takes what `initialize` takes.
      constructed = mod.is_a?(Class) && mod.private_method_defined?(:initialize, false)
      singleton["new"] ||= mod.instance_method(:initialize).arity if constructed
      instance = mod.public_instance_methods(false).to_h { |name| [name, mod.instance_method(name).arity] }
      modules, constants = mod.constants(false).partition { |name| mod.const_get(name).is_a?(Module) }
      api[mod.name] = { singleton: singleton, instance: instance, modules: modules, constants: constants }
      modules.each { |name| describe(mod.const_get(name), api) }
      api
    end

    puts JSON.generate(describe(Iodine, {}))
  RUBY

  before(:all) do
    process = Support::ChildProcess.run_ruby(loaded_api)
    @loaded = JSON.parse(process.out.text)

    loader = RBS::EnvironmentLoader.new
    loader.add(library: "socket", version: nil)
    loader.add(path: Pathname("#{Support::ROOT}/sig"))
    @environment = RBS::Environment.from_loader(loader).resolve_type_names
    @builder = RBS::DefinitionBuilder.new(env: @environment)
    @declared = @environment.class_decls.keys.select { |name| name.to_s.start_with?("::Iodine") }
  end

  attr_reader :loaded, :declared

  def plain(type_name) = type_name.to_s.delete_prefix("::")

  # The signatures of a module, by method name. What it inherits is left away.
  def signatures(type_name, kind)
    methods = @builder.public_send("build_#{kind}", type_name).methods
    own = methods.select { |_, method| method.implemented_in == type_name && public?(method, kind) }
    own.transform_values(&:method_types).transform_keys(&:to_s)
  end

  # The instance method of `self?` is private, which old versions of RBS do not say.
  def public?(method, kind)
    return false unless method.accessibility == :public

    kind == "singleton" || method.defs.none? { |one| module_function?(one.member) }
  end

  def module_function?(member) = member.respond_to?(:kind) && member.kind == :singleton_instance

  # What Method#arity says of a method with these signatures.
  def arity(method_types)
    bounds = method_types.map { |method_type| bounds_of(method_type.type) }
    least = bounds.map(&:first).min
    bounds.flatten.uniq == [least] ? least : -least - 1
  end

  # The least and the greatest number of arguments; keywords count as one more.
  def bounds_of(function)
    least = function.required_positionals.size + function.trailing_positionals.size
    least += 1 unless function.required_keywords.empty?
    return [least, Float::INFINITY] if function.rest_positionals || function.rest_keywords

    [least, least + function.optional_positionals.size + (function.optional_keywords.empty? ? 0 : 1)]
  end

  # Iodine::Base is declared for the sake of some modules in it; the rest of it is nobody's business.
  def namespace?(type_name) = plain(type_name) == "Iodine::Base"

  # Types within a type, itself included.
  def every_type(type) = [type, *type.each_type.flat_map { |inner| every_type(inner) }]

  it "declares nothing that does not load" do
    expect(declared.map { |name| plain(name) } - loaded.keys).to be_empty
  end

  it "declares every module outside of Iodine::Base" do
    public_modules = loaded.keys.reject { |name| name.start_with?("Iodine::Base::") }
    expect(declared.map { |name| plain(name) }).to include(*public_modules)
  end

  %w[singleton instance].each do |kind|
    it "declares the #{kind} methods of its modules, with their arguments" do
      declared.reject { |name| namespace?(name) }.each do |name|
        arities = signatures(name, kind).transform_values { |types| arity(types) }
        expect(arities).to eq(loaded.fetch(plain(name)).fetch(kind)), lambda {
          "#{plain(name)}:\n  sig:    #{arities.sort}\n  loaded: #{loaded.fetch(plain(name)).fetch(kind).sort}"
        }
      end
    end
  end

  it "declares the constants of its modules" do
    constants = @environment.constant_decls.keys.map { |name| plain(name) }
    declared.reject { |name| namespace?(name) }.each do |name|
      found = constants.filter_map { |constant| constant[/\A#{plain(name)}::(\w+)\z/, 1] }
      expect(found).to match_array(loaded.fetch(plain(name)).fetch("constants")), plain(name)
    end
  end

  it "names types that exist" do
    method_types = declared.product(%w[singleton instance]).flat_map { |name, kind| signatures(name, kind).values }
    types = method_types.flatten.flat_map { |method_type| method_type.each_type.flat_map { |type| every_type(type) } }
    names = types.filter_map { |type| type.name if type.respond_to?(:name) && type.name.is_a?(RBS::TypeName) }

    # A name is left relative when nothing was found for it.
    expect(names.map(&:to_s).uniq).to include("::Integer").and all(start_with("::"))
  end
end
