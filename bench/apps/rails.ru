# frozen_string_literal: true

# The smallest application of Rails, with the middleware that it has in production. It writes no log: what that costs
# depends on the disk.
ENV["RAILS_ENV"] = "production"
require "action_controller/railtie"

class HelloApplication < Rails::Application
  config.load_defaults Rails::VERSION::STRING.to_f
  config.eager_load = true
  config.secret_key_base = "0123456789abcdef" * 8
  config.logger = Logger.new(nil)
  config.cache_store = :null_store
  config.public_file_server.enabled = false
  config.hosts.clear
  routes.append { root to: "hello#index" }
end

class HelloController < ActionController::Base
  def index = render(plain: "hello world")
end

HelloApplication.initialize!
run HelloApplication
