# frozen_string_literal: true

# Events written while the response goes out.
class LiveController < ActionController::Base
  include ActionController::Live

  def events
    response.headers["Content-Type"] = "text/event-stream"
    response.headers["Last-Modified"] = Time.now.httpdate # keeps Rack::ETag from collecting the body
    events = ActionController::Live::SSE.new(response.stream, event: "note")
    3.times { |number| events.write({ number: number }) }
  ensure
    events.close
  end
end
