# frozen_string_literal: true

require_relative "workshop"

RSpec.describe "the gem" do
  describe "its specification" do
    subject(:specification) { Gem::Specification.load(File.join(Support::ROOT, "iodine.gemspec")) }

    it "answers the requirement of applications written for iodine 0.7" do
      expect(Gem::Requirement.new("~> 0.7")).to be_satisfied_by(specification.version)
    end

    it "has the version of the Rust workspace" do
      manifest = File.read(File.join(Support::ROOT, "Cargo.toml"))
      expect(manifest[/^version = "(.*)"/, 1]).to eq(specification.version.to_s)
    end

    it "needs Ruby 3.1 and no other gem" do
      expect(specification.required_ruby_version.to_s).to eq(">= 3.1")
      expect(specification.runtime_dependencies).to be_empty
    end

    it "holds every member of the Rust workspace and the lock file" do
      members = File.read(File.join(Support::ROOT, "Cargo.toml"))[/^members = \[(.*?)\]/m, 1].scan(/"(.*?)"/).flatten
      expect(members).not_to be_empty
      expect(specification.files).to include("Cargo.toml", "Cargo.lock", *members.map { |path| "#{path}/Cargo.toml" })
    end

    it "holds every file that Ruby loads" do
      scripts = Dir.glob("lib/**/*.rb", base: Support::ROOT)
      expect(specification.files).to include("exe/iodine", *scripts)
    end

    it "holds nothing that was built, and no spec" do
      expect(specification.files.grep(%r{/target/|Makefile|\.(so|bundle)\z|\Aspec/})).to be_empty
    end
  end

  describe "installed into an empty gem home without rb_sys", :slow do
    before(:context) do
      @folder = Dir.mktmpdir("iodine-gem")
      @home = Workshop.gem_home(File.join(@folder, "home"))
      package = File.join(@folder, "iodine.gem")
      Workshop.run("gem", "build", "iodine.gemspec", "--output", package)
      env = { **@home, **Workshop::QUICK_BUILD, **Workshop.without_rb_sys(File.join(@folder, "hidden")) }
      Workshop.run("gem", "install", "--local", "--no-document", package, chdir: @folder, env: env)
    end

    after(:context) { FileUtils.rm_rf(@folder) }

    let(:installed) { Dir.glob(File.join(@folder, "home/gems/iodine-*")).first }

    it "gives a command that serves" do
      answer = Workshop.answer_of(File.join(@folder, "home/bin/iodine"), "-b", "127.0.0.1", "-p", "0",
                                  File.join(installed, "examples/hello.ru"), env: @home)
      expect(answer).to have_attributes(code: "200", body: "Hello, world!\n")
    end

    it "is loaded from the gem home" do
      loaded = Workshop.run("ruby", "-e", 'require "iodine"; puts $LOADED_FEATURES.grep(/iodine/)',
                            chdir: @folder, env: @home).lines
      expect(loaded).to all(start_with(@folder))
      expect(loaded.grep(/iodine_ext/)).not_to be_empty
    end

    it "leaves no build folder behind" do
      expect(Dir.glob("#{installed}/**/{target,*.rlib}")).to be_empty
    end
  end
end
