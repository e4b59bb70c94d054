-- Puts jobs that are to be tried again, and whose time has come, at the end of their queue. Each goes there once, whoever
-- calls this first; one that was deleted meanwhile is forgotten.
-- KEYS 1 scheduled jobs of the queue (zset: id -> when, seconds), 2 queue (list)
-- ARGV 1 what the key of a job begins with
-- Returns the ids that were put there.
local now = redis.call('TIME')[1]
local found = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 100)) do
  redis.call('ZREM', KEYS[1], id)
  if redis.call('EXISTS', ARGV[1] .. id) == 1 then
    redis.call('HSET', ARGV[1] .. id, 'status', 'queued')
    redis.call('RPUSH', KEYS[2], id)
    found[#found + 1] = id
  end
end
return found
