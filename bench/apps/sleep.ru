# frozen_string_literal: true

# An application that waits, as for a database.
run lambda { |_env|
  sleep 0.01
  [200, { "content-type" => "text/plain", "content-length" => "11" }, ["hello world"]]
}
