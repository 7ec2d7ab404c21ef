# frozen_string_literal: true

require "digest"

# Notes kept in the session.
class NotesController < ActionController::Base
  protect_from_forgery with: :exception, except: :upload

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
end
