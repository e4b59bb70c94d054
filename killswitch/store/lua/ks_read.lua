-- ks_read: what the switch and the scopes say. Reads only, yet registered WITHOUT flags on purpose: Redis then refuses
-- it exactly when it would refuse the operator's SET (out of memory, disk error, too few replicas, read-only, paused).
-- If you cannot engage, you cannot renew.
--   FCALL ks_read <n> <prefix>:state [<prefix>:state:<dimension>:<name> ...] <nonce>
-- Returns {version, nonce, run id, confirmed 0|1, epoch counter, {{kind, text, length, pttl ms, epoch, recorded 0|1}, ...}}
redis.register_function('ks_read', function(keys, args)
  local n = names(keys[1])
  local rows = {}
  for i, key in ipairs(keys) do
    rows[i] = row(observe(key), recorded(n, names(key).scope))
  end
  local run = run_id()
  local confirmed = run ~= '' and ledger_fields(n, { 'run_id' })[1] == run
  return answer(n, args[1] or '', run, confirmed, rows)
end)
