-- ks_policy: puts on record what a fail-over or restart of Redis means, for the whole fleet; `killswitch init` calls it.
--   FCALL ks_policy 1 <prefix>:state <halt|resume|reassert> [actor] [via]
-- Returns the policy that was on record. A change is an entry of the record like any other, since it may loosen.
redis.register_function('ks_policy', function(keys, args)
  local n = names(keys[1])
  if not POLICIES[args[1] or ''] then
    return redis.error_reply('ERR the policy is one of halt, resume and reassert')
  end
  local was = policy_of(ledger_fields(n, { 'on_failover' })[1])
  if was == args[1] then return was end
  record_policy(n, server_ms(), was, args[1], 'KILLSWITCH_ON_FAILOVER of whoever ran init',
    clean(args[2], 'unattributed'), clean(args[3], 'redis-cli'))
  return was
end)
