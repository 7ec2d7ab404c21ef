# frozen_string_literal: true

module Iodine
  module Base
    module CLI
      # The file with the application, as the command chooses and loads it.
      class Application
        # What is served when nothing is named.
        DEFAULT = "config.ru"

        # Serves no more than the static files, and 404.html of their folder, if there is one, for all else.
        class Nothing
          def initialize(folder)
            @page = File.join(File.expand_path(folder), "404.html")
          end

          def call(_env)
            return [404, { "content-type" => "text/html", "x-sendfile" => @page }, []] if File.file?(@page)

            [404, { "content-type" => "text/plain" }, ["Not Found\n"]]
          end
        end

        class << self
          # Finds the application: the file +name+, or +name+.ru, or config.ru. Raises Failure when there is none.
          def choose(name)
            candidates = name ? [name, "#{name}.ru", DEFAULT].uniq : [DEFAULT]
            path = candidates.find { |candidate| File.file?(candidate) }
            return found(path, candidates) if path
            return Static.new if name.nil? && Iodine::DEFAULT_SETTINGS[:public]

            raise Failure, missing(name, candidates)
          end

          private

          def found(path, candidates)
            if path == DEFAULT && candidates.first != DEFAULT
              CLI.warning("there is no #{candidates[0...-1].join(" and no ")}: serving #{DEFAULT}")
            end
            new(path)
          end

          def missing(name, candidates)
            return "there is no application to serve: tried #{candidates.join(", ")}" if name

            "there is no application to serve: name a file, or run iodine where a #{DEFAULT} is\n\n#{CLI.help}"
          end
        end

        # Stands in for an application when only static files are served.
        class Static
          def load = Nothing.new(Iodine::DEFAULT_SETTINGS[:public])
        end

        def initialize(path)
          @path = path
        end

        # Loads the file and returns the application. Raises Failure when that does not work.
        def load
          app = @path.end_with?(".rb") ? constant : rackup
          return app if app.respond_to?(:call)

          raise Failure, "#{@path} gives #{app.inspect}, which is no Rack application: it does not respond to call"
        end

        private

        # A rackup file. Rack 2 returns the options of its first line too; they are not iodine's.
        def rackup
          require_rack
          loaded = CLI.loading(@path) { ::Rack::Builder.load_file(File.expand_path(@path)) }
          loaded.is_a?(Array) ? loaded.first : loaded
        end

        # A Ruby file: my_app.rb defines MyApp.
        def constant
          CLI.loading(@path) { require File.expand_path(@path) }
          name = File.basename(@path, ".rb").split("_").map(&:capitalize).join
          begin
            Object.const_get(name)
          rescue NameError
            raise Failure, "#{@path} does not define the constant #{name}"
          end
        end

        def require_rack
          require "rack"
        rescue LoadError => e
          raise unless e.path == "rack"

          raise Failure, "#{@path} is a rackup file, which needs the rack gem: add `gem \"rack\"` to the Gemfile, " \
                         "or run `gem install rack`"
        end
      end
    end
  end
end
