# frozen_string_literal: true

module ApplicationCable
  # Knows its client by the name in the query.
  class Connection < ActionCable::Connection::Base
    identified_by :name

    def connect
      self.name = request.params[:name] || reject_unauthorized_connection
    end
  end
end
