-- Returns a started job to the front of its queue as if it had never been started: tries untouched, no result written.
-- Only one caller succeeds: whoever removes the execution from the registry of started jobs.
-- KEYS 1 started registry (zset), 2 queue (list), 3 job (hash), 4 execution (hash), 5 executions of the job (zset),
--      6 executions of the worker (set), 7 ownership of the engine (hash), 8 released (string: last token given back) or '',
--      9 tokens (hash: engine -> last token given), 10 cleanups (zset), 11 cleanup of the engine (hash),
--      12 cleaned (hash: engine -> token that was cleaned up after last)
-- ARGV 1 job id, 2 execution id, 3 ownership token to give back, or '' for none, or 'abandoned': then nothing is done
--      while anybody holds the ownership, and what the last owner left at the venue is noted to be cleaned up: in the same
--      step, because whoever put the engine back may die in the next, unless that was done; 4 engine (with 'abandoned')
-- Returns 1 when put back, 0 when the execution was gone, -1 when the engine has a living owner, 2 when the job was deleted.
local both = ARGV[1] .. ':' .. ARGV[2]
if ARGV[3] == 'abandoned' and redis.call('EXISTS', KEYS[7]) == 1 then return -1 end
if redis.call('ZREM', KEYS[1], both) == 0 then return 0 end
redis.call('DEL', KEYS[4])
redis.call('ZREM', KEYS[5], ARGV[2])
redis.call('SREM', KEYS[6], both)
local last = ARGV[3] == 'abandoned' and redis.call('HGET', KEYS[9], ARGV[4])
if last and tonumber(last) > tonumber(redis.call('HGET', KEYS[11], 'token') or '0')
  and redis.call('HGET', KEYS[12], ARGV[4]) ~= last then
  redis.call('DEL', KEYS[11])
  redis.call('HSET', KEYS[11], 'token', last, 'tries', '0')
  redis.call('ZADD', KEYS[10], '0', ARGV[4])
end
local answer = 2
if redis.call('EXISTS', KEYS[3]) == 1 then
  redis.call('HSET', KEYS[3], 'status', 'queued', 'started_at', '', 'worker_name', '')
  redis.call('LPUSH', KEYS[2], ARGV[1])
  answer = 1
end
if ARGV[3] ~= '' and redis.call('HGET', KEYS[7], 'token') == ARGV[3] then
  redis.call('DEL', KEYS[7])
  if KEYS[8] ~= '' then redis.call('SET', KEYS[8], ARGV[3]) end
end
return answer
