# frozen_string_literal: true

require "iodine"

begin
  require "rack/handler"
rescue LoadError
  nil # Rack 3: handlers are Rackup's, which requires rackup/handler/iodine.
else
  Iodine::Rack.register_with(Rack::Handler)
end
