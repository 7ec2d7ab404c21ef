# frozen_string_literal: true

# An API of Grape: parameters that are coerced, JSON in and out, errors, files and streams.
require "grape"

# Streams three lines.
class Lines
  def each
    3.times { |number| yield "line #{number}\n" }
  end
end

# The application of grape_spec.rb.
class Library < Grape::API
  format :json
  content_type :json, "application/json"
  content_type :txt, "text/plain"
  prefix :api

  BOOKS = { 1 => "A Pattern Language" } # rubocop:disable Style/MutableConstant
  LOCK = Mutex.new

  rescue_from(KeyError) { error!({ error: "no such book" }, 404) }

  resource :books do
    get { BOOKS.map { |id, title| { id: id, title: title } } }

    params { requires :id, type: Integer }
    get(":id") { { id: params[:id], title: BOOKS.fetch(params[:id]) } }

    params { requires :title, type: String, allow_blank: false }
    post do
      id = LOCK.synchronize { (BOOKS.keys.max + 1).tap { |key| BOOKS[key] = params[:title] } }
      header "Location", "/api/books/#{id}"
      { id: id }
    end

    params do
      requires :cover, type: File
    end
    put(":id/cover") { { name: params[:cover][:filename], size: params[:cover][:tempfile].size } }
  end

  content_type :binary, "application/octet-stream"
  get(:lines) do
    content_type "text/plain"
    stream Lines.new
  end

  get(:echo) { headers.transform_keys(&:downcase).slice("x-name", "host") }
  get(:failure) { raise "raised in Grape" }
end

run Library
