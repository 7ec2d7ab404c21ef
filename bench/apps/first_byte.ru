# frozen_string_literal: true

# Two chunks half a second apart: a server that collects the body first shows it at once.
body = Class.new do
  def each
    yield "first\n"
    sleep 0.5
    yield "second\n"
  end
end

run ->(_env) { [200, { "content-type" => "text/plain" }, body.new] }
