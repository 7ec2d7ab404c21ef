# frozen_string_literal: true

module Support
  # A server under test: the real command, or a script that calls Iodine itself, in a child process.
  class Server
    LISTENING = /^INFO: Listening on (?:port (?<port>\d+)|Unix Socket at (?<path>\S+))$/

    class << self
      # Starts the command with a rackup file: the name of a file in spec/apps, or rackup source.
      # Listens on a free port of the loopback address unless +flags+ bind elsewhere.
      def rackup(app, *flags, env: {}, workers: 1, threads: 1)
        dir = Dir.mktmpdir("iodine-spec-app")
        flags = flags.map(&:to_s)
        bind = flags.include?("-b") ? [] : %w[-b 127.0.0.1 -p 0]
        command = [RbConfig.ruby, "-I#{ROOT}/lib", "#{ROOT}/exe/iodine", *bind, *count("-t", threads),
                   *count("-w", workers), *flags, file(app, dir, "app.ru")]
        new(command, dir: dir, env: env)
      end

      # Starts a file of spec/apps by the command of rackup.
      def by_rackup(app, *flags)
        new([RbConfig.ruby, "-I#{ROOT}/lib", "-S", "rackup", "-s", "iodine", "-o", "127.0.0.1", "-p", "0", *flags,
             File.expand_path("spec/apps/#{app}", ROOT)])
      end

      # Starts a Ruby script: the name of a file in spec/apps, or source. It must listen +listeners+ times.
      def script(source, *arguments, env: {}, listeners: 1)
        dir = Dir.mktmpdir("iodine-spec-app")
        command = [RbConfig.ruby, "-I#{ROOT}/lib", file(source, dir, "script.rb"), *arguments.map(&:to_s)]
        new(command, dir: dir, env: env, listeners: listeners)
      end

      private

      # A nil count leaves the flag away.
      def count(flag, number) = number ? [flag, number.to_s] : []

      def file(app, dir, name)
        return File.expand_path("spec/apps/#{app}", ROOT) if app.match?(/\A\S+\.(ru|rb)\z/)

        path = File.join(dir, name)
        File.write(path, app)
        path
      end
    end

    attr_reader :process, :ports, :paths

    # Starts +command+ and returns when it has said that it listens, for which it has +within+ seconds. +dir+ is removed
    # when the server ends.
    def initialize(command, dir: nil, env: {}, listeners: 1, within: 60, **options)
      @dir = dir
      @process = ChildProcess.new(*command, env: env, **options)
      listening = process.log.wait_until("#{listeners} listeners", within: within) do |text|
        found = text.scan(LISTENING)
        found if found.size >= listeners
      end
      @ports = listening.filter_map { |port, _| port&.to_i }
      @paths = listening.filter_map(&:last)
    rescue DeadlineError
      stop
      raise
    end

    def pid = process.pid
    def port = ports.fetch(0)
    def path = paths.fetch(0)
    def log = process.log.text
    def children = process.children
    def kill(signal) = process.kill(signal)
    def wait(**options) = process.wait(**options)
    def wait_for_log(pattern, **options) = process.wait_for_log(pattern, **options)

    # Interrupts the server, waits and returns its Process::Status.
    def stop(signal = "INT", **options)
      process.stop(signal, **options)
    ensure
      FileUtils.rm_rf(@dir) if @dir
    end

    # A new connection; closed after the block when there is one.
    def connect(port: nil, path: nil, &block)
      path ||= paths.first unless port || ports.any?
      socket = path ? UNIXSocket.new(path) : TCPSocket.new("127.0.0.1", port || self.port)
      RawHTTP.use(socket, &block)
    end

    # A new connection with TLS (see TLS.connect); closed after the block when there is one.
    def connect_tls(port: nil, path: nil, **options, &block)
      socket = path ? UNIXSocket.new(path) : TCPSocket.new("127.0.0.1", port || self.port)
      RawHTTP.use(TLS.connect(socket, **options), &block)
    end

    # One request on a connection of its own.
    def request(bytes, to: bytes[/\A\S+/], within: Waiting::DEADLINE, **where)
      connect(**where) do |peer|
        peer.write(bytes)
        peer.read_response(to: to, within: within)
      end
    end

    def get(target, *fields, **where) = request(self.class.get(target, *fields), **where)

    # The bytes of a GET request.
    def self.get(target, *fields) = ["GET #{target} HTTP/1.1", "Host: a.test", *fields, "", ""].join("\r\n")

    # The bytes of a POST request with Content-Length.
    def self.post(target, body, *fields)
      head = ["POST #{target} HTTP/1.1", "Host: a.test", "Content-Length: #{body.bytesize}", *fields, "", ""]
      head.join("\r\n").b << body.b
    end

    # The bytes of a POST request that uploads +content+ as the file +name+ of the field "file".
    def self.upload(target, name, content, *parts)
      file = "Content-Disposition: form-data; name=\"file\"; filename=\"#{name}\"\r\n" \
             "Content-Type: application/octet-stream\r\n\r\n"
      body = [*parts, file.b << content].map { |part| "--boundary\r\n".b << part << "\r\n" }.join << "--boundary--\r\n"
      post(target, body, "Content-Type: multipart/form-data; boundary=boundary")
    end

    # The bytes of a POST request sent in chunks of the given sizes.
    def self.post_chunked(target, body, chunk: 16_384)
      head = ["POST #{target} HTTP/1.1", "Host: a.test", "Transfer-Encoding: chunked", "", ""].join("\r\n").b
      (0...body.bytesize).step(chunk) do |start|
        part = body.byteslice(start, chunk).b
        head << "#{part.bytesize.to_s(16)}\r\n" << part << "\r\n"
      end
      head << "0\r\n\r\n"
    end
  end
end
