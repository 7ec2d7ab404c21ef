# frozen_string_literal: true

require_relative "workshop"

# The Makefile of an install without rb_sys. A script stands in for cargo: gem_spec.rb builds in earnest.
RSpec.describe "ext/iodine/extconf.rb without rb_sys" do
  around do |example|
    Dir.mktmpdir("iodine-extconf") do |folder|
      @folder = folder
      example.run
    end
  end

  let(:cargo) { cargo_that_writes("first build") }
  let(:env) { { **Workshop.without_rb_sys("#{@folder}/hidden"), "CARGO" => cargo, "CARGO_TARGET_DIR" => nil } }
  let(:library) { "#{@folder}/image/arch/iodine/iodine_ext.#{RbConfig::CONFIG["DLEXT"]}" }

  # A cargo that answers `--version`, and writes the library into the target folder it is given.
  def cargo_that_writes(content)
    path = "#{@folder}/cargo"
    File.write(path, <<~SH)
      #!/bin/sh
      [ "$1" = build ] || exit 0
      echo "$@" > #{@folder}/arguments
      for target; do :; done
      mkdir -p "$target/release"
      printf '%s' '#{content}' > "$target/release/libiodine_ext.#{RbConfig::CONFIG["SOEXT"]}"
    SH
    File.chmod(0o755, path)
    path
  end

  def configure(**overrides)
    script = "#{Support::ROOT}/ext/iodine/extconf.rb"
    Workshop.attempt("ruby", script, chdir: @folder, env: env.merge(overrides.transform_keys(&:to_s)))
  end

  def make(*arguments)
    Workshop.run("make", *arguments, chdir: @folder, env: env)
  end

  def install
    make("install", "DESTDIR=#{@folder}/image", "sitearchdir=/arch")
  end

  it "installs below DESTDIR and sitearchdir" do
    configure
    make
    install
    expect(File.read(library)).to eq("first build")
  end

  it "builds what Cargo.lock names, for release" do
    configure
    make
    expect(File.read("#{@folder}/arguments")).to start_with("build --release --locked")
  end

  it "removes an installed library before it copies the new one" do
    configure
    install
    File.open(library) do |mapped|
      cargo_that_writes("second build")
      install
      expect(mapped.read).to eq("first build")
      expect(File.read(library)).to eq("second build")
    end
  end

  it "removes its build folder after the install" do
    configure
    install
    expect(Dir.exist?("#{@folder}/target")).to be(false)
  end

  it "builds in CARGO_TARGET_DIR and leaves it to its owner" do
    configure(CARGO_TARGET_DIR: "#{@folder}/shared")
    make("clean", "all", "install", "DESTDIR=#{@folder}/image", "sitearchdir=/arch")
    expect(Dir.glob("#{@folder}/shared/release/*").size).to eq(1)
    expect(File.read(library)).to eq("first build")
  end

  it "says what to install when cargo is missing" do
    output, status = configure(CARGO: "#{@folder}/no-such-cargo")
    expect(status).not_to be_success
    expect(output).to include("cargo: install Rust")
    expect(output).not_to include("ruby.h")
    expect(File.exist?("#{@folder}/Makefile")).to be(false)
  end
end
