# frozen_string_literal: true

# The example in a browser.
RSpec.describe "examples/chat.ru" do
  define_method(:chat) do |*flags|
    Support::Server.rackup("../../examples/chat.ru", *flags, workers: 2, threads: 1)
  end

  def say(tab, name, text)
    tab.type("#name", name)
    tab.type("#text", "#{text}\n")
  end

  def await_state(tabs, state)
    tabs.each do |tab|
      wait_until("a page that is #{state}", within: 30) do
        tab.value("document.getElementById('state').textContent") == state
      end
    end
  end

  def await_messages(tabs, messages)
    tabs.each do |tab|
      wait_until("the messages #{messages}", within: 30) do
        tab.value("[...document.querySelectorAll('#messages li')].map((item) => item.textContent)") == messages
      end
    end
  end

  it "passes messages between tabs, and comes back by itself when the server does" do
    server = chat
    address = "http://127.0.0.1:#{server.port}/"
    Support::Browser.open do |browser|
      ann, bob, reader = tabs = [address, address, "#{address}?read"].map { |url| browser.tab(url) }
      await_state(tabs, "connected")
      say(ann, "Ann", "hello <b>")
      await_messages(tabs, ["Ann: hello <b>"])
      say(bob, "Bob", "hi é")
      await_messages(tabs, ["Ann: hello <b>", "Bob: hi é"])

      port = server.port
      expect(server.stop).to be_success
      await_state(tabs, "reconnecting")
      say(ann, "Ann", "later")
      server = chat("-b", "127.0.0.1", "-p", port)
      await_state(tabs, "connected")
      # What was said meanwhile may come before a reader is back.
      await_messages([ann], ["Ann: hello <b>", "Bob: hi é", "Ann: later"])
      before = reader.value("document.querySelectorAll('#messages li').length")
      say(bob, "Bob", "again")
      wait_until("a message to the reader", within: 30) do
        reader.value("document.querySelectorAll('#messages li').length") > before
      end
      expect(reader.value("document.querySelector('#messages li:last-child').textContent")).to eq("Bob: again")
    end
  ensure
    server&.stop
  end
end
