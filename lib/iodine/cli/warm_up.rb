# frozen_string_literal: true

require "stringio"

module Iodine
  module Base
    module CLI
      # Does in each worker, before it serves, what the first visitor would wait for.
      module WarmUp
        module_function

        # Has every worker load the constants that are loaded on first use, and request `/` from the application once.
        # Errors are logged: a worker that is not warm still serves.
        def install(app)
          Iodine.on_state(:on_start) do
            load_constants
            request(app)
          end
        end

        def load_constants
          Object.constants.each do |name|
            Object.const_get(name) if Object.autoload?(name)
          rescue ScriptError, StandardError => e
            CLI.warning("warm-up could not load #{name}: #{e.message}")
          end
        end

        def request(app)
          _status, _headers, body = app.call(env)
          body.each(&:bytesize) if body.respond_to?(:each)
        rescue ScriptError, StandardError => e
          CLI.warning("the warm-up request failed: #{e.full_message(highlight: false)}")
        ensure
          body.close if body.respond_to?(:close)
        end

        # The environment of a GET request for `/`.
        def env
          {
            "REQUEST_METHOD" => "GET",
            "SCRIPT_NAME" => ENV.fetch("SCRIPT_NAME", ""),
            "PATH_INFO" => "/",
            "QUERY_STRING" => "",
            "SERVER_NAME" => "localhost",
            "SERVER_PORT" => "80",
            "SERVER_PROTOCOL" => "HTTP/1.1",
            "HTTP_HOST" => "localhost",
            "HTTP_VERSION" => "HTTP/1.1",
            "REMOTE_ADDR" => "127.0.0.1",
            "rack.version" => [1, 3],
            "rack.url_scheme" => "http",
            "rack.input" => StringIO.new("".b),
            "rack.errors" => $stderr,
            "rack.multithread" => true,
            "rack.multiprocess" => true,
            "rack.run_once" => false
          }
        end
      end
    end
  end
end
