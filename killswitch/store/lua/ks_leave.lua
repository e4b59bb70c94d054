-- ks_leave: a worker that is closed and drained takes itself off the membership.
--   FCALL ks_leave 1 <prefix>:state <worker> [instance]
-- instance: the life that ended; what another life of this worker wrote stays. By hand leave it out: that takes a lost
-- worker off whose orders were reconciled. Returns 1 when it was a member and is none any more, else 0.

-- Whether nobody is left of whom the row tells; else it notes who has gone. A row that tells of two lives is the only
-- trace of the one that does not leave, which may be frozen with an order in flight.
local function was_last(hash, instance, now)
  local kept = redis.pcall('HMGET', hash, 'instance', 'rival_until_ms', 'rival')
  if failed(kept) or not kept[1] then return true end
  local _, rival = rival_in(kept[2], kept[3], now)
  if kept[1] == instance then
    if rival == '' then return true end
    redis.call('HSET', hash, 'instance', '')
    return false
  end
  if kept[1] == '' and rival == '' then return true end
  if rival ~= instance then return false end
  if kept[1] == '' then return true end
  redis.call('HSET', hash, 'rival_until_ms', '0', 'rival', '')
  return false
end

redis.register_function('ks_leave', function(keys, args)
  local n = names(keys[1])
  local hash = n.worker .. args[1]
  if args[2] and not was_last(hash, args[2], server_ms()) then return 0 end
  local was = redis.pcall('ZREM', n.workers, args[1])
  redis.call('DEL', hash)
  redis.pcall('PUBLISH', n.acks, args[1] .. ' left')
  return failed(was) and 0 or was
end)
