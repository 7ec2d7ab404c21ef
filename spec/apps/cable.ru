# frozen_string_literal: true

# A Rails application with a channel of Action Cable, which hijacks its connections.
require "logger"
require "rails"
require "action_controller/railtie"
require "action_cable/engine"

class Cable < Rails::Application
  config.root = Dir.mktmpdir("cable")
  config.eager_load = false
  config.secret_key_base = "0123456789abcdef" * 8
  config.hosts.clear
  config.logger = Logger.new($stderr)
  config.log_level = :warn
  config.action_cable.disable_request_forgery_protection = true
  config.action_cable.mount_path = "/cable"
end

module ApplicationCable
  class Connection < ActionCable::Connection::Base; end
end

class EchoChannel < ActionCable::Channel::Base
  def subscribed = stream_from("echo")
  def say(data) = ActionCable.server.broadcast("echo", data.slice("text"))
end

Cable.initialize!
ActionCable.server.config.cable = { "adapter" => "async" }
run Rails.application
