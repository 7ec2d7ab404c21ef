-- One script for all loads. Arguments after `--`: METHOD BODY_BYTES PIPELINE_DEPTH.
--
-- Only a pipelined load defines `request`: without it wrk formats the request once and never enters Lua again, which
-- leaves more of the machine to the server.

function init(args)
  wrk.method = args[1]
  local body_bytes, depth = tonumber(args[2]), tonumber(args[3])
  if body_bytes > 0 then
    wrk.body = string.rep("x", body_bytes)
  end
  if depth > 1 then
    local batch = string.rep(wrk.format(), depth)
    request = function() return batch end
  end
end

-- One line for the program that started wrk; times are in microseconds.
function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format(
    "result requests=%d duration_us=%d bytes=%d errors=%d p50_us=%d p99_us=%d p999_us=%d\n",
    summary.requests, summary.duration, summary.bytes, failed,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
