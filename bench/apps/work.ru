# frozen_string_literal: true

# An application that computes for about a millisecond: the server's and the client's share is small beside it.
run lambda { |_env|
  sum = 0
  number = 0
  while number < 100_000
    sum += number
    number += 1
  end
  answer = sum.to_s
  [200, { "content-type" => "text/plain", "content-length" => answer.bytesize.to_s }, [answer]]
}
