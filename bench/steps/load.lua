-- The load of wrk: one POST for each key, in turn, made before the clock starts.
-- usage: wrk ... -s load.lua URL -- KEYS
local posts, turn = {}, 0

function init(arguments)
  local headers = { ["Content-Type"] = "application/json" }
  for key = 0, tonumber(arguments[1]) - 1 do
    local body = string.format(
      '{"key":"key-%04d","amount":12,"unit":"kWh","note":"75 bytes, with its key"}', key)
    posts[key] = wrk.format("POST", nil, headers, body)
  end
end

function request()
  turn = (turn + 1) % (#posts + 1)
  return posts[turn]
end

function done(summary, latency, _)
  local wrong = summary.errors
  print(string.format("found %d %d %d", summary.requests, summary.duration,
    wrong.connect + wrong.read + wrong.write + wrong.status + wrong.timeout))
end
