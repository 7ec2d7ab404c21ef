# frozen_string_literal: true

require "rackup/handler"
require "iodine"

Iodine::Rack.register_with(Rackup::Handler)
