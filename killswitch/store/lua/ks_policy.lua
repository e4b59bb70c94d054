-- ks_policy: puts two rules on record for the whole fleet: what a fail-over or restart of Redis means, and how many persons
-- a permission takes. `killswitch init` calls it.
--   FCALL ks_policy 1 <prefix>:state <halt|resume|reassert> [actor] [via] [persons 1|2, nothing: as it is] [operation id]
-- Returns the policy that was on record. A change is an entry of the record like any other, since it may loosen. Where two
-- persons have to permit, what loosens takes two as well: the first gets the error `APPROVED <epoch>`, see persons.lua; what
-- tightens is done at once.
local RULES_ARE_OF = { on_failover = 'KILLSWITCH_ON_FAILOVER of whoever ran init', persons = 'KILLSWITCH_PERSONS of whoever ran init' }

redis.register_function('ks_policy', function(keys, args)
  local n = names(keys[1])
  local wanted, actor, via, op = args[4] or '', clean(args[2], 'unattributed'), clean(args[3], 'redis-cli'), args[5]
  if not POLICIES[args[1] or ''] then
    return redis.error_reply('ERR the policy is one of halt, resume and reassert')
  end
  if n.scope ~= 'switch' or (wanted ~= '' and wanted ~= '1' and wanted ~= '2') then
    return redis.error_reply('ERR these rules are for the whole fleet: the key is that of the switch; persons are 1 or 2')
  end
  local now, persons = server_ms(), persons_of(n)
  local was = policy_of(ledger_fields(n, { 'on_failover' })[1])
  local loose = {}
  local function change(rule, before, is, tightens)
    if before == is then return end
    if persons == 2 and not tightens then
      loose[#loose + 1] = { rule, before, is }
    else
      record_rule(n, now, rule, before, is, RULES_ARE_OF[rule], actor, via)
    end
  end
  change('on_failover', was, args[1], args[1] == 'halt')
  if wanted ~= '' then change('persons', show(persons), wanted, wanted == '2') end
  if #loose == 0 then return was end
  -- As for a reset: what was changed by hand, or ended, gets its epoch first, and voids what was approved before it.
  local state, what = observe(n.state), {}
  settle_incarnation(n, now, state)
  settle_deadman(n, now, state)
  local epoch = reconcile(n, 'switch', state, now, true).epoch
  for i, one in ipairs(loose) do what[i] = one[1] .. ':' .. one[3] end
  local first, so_far = second_person(n, now, 'init', { what = table.concat(what, ','), epoch = epoch,
    reason = RULES_ARE_OF[loose[1][1]], actor = actor, op = op, via = via })
  if not first then return so_far end
  for _, one in ipairs(loose) do
    record_rule(n, now, one[1], one[2], one[3], 'approved by ' .. first .. ': ' .. RULES_ARE_OF[one[1]], actor, via)
  end
  return was
end)
