# frozen_string_literal: true

# The smallest useful answer: what is measured is the server.
run lambda { |_env|
  [200, { "content-type" => "text/plain", "content-length" => "11" }, ["hello world"]]
}
