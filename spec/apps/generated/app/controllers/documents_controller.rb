# frozen_string_literal: true

# Uploads kept by Active Storage.
class DocumentsController < ActionController::Base
  skip_forgery_protection

  def create
    document = Document.create!(title: params.require(:title), file: params.require(:file))
    redirect_to rails_blob_path(document.file, disposition: "attachment")
  end

  def index = render(inline: "<%= stylesheet_link_tag 'application' %><%= Document.pluck(:title).join(',') %>")
end
