# frozen_string_literal: true

require "fileutils"
require "open3"
require "tmpdir"

module Support
  # An application as `rails new` makes it, with SQLite and without what needs the network, and the files of
  # spec/apps/generated over it. Removed by #remove.
  class RailsApplication
    # The oldest Rails whose generator and defaults these files are for.
    OLDEST = Gem::Version.new("7.1")
    WITHOUT = %w[git docker action-mailer action-mailbox action-text javascript hotwire jbuilder test system-test
                 bootsnap brakeman rubocop ci dev-gems bundle].map { |part| "--skip-#{part}" }.freeze
    MODEL = "class Document < ApplicationRecord\n  has_one_attached :file\nend\n"
    ENVIRONMENT = { "RAILS_ENV" => "production", "IODINE_CHECKOUT" => ROOT, "RAILS_LOG_LEVEL" => "warn" }.freeze

    # Whether the machine has what it takes.
    def self.available?
      Gem::Specification.find_all_by_name("propshaft").any? &&
        Gem::Specification.find_all_by_name("railties").any? { |gem| gem.version >= OLDEST }
    end

    attr_reader :folder

    def initialize
      @parent = Dir.mktmpdir("iodine-rails-new")
      @folder = File.join(@parent, "shop")
      run("rails", "new", "shop", "--asset-pipeline=propshaft", *WITHOUT, chdir: @parent)
      FileUtils.cp_r("#{ROOT}/spec/apps/generated/.", folder)
      FileUtils.cp("#{ROOT}/examples/rails/iodine.rb", "#{folder}/config/initializers/iodine.rb")
      run("bundle", "install", "--local")
      prepare
    end

    # Starts a server by `bundle exec` and the given command.
    def serve(*command, env: {})
      Server.new(["bundle", "exec", *command], env: ENVIRONMENT.merge(env), chdir: folder)
    end

    def remove = FileUtils.rm_rf(@parent)

    private

    def prepare
      rails("generate", "model", "document", "title", "--no-test-framework")
      File.write("#{folder}/app/models/document.rb", MODEL)
      rails("active_storage:install")
      rails("db:prepare", "assets:precompile")
    end

    def rails(*arguments) = run("bundle", "exec", "bin/rails", *arguments)

    def run(*command, chdir: folder)
      output, status = Open3.capture2e(ChildProcess::CLEAN.merge(ENVIRONMENT), *command, chdir: chdir)
      raise "#{command.join(" ")} failed:\n#{output}" unless status.success?
    end
  end
end
