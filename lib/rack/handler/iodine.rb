# frozen_string_literal: true

require "iodine"

# Rack 3 has given its handlers to the rackup gem, whose own rack/handler warns.
handlers = ["rackup/handler", "rack/handler"].find do |file|
  require file
  true
rescue LoadError
  false
end
Iodine::Rack.register_with(handlers == "rackup/handler" ? Rackup::Handler : Rack::Handler) if handlers
