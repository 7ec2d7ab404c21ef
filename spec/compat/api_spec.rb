# frozen_string_literal: true

require "json"
require "yaml"

# The names of iodine 0.7, from the list beside this file.
RSpec.describe "The API of iodine 0.7" do
  api = YAML.safe_load_file(File.expand_path("api.yml", __dir__))

  # What of the list is missing: "Iodine::Connection#close", or "Iodine::Connection#close (1)" when it is there but does
  # not take one argument.
  missing = <<~RUBY
    require "iodine"
    require "iodine/cli"
    require "json"

    # Whether a call with that many arguments, and a Hash for keywords, would be taken.
    def takes?(method, count)
      kinds = method.parameters.map(&:first)
      most = kinds.include?(:rest) ? Float::INFINITY : kinds.count { |kind| %i[req opt].include?(kind) }
      keywords = kinds.intersect?(%i[key keyreq keyrest]) ? 1 : 0
      count.between?(kinds.count(:req), most + keywords)
    end

    def lacking(names, counts, &find)
      method = find.call
      counts.reject { |count| takes?(method, count) }.map { |count| "\#{names} (\#{count})" }
    rescue NameError
      [names]
    end

    # `new` takes what `initialize` takes, unless it is a method of its own.
    def singleton(mod, name)
      own = mod.singleton_method(name) if mod.singleton_methods.include?(name.to_sym)
      own || (name == "new" ? mod.instance_method(:initialize) : mod.method(name))
    end

    api = JSON.parse(ARGV[0])
    missing = api["modules"].flat_map do |name, list|
      mod = Object.const_get(name)
      constants = list.fetch("constants", []).reject { |constant| mod.const_defined?(constant, false) }
      [
        constants.map { |constant| "\#{name}::\#{constant}" },
        list.fetch("singleton", {}).merge(list.fetch("functions", {})).map do |method, counts|
          lacking("\#{name}.\#{method}", counts) { singleton(mod, method) }
        end,
        list.fetch("instance", {}).merge(list.fetch("functions", {})).map do |method, counts|
          lacking("\#{name}#\#{method}", counts) { mod.instance_method(method) }
        end
      ]
    rescue NameError
      [name]
    end
    top_level = api["top_level"].reject { |name| Object.private_method_defined?(name) }
    puts JSON.generate(missing.flatten + top_level)
  RUBY

  before(:all) do
    process = Support::ChildProcess.run_ruby(missing, JSON.generate(api))
    raise process.log.text unless process.wait.success?

    @missing = JSON.parse(process.out.text)
  end

  it "is there: constants, methods, and the arguments they take" do
    expect(@missing - api.fetch("pending")).to be_empty
  end

  it "has nothing pending that has come" do
    expect(api.fetch("pending") - @missing).to be_empty
  end

  it "has one Hash of settings under two names" do
    process = Support::ChildProcess.run_ruby(<<~RUBY)
      require "iodine"
      puts Iodine::DEFAULT_HTTP_ARGS.equal?(Iodine::DEFAULT_SETTINGS), Iodine::TLS::SUPPORTED
    RUBY
    expect(process.out.lines).to eq(%w[true true])
  end

  it "has the flags of the command" do
    process = Support::ChildProcess.run_ruby(<<~'RUBY', "--", *api.fetch("flags"))
      require "iodine"
      require "iodine/cli"
      flags = Iodine::Base::CLI.help.scan(/(?<![\w-])--?([\w?][\w-]*)/).flatten
      puts ARGV.reject { |flag| flags.include?(flag.sub(/\A--?/, "")) }
    RUBY
    expect(process.out.lines).to be_empty
  end

  it "has the settings that flags fill" do
    settings = api.fetch("settings")
    process = Support::ChildProcess.run_ruby(<<~RUBY, "--", *settings.values.flatten)
      require "iodine"
      require "iodine/cli"
      Iodine::DEFAULT_SETTINGS.clear
      Iodine::Base::CLI.parse
      puts Iodine::DEFAULT_SETTINGS.compact.keys
    RUBY
    expect(settings.keys - process.out.lines).to be_empty
  end
end
