-- Takes the ownership of an engine if nobody holds it. A token is given once and never again.
-- KEYS 1 owner (hash), 2 tokens (hash: engine -> last token given), 3 released (string: last token given back)
-- ARGV 1 engine, 2 owner, 3 life in ms
-- Returns {1, token, owner, clear} when taken: clear is 1 when the last owner gave the engine back or there was none, and
-- 0 when its record only went away, which may be before that owner stops (the wall clock of this server was set);
-- {0, token, owner, ms left} when somebody else holds it.
local held = redis.call('HMGET', KEYS[1], 'owner', 'token')
if held[1] and held[1] ~= ARGV[2] then
  return {0, tonumber(held[2]), held[1], redis.call('PTTL', KEYS[1])}
end
-- Server milliseconds as the lower bound: tokens go on rising also after the record of the last one was flushed.
local now = redis.call('TIME')
local token = now[1] * 1000 + math.floor(now[2] / 1000)
local given = redis.call('HGET', KEYS[2], ARGV[1])
local clear = (not given or redis.call('GET', KEYS[3]) == given) and 1 or 0
local last = tonumber(given or '0')
if token <= last then token = last + 1 end
local text = string.format('%.0f', token)
redis.call('HSET', KEYS[2], ARGV[1], text)
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'owner', ARGV[2], 'token', text)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {1, token, ARGV[2], clear}
