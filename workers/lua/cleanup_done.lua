-- Forgets a cleanup that was done, unless a later owner is to be cleaned up after by now.
-- KEYS 1 cleanups (zset), 2 cleanup of this engine (hash)
-- ARGV 1 engine, 2 ownership token that was cleaned up after
-- Returns 1 when forgotten, else 0.
local noted = tonumber(redis.call('HGET', KEYS[2], 'token') or '0')
if noted > tonumber(ARGV[2]) then return 0 end
redis.call('DEL', KEYS[2])
return redis.call('ZREM', KEYS[1], ARGV[1])
