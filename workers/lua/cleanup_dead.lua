-- Notes for each engine whose last owner neither lives nor gave it back that what it left at the venue is to be cancelled.
-- It goes by the tokens that were given and not by jobs: the job of a dead owner may have been marked failed or deleted
-- meanwhile, or lie on a queue that nobody here serves. An owner is noted once, until its cleanup is done or fails.
-- KEYS 1 tokens (hash: engine -> last token given), 2 cleanups (zset: engine -> due, server ms),
--      3 cleaned (hash: engine -> token that was cleaned up after last)
-- ARGV what the names of further keys begin with, the engine follows: 1 owner (hash), 2 released (string: last token given
--      back), 3 cleanup (hash: token, tries, jobs, job, reason)
-- Returns {engine, token, engine, token, ...}: what was noted now.
local found = {}
local given = redis.call('HGETALL', KEYS[1])
for i = 1, #given, 2 do
  local engine, token = given[i], given[i + 1]
  if not string.find(engine, ':', 1, true) -- the journal of a gateway is owned in the same way, and has no orders
    and redis.call('GET', ARGV[2] .. engine) ~= token
    and redis.call('EXISTS', ARGV[1] .. engine) == 0
    and redis.call('HGET', KEYS[3], engine) ~= token
    and tonumber(redis.call('HGET', ARGV[3] .. engine, 'token') or '0') < tonumber(token) then
    redis.call('DEL', ARGV[3] .. engine)
    redis.call('HSET', ARGV[3] .. engine, 'token', token, 'tries', '0')
    redis.call('ZADD', KEYS[2], '0', engine)
    found[#found + 1] = engine
    found[#found + 1] = token
  end
end
return found
