-- ks_proved: how the wait for the proof of a stop ended, told by whoever waited, when it was over. It becomes an entry of
-- the record that is no change: it gets no epoch and touches neither state nor ledger.
--   FCALL ks_proved 1 <prefix>:state[:<dimension>:<name>] <epoch> <QUIET|FENCED|UNCERTAIN> <waited ms> <members> <pending>
--         [actor] [operation id] [via]
-- epoch: of the stop; one that was never given is refused. pending: who was not quiet, as text. operation: of the stop.
-- Returns {version, entry id, repeated 0|1}. Repeated with the same words: no second entry.

local VERDICTS = { QUIET = true, FENCED = true, UNCERTAIN = true }

redis.register_function('ks_proved', function(keys, args)
  local n = names(keys[1])
  local epoch, waited, members = to_epoch(args[1]), to_epoch(args[3]), to_epoch(args[4])
  local highest = math.max(counter(n), audited(n))
  if not epoch or epoch < 1 or epoch > highest or not VERDICTS[args[2] or ''] or not waited or not members then
    return redis.error_reply('ERR usage: epoch QUIET|FENCED|UNCERTAIN waited-ms members pending [actor] [op] [via]')
  end
  local op, verdict = clean(args[7], ''), args[2]
  local once = op .. ':' .. verdict .. ':' .. show(epoch) .. ':' .. show(waited)
  local id, repeated = remark(n, server_ms(), 'outcome', epoch, once, { 'verdict', verdict, 'waited_ms', show(waited),
    'members', show(members), 'pending', clean(args[5], ''), 'actor', clean(args[6], 'unattributed'),
    'via', clean(args[8], 'redis-cli'), 'op', op })
  return { VERSION, id, repeated }
end)
