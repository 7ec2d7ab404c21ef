# frozen_string_literal: true

require "fileutils"
require "io/wait"
require "net/http"
require "rubygems/package"
require "tmpdir"

# Installs a gem as a user would, into an empty gem home, and has its command answer a request.
class Trial
  GREETING = "Hello, world!\n"
  LISTENING = /Listening on port (\d+)/
  # Seconds that a server has to listen.
  PATIENCE = 60

  def self.of(package)
    Dir.mktmpdir("iodine-trial") { |folder| new(File.expand_path(package), folder).run }
  end

  def initialize(package, folder)
    @package = package
    @folder = folder
    # Rack and the like come from the machine.
    path = [folder, *Gem.path].join(File::PATH_SEPARATOR)
    @env = { "GEM_HOME" => folder, "GEM_PATH" => path, "RUBYLIB" => nil, "RUBYOPT" => nil, "BUNDLE_GEMFILE" => nil }
  end

  def run
    command = %w[gem install --local --no-document]
    system(@env, *command, @package, chdir: @folder) or abort "#{@package} could not be installed"
    example = Dir.glob(File.join(@folder, "gems/iodine-*/examples/hello.ru")).fetch(0)
    answer = ask(File.join(@folder, "bin/iodine"), example)
    answer == GREETING or abort "#{@package} answers #{answer.inspect}"
    puts "#{File.basename(@package)} installs, starts and answers"
  end

  private

  def ask(command, example)
    log, writer = IO.pipe
    pid = Process.spawn(@env, command, "-b", "127.0.0.1", "-p", "0", "-w", "1", "-t", "1", example, err: writer)
    writer.close
    Net::HTTP.get(URI("http://127.0.0.1:#{port(log)}/"))
  ensure
    Process.kill("TERM", pid)
    Process.wait(pid)
  end

  # Where the server listens, by its log.
  def port(log)
    text = +""
    until text.match?(LISTENING)
      log.wait_readable(PATIENCE) or abort "the server does not start:\n#{text}"
      text << log.readpartial(4096)
    end
    text[LISTENING, 1]
  rescue EOFError
    abort "the server has ended:\n#{text}"
  end
end

# A gem with compiled libraries, one for each minor version of Ruby, which lib/iodine/native.rb chooses from.
class NativeGem
  LIBRARY = "iodine_ext.#{RbConfig::CONFIG["DLEXT"]}".freeze

  # +folder+ is where packages go; libraries wait below it until all are there.
  def initialize(folder)
    @folder = File.expand_path(folder)
    @libraries = File.join(@folder, "libraries", platform.to_s)
  end

  # Keeps the library of the Ruby that runs this.
  def keep(library)
    target = File.join(@libraries, RUBY_VERSION[/\d+\.\d+/])
    FileUtils.mkdir_p(target)
    FileUtils.cp(library, File.join(target, LIBRARY))
  end

  # Builds the gem of all libraries that were kept; its path.
  def build
    Dir.mktmpdir("iodine-native") do |stage|
      specification = fill(stage)
      Dir.chdir(stage) { Gem::Package.build(specification) }
      FileUtils.mv(File.join(stage, specification.file_name), @folder)
      File.join(@folder, specification.file_name)
    end
  end

  private

  def platform = Gem::Platform.new("#{Gem::Platform.local.cpu}-#{Gem::Platform.local.os}")
  def minors = Dir.children(@libraries).sort_by { |name| Gem::Version.new(name) }

  # Copies what belongs into the gem, and returns its specification.
  def fill(stage)
    specification = Gem::Specification.load("iodine.gemspec")
    specification.files = specification.files.grep_v(%r{\A(ext/|Cargo\.)})
    specification.files.each { |path| copy(path, File.join(stage, path)) }
    specification.files += minors.map { |minor| library(stage, minor) }
    specification.extensions = []
    specification.platform = platform
    newest = Gem::Version.new("#{minors.last}.0").bump
    specification.required_ruby_version = [">= #{minors.first}", "< #{newest}.dev"]
    specification
  end

  def library(stage, minor)
    path = File.join("lib/iodine", minor, LIBRARY)
    copy(File.join(@libraries, minor, LIBRARY), File.join(stage, path))
    path
  end

  def copy(from, to)
    FileUtils.mkdir_p(File.dirname(to))
    FileUtils.cp(from, to)
  end
end

namespace :release do
  desc "Build the source gem, install it into an empty gem home, and run the first example from there"
  task check: :build do
    Trial.of("pkg/#{Gem::Specification.load("iodine.gemspec").file_name}")
  end
end

desc "Build a gem with the library for this Ruby, and those kept in pkg/libraries before; install it and run an example"
task native: :compile do
  native = NativeGem.new("pkg")
  native.keep(Extension::INSTALLED)
  Trial.of(native.build)
end
