# frozen_string_literal: true

require_relative "cli/application"
require_relative "cli/pid_file"
require_relative "cli/stats"
require_relative "cli/warm_up"

module Iodine
  module Base
    # The `iodine` command: reads the command line, loads the application and serves it.
    #
    #     require "iodine"
    #     require "iodine/cli"
    #     Iodine::Base::CLI.call
    #
    # What is parsed goes to Iodine::DEFAULT_SETTINGS, Iodine.threads, Iodine.workers and Iodine.verbosity. After that
    # come the configuration file (`-config`), which may change any of them, and then the application.
    #
    # Exit status: 0 after help, version and an orderly stop; 1 when a file cannot be used; 2 when the command line, or
    # the variable PORT, is wrong.
    module CLI
      # A file named on the command line cannot be used. The message is all the user needs to see.
      class Failure < StandardError; end

      # Each of these asks for encryption.
      ENCRYPTION = %i[tls tls_cert tls_key tls_password].freeze

      # Arguments that are stored in DEFAULT_SETTINGS, and the key of each. Those that end in an underscore belong to
      # the command alone.
      SETTINGS = {
        address: :address,
        public: :public,
        log: :log,
        timeout: :timeout,
        ping: :ping,
        max_body: :max_body,
        max_msg: :max_msg,
        max_pending: :max_pending,
        deflate: :deflate,
        deflate_min: :deflate_min,
        deflate_write_context: :deflate_write_context,
        deflate_read_context: :deflate_read_context,
        deflate_write_bits: :deflate_write_bits,
        deflate_read_bits: :deflate_read_bits,
        max_headers: :max_headers,
        header_timeout: :header_timeout,
        body_timeout: :body_timeout,
        write_timeout: :write_timeout,
        tls_timeout: :tls_timeout,
        shutdown_timeout: :shutdown_timeout,
        filename: :filename_,
        redis: :redis_,
        pubsub_socket: :pubsub_socket,
        history_max: :history_max,
        redis_ping: :redis_ping_,
        redis_timeout: :redis_timeout_,
        redis_pending: :redis_pending_,
        warmup: :warmup_,
        reload: :reload_,
        metrics: :metrics,
        boot_timeout: :boot_timeout,
        hang_report: :hang_report,
        hang_replace: :hang_replace,
        max_requests: :max_requests,
        max_rss: :max_rss,
        pid: :pid_,
        config: :conf_
      }.freeze

      class << self
        # Reads a command line and the environment below it, and stores what they say. Exits after `-help`, `-version`
        # and mistakes. Neither argument is modified.
        def parse(command_line = ARGV, environment = ENV)
          arguments = native_parse(command_line, environment.to_h)
          leave_with(arguments)
          store(arguments)
          announce(arguments)
          @arguments = arguments
          nil
        end

        # Runs the command: prints the statistics of a server that runs, for `stats`; else parses ARGV, unless that is
        # done, and serves the application until the server stops.
        def call
          return puts(Stats.new(ARGV[1])) if ARGV.first == "stats" && ARGV.size <= 2

          Signals.keep
          Server.share_arena
          parse unless @arguments
          encrypt if ENCRYPTION.any? { |name| @arguments.key?(name) }
          connect_redis if settings[:redis_]
          PidFile.new(settings.delete(:pid_)).install if settings[:pid_]
          load_configuration(settings.delete(:conf_)) if settings[:conf_]
          app = application
          WarmUp.install(app) if settings[:warmup_]
          listen(app)
          Iodine.start
        rescue Failure, CrashLoop, MetricsListener::Unopened => e
          abort "error: #{e.message}"
        ensure
          # There may be no start that does it.
          Server.unlisten
        end

        # The text of `-help`.
        def help = native_parse(["-help"], {}).fetch(:help)

        # Logs a warning.
        def warning(message)
          $stderr.puts "WARNING: #{message}" if Iodine.verbosity >= 3 # rubocop:disable Style/StderrPuts
        end

        # Runs a block that loads the user's file +path+. Raises Failure, with the backtrace, when the file raises.
        def loading(path)
          yield
        rescue ScriptError, StandardError => e
          raise Failure, "#{path} could not be loaded:\n#{e.full_message(highlight: false)}"
        end

        private

        def settings = Iodine::DEFAULT_SETTINGS

        def connect_redis
          options = { ping: :redis_ping_, timeout: :redis_timeout_, max_pending: :redis_pending_ }
          # 0 leaves the default.
          options = options.transform_values { |key| settings[key] }.reject { |_, value| value.nil? || value.zero? }
          Iodine::PubSub.default = Iodine::PubSub::Redis.new(settings[:redis_], **options)
        rescue ArgumentError => e
          leave_with(error: "error: #{e.message}\n")
        end

        # With `-reload` it is loaded by the workers.
        def application
          chosen = Application.choose(settings[:filename_])
          settings[:reload_] ? LateHandler.new { chosen.load } : chosen.load
        end

        def listen(app)
          Iodine.listen(service: :http, handler: app)
        rescue RuntimeError, ArgumentError => e
          raise Failure, e.message
        end

        # To serve without encryption would betray who asked for it: what is wrong ends the command.
        def encrypt
          certificate, key, password = @arguments.values_at(:tls_cert, :tls_key, :tls_password)
          raise Failure, "-tls-key and -tls-pass need a -tls-cert" if certificate.nil? && (key || password)

          settings[:tls] = certificate ? Iodine::TLS.new(nil, certificate, key, password) : Iodine::TLS.self_signed
        rescue Iodine::TLS::Error => e
          raise Failure, e.message
        end

        def leave_with(arguments)
          if (text = arguments[:help] || arguments[:version])
            $stdout.write(text)
            exit
          elsif (text = arguments[:error])
            $stderr.write(text)
            exit 2
          end
        end

        def store(arguments)
          SETTINGS.each { |name, key| settings[key] = arguments[name] if arguments.key?(name) }
          settings[:log] = arguments[:log_format] if arguments[:log_format]
          settings[:port] = arguments[:port].to_s if arguments[:port]
          Iodine.threads = arguments[:threads] if arguments[:threads]
          Iodine.workers = arguments[:workers] if arguments[:workers]
          Iodine.verbosity = arguments[:verbosity] if arguments[:verbosity]
        end

        def announce(arguments)
          arguments[:warnings].each { |message| warning(message) }
        end

        # Loads a Ruby file, named relative to the current folder; the extension may be left away.
        def load_configuration(name)
          path = [name, "#{name}.rb"].find { |candidate| File.file?(candidate) }
          raise Failure, "there is no configuration file #{name}" unless path

          loading(path) { Kernel.load(File.expand_path(path)) }
        end
      end
    end
  end
end
