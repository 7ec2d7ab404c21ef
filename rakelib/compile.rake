# frozen_string_literal: true

require "English"
require "fileutils"
require "json"
require "rbconfig"

# Builds the extension with cargo and puts it where `require` finds it.
module Extension
  INSTALLED = File.expand_path("../lib/iodine/iodine_ext.#{RbConfig::CONFIG["DLEXT"]}", __dir__)

  module_function

  def compile
    built = build("--release")
    return if File.exist?(INSTALLED) && FileUtils.identical?(built, INSTALLED)

    # Removed first, so that a process that runs keeps the file it has mapped.
    FileUtils.rm_f(INSTALLED)
    FileUtils.cp(built, INSTALLED)
  end

  # Returns the path of the library: cargo tells it, because its settings can move the target folder. RUBY is the Ruby
  # to build for, as in extconf.rb; one that differs from build to build would compile the bindings anew each time.
  def build(*flags)
    command = %w[cargo build --locked --package iodine_ext --message-format json-render-diagnostics] + flags
    artifacts = IO.popen({ "RUBY" => RbConfig.ruby }, command, &:readlines).map { |line| JSON.parse(line) }
    abort "cargo could not build the extension" unless $CHILD_STATUS.success?

    artifacts.find { |message| message.dig("target", "kind") == ["cdylib"] }.fetch("filenames").first
  end
end

desc "Build the extension into lib/iodine"
task :compile do
  Extension.compile
end

desc "Remove what was built"
task :clean do
  sh "cargo clean"
  rm_rf ["pkg", Extension::INSTALLED]
end
