# frozen_string_literal: true

# Broadcasts what a client says to all of them.
class NotesChannel < ActionCable::Channel::Base
  def subscribed
    params[:topic] ? stream_from("notes:#{params[:topic]}") : reject
  end

  def say(data)
    ActionCable.server.broadcast("notes:#{params[:topic]}", { from: name, text: data["text"] })
  end
end
