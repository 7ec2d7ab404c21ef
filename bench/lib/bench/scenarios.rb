# frozen_string_literal: true

module Bench
  # What is measured: an application, the threads and workers its server gets, and a load.
  #
  # Scenarios of one +group+ take turns within each round, so that their figures may be compared with one another.
  # +files+ tells that the servers get StaticFiles.folder to serve, +log+ that iodine writes a line a request; +floor+
  # is the mode of bench/floor.
  # A scenario that +needs+ something no server here offers yet is listed and skipped.
  Scenario = Struct.new(:name, :about, :app, :threads, :workers, :request, :load, :group, :servers, :files, :log,
                        :floor, :needs, keyword_init: true) do
    def initialize(name:, about:, app:, load:, request:, threads: 1, workers: 1, group: name,
                   servers: %i[iodine puma floor], files: false, log: false, floor: "http", needs: nil)
      super
    end

    # Throughput under wrk, the usual case.
    def self.wrk(name, about, app:, connections: 100, request: Request.new, load: WrkLoad, options: {}, **rest)
      load = load.new(connections: connections, request: request, **options)
      new(name: name, about: about, app: app, request: request, load: load, **rest)
    end

    # A framework with the smallest application that it can have.
    def self.framework(name, about)
      wrk(name, about, app: name, servers: %i[iodine puma], load: FrameworkLoad,
                       options: { app_path: File.join(ROOT, "apps", "#{name}.ru") })
    end

    # Messages of WebSockets and event streams.
    def self.messages(name, about, mode, connections:, options: [], servers: %i[iodine floor], **rest)
      new(name: name, about: about, app: :realtime, request: Request.new, servers: servers, floor: "realtime",
          load: MessageLoad.new(mode, connections: connections, options: options), **rest)
    end

    def app_path
      File.join(ROOT, "apps", "#{app}.ru")
    end

    # Whether bench/crowd makes the load.
    def crowd?
      load.is_a?(MessageLoad) || load.is_a?(IdleLoad)
    end

    def to_s
      "#{name}: #{about} (#{load}, -t #{threads}#{" -w #{workers}" if workers > 1})"
    end
  end

  SCENARIOS = [
    Scenario.wrk(:hello_t1, "hello world", app: :hello, group: :hello),
    Scenario.wrk(:hello_t4, "hello world", app: :hello, threads: 4, group: :hello),
    Scenario.wrk(:hello_t16, "hello world", app: :hello, threads: 16, group: :hello),
    Scenario.wrk(:hello_pipelined, "16 requests a packet", app: :hello, request: Request.new(pipeline: 16),
                                                           group: :hello),
    Scenario.wrk(:hello_w1, "hello world, wrk on one core", app: :hello, servers: %i[iodine], group: :hello,
                                                            options: { processor: 0 }),
    Scenario.wrk(:hello_w2, "hello world by two workers", app: :hello, workers: 2, servers: %i[iodine], group: :hello,
                                                          options: { processor: 0 }),
    Scenario.wrk(:hello_log, "hello world, and a log line", app: :hello, log: true, servers: %i[iodine],
                                                            group: :hello),
    Scenario.wrk(:hello_tls, "hello world over TLS", app: :hello, request: Request.new(tls: true), servers: %i[iodine],
                                                     group: :hello),
    Scenario.wrk(:handshakes, "a TLS handshake and 13 bytes", app: :hello, files: true, servers: %i[iodine nginx],
                                                              request: Request.for_handshakes),
    Scenario.wrk(:hello_c1, "one request at a time", app: :hello, connections: 1),
    Scenario.wrk(:headers, "20 headers in, 20 out", app: :headers, request: Request.from_browser),
    Scenario.wrk(:post_10k, "10 KiB in and back", app: :post, group: :hello,
                                                  request: Request.new(verb: "POST", body_bytes: 10_240)),
    Scenario.wrk(:body_1mb, "1 MiB String body", app: :body, connections: 20, request: Request.new(path: "/1mb")),
    Scenario.wrk(:body_3mb, "3 MiB String body", app: :body, connections: 20, request: Request.new(path: "/3mb")),
    Scenario.wrk(:body_3mb_peak, "3 MiB String body, memory", app: :body, connections: 50, servers: %i[iodine puma],
                                                              request: Request.new(path: "/3mb"), load: PeakLoad),
    Scenario.wrk(:fresh_3mb_peak, "3 MiB made anew, memory", app: :body, connections: 50, servers: %i[iodine puma],
                                                             request: Request.new(path: "/3mb/fresh"), load: PeakLoad),
    Scenario.framework(:sinatra, "hello world by Sinatra"),
    Scenario.framework(:rails, "hello world by Rails"),
    Scenario.wrk(:work_w1, "a millisecond of Ruby", app: :work, connections: 50, servers: %i[iodine], group: :work),
    Scenario.wrk(:work_w2, "the same by two workers", app: :work, connections: 50, workers: 2, servers: %i[iodine],
                                                      group: :work),
    Scenario.wrk(:streamed, "10 chunks of 1 KiB by each", app: :streamed),
    Scenario.wrk(:sleep, "sleep 0.01", app: :sleep, connections: 64, threads: 16, servers: %i[iodine puma]),
    Scenario.new(name: :first_byte, about: "chunks 0.5 s apart", app: :first_byte, threads: 4, request: Request.new,
                 load: FirstByteLoad.new(request: Request.new), servers: %i[iodine puma]),
    Scenario.new(name: :memory, about: "hello world for a minute", app: :hello, request: Request.new,
                 load: MemoryLoad.new(connections: 100, request: Request.new)),
    Scenario.wrk(:static_10k, "10 KiB file by -www", app: :hello, request: Request.new(path: "/10k.bin"),
                                                     servers: %i[iodine nginx floor], files: true),
    Scenario.wrk(:static_10k_log, "10 KiB file, and a log line", app: :hello, request: Request.new(path: "/10k.bin"),
                                                                 servers: %i[iodine], files: true, log: true,
                                                                 group: :static_10k),
    Scenario.wrk(:static_1mb, "1 MiB file by -www", app: :hello, request: Request.new(path: "/1mb.bin"),
                                                    connections: 20, servers: %i[iodine nginx], files: true),
    Scenario.messages(:ws_echo, "WebSocket, 32 bytes and back", "echo", connections: 100),
    Scenario.messages(:ws_fan_out, "32 bytes to all WebSockets", "fan-out", connections: 1000),
    Scenario.messages(:ws_fan_out_w2, "the same to those of two workers", "fan-out", connections: 1000, workers: 2,
                                                                                     servers: %i[iodine],
                                                                                     group: :ws_fan_out),
    Scenario.messages(:sse_fan_out, "32 bytes to all event streams", "fan-out", connections: 1000,
                                                                                options: ["--event-stream"]),
    Scenario.new(name: :ws_idle, about: "WebSockets with a handler each", app: :realtime, request: Request.new,
                 load: IdleLoad.new(connections: 10_000), servers: %i[iodine])
  ].freeze
end
