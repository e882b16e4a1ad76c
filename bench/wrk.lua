-- Prints what wrk has measured as one line of JSON, its last. Times are microseconds.
-- With an argument, each connection waits that many milliseconds before a request, and serves one.
function init(args)
  local pause = tonumber(args[1])
  if pause then
    wrk.headers["Connection"] = "close"
    delay = function() return pause end
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "errors": ' ..
    '{"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}}\n',
    summary.requests,
    summary.duration,
    latency:percentile(50),
    latency:percentile(99),
    errors.connect,
    errors.read,
    errors.write,
    errors.status,
    errors.timeout
  ))
end
