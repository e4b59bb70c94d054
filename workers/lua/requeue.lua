-- Returns a started job to the front of its queue as if it had never been started: tries untouched, no result written.
-- Only one caller succeeds: whoever removes the execution from the registry of started jobs.
-- KEYS 1 started registry (zset), 2 queue (list), 3 job (hash), 4 execution (hash), 5 executions of the job (zset),
--      6 executions of the worker (set), 7 ownership of the engine (hash), 8 released (string: last token given back) or ''
-- ARGV 1 job id, 2 execution id, 3 ownership token to give back, or '' for none, or 'abandoned': then nothing is done
--      while anybody holds the ownership
-- Returns 1 when put back, 0 when the execution was gone, -1 when the engine has a living owner, 2 when the job was deleted.
local both = ARGV[1] .. ':' .. ARGV[2]
if ARGV[3] == 'abandoned' and redis.call('EXISTS', KEYS[7]) == 1 then return -1 end
if redis.call('ZREM', KEYS[1], both) == 0 then return 0 end
redis.call('DEL', KEYS[4])
redis.call('ZREM', KEYS[5], ARGV[2])
redis.call('SREM', KEYS[6], both)
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
