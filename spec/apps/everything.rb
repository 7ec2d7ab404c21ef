# frozen_string_literal: true

# A server that does all there is, for Support::Tour: HTTP on the first port, the same by TLS on the second, raw
# connections on the third.

require "iodine"
require "iodine/json"
require "tmpdir"

TEXT = { "content-type" => "text/plain" }.freeze
FILE = File.join(ENV.fetch("TMPDIR"), "file.txt").tap { |path| File.write(path, "from a file") }
PAGE = Iodine::Mustache.new(template: "{{#people}}{{name}}:{{#shout}}{{.}}{{/shout}} {{/people}}{{{tail}}}")

# Objects of the same size as those that the server may have let go, where it may still look for them.
def churn = Array.new(4) { |number| "churn #{number} #{"x" * 30}" }.size

# Echoes what it is sent. The words of commands make it do more.
class Echo
  def on_open(client)
    churn
    client.subscribe("all")
    client.subscribe("block.*", match: :redis) { |channel, message| client.write("#{channel}: #{message}") }
    client.write("open")
  end

  def on_message(client, data)
    churn
    case data
    when /\Apublish (\S+) (.*)/ then Iodine.publish(Regexp.last_match(1), Regexp.last_match(2))
    when "swap" then client.handler = Other.new
    when "leave" then client.unsubscribe("all") && client.write("left")
    when "close" then client.close
    when /\Acycle (\d+)/ then cycle(client, Regexp.last_match(1).to_i)
    else client.write(data)
    end
  end

  # Subscriptions that end at once.
  def cycle(client, count)
    count.times do |number|
      client.subscribe("cycle#{number % 3}") { churn }
      client.unsubscribe("cycle#{number % 3}")
    end
    client.write("cycled")
  end

  def on_drained(_client) = churn
  def on_shutdown(client) = client.write("shutdown")
  def on_close(client) = [client.env, client.handler, churn]
end

# Takes over.
class Other
  def on_open(client) = client.write("other")
  def on_message(client, data) = client.write("other #{data}")
end

# An event stream.
class Events
  def on_open(client)
    client.write("hello", event: "greeting", id: "1")
    client.close
  end
end

# A client that brings what it hears into a queue.
class Guest
  attr_reader :heard

  def initialize = @heard = Queue.new
  def on_open(client) = client.write("guest")
  # Raw, more may come with the first word.
  def on_message(client, data) = @heard.push(data[0, 4]) && client.close
  def on_close(_client) = @heard.push("closed")
end

# An engine of the application.
class Engine < Iodine::PubSub::Engine
  def publish(channel, message) = Iodine::PubSub::PROCESS.publish(channel, message.upcase)
end

# A body of parts.
class Parts
  def initialize(*parts) = @parts = parts

  def each
    @parts.each do |part|
      churn
      yield part
    end
  end

  def close = churn
end

# Runs a block so many times that each run calls its argument once, and waits for all of these calls.
def await(count)
  done = Queue.new
  count.times { yield ->(*) { done.push(churn) } }
  count.times { done.pop(false) }
end

# Timers and tasks of each kind, all of them run.
def run_timers(count)
  await(count) { |done| Iodine.run_after(1) { done.call } }
  await(count) { |done| Iodine.run { done.call } }
  await(count) { |done| Iodine.run_every(1, 1) { done.call } }
end

# Subscriptions of the process, one after the other, each of which is heard once.
def run_subscriptions(count)
  heard = Queue.new
  count.times do
    Iodine.subscribe("process") { heard.push(churn) }
    Iodine.publish("process", "message", Iodine::PubSub::PROCESS)
    heard.pop
    Iodine.unsubscribe("process")
  end
end

def connect(**where)
  guest = Guest.new
  Iodine.connect(**where, handler: guest)
  Array.new(2) { guest.heard.pop }
end

def json(text) = Iodine::JSON.generate(Iodine::JSON.parse(text))
def page = PAGE.render(people: [{ name: "a", shout: ->(_) { "!" } }, { name: "b" }], tail: "<end>")

# Objects of each class, after all that can be collected was.
def census
  3.times { GC.start }
  counts = ObjectSpace.count_objects.slice(:T_OBJECT, :T_STRING, :T_ARRAY, :T_HASH, :T_DATA, :T_IMEMO, :T_FILE)
  ours = ObjectSpace.each_object(Object).map { |one| one.class.name }.grep(/\AIodine/).tally
  ours["Proc"] = ObjectSpace.each_object(Proc).count
  ours["Thread"] = Thread.list.size
  counts.transform_keys(&:to_s).merge(ours)
end

pages = {
  "/env" => ->(env) { [200, TEXT, [env.slice("REQUEST_METHOD", "QUERY_STRING", "HTTP_X_OWN", "HTTP_COOKIE").inspect]] },
  "/echo" => ->(env) { [200, TEXT, [env["rack.input"].read]] },
  "/lines" => ->(env) { [200, TEXT, Parts.new(*env["rack.input"].each.map(&:upcase))] },
  "/each" => ->(_) { [200, TEXT, Parts.new("one", "two" * 10_000, "three")] },
  "/enumerator" => ->(_) { [200, TEXT, Enumerator.new { |out| 3.times { |number| out << "part #{number};" } }] },
  "/large" => ->(_) { [200, TEXT, ["0123456789abcdef" * 6250]] },
  "/file" => ->(_) { [200, TEXT, File.open(FILE)] },
  "/fields" => ->(_) { [200, { "x-one" => "1", :"x-two" => 2, "set-cookie" => %w[a=1 b=2] }, ["fields"]] },
  "/json" => ->(env) { [200, TEXT, [json(env["rack.input"].read)]] },
  "/page" => ->(_) { [200, TEXT, [page]] },
  "/raise" => ->(_) { raise "raised on purpose" },
  "/wrong" => ->(_) { [200, TEXT, [Object.new]] },
  "/timers" => ->(env) { run_timers(env["QUERY_STRING"].to_i).then { [204, {}, []] } },
  "/subscriptions" => ->(env) { run_subscriptions(env["QUERY_STRING"].to_i).then { [204, {}, []] } },
  "/connect" => ->(env) { [200, TEXT, [connect(url: "ws://127.0.0.1:#{env["QUERY_STRING"]}/socket").join(" ")]] },
  "/connect-raw" => ->(env) { [200, TEXT, [connect(url: "tcp://127.0.0.1:#{env["QUERY_STRING"]}").join(" ")]] },
  "/census" => ->(_) { [200, TEXT, [Iodine::JSON.generate(census)]] },
  "/collections" => ->(_) { [200, TEXT, [GC.stat.values_at(:count, :compact_count).join(" ")]] },
  "/counts" => ->(_) { [200, TEXT, [Iodine::JSON.generate(Iodine.connections)]] },
  "/call" => lambda do |_|
    [200, TEXT, lambda do |stream|
      Thread.new do
        stream << "read " << stream.read
        churn
        stream.close
      end
    end]
  end,
  "/hijack" => lambda do |env|
    io = env["rack.hijack"].call
    Thread.new { io.write("hijacked #{io.gets}") && io.close }
    [-1, {}, []]
  end,
  "/partial" => lambda do |_|
    [200, { "rack.hijack" => ->(io) { io.write("partly") && io.close }, "connection" => "close" }, []]
  end,
  "/hints" => lambda do |env|
    env["rack.early_hints"].call("link" => "</style.css>; rel=preload")
    env["rack.response_finished"] << ->(_env, _status, _headers, _error) { churn }
    [200, TEXT, ["hinted"]]
  end,
  "/engine" => lambda do |_|
    heard = Queue.new
    Iodine.subscribe("engine") { |_, message| heard.push(message) }
    Iodine.publish("engine", "quiet", Engine.new)
    [200, TEXT, [heard.pop]]
  ensure
    Iodine.unsubscribe("engine")
  end
}
upgrades = { "/socket" => -> { Echo.new }, "/events" => -> { Events.new } }

app = lambda do |env|
  churn
  if (upgrade = upgrades[env["PATH_INFO"]])
    env["rack.upgrade"] = upgrade.call
    next [200, {}, []]
  end
  if env["PATH_INFO"] == "/raw"
    env["upgrade.tcp"] = Echo.new
    next [101, { "connection" => "upgrade", "upgrade" => "own" }, []]
  end
  pages.fetch(env["PATH_INFO"]).call(env)
end

here = { address: "127.0.0.1", port: 0 }
Iodine.listen(service: :http, **here, handler: app, deflate: true)
Iodine.listen(service: :https, **here, handler: app)
Iodine.listen(service: :raw, **here) { Echo.new }
Iodine.threads = Integer(ENV.fetch("THREADS", "4"))
Iodine.workers = Integer(ENV.fetch("WORKERS", "1"))
Iodine.start
