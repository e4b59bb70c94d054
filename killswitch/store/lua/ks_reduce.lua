-- ks_reduce: only orders that reduce a position. From SAFE it tightens and needs no epoch; from anything stricter it
-- loosens, so it is conditional on the epoch that the operator looked at, as a reset is. Where the switch permitted
-- anything its end stays: that of the key, and what a dead man's switch left of it, which nobody renews any more.
--   FCALL ks_reduce 1 <prefix>:state[:<dimension>:<name>] [reason] [actor] [epoch] [operation id] [via]
-- Returns the same as ks_engage. Error `EPOCH <current>`: the switch was changed since. Error `APPROVED <epoch>`: where it
-- would loosen, two persons have to permit, and this was the first, see persons.lua.
redis.register_function('ks_reduce', function(keys, args)
  local n = names(keys[1])
  local reason, actor, op = clean(args[1], 'no reason given'), clean(args[2], 'unattributed'), args[4]
  local again = receipt(n, 'reduce', op)
  if again then return again end
  local now = server_ms()
  local looked_at = recorded(n, n.scope).epoch
  local state = observe(n.state)
  settle_incarnation(n, now, state)
  settle_deadman(n, now, state)
  local before = observe(keys[1])
  local kept = reconcile(n, n.scope, before, now, true)
  local current = kept.epoch
  local tightens = accepted(kept) and (mode_of(before) ~= 'ENGAGED' or (n.scope ~= 'switch' and before.kind == 'absent'))
  if not tightens and (to_epoch(args[3]) ~= current or current ~= looked_at) then
    remark_refusal(n, now, 'reduce', args[3], current, reason, actor, op, args[5])
    return redis.error_reply('EPOCH ' .. show(current) .. ' is the epoch now, and reducing would loosen: name the epoch you looked at')
  end
  if not tightens and next_epoch(n, n.scope) >= MAX_EPOCH then return redis.error_reply(EXHAUSTED) end
  if not tightens and persons_of(n) == 2 then
    local first, so_far = second_person(n, now, 'reduce', { what = 'REDUCING', epoch = current, reason = reason,
      actor = actor, op = op, via = args[5] })
    if not first then return so_far end
    reason = clean('approved by ' .. first .. ': ' .. reason, reason)
  end
  if not may_set(keys[1], 'REDUCING') then  -- else it would be on record and not be so
    return redis.error_reply('NOPERM this user may not write the state, so nothing was changed')
  end
  local after = { kind = 'value', text = 'REDUCING', pttl = -1 }
  local left, words = -1, nil
  -- Of a scope the end would loosen: an absent one follows the switch.
  if n.scope == 'switch' and tightens then
    local rest = ledger_fields(n, { 'deadman' })[1]
    local held = deadman_of(rest, current)
    after.pttl, after.ends, left = before.pttl, before.ends, limited(before.pttl, rest, current)
    words = held and limit_words(held.ends, held.life, held.every, held.id, math.max(held.seen, now))
  end
  local told = { kind = 'value', text = 'REDUCING', pttl = left, ends = left >= 0 and now + left or nil }
  local epoch = record(n, n.scope, now, { from = shown(before), to = shown(told), token = token(after), reason = reason,
    actor = actor, via = clean(args[5], 'redis-cli'), op = clean(op, ''), limit = words })
  if after.ends then
    redis.call('SET', keys[1], 'REDUCING', 'PXAT', show(after.ends))
  else
    redis.call('SET', keys[1], 'REDUCING')
  end
  return done(n, 'reduce', op, epoch, shown(before), told, now)
end)
