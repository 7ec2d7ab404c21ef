# frozen_string_literal: true

# A WebSocket that says back what it is sent, and a page to try it by:
#
#     bin/serve examples/echo.ru
#     open http://localhost:3000/ in a browser

PAGE = <<~HTML
  <!doctype html>
  <meta charset="utf-8">
  <title>Echo</title>
  <form><input autofocus placeholder="Say something"></form>
  <pre></pre>
  <script>
    const socket = new WebSocket(location.href.replace(/^http/, "ws"));
    const tell = (line) => { document.querySelector("pre").textContent += line + "\\n" };
    socket.onmessage = (event) => tell(event.data);
    socket.onclose = () => tell("(closed)");
    document.querySelector("form").onsubmit = (event) => {
      event.preventDefault();
      socket.send(document.querySelector("input").value);
    };
  </script>
HTML

# A module does as a handler, for there is nothing to remember about a client.
module Echo
  def self.on_open(client) = client.write("You are connected.")
  def self.on_message(client, data) = client.write(data)
  def self.on_shutdown(client) = client.write("The server goes away.")
end

run(lambda { |env|
  env["rack.upgrade"] = Echo if env["rack.upgrade?"] == :websocket
  [200, { "content-type" => "text/html" }, [PAGE]]
})
