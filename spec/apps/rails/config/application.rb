# frozen_string_literal: true

# A Rails application of few lines: a form, a redirect, a session, an upload, a live stream and a channel.
require "logger"
require "rails"
require "action_controller/railtie"
require "action_cable/engine"

module Notes
  # The application of rails_spec.rb.
  class Application < Rails::Application
    config.root = File.expand_path("..", __dir__)
    config.load_defaults("#{Rails::VERSION::MAJOR}.#{Rails::VERSION::MINOR}")
    config.eager_load = true
    config.consider_all_requests_local = false
    config.secret_key_base = "0123456789abcdef" * 8
    config.hosts.clear
    config.logger = Logger.new($stderr)
    config.log_level = :warn
    config.session_store :cookie_store, key: "notes"
    config.action_cable.mount_path = "/cable"
    config.action_cable.disable_request_forgery_protection = true

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
