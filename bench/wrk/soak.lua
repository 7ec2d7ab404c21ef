-- Requests and answers of mixed sizes, with pauses: a server at work, not at its limit. The sizes are those of pages,
-- images and uploads; the order is the same in each run. The argument is how many times as long the pauses are.

local sizes = { 0, 20, 300, 2000, 12000, 60000, 70000, 300000, 1000000 }
local requests, last, pauses = {}, 0, 1

function init(args)
  pauses = tonumber(args[1]) or 1
  math.randomseed(42)
  for number = 1, 500 do
    local wanted = sizes[math.random(#sizes)]
    local sent = sizes[math.random(#sizes)]
    local upload = math.random(4) == 1 and sent > 0
    local body = upload and string.rep("x", sent) or nil
    requests[number] = wrk.format(upload and "POST" or "GET", "/" .. wanted, nil, body)
  end
end

function request()
  last = last % #requests + 1
  return requests[last]
end

-- Milliseconds.
function delay()
  return math.random(5, 40) * pauses
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("result requests=%d errors=%d\n", summary.requests, failed))
end
