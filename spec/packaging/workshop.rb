# frozen_string_literal: true

require "net/http"
require "open3"
require "rbconfig"

# Runs packaging tools as on a user's machine: no setting of the surrounding bundle or gem home reaches them.
module Workshop
  # What a build leaves here spares the next run most of it. Optimising is left out: the specs are about packaging,
  # and `rake compile` has built the extension in earnest.
  FOLDER = File.join(Support::ROOT, "tmp/packaging")
  QUICK_BUILD = {
    "CARGO_TARGET_DIR" => File.join(FOLDER, "target"),
    "CARGO_PROFILE_RELEASE_OPT_LEVEL" => "0",
    "CARGO_PROFILE_RELEASE_LTO" => "off",
    "CARGO_PROFILE_RELEASE_CODEGEN_UNITS" => "16"
  }.freeze

  INHERITED = %w[BUNDLE_GEMFILE BUNDLE_BIN_PATH BUNDLER_VERSION BUNDLER_SETUP RUBYOPT RUBYLIB GEM_HOME].to_h do |name|
    [name, nil]
  end.freeze

  module_function

  # Runs the command and returns what it printed; fails with that when the command does.
  def run(*command, chdir: Support::ROOT, env: {})
    output, status = attempt(*command, chdir: chdir, env: env)
    raise "#{command.join(" ")}: #{status}\n#{output}" unless status.success?

    output
  end

  # Runs the command and returns what it printed, standard error included, and its status.
  def attempt(*command, chdir: Support::ROOT, env: {})
    Open3.capture2e(environment(env), *command, stdin_data: "", chdir: chdir)
  end

  # A new gem home; the gems of the machine (Rack and the like) stay visible behind it.
  def gem_home(folder)
    { "GEM_HOME" => folder, "GEM_PATH" => [folder, *Gem.path].join(File::PATH_SEPARATOR) }
  end

  # Makes `require "rb_sys/mkmf"` fail, whether the machine has that gem or not.
  def without_rb_sys(folder)
    FileUtils.mkdir_p(File.join(folder, "rb_sys"))
    File.write(File.join(folder, "rb_sys/mkmf.rb"), "raise LoadError, 'hidden by the specs'\n")
    { "RUBYLIB" => folder }
  end

  # The answer to one request for / from the server that the command starts.
  def answer_of(*command, chdir: nil, env: {})
    server = Support::Server.new(command, env: environment(env), chdir: chdir)
    Net::HTTP.get_response(URI("http://127.0.0.1:#{server.port}/"))
  ensure
    server&.stop
  end

  def environment(env)
    INHERITED.merge(env)
  end
end
