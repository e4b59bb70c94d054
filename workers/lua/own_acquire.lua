-- Takes the ownership of an engine if nobody holds it. A token is given once and never again.
-- KEYS 1 owner (hash), 2 tokens (hash: engine -> last token given)
-- ARGV 1 engine, 2 owner, 3 life in ms
-- Returns {1, token, owner} when taken, {0, token, owner, ms left} when somebody else holds it.
local held = redis.call('HMGET', KEYS[1], 'owner', 'token')
if held[1] and held[1] ~= ARGV[2] then
  return {0, tonumber(held[2]), held[1], redis.call('PTTL', KEYS[1])}
end
-- Server milliseconds as the lower bound: tokens go on rising also after the record of the last one was flushed.
local now = redis.call('TIME')
local token = now[1] * 1000 + math.floor(now[2] / 1000)
local last = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '0')
if token <= last then token = last + 1 end
local text = string.format('%.0f', token)
redis.call('HSET', KEYS[2], ARGV[1], text)
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'owner', ARGV[2], 'token', text)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {1, token, ARGV[2]}
