-- ks_read: what the switch and the scopes say. Reads only, yet registered WITHOUT flags on purpose: Redis then refuses
-- it exactly when it would refuse the operator's SET (out of memory, disk error, too few replicas, read-only, paused); that
-- it would not let the operator in (maxclients) is asked here.
-- If you cannot engage, you cannot renew.
--   FCALL ks_read <n> <prefix>:state [<prefix>:state:<dimension>:<name> ...] <nonce>
-- pttl: of the key, or what a dead man's switch leaves of the permission, whichever is less.
-- Returns {version, nonce, run id, confirmed 0|1, epoch counter, {{kind, text, length, pttl ms, epoch, recorded 0|1}, ...}}
redis.register_function('ks_read', function(keys, args)
  local n = names(keys[1])
  if is_full(server_ms()) then return refuse_as_full() end
  -- One look at the ledger for everything: a fleet asks this thousands of times a second.
  local fields = { 'run_id', 'epoch', 'deadman' }
  for i, key in ipairs(keys) do
    local of = names(key)
    fields[2 * i + 2], fields[2 * i + 3] = of.token, of.epoch
  end
  local kept = ledger_fields(n, fields)
  local rows = {}
  for i, key in ipairs(keys) do
    rows[i] = row(observe(key), { token = kept[2 * i + 2] or nil, epoch = to_epoch(kept[2 * i + 3]) or 0 })
  end
  limit(rows[1], kept[3])
  local run = run_id()
  return answer(args[1] or '', run, run ~= '' and kept[1] == run, to_epoch(kept[2]) or counter(n), rows)
end)
