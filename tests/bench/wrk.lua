-- Sends the requests of a file, each once: eight digits of length, then the request as it goes out.
-- They are signed beforehand, as signing here would measure Lua.
local file

function init(args)
  file = assert(io.open(args[1], "rb"))
end

function request()
  local length = file:read(8)
  if not length then
    wrk.thread:stop()
    return wrk.format("GET", "/healthz")
  end
  return file:read(tonumber(length))
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "microseconds": %d, "refused": %d, "broken": %d, ' ..
    '"p50": %f, "p95": %f, "p99": %f}\n',
    summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(95) / 1000, latency:percentile(99) / 1000))
end
