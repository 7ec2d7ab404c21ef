# frozen_string_literal: true

# A Rails application in one file: a form, a redirect, a session, an upload and a live stream.
require "logger"
require "rails"
require "action_controller/railtie"
require "digest"

module Notes
  # The application of rails_spec.rb.
  class Application < Rails::Application
    config.root = File.expand_path("..", __dir__)
    config.load_defaults("#{Rails::VERSION::MAJOR}.#{Rails::VERSION::MINOR}")
    config.eager_load = false
    config.consider_all_requests_local = false
    config.secret_key_base = "0123456789abcdef" * 8
    config.hosts.clear
    config.logger = Logger.new($stderr)
    config.log_level = :warn
    config.session_store :cookie_store, key: "notes"

    routes.append do
      root to: "notes#index"
      get "notes/:id", to: "notes#show"
      post "notes", to: "notes#create"
      post "upload", to: "notes#upload"
      get "raise", to: "notes#crash"
      get "file", to: "notes#file"
      get "cached", to: "notes#cached"
      get "live", to: "live#live"
      get "live/release", to: "live#release"
      get "live/events", to: "live#events"
    end
  end
end

# Notes kept in the session.
class NotesController < ActionController::Base
  protect_from_forgery with: :exception

  def index
    render inline: "<%= form_tag('/notes') { text_field_tag(:text) } %>"
  end

  def show = render(plain: "#{params[:id]}: #{session[:text]}, flash #{flash[:notice]}")

  def create
    session[:text] = params.require(:text)
    redirect_to "/notes/7", notice: "saved"
  end

  def upload
    file = params.require(:file)
    render json: { name: file.original_filename, size: file.size, sum: Digest::SHA256.file(file.path).to_s }
  end

  def cached
    fresh_when etag: "constant", public: true
    render plain: "cached" unless performed?
  end

  def file = send_file(__FILE__, type: "text/plain")

  def crash = raise("raised in Rails")

  skip_forgery_protection only: :upload
end

# Streams written while the response goes out.
class LiveController < ActionController::Base
  include ActionController::Live

  GATE = Queue.new

  def live
    response.headers["content-type"] = "text/plain"
    response.headers["last-modified"] = Time.now.httpdate # keeps Rack::ETag from collecting the body
    response.stream.write("before")
    GATE.pop
    response.stream.write("after")
  ensure
    response.stream.close
  end

  def events
    response.headers["content-type"] = "text/event-stream"
    response.headers["last-modified"] = Time.now.httpdate
    events = ActionController::Live::SSE.new(response.stream, event: "note")
    3.times { |number| events.write({ number: number }) }
  ensure
    events.close
  end

  def release
    GATE << :go
    head :no_content
  ensure
    response.stream.close
  end
end
