-- Forgets a cleanup that was done, unless a later owner is to be cleaned up after by now, and remembers up to which token.
-- KEYS 1 cleanups (zset), 2 cleanup of this engine (hash), 3 cleaned (hash: engine -> token that was cleaned up after last)
-- ARGV 1 engine, 2 ownership token that was cleaned up after, 0 for a note that tells none
-- Returns 1 when forgotten, else 0.
local noted = tonumber(redis.call('HGET', KEYS[2], 'token') or '0')
if noted > tonumber(ARGV[2]) then return 0 end
if ARGV[2] ~= '0' then redis.call('HSET', KEYS[3], ARGV[1], ARGV[2]) end
redis.call('DEL', KEYS[2])
return redis.call('ZREM', KEYS[1], ARGV[1])
