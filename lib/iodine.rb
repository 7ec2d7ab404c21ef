# frozen_string_literal: true

require_relative "iodine/version"
require_relative "iodine/native"
require_relative "iodine/log"
require_relative "iodine/state"
require_relative "iodine/scheduler"
require_relative "iodine/empty_input"
require_relative "iodine/late_handler"
require_relative "iodine/inherited_sockets"
require_relative "iodine/tls"
require_relative "iodine/tls_clients"
require_relative "iodine/place"
require_relative "iodine/listener"
require_relative "iodine/service"
require_relative "iodine/connection"
require_relative "iodine/clients"
require_relative "iodine/metrics_listener"
require_relative "iodine/signals"
require_relative "iodine/reload"
require_relative "iodine/process_fork"
require_relative "iodine/upgrade"
require_relative "iodine/service_manager"
require_relative "iodine/pulse"
require_relative "iodine/tidying"
require_relative "iodine/worker"
require_relative "iodine/worker_process"
require_relative "iodine/fork_protection"
require_relative "iodine/respawn"
require_relative "iodine/rollout"
require_relative "iodine/supervision"
require_relative "iodine/boot"
require_relative "iodine/farewell"
require_relative "iodine/life_line"
require_relative "iodine/cluster"
require_relative "iodine/publisher_socket"
require_relative "iodine/server"

# A server for Rack applications, and for scripts:
#
#     require "iodine"
#
#     Iodine.threads = 4
#     Iodine.listen(service: :http, port: 3000) { |env| [200, {}, ["Hello from #{env["PATH_INFO"]}"]] }
#     Iodine.start
#
# The command `iodine` does this for a rackup file.
module Iodine
  # Settings that #listen falls back to. The command line fills it.
  DEFAULT_SETTINGS = { port: ENV["PORT"] || "3000", address: nil } # rubocop:disable Style/MutableConstant
  # An older name of DEFAULT_SETTINGS.
  DEFAULT_HTTP_ARGS = DEFAULT_SETTINGS

  # Upper bounds of #threads= and #workers=.
  MAX_THREADS = 4095
  MAX_WORKERS = 511

  @threads = 0
  @workers = 0
  @verbosity = 4

  module_function

  # Application threads in each worker, as last set; 0 (the default) lets the server choose.
  #
  # @return [Integer]
  def threads = Iodine.instance_variable_get(:@threads)

  # Sets the number of application threads in each worker process.
  #
  # 0 lets the server choose, -n means the number of cores divided by n. Takes effect at the next #start.
  #
  # @param number [Integer] at most 4095
  # @raise [TypeError] for anything but an Integer
  # @raise [RangeError] above 4095
  def threads=(number)
    Iodine.instance_variable_set(:@threads, Base.count(number, "threads", MAX_THREADS))
  end

  # Worker processes, as last set; 0 (the default) lets the server choose.
  #
  # @return [Integer]
  def workers = Iodine.instance_variable_get(:@workers)

  # Sets the number of worker processes. With 1 the process that calls #start serves by itself; with more it becomes
  # the master and forks them.
  #
  # 0 lets the server choose, -n means the number of cores divided by n. Takes effect at the next #start.
  #
  # @param number [Integer] at most 511
  # @raise [TypeError] for anything but an Integer
  # @raise [RangeError] above 511
  def workers=(number)
    Iodine.instance_variable_set(:@workers, Base.count(number, "workers", MAX_WORKERS))
  end

  # The log level: 0 silent, 1 fatal, 2 errors, 3 warnings, 4 information (the default), 5 debugging.
  #
  # @return [Integer]
  def verbosity = Iodine.instance_variable_get(:@verbosity)

  # Sets the log level, at once.
  #
  # @param level [Integer] as #verbosity returns it
  # @raise [TypeError] for anything but an Integer
  def verbosity=(level)
    raise TypeError, "verbosity must be an Integer, got #{level.inspect}" unless level.is_a?(Integer)

    Iodine.instance_variable_set(:@verbosity, level)
    Base.native_verbosity = level
  end

  # Opens a listening socket, at once; connections are accepted from #start on, or at once in a process that serves
  # already.
  #
  #     Iodine.listen(service: :http, port: 3000, handler: app)
  #     Iodine.listen(url: "http://127.0.0.1:3000") { |env| [200, {}, ["hi"]] }
  #     Iodine.listen(service: :http, address: "/run/app.sock", handler: app)
  #     Iodine.listen(service: :raw, port: 3001) { EchoHandler.new }
  #
  # Options, each of which falls back to DEFAULT_SETTINGS:
  #
  # [url] where to listen, instead of address and port; its scheme stands for the service
  # [service] `:http` (or `:ws`) for a Rack application, `:raw` (or `:tcp`, `:unix`, or none) for raw connections;
  #           `:https` (or `:wss`) and `:tls` are the same over TLS
  # [handler] the Rack application; for raw connections what is called for each, without arguments, and returns the
  #           object with its callbacks, or nil to close it. A block does as well
  # [address] host name, IP address, or the path of a Unix socket; nil is every interface
  # [port] Integer or numeric String; 0 is any free port
  # [max_body] largest request body, MiB; 50
  # [max_headers] largest request head, KiB; 32
  # [timeout] seconds a kept connection may be idle; 40. For raw connections the seconds of silence before their `ping`
  #           callback, or without one their end; none, and DEFAULT_SETTINGS is not asked
  # [header_timeout] seconds from the first byte of a request to the end of its head; 20
  # [body_timeout] longest pause within a request body, seconds; 30
  # [write_timeout] longest pause of a client that does not read, seconds; 60
  # [tls] an Iodine::TLS, to encrypt by. Without one, `:https` makes a certificate that no client trusts
  # [tls_timeout] seconds from the connection to the end of its TLS handshake; 10
  # [public] folder of static files, served without asking the application; a leading `~/` is the user's home
  # [cache_control] `Cache-Control` of static files; `"max-age=3600"`. false or "" sends none
  # [immutable] `Cache-Control` of static files with a fingerprint in their name, `app-0a1b2c3d.js`;
  #             `"public, max-age=31536000, immutable"`. false or "" treats them as all others
  # [dotfiles] whether static files and folders whose names begin with a dot are served; false
  # [mime_types] Hash of file extensions and media types, in addition to those that are known
  # [sendfile_root] folder of the files that the application may name by `X-Sendfile` and `X-Accel-Redirect`
  # [max_msg] largest message of a WebSocket, KiB; 256
  # [ping] seconds of silence before a WebSocket or an event stream is sent a ping; 40
  # [max_pending] what may wait for a client that does not read, unless it is sent a response, MiB; 16
  # [deflate] whether WebSocket messages are compressed for clients that offer it (permessage-deflate); false
  # [deflate_min] smallest message that is compressed, bytes; 1024
  # [deflate_write_context, deflate_read_context] whether messages sent, and received, may refer to earlier ones to be
  #                                               smaller, for 371 and 47 KiB of memory a connection; false
  # [deflate_write_bits, deflate_read_bits] how far back they may refer: binary logarithm of bytes, 8 to 15; 15
  # [log] a line for each response on stderr: true for the format of iodine 0.7, or `:common`, `:combined`, `:json`
  #
  # @param options [Hash{Symbol => Object}] the options, as a Hash or as keywords
  # @yield [env] the handler, unless it is among the options
  # @yieldparam env [Hash{String => Object}] the environment of the request; nothing for raw connections
  # @return [Object] the handler
  # @raise [TypeError] unless given a Hash, or for a `tls` that is none
  # @raise [ArgumentError] without a handler, or for a folder that cannot be read
  # @raise [RuntimeError] when the socket cannot be opened, or in the master of a cluster that is running
  def listen(options = {}, **keywords, &block)
    raise TypeError, "Iodine.listen takes a Hash of options, got #{options.inspect}" unless options.is_a?(Hash)

    listener = Base::Server.listen { Base::Listener.open(options.merge(keywords), block) }
    listener.handler
  end

  # Connects to a server, by WebSocket or with a protocol of the handler's own.
  #
  #     Iodine.connect(url: "ws://example.com/chat", handler: ChatClient.new)
  #     Iodine.connect(service: :raw, address: "example.com", port: 3000, handler: client)
  #     Iodine.connect(url: "unix:///run/app.sock", handler: client)
  #
  # The connection is opened as soon as the server of this process runs; before #start it belongs to the process that
  # calls #start alone. When it does not come about, `on_close` of the handler is called without `on_open` before it:
  # for a WebSocket with a closed client, which knows the reason, for a raw connection with nil.
  #
  # Options, of which address, port, handler and path fall back to DEFAULT_SETTINGS:
  #
  # [url] where to connect to, instead of address, port and path; its scheme stands for the service
  # [service] `:ws` (or `:http`) for a WebSocket, `:raw` (or `:tcp`, `:unix`, or none) for a raw connection
  # [handler] the object with the callbacks
  # [address] host name, IP address, or the path of a Unix socket; nil is this machine
  # [port] Integer or numeric String
  # [path] path and query for the request of a WebSocket; "/"
  # [headers] further fields of that request: a Hash, whose values may be Arrays
  # [cookies] a Hash of names and values, for its Cookie field
  # [connect_timeout] seconds until there is a connection, to any of the name's addresses; 30
  # [handshake_timeout] seconds the server of a WebSocket has for its answer; 30
  # [ping] seconds of silence before a WebSocket is sent a ping, and before the `ping` callback of a raw connection, or
  #        without one its end; none. For a raw connection it stands for connect_timeout too
  # [max_msg] largest message of a WebSocket, KiB; 256
  # [max_pending] what may wait for a server that does not read, MiB; 16
  # [write_timeout] longest pause of a server that does not read, seconds; 60
  # [deflate] whether compression of WebSocket messages is offered (permessage-deflate); false
  # [deflate_min] smallest message that is compressed, bytes; 1024
  # [deflate_write_context, deflate_read_context] whether messages sent, and received, may refer to earlier ones to be
  #                                               smaller, for 371 and 47 KiB of memory a connection; false
  # [deflate_write_bits, deflate_read_bits] how far back they may refer: binary logarithm of bytes, 8 to 15; 15
  # [tls] an Iodine::TLS to encrypt by. A `wss` or `tls` URL needs none: the authorities of the system verify the server
  #
  # @param options [Hash{Symbol => Object}] the options, as a Hash or as keywords
  # @return [Module] Iodine
  # @raise [TypeError] unless given a Hash
  # @raise [ArgumentError] without a handler, with a block, or for what cannot be sent
  # @raise [RuntimeError] when the name is not known
  def connect(options = {}, **keywords, &block)
    raise TypeError, "Iodine.connect takes a Hash of options, got #{options.inspect}" unless options.is_a?(Hash)
    raise ArgumentError, "Iodine.connect takes no block: its callbacks are those of the :handler" if block

    Base::Clients.connect(options.merge(keywords))
    Iodine
  end

  # Makes a raw connection of a file descriptor: a socket, a pipe, a terminal. It is copied; the original stays as it
  # is, but that both are non-blocking from then on. `on_open` of the handler is called before this returns, or when the
  # server of this process starts.
  #
  # @param descriptor [Integer] the descriptor's number
  # @param handler [Object] the object with the callbacks
  # @return [Object] the handler
  # @raise [TypeError] for what is no Integer
  # @raise [ArgumentError] for nil, true and false as a handler
  # @raise [IOError] for what is no open descriptor
  def attach_fd(descriptor, handler)
    raise TypeError, "fd must be an Integer, got #{descriptor.inspect}" unless descriptor.is_a?(Integer)

    Base::Clients.attach(descriptor, handler)
    handler
  end

  # How many connections this process has open, by what is spoken on them. Those of Iodine.connect and Iodine.attach_fd
  # count as well. Cheap enough to be asked for each request.
  #
  # @return [Hash{Symbol => Integer}] with the keys `:http`, `:websocket`, `:sse` and `:raw`
  def connections = Base::Server.connections

  # Serves until #stop, SIGINT or SIGTERM.
  #
  # @return [Module] Iodine
  # @raise [RuntimeError] when the server runs already
  def start
    Base::Server.start
    Iodine
  end

  # Asks the server of this process to stop: running requests are answered first. In a worker of a cluster the master
  # then starts another one.
  #
  # @return [Module] Iodine
  def stop
    Base::Server.stop
    Iodine
  end

  # @return [Boolean] true from #start until the server is asked to stop
  def running? = Base::Server.running?

  # @return [Boolean] true in the process that called #start, and before
  def master? = Base::Server.master?

  # @return [Boolean] true in a process that serves requests, from before its `:on_start` callbacks on
  def worker? = Base::Server.worker?

  # Queues a block to be run by one of the server's threads as soon as it can.
  #
  # Blocks queued before #start run in the master and in each worker.
  #
  # @yield what is to be done
  # @return [Proc] the block
  # @raise [LocalJumpError] without a block
  def run(&block)
    raise LocalJumpError, "no block given (Iodine.run)" unless block

    Base::Scheduler.run(block)
  end

  # Runs a block once, later.
  #
  #     Iodine.run_after(5_000) { puts "five seconds have passed" }
  #
  # @param milliseconds [Integer, nil] from now; nil and 0 are the same as #run
  # @yield what is to be done
  # @return [Proc] the block
  # @raise [TypeError] for other numbers
  # @raise [RangeError] for negative ones
  # @raise [LocalJumpError] without a block
  def run_after(milliseconds, &block)
    raise LocalJumpError, "no block given (Iodine.run_after)" unless block

    Base::Scheduler.run_after(milliseconds || 0, block)
  end

  # Runs a block now and again. The next interval begins when the block has returned.
  #
  #     Iodine.run_every(60_000) { puts "another minute" }
  #
  # @param milliseconds [Integer] the interval
  # @param repetitions [Integer, nil] how many times; nil (the default) and 0 are for ever
  # @yield what is to be done
  # @return [Proc, nil] the block; nil, with an error in the log, for an interval of 0 without end
  # @raise [TypeError] for other numbers
  # @raise [RangeError] for a negative interval
  # @raise [LocalJumpError] without a block
  def run_every(milliseconds, repetitions = nil, &block)
    raise LocalJumpError, "no block given (Iodine.run_every)" unless block

    Base::Scheduler.run_every(milliseconds, repetitions || 0, block)
  end

  # Runs a block once, the next time the server has nothing left to do after some work.
  #
  # @yield what is to be done
  # @return [Proc] the block
  # @raise [LocalJumpError] without a block
  def on_idle(&block)
    raise LocalJumpError, "no block given (Iodine.on_idle)" unless block

    Base::Scheduler.on_idle(block)
  end

  # Runs a block whenever the process reaches a state.
  #
  # [:pre_start] in the master, before it forks
  # [:before_fork] in the master, before each fork
  # [:after_fork] in both processes, after each fork
  # [:enter_child, :enter_master] in one of them, after `:after_fork`
  # [:on_start] in each worker, before it accepts connections
  # [:start_shutdown] in every process, when it is told to stop
  # [:on_finish] in every process, at its end
  # [:on_parent_crush] in a worker whose master is gone
  # [:on_child_crush] in the master, when a worker has died
  #
  # @param state [Symbol] one of these
  # @yield what is to be done; an exception is logged
  # @return [Proc] the block
  # @raise [TypeError] for another state
  # @raise [LocalJumpError] without a block
  def on_state(state, &block)
    raise LocalJumpError, "no block given (Iodine.on_state)" unless block

    Base::State.add(state, block)
  end

  class << self
    alias defer run
  end

  # Parts of the server that are no public API.
  module Base
    # Seconds of a clock that never jumps.
    def self.now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

    # Checks a number of threads or workers.
    def self.count(number, name, limit)
      raise TypeError, "#{name} must be an Integer, got #{number.inspect}" unless number.is_a?(Integer)
      raise RangeError, "#{name} must be at most #{limit}, got #{number}" if number > limit

      number
    end
  end
end

require_relative "iodine/rack"
require_relative "iodine/rack/utils"
require_relative "iodine/json"
require_relative "iodine/mustache"
require_relative "iodine/pubsub"
require_relative "iodine/deprecated"

if defined?(IODINE_PARSE_CLI) && IODINE_PARSE_CLI
  require_relative "iodine/cli"
  Iodine::Base::CLI.parse
end
