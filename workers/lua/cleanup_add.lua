-- Notes that what an owner of an engine left at the venue is to be cancelled. A later owner includes those before it.
-- KEYS 1 cleanups (zset: engine -> due, server ms), 2 cleanup of this engine (hash: token, tries, jobs, job, reason)
-- ARGV 1 engine, 2 ownership token
-- Returns the token that is noted now.
local noted = tonumber(redis.call('HGET', KEYS[2], 'token') or '0')
if tonumber(ARGV[2]) > noted then
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[2], 'token', ARGV[2], 'tries', '0')
  redis.call('ZADD', KEYS[1], '0', ARGV[1])
end
return redis.call('HGET', KEYS[2], 'token')
