-- Takes the cleanups that are due and makes each due again after a while, should whoever took it die.
-- KEYS 1 cleanups (zset: engine -> due, server ms)
-- ARGV 1 ms until a taken one is due again, 2 longest wait in ms: what is due later than that was noted by another clock
-- Returns the engines.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local found = {}
local all = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 1, #all, 2 do
  local due = tonumber(all[i + 1])
  if due <= now or due > now + ARGV[2] then
    redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[1]), all[i])
    found[#found + 1] = all[i]
  end
end
return found
