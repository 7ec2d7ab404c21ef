# frozen_string_literal: true

# A Sinatra application: forms, cookies, sessions, redirects, uploads, streams.
require "sinatra/base"
require "digest"
require "json"

# The application of sinatra_spec.rb.
class Guestbook < Sinatra::Base
  enable :sessions
  set :session_secret, "0123456789abcdef" * 8
  set :environment, :production
  set :host_authorization, { permitted_hosts: [] } if Sinatra::VERSION.to_i >= 4
  disable :protection
  disable :logging

  get("/") { "Hello from Sinatra" }
  get("/greet/:name") { "Hello, #{params["name"]}, #{params["title"]}" }
  post("/form") { params.slice("name", "text", "list").to_json }

  get "/cookie" do
    response.set_cookie("flavour", value: "oat & honey", path: "/")
    response.set_cookie("second", "2")
    request.cookies["flavour"].inspect
  end

  post "/count" do
    session[:count] = session.fetch(:count, 0) + 1
    session[:count].to_s
  end

  post("/old") { redirect to("/new"), 303 }
  get("/new") { "arrived" }

  post "/upload" do
    file = params["file"]
    [file[:filename], file[:type], file[:tempfile].size, Digest::SHA256.file(file[:tempfile].path), params["note"]].join(" ")
  end

  get "/stream" do
    stream { |out| 3.times { |part| out << "part #{part}\n" } }
  end

  get("/json") { [200, { "content-type" => "application/json" }, { url: url("/json"), secure: request.secure? }.to_json] }
  get("/halt") { halt 418, "teapot" }
  get("/missing-file") { send_file File.join(__dir__, "no such file") }
  get("/file") { send_file File.join(__dir__, "sinatra.ru"), type: "text/plain" }
  get("/raise") { raise "raised in Sinatra" }
end

run Guestbook
