# frozen_string_literal: true

# Prepares the build of the extension during `gem install`. With the rb_sys gem its Makefile is used, which knows how
# to cross-compile; without it a small one that runs cargo.

require "rbconfig"
require "shellwords"

# What the build needs besides crates, and how to tell that it is there.
module Requirements
  module_function

  def check
    missing = []
    missing << CARGO unless cargo?
    missing << LIBCLANG unless libclang?
    missing << RUBY unless ruby_headers?
    return if missing.empty?

    abort "iodine has a Rust extension, and this machine lacks what builds it:\n  * #{missing.join("\n  * ")}"
  end

  def cargo?
    system(ENV.fetch("CARGO", "cargo"), "--version", out: File::NULL, err: File::NULL)
  end

  def ruby_headers?
    File.exist?(File.join(RbConfig::CONFIG["rubyhdrdir"], "ruby.h"))
  end

  def libclang?
    folders = [ENV.fetch("LIBCLANG_PATH", nil), llvm_folder, *LIBCLANG_FOLDERS].compact
    folders.any? { |folder| Dir.glob("#{folder}/libclang{,[-.]*}.{so,dylib}*").any? }
  end

  def llvm_folder
    IO.popen(%w[llvm-config --libdir], err: File::NULL, &:read).chomp
  rescue SystemCallError
    nil
  end

  CARGO = "cargo: install Rust (https://rustup.rs)"
  LIBCLANG = "libclang: apt-get install libclang-dev (Debian), dnf install clang-devel (Fedora), " \
             "brew install llvm (macOS), or name its folder by LIBCLANG_PATH"
  RUBY = "ruby.h: apt-get install ruby-dev (Debian), dnf install ruby-devel (Fedora)"
  LIBCLANG_FOLDERS = %w[
    /usr/lib/llvm*/lib /usr/lib /usr/lib64 /usr/lib/*-linux-gnu /usr/local/lib /usr/local/llvm*/lib
    /opt/homebrew/opt/llvm/lib /usr/local/opt/llvm/lib /Library/Developer/CommandLineTools/usr/lib
    /Applications/Xcode.app/Contents/Developer/Toolchains/XcodeDefault.xctoolchain/usr/lib
  ].freeze
  private_constant :CARGO, :LIBCLANG, :RUBY, :LIBCLANG_FOLDERS
end

# A Makefile with the targets RubyGems calls: clean, all and install, the last with `sitearchdir` and `DESTDIR`.
module Makefile
  module_function

  def write
    File.write("Makefile", TEMPLATE.gsub(/@([A-Z_]+)@/) { values.fetch(Regexp.last_match(1)) })
  end

  def values
    config = RbConfig::CONFIG
    {
      "SITEARCHDIR" => config["sitearchdir"].shellescape,
      "RUBY" => RbConfig.ruby.shellescape,
      "MANIFEST" => File.join(__dir__, "Cargo.toml").shellescape,
      "TARGET" => shared_target ? File.expand_path(shared_target).shellescape : "target",
      "CLEAN" => shared_target ? "@:" : "rm -rf target",
      "BUILT" => "libiodine_ext.#{config["SOEXT"]}",
      "INSTALLED" => "iodine_ext.#{config["DLEXT"]}"
    }
  end

  # A folder named by CARGO_TARGET_DIR spares later builds the crates, and is its owner's to clean.
  def shared_target
    ENV.fetch("CARGO_TARGET_DIR", nil)
  end

  # RUBY: built for the Ruby that wrote this file, whichever comes first in PATH.
  # rm before cp: a process that runs keeps the file it has mapped.
  # CLEAN after install: the build folder is a hundred times the library's size.
  TEMPLATE = <<~'MAKE'
    SHELL = /bin/sh
    CARGO ?= cargo
    DESTDIR =
    sitearchdir = @SITEARCHDIR@
    BUILT = @TARGET@/release/@BUILT@
    FOLDER = $(DESTDIR)$(sitearchdir)/iodine
    BUILD = RUBY=@RUBY@ $(CARGO) build --release --locked --manifest-path @MANIFEST@ --target-dir @TARGET@

    all:
    	$(BUILD)

    $(BUILT):
    	$(BUILD)

    install: $(BUILT)
    	mkdir -p $(FOLDER)
    	rm -f $(FOLDER)/@INSTALLED@
    	cp $(BUILT) $(FOLDER)/@INSTALLED@
    	@CLEAN@

    clean:
    	@CLEAN@

    distclean: clean
    	rm -f Makefile

    .PHONY: all install clean distclean
  MAKE
  private_constant :TEMPLATE
end

Requirements.check

begin
  require "rb_sys/mkmf"
rescue LoadError
  Makefile.write
else
  require "mkmf"
  create_rust_makefile("iodine/iodine_ext") { |builder| builder.extra_cargo_args << "--locked" }
end
