-- ks_reset: permit trading again, provided that nothing changed since the operator looked.
--   FCALL ks_reset 1 <prefix>:state[:<dimension>:<name>] <epoch> [reason] [actor] [ttl ms] [operation id] [via]
-- epoch: the one that `status` (or HGET <prefix>:ledger switch:epoch) showed; one that this very call gives to a change
-- made by hand can not have been looked at. ttl: the permission ends by itself; 0 or nothing: it does not. Only for the
-- switch, because an absent scope means "follow the switch", so its expiry would loosen.
-- Returns the same as ks_engage. Error `EPOCH <current>`: the switch was changed since, nothing was done;
-- that it was tried is put on record. Error `APPROVED <epoch>`: two persons have to permit, and this was the first, see
-- persons.lua.

local LONGEST_MS = 366 * 86400 * 1000

redis.register_function('ks_reset', function(keys, args)
  local n = names(keys[1])
  local reason, actor, op = clean(args[2], 'no reason given'), clean(args[3], 'unattributed'), args[5]
  local again = receipt(n, 'reset', op)
  if again then return again end
  local ttl = to_epoch((args[4] or '') == '' and '0' or args[4])
  if not ttl or ttl > LONGEST_MS then
    return redis.error_reply('ERR a time limit is a whole number of milliseconds, at most a year; 0 or nothing for none')
  end
  if ttl > 0 and n.scope ~= 'switch' then
    return redis.error_reply('ERR a time limit is for the switch only: an expired scope would follow the switch')
  end
  local now = server_ms()
  local looked_at = recorded(n, n.scope).epoch
  local state = observe(n.state)
  if not settle_incarnation(n, now, state) then
    return redis.error_reply('INCARNATION the server does not tell its run id, so no permission can be bound to it')
  end
  settle_deadman(n, now, state)
  local before = observe(keys[1])
  local current = reconcile(n, n.scope, before, now, true).epoch
  if to_epoch(args[1]) ~= current or current ~= looked_at then
    remark_refusal(n, now, 'reset', args[1], current, reason, actor, op, args[6])
    return redis.error_reply('EPOCH ' .. show(current) .. ' is the epoch now, the switch was changed since you looked')
  end
  if next_epoch(n, n.scope) >= MAX_EPOCH then
    return redis.error_reply(EXHAUSTED)
  end
  if persons_of(n) == 2 then
    local first, so_far = second_person(n, now, 'reset', { what = 'SAFE:' .. show(ttl), epoch = current, reason = reason,
      actor = actor, op = op, via = args[6] })
    if not first then return so_far end
    reason = clean('approved by ' .. first .. ': ' .. reason, reason)
  end
  if not may_set(keys[1], 'SAFE') then  -- else it would be on record and not be so
    return redis.error_reply('NOPERM this user may not write the state, so nothing was changed')
  end
  local after = { kind = 'value', text = 'SAFE', pttl = ttl > 0 and ttl or -1, ends = ttl > 0 and now + ttl or nil }
  local epoch = record(n, n.scope, now, { from = shown(before), to = shown(after), token = token(after), reason = reason,
    actor = actor, via = clean(args[6], 'redis-cli'), op = clean(op, '') })
  if ttl > 0 then
    redis.call('SET', keys[1], 'SAFE', 'PXAT', show(after.ends))
  else
    redis.call('SET', keys[1], 'SAFE')
  end
  return done(n, 'reset', op, epoch, shown(before), after, now)
end)
