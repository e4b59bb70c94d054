-- ks_deadman: puts the permission in force under a dead man's switch: it ends by itself unless ks_renew comes in time.
--   FCALL ks_deadman 1 <prefix>:state <epoch> <every ms> <life ms> <reason> <actor> <operation id> [via] [take over 0|1]
-- epoch: of the permission, as it was looked at. every: how often its holder means to renew it, for display. life: how
-- long it lasts without a renewal. operation id: the name under which it is renewed; repeated, the first answer again.
-- take over: also from another holder; without it a permission that somebody renews already is refused.
-- A limit that the state key itself has stays. The state is not written: no gate closes. The change gets an epoch and an
-- entry. Returns the same as ks_engage. Error `EPOCH <current>`: the switch was changed since. Error
-- `ENDED <epoch> <why>`: there is no such permission, or somebody else renews it. After either nothing was done.

local LONGEST_LIFE_MS = 86400000

redis.register_function('ks_deadman', function(keys, args)
  local n = names(keys[1])
  local given, every, life, id = to_epoch(args[1]), to_epoch(args[2]), to_epoch(args[3]), args[6] or ''
  local reason, actor = clean(args[4], 'no reason given'), clean(args[5], 'unattributed')
  if n.scope ~= 'switch' then
    return redis.error_reply("ERR a dead man's switch is for the switch only: an expired scope would follow the switch")
  end
  if not every or not life or every < 1 or life < every or life > LONGEST_LIFE_MS then
    return redis.error_reply('ERR every and life are whole milliseconds, life at least every and at most a day')
  end
  if #id > 64 or not string.find(id, '^[%w_-]+$') then
    return redis.error_reply('ERR an operation id of 1 to 64 letters, digits or _ - is needed to renew it by')
  end
  local again = receipt(n, 'deadman', id)
  if again then return again end
  local now, looked_at = server_ms(), recorded(n, 'switch').epoch
  local state = observe(n.state)
  if not settle_incarnation(n, now, state) then
    return redis.error_reply('INCARNATION the server does not tell its run id, so no permission can be bound to it')
  end
  settle_deadman(n, now, state)
  local kept = reconcile(n, 'switch', state, now, true)
  local current = kept.epoch
  if given ~= current or current ~= looked_at then
    return redis.error_reply('EPOCH ' .. show(current) .. ' is the epoch now, the switch was changed since you looked')
  end
  if mode_of(state) ~= 'SAFE' or not accepted(kept) then
    return redis.error_reply('ENDED ' .. show(current) .. ' the switch does not say SAFE, so there is nothing to renew')
  end
  local held = deadman_of(ledger_fields(n, { 'deadman' })[1], current)
  if held and args[8] ~= '1' then
    local left = show(math.ceil(deadman_left(held, now) / 1000))
    return redis.error_reply('ENDED ' .. show(current) .. ' somebody renews it already, and it has ' .. left .. ' s left')
  end
  if held and life > held.life and persons_of(n) == 2 then
    return redis.error_reply('ENDED ' .. show(current) .. ' two persons have to permit, so one can not lengthen it: at most '
      .. show(held.life) .. ' ms at a time')
  end
  if next_epoch(n, 'switch') >= MAX_EPOCH then return redis.error_reply(EXHAUSTED) end
  local to = 'SAFE (while renewed, ' .. show(math.ceil(life / 1000)) .. ' s at a time)'
  local epoch = record(n, 'switch', now, { from = shown(state), to = to, token = token(state), reason = reason,
    actor = actor, via = clean(args[7], 'redis-cli'), op = id, limit = limit_words(now + life, life, every, id, now) })
  return done(n, 'deadman', id, epoch, shown(state), state, now)
end)
