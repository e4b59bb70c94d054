-- ks_engage: stop. Unconditional; works on any content of any key; also while Redis is out of memory.
--   FCALL ks_engage 1 <prefix>:state[:<dimension>:<name>] [reason] [actor] [operation id] [via]
-- Returns {version, v, epoch, e, was, text, state, text, at_ms, ms, repeated, 0|1}.
-- Repeated with the same operation id: the first answer again and no second change, if the stop still stands.
redis.register_function { function_name = 'ks_engage', flags = { 'allow-oom' }, callback = function(keys, args)
  local n = names(keys[1])
  local reason, actor, op = clean(args[1], 'no reason given'), clean(args[2], 'unattributed'), args[3]
  local text = cut('ENGAGED ' .. reason, MAX_TEXT)
  local again = receipt(n, 'engage', op)
  if again and redis.pcall('GET', keys[1]) == text then return again end
  local seen, before = pcall(observe, keys[1])
  if not seen then before = { kind = 'unreadable', text = '', pttl = -1 } end
  redis.call('SET', keys[1], text)
  -- The fleet is stopped from here on. Bookkeeping that fails is left to the first beat, which records the change as
  -- one made by hand; the answer then carries epoch 0.
  local now = server_ms()
  local after = { kind = 'value', text = text, pttl = -1 }
  local kept, epoch = pcall(function()
    if seen then reconcile(n, n.scope, before, now, true) end
    record(n, n.scope, now, { from = shown(before), to = shown(after), token = token(after),
      reason = reason, actor = actor, via = clean(args[4], 'redis-cli'), op = clean(op, '') })
    settle_incarnation(n, now, observe(n.state))
    return recorded(n, n.scope).epoch
  end)
  return done(n, 'engage', op, kept and epoch or 0, shown(before), after, now)
end }
