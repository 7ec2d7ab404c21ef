# frozen_string_literal: true

# Streams written while the response goes out.
class LiveController < ActionController::Base
  include ActionController::Live

  GATE = Queue.new

  def live
    response.headers["Content-Type"] = "text/plain"
    response.headers["Last-Modified"] = Time.now.httpdate # keeps Rack::ETag from collecting the body
    response.stream.write("before")
    GATE.pop
    response.stream.write("after")
  ensure
    response.stream.close
  end

  def events
    response.headers["Content-Type"] = "text/event-stream"
    response.headers["Last-Modified"] = Time.now.httpdate
    events = ActionController::Live::SSE.new(response.stream, event: "note")
    3.times { |number| events.write({ number: number }) }
  ensure
    events.close
  end

  def release
    GATE << :go
    head :no_content
  ensure
    response.stream.close
  end
end
