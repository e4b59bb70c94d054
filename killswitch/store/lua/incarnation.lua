-- What becomes of a permission when another server, or another life of it, finds it: see settle_incarnation().

-- The replication id under which this very copy of the library last found its incarnation on record. A new process, and a
-- server that took another's data whole, have another copy.
local settled

-- The three policies of KILLSWITCH_ON_FAILOVER. What is on record decides for all (ks_policy puts it there): workers with
-- settings of their own could not agree. Lost, or anything else: halt.
local POLICIES = { halt = true, resume = true, reassert = true }

local function policy_of(text)
  return POLICIES[text or ''] and text or 'halt'
end

-- Writes a stop into the state, or a scope, if this user may. That is asked first: where it may not it would try again with every beat,
-- and each refusal goes into the server's log of them.
local function put_stop(key, text)
  if not may_set(key, text) then return false end
  return not failed(redis.pcall('SET', key, text))
end

local function say_engaged(n, now, state, text, change)
  local from = shown(state)
  state.kind, state.text, state.length, state.pttl, state.ends = 'value', text, #text, -1, nil
  change.from, change.to, change.token = from, text, token(state)
  return record(n, 'switch', now, change)
end

-- An entry about a rule that is on record, on_failover or persons: what it became, or that it was followed. It has a scope of
-- its own, since the switch itself did not change.
local function record_rule(n, now, rule, was, is, reason, actor, via)
  local epoch = next_epoch(n, 'switch')
  mend(now, 'XADD', n.audit, '*', 'epoch', show(epoch), 'scope', rule, 'from', was, 'to', is, 'reason', reason,
    'actor', actor, 'via', via, 'op', '', 'at_ms', show(now))
  mend(now, 'HSET', n.ledger, 'epoch', show(epoch), rule, is, rule .. ':epoch', show(epoch), rule .. ':text', is,
    rule .. ':actor', actor, rule .. ':reason', reason, rule .. ':via', via, rule .. ':at_ms', show(now))
end

-- Trading goes on in a new incarnation, because the policy says so. The switch keeps the epoch of its permission, so that
-- whoever saw a later stop, which this server may have lost, stays closed; the counter leaps past what was lost.
local function go_on(n, now, inc, policy, state, epoch)
  record_rule(n, now, 'on_failover', policy, policy, 'incarnation changed: ' .. shown(state) .. ' of epoch ' .. show(epoch)
    .. ' was carried on', 'killswitch', 'incarnation')
  mend(now, 'HSET', n.ledger, 'run_id', inc.run_id, 'replid', inc.replid)
  settled = inc.replid
  return true
end

-- A permission is valid only under the incarnation it was given in. In a new one the switch is engaged in writing (policy
-- halt), so that GET shows what is so, and so that a later SET SAFE is a change made here and now. The other policies
-- carry on with a permission that is on record to the letter.
-- Returns false when this user may not write the state; then the record forgets its incarnation, so that nobody's reading
-- confirms the permission, and every gate stays closed.
local function settle_incarnation(n, now, state)
  local inc = incarnation()
  if inc.run_id == '' then return false end
  local kept = ledger_fields(n, { 'run_id', 'replid', 'on_failover' })
  if kept[1] == inc.run_id and kept[2] == inc.replid then
    settled = inc.replid
    return true
  end
  -- A server that starts a new history of its own accord (first replica attached, backlog given back after an hour
  -- without one) clears its second replication id; one that was promoted keeps its old master's there. But it forgets that
  -- one too, with its backlog: so whoever was away, and lost what was written meanwhile, is told by its copy of this.
  if kept[1] == inc.run_id and inc.replid2 == NEW_HISTORY and settled == kept[2] then
    mend(now, 'HSET', n.ledger, 'replid', inc.replid)
    settled = inc.replid
    return true
  end
  local was = recorded(n, 'switch')
  local permits, known = mode_of(state) ~= 'ENGAGED', (kept[1] or '') ~= ''
  if permits and known and policy_of(kept[3]) ~= 'halt' and was.token == token(state) then
    return go_on(n, now, inc, kept[3], state, was.epoch)
  end
  if permits then
    local text = 'ENGAGED Redis restarted, failed over or lost its record; permit again'
    if not put_stop(n.state, text) then
      mend(now, 'HSET', n.ledger, 'run_id', '')
      return false
    end
    say_engaged(n, now, state, text, { reason = 'incarnation changed', actor = 'killswitch', via = 'incarnation' })
  elseif kept[1] and was.token == token(state) then
    record(n, 'switch', now, { from = was.text, to = shown(state), token = was.token,
      reason = 'incarnation changed', actor = 'killswitch', via = 'incarnation' })
  elseif kept[1] and (was.token or state.kind ~= 'absent') then
    -- Recorded before the incarnation is: or what permitted before it would be confirmed, and a later SAFE by hand that one.
    record(n, 'switch', now, found_changed(n, state, was, now))
  end
  mend(now, 'HSET', n.ledger, 'run_id', inc.run_id, 'replid', inc.replid)
  settled = inc.replid
  return true
end

-- Policy reassert: a worker that saw a stop which the record no longer has puts it back, for those who never heard of it.
-- `stopped` is the highest epoch that the worker had seen when it saw a stop, `epoch` that of what it follows now. Returns
-- the epoch of the stop, or nil where there is nothing to put back.
local function reassert(n, now, state, worker, stopped, epoch)
  if stopped == 0 or epoch > stopped or mode_of(state) == 'ENGAGED' then return nil end
  if policy_of(ledger_fields(n, { 'on_failover' })[1]) ~= 'reassert' then return nil end
  local text = 'ENGAGED a stop that Redis had lost was put back by ' .. clean(worker, 'a worker')
  text = string.sub(text, 1, MAX_TEXT)
  if not put_stop(n.state, text) then
    -- A user who may not write the state: as in a new incarnation, nobody's reading confirms the permission any more.
    mend(now, 'HSET', n.ledger, 'run_id', '')
    return nil
  end
  return say_engaged(n, now, state, text, { reason = 'a lost stop was put back', actor = 'killswitch', via = 'reassert' })
end
