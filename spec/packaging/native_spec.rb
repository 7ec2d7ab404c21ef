# frozen_string_literal: true

require_relative "workshop"

RSpec.describe "lib/iodine/native.rb" do
  around do |example|
    Dir.mktmpdir("iodine-native") do |folder|
      @folder = folder
      FileUtils.mkdir_p("#{folder}/iodine")
      FileUtils.cp("#{Support::ROOT}/lib/iodine/native.rb", "#{folder}/iodine")
      example.run
    end
  end

  # A script in the place of a library: `require` takes either.
  def place(path, source)
    path = "#{@folder}/iodine/#{path}.rb"
    FileUtils.mkdir_p(File.dirname(path))
    File.write(path, source)
  end

  def load_native
    Workshop.attempt("ruby", "--disable-gems", "-I", @folder, "-e", 'require "iodine/native"', chdir: @folder).first
  end

  let(:minor) { RUBY_VERSION[/\d+\.\d+/] }

  it "prefers the library of a precompiled gem" do
    place("#{minor}/iodine_ext", "print 'precompiled'")
    place("iodine_ext", "print 'built here'")
    expect(load_native).to eq("precompiled")
  end

  it "takes the library built on this machine" do
    place("iodine_ext", "print 'built here'")
    expect(load_native).to eq("built here")
  end

  it "says what to do when there is none" do
    expect(load_native).to match(/not built for Ruby #{RUBY_VERSION}.*rake compile.*gem pristine iodine.*LoadError/m)
  end

  it "does not hide why a library failed to load" do
    place("#{minor}/iodine_ext", "require 'no_such_file'")
    place("iodine_ext", "print 'built here'")
    expect(load_native).to include("cannot load such file -- no_such_file")
  end
end
