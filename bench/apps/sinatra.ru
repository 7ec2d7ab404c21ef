# frozen_string_literal: true

# The smallest application of Sinatra, with the middleware that it has in production.
require "sinatra/base"

class Hello < Sinatra::Base
  set :environment, :production
  set :host_authorization, { permitted_hosts: [] } if Sinatra::VERSION.to_i >= 4
  disable :logging

  get("/") do
    content_type "text/plain"
    "hello world"
  end
end

run Hello
