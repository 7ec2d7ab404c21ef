# frozen_string_literal: true

require "json"
require "net/http"

require_relative "child_process"

module Support
  # Chromium without a window, driven by chromedriver (W3C WebDriver).
  class Browser
    # The driver has refused a command.
    class CommandError < StandardError; end

    ARGUMENTS = %w[--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-extensions].freeze
    # The name of an element's reference (WebDriver, section 12).
    ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
    # It starts slowly on a loaded machine.
    START = 60

    # Yields a browser, and ends it. +env+ are variables for it.
    def self.open(env: {})
      browser = new(env)
      yield browser
    ensure
      browser&.close
    end

    def initialize(env)
      @driver = ChildProcess.new("chromedriver", "--port=0", env: env)
      port = @driver.out.wait_for(/started successfully on port (\d+)/, within: START)[1]
      @http = Net::HTTP.new("127.0.0.1", port.to_i)
      @http.read_timeout = START
      options = { args: ARGUMENTS }
      session = post("/session", capabilities: { alwaysMatch: { "goog:chromeOptions": options } })
      @session = "/session/#{session.fetch("sessionId")}"
    rescue StandardError
      close
      raise
    end

    # A new tab at an address.
    def tab(url)
      handle = post("#{@session}/window/new", type: "tab").fetch("handle")
      Tab.new(self, handle).tap { |tab| tab.command("/url", url: url) }
    end

    def close
      @driver&.kill_group
    end

    # Gives a command to the tab of that handle.
    def command(handle, path, **parameters)
      post("#{@session}/window", handle: handle)
      post("#{@session}#{path}", **parameters)
    end

    private

    def post(path, **parameters)
      response = @http.post(path, JSON.generate(parameters), "content-type" => "application/json")
      value = JSON.parse(response.body).fetch("value")
      raise CommandError, "#{path}: #{value}" unless response.code == "200"

      value
    end

    # One page.
    class Tab
      def initialize(browser, handle)
        @browser = browser
        @handle = handle
      end

      def command(path, **parameters) = @browser.command(@handle, path, **parameters)

      # The value of a JavaScript expression.
      def value(expression) = command("/execute/sync", script: "return #{expression}", args: [])

      # Types into the element of that selector. "\n" is the return key.
      def type(selector, text)
        element = command("/element", using: "css selector", value: selector).fetch(ELEMENT)
        command("/element/#{element}/clear")
        command("/element/#{element}/value", text: text)
      end
    end
  end
end
