-- ks_leave: a worker that is closed and drained takes itself off the membership.
--   FCALL ks_leave 1 <prefix>:state <worker> [instance]
-- instance: do nothing if the worker's row belongs to another life of it. By hand leave it out: that takes a lost worker
-- off whose orders were reconciled. Returns 1 when it was a member, else 0.
redis.register_function('ks_leave', function(keys, args)
  local n = names(keys[1])
  if args[2] then
    local owner = redis.pcall('HGET', n.worker .. args[1], 'instance')
    if type(owner) == 'string' and owner ~= args[2] then return 0 end
  end
  local was = redis.pcall('ZREM', n.workers, args[1])
  redis.call('DEL', n.worker .. args[1])
  redis.pcall('PUBLISH', n.acks, args[1] .. ' left')
  return failed(was) and 0 or was
end)
