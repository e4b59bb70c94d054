-- Puts a cleanup off that could not be done: twice as long each time.
-- KEYS 1 cleanups (zset), 2 cleanup of this engine (hash)
-- ARGV 1 engine, 2 ownership token, 3 first wait in ms, 4 longest wait in ms, 5 reason
-- Returns the ms until it is due again, or -1 when there is nothing to be done any more.
if redis.call('HGET', KEYS[2], 'token') ~= ARGV[2] then return -1 end
local tries = redis.call('HINCRBY', KEYS[2], 'tries', 1)
redis.call('HSET', KEYS[2], 'reason', ARGV[5])
local wait = math.min(ARGV[3] * 2 ^ math.min(tries - 1, 20), tonumber(ARGV[4]))
local t = redis.call('TIME')
redis.call('ZADD', KEYS[1], string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000) + wait), ARGV[1])
return wait
