-- ks_leave: a worker that is closed and drained takes itself off the membership.
--   FCALL ks_leave 1 <prefix>:state <worker>
-- Returns 1 when it was a member, else 0.
redis.register_function('ks_leave', function(keys, args)
  local n = names(keys[1])
  local was = redis.pcall('ZREM', n.workers, args[1])
  redis.call('DEL', n.worker .. args[1])
  redis.pcall('PUBLISH', n.acks, args[1] .. ' left')
  return failed(was) and 0 or was
end)
