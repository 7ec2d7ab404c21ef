# frozen_string_literal: true

# WebSockets and event streams for websocket_spec.rb and sse_spec.rb.

# What happens, for the specs.
module Journal
  def self.note(text) = $stderr.write("#{text}\n")
end

# Answers messages that are commands, and echoes the others.
class Echo
  def on_open(client)
    client.write("open #{client.env["PATH_INFO"]} #{client.protocol}") if client.env["QUERY_STRING"].include?("greet")
    Journal.note("opened #{client.env["PATH_INFO"]}")
  end

  def on_message(client, data)
    case data
    when "facts" then client.write(facts(client).inspect)
    when /\Aclose (\d+) ?(.*)/ then client.close(Regexp.last_match(1).to_i, Regexp.last_match(2))
    when "close" then Journal.note("close gives #{client.close.inspect} #{client.write("late")} #{client.pending}")
    when "bad code" then client.write([-1, 1006, 65_536].map { |code| begin client.close(code) rescue $!.class.name end }.uniq.join)
    when "raise" then raise "raised on purpose"
    when /\Atimeout (\d+)/ then client.timeout = Regexp.last_match(1).to_i
    when "swap" then client.handler = Other
    when "subscribe" then client.subscribe("echo") && client.write(data)
    when /\Apublish (.*)/ then Iodine.publish("echo", Regexp.last_match(1))
    when "nil" then client.handler = nil
    when /\Athreads (\d+)/ then threads(client, Regexp.last_match(1).to_i)
    when /\Aflood (\d+)/ then Regexp.last_match(1).to_i.times { client.write("x" * 65_536) }
    when "encodings" then [data, data.b, "\xff", 7].each { |value| client.write(value) }
    else client.write(data)
    end
  end

  def on_shutdown(client) = client.write("shutdown #{client.open?}")

  def on_close(client)
    Journal.note("closed #{client.env["PATH_INFO"]} #{client.close_code.inspect} #{client.close_reason.inspect} " \
         "#{client.open?} #{client.pending} #{client.write("x")} #{client.protocol.inspect}")
  end

  private

  def facts(client)
    [client.open?, client.pending, client.timeout, client.pubsub?, client.handler.equal?(self), client.close_code,
     client.equal?(@client ||= client)]
  end

  def threads(client, count)
    Array.new(count) { |thread| Thread.new { 50.times { |number| client.write("#{thread} #{number}") } } }.each(&:join)
  end
end

# A module as a handler.
module Other
  def self.on_open(client) = client.write("other open")
  def self.on_message(client, data) = client.write("other #{data}")
  def self.on_close(_client) = Journal.note("other closed")
end

# Counts callbacks that run at the same time, and their order.
class Orderly
  def initialize
    @inside = 0
    @seen = []
  end

  def on_open(_client) = step("open")
  def on_message(client, data) = step(data) { client.write(@seen.join(" ")) if data == "report" }
  def on_close(_client) = step("close") { Journal.note("orderly #{@seen.last(2).join(" ")}") }

  private

  def step(name)
    @inside += 1
    Thread.pass
    @seen << (@inside == 1 ? name : "overlap")
    yield if block_given?
    @inside -= 1
  end
end

# Waits in its callback until somebody asks for /release.
class Slow
  GATE = Queue.new

  def on_message(client, data)
    GATE.pop if data == "wait"
    client.write(data.bytesize.to_s)
  end
end

# Tells when its queue is empty.
class Drained
  def on_drained(client) = Journal.note("drained #{client.pending}")
  def on_message(client, data) = client.write(data)
end

# Has no callback that does not raise.
class Raising
  %i[on_open on_message on_drained on_shutdown on_close].each do |name|
    define_method(name) { |*| raise "#{name} on purpose" }
  end
end

# An event stream.
class Events
  def on_open(client)
    client.write("hello\nworld")
    client.write("x", event: "news", id: "7", retry: 1500)
    client.write("")
    client.write(begin client.write("x", id: "a\nb") rescue $!.class.name end)
    Journal.note("events #{client.protocol} #{client.pubsub?} #{client.env["HTTP_LAST_EVENT_ID"].inspect}")
    client.timeout = 1 if client.env["QUERY_STRING"] == "ping"
    client.close if client.env["QUERY_STRING"] == "close"
  end

  def on_drained(client) = Journal.note("events drained #{client.pending}")
  def on_shutdown(client) = client.write("bye")
  def on_close(client) = Journal.note("events closed #{client.open?} #{client.write("x")} #{client.close_code.inspect}")
end

handlers = { "/echo" => -> { Echo.new }, "/module" => -> { Other }, "/orderly" => -> { Orderly.new },
             "/slow" => -> { Slow.new }, "/drained" => -> { Drained.new }, "/events" => -> { Events.new },
             "/raising" => -> { Raising.new }, "/drop" => -> { Echo.new },
             "/empty" => -> { Object.new } }
statuses = { "0" => 0, "-1" => -1, "101" => 101, "299" => 299, "404" => 404 }

run(lambda { |env|
  case env["PATH_INFO"]
  when "/offer" then next [200, {}, [env["rack.upgrade?"].inspect]]
  when "/release" then next [200, {}, [Slow::GATE.push(true).size.to_s]]
  when "/bad-header" then env["rack.upgrade"] = Other
                          next [200, { "x-bad" => "a\rb" }, []]
  end
  env["rack.upgrade"] = handlers.fetch(env["PATH_INFO"]).call
  headers = { "x-app" => "yes", "set-cookie" => "a=1\nb=2", "Upgrade" => "h2c", "Content-Type" => "text/plain" }
  [statuses.fetch(env["QUERY_STRING"], 200), headers, ["body"]]
})
