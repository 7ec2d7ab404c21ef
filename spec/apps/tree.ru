# frozen_string_literal: true

# A bare Rack application that routes as a tree, one segment of the path after the other, and leaves by `throw`. The
# class is frozen and the middleware is Rack's own: nothing here knows which server it runs on.
require "json"
require "rack"

# A request on its way through the tree.
class Tree
  def self.call(env) = new(env).answer

  def initialize(env)
    @request = Rack::Request.new(env)
    @rest = @request.path_info
  end

  def answer
    catch(:done) do
      route
      [404, { "content-type" => "text/plain" }, []]
    end
  end

  private

  def route
    on("") { text("the root") }
    on("notes") do
      on(/\d+/) { |id| text("note #{id}") }
      text("#{@request.request_method} #{@request.params.inspect}") if @request.post?
      text("all notes")
    end
    on("session") do
      session = @request.session
      session["count"] = session["count"].to_i + 1
      text(session["count"].to_s)
    end
    on("json") { done(200, "application/json", JSON.generate(@request.GET)) }
    on("error") { raise KeyError, "raised in the tree" }
  end

  # Takes a segment off the path and runs the block when it matches.
  def on(pattern)
    segment = @rest[%r{\A/([^/]*)}, 1]
    return unless segment && (pattern.is_a?(Regexp) ? segment.match?(/\A#{pattern}\z/) : pattern == segment)

    whole = @rest
    @rest = @rest[(segment.size + 1)..]
    yield segment
    @rest = whole
  end

  def text(body) = done(200, "text/plain", body)
  def done(status, type, body) = throw(:done, [status, { "content-type" => type }, [body]])
end

use Rack::Head
use Rack::ConditionalGet
use Rack::ETag
begin
  require "rack/session"
rescue LoadError
  nil
end
use Rack::Session::Cookie, key: "tree", secret: "0123456789abcdef" * 8
use(Class.new do
  def initialize(app) = @app = app

  def call(env)
    @app.call(env)
  rescue KeyError => e
    [500, { "content-type" => "text/plain" }, [e.message]]
  end
end)
run Tree.freeze
