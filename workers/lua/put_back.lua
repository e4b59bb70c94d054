-- Returns a claimed job that was not started to the front of its queue. Only the holder of the claim succeeds.
-- KEYS 1 queue (list), 2 intermediate (list)
-- ARGV 1 job id
-- Returns 1 when put back, 0 when the claim was gone.
if redis.call('LREM', KEYS[2], 1, ARGV[1]) == 0 then return 0 end
redis.call('LPUSH', KEYS[1], ARGV[1])
return 1
