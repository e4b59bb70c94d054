-- ks_renew: prolongs a permission under a dead man's switch, if it is still the one that its holder knows. Writes one
-- field of the ledger: no epoch, no entry, no announcement. Registered WITHOUT flags: refused whenever the operator's
-- SET would be.
--   FCALL ks_renew 1 <prefix>:state <epoch> <operation id> [end, server ms]
-- epoch, operation id: as ks_deadman answered and was given. end: until when the holder wants it, counted from when it
-- sent this, so that a renewal which was held up on the way prolongs by no more than it would have at once; at most,
-- and without it, one life from now. An end that is not later than the known one (a late or repeated renewal) prolongs
-- nothing.
-- Returns {version, end, server ms now}. Error `ENDED <epoch now> <why>`: this permission is not to be renewed any more.
-- Error `INCARNATION <why>`: not now; whether it goes on is for the first beat to say, see settle_incarnation().

redis.register_function('ks_renew', function(keys, args)
  local n = names(keys[1])
  local wanted = to_epoch(args[3] or '')
  if n.scope ~= 'switch' or not args[2] or not (wanted or (args[3] or '') == '') then
    return redis.error_reply('ERR usage: 1 <prefix>:state epoch operation-id [end in server ms]')
  end
  local now, state = server_ms(), observe(n.state)
  local kept = ledger_fields(n, { 'run_id', 'switch:token', 'switch:epoch', 'deadman' })
  local epoch, run = to_epoch(kept[3]) or 0, run_id()
  local held = deadman_of(kept[4], epoch)
  if run == '' or kept[1] ~= run then
    return redis.error_reply('INCARNATION Redis restarted, failed over or lost its record, and no beat has settled that yet')
  end
  local over = nil
  if to_epoch(args[1]) ~= epoch or kept[2] ~= token(state) or mode_of(state) ~= 'SAFE' then
    over = 'the switch was changed'
  elseif not held or held.id ~= args[2] then
    over = 'somebody else renews it, or nobody'
  elseif deadman_left(held, now) == 0 then
    over = 'it ran out before this renewal came'
  end
  if over then return redis.error_reply('ENDED ' .. show(epoch) .. ' ' .. over) end
  local ends = math.max(math.min(wanted or now + held.life, now + held.life), held.ends)
  local words = limit_words(ends, held.life, held.every, held.id, math.max(held.seen, now))
  redis.call('HSET', n.ledger, 'deadman', show(epoch) .. ' ' .. words)
  return { VERSION, ends, now }
end)
