# frozen_string_literal: true

require "fileutils"
require "rbconfig"
require "tmpdir"

module Bench
  # The gem of this checkout.
  class Iodine < Server
    def self.missing
      return if File.exist?(EXECUTABLE) && Dir.exist?(LIBRARY) && Dir.glob("#{LIBRARY}/**/iodine_ext.*").any?

      "iodine is not built in this checkout: run `rake compile`, or leave it out with `--servers puma,floor`"
    end

    private

    def command
      threads = scenario.threads.to_s
      files = scenario.files ? ["-www", StaticFiles.folder] : []
      log = scenario.log ? ["-log"] : []
      tls = scenario.request.tls ? ["-tls-cert", Certificates.certificate, "-tls-key", Certificates.key] : []
      [RbConfig.ruby, "-I#{LIBRARY}", EXECUTABLE, "-b", "127.0.0.1", "-p", port.to_s, "-t", threads,
       "-w", scenario.workers.to_s, *files, *log, *tls, scenario.app_path]
    end

    LIBRARY = File.join(CHECKOUT, "lib")
    EXECUTABLE = File.join(CHECKOUT, "exe", "iodine")
    private_constant :LIBRARY, :EXECUTABLE
  end

  # Puma as the system installs it, single process, quiet, with no configuration file.
  class Puma < Server
    def self.missing
      return if Machine.executable("puma")

      "puma is not installed: try `apt-get install puma` or `gem install puma`, or leave it out with --servers"
    end

    private

    def command
      threads = "#{scenario.threads}:#{scenario.threads}"
      ["puma", "-q", "-C", "-", "-e", "production", "-t", threads, "-w", "0", "-b", "tcp://127.0.0.1:#{port}",
       scenario.app_path]
    end
  end

  # nginx with one worker and no access log, else as Debian configures it.
  class Nginx < Server
    def self.missing
      return if executable

      "nginx is not installed: try `apt-get install nginx-light` or `brew install nginx`, or use --servers"
    end

    # Debian keeps it where the paths of ordinary users do not lead.
    def self.executable
      Machine.executable("nginx") || ("/usr/sbin/nginx" if File.executable?("/usr/sbin/nginx"))
    end

    def stop
      super
    ensure
      FileUtils.rm_rf(@prefix) if @prefix
    end

    private

    def command
      @prefix ||= Dir.mktmpdir("bench-nginx")
      file = File.join(@prefix, "nginx.conf")
      File.write(file, format(CONFIGURATION, port: port, root: StaticFiles.folder, prefix: @prefix, tls: tls))
      [self.class.executable, "-p", @prefix, "-c", file]
    end

    # What follows the port.
    def tls
      return unless scenario.request.tls

      " ssl; ssl_certificate #{Certificates.certificate}; ssl_certificate_key #{Certificates.key}"
    end

    CONFIGURATION = <<~CONF
      daemon off;
      worker_processes 1;
      pid %<prefix>s/nginx.pid;
      error_log stderr;
      events { worker_connections 768; }
      http {
        sendfile on;
        tcp_nopush on;
        access_log off;
        default_type application/octet-stream;
        client_body_temp_path %<prefix>s/body;
        proxy_temp_path %<prefix>s/proxy;
        fastcgi_temp_path %<prefix>s/fastcgi;
        uwsgi_temp_path %<prefix>s/uwsgi;
        scgi_temp_path %<prefix>s/scgi;
        server {
          listen 127.0.0.1:%<port>d%<tls>s;
          root %<root>s;
        }
      }
    CONF
    private_constant :CONFIGURATION
  end

  # The bare event loop of bench/floor. It runs no application, so it copies the size of another server's answer.
  class Floor < Server
    def self.missing
      FLOOR.missing
    end

    private

    def command
      size = ["--response-bytes", [answer_bytes, LEAST_BYTES].max.to_s] if scenario.floor == "http"
      [FLOOR.executable, scenario.floor, "--port", port.to_s, *size]
    end

    # The floor's own hello world. Puma's is shorter because it sends no Date.
    LEAST_BYTES = 113
    private_constant :LEAST_BYTES
  end

  # In the order in which they are started and reported: the floor comes after those it imitates.
  SERVERS = { iodine: Iodine, puma: Puma, nginx: Nginx, floor: Floor }.freeze
end
