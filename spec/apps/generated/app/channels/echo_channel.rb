# frozen_string_literal: true

# Sends what it is sent to all who listen.
class EchoChannel < ActionCable::Channel::Base
  def subscribed = stream_from("echo")
  def speak(data) = ActionCable.server.broadcast("echo", { said: data["text"] })
end
