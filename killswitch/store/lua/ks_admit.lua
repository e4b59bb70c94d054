-- ks_admit: an order enters a journal if, and only if, trading is permitted in this very moment. Check and entry are one
-- step, so no order enters after a SET ENGAGED, whoever made it. Registered WITHOUT flags, as ks_read is: refused
-- whenever the operator's SET would be. It repairs and records nothing.
--   FCALL ks_admit <n> <prefix>:state [<prefix>:state:<dimension>:<name> ...] <journal> <worker> <epoch> <reduces 0|1>
--         <client order id> <order>
-- epoch: the one the order was decided under. order: text for the gateway, not read here.
-- Repeated with the same client order id and order: the first answer again, whatever the state is by now, for ten minutes.
-- Returns {version, id of the entry, repeated 0|1}.
-- Error `BLOCKED <code> <mode> <epoch> <reason>`: not permitted, code as in core/reasons.py. Error `CONFLICT <id>`: another
-- order was admitted under this client order id. After any error the order is not in the journal.

local RECEIPT_TTL_MS = 600000
local MOST_WAITING = 10000
local MAX_ORDER = 16384
local STRICTNESS = { SAFE = 0, REDUCING = 1, ENGAGED = 2 }

-- Everything of a journal lies under <prefix>:journal:<name>; a name with a colon would reach into another's.
local function journal_of(n, name)
  if not name or #name > 64 or not string.find(name, '^[%w_.-]+$') then
    error({ err = 'ERR the name of a journal is 1 to 64 letters, digits or _ . -' })
  end
  local key = n.journal .. name
  return { entries = key, position = key .. ':position', fence = key .. ':fence', outcomes = key .. ':outcomes' }
end

-- Mode, code and reason of one key, as core/answer.py reads it (read_state).
local function reading(seen, scope)
  local where = scope == 'switch' and 'the switch' or 'scope ' .. scope
  if seen.kind == 'absent' then
    if scope ~= 'switch' then return 'SAFE', 'open', '' end
    return 'ENGAGED', 'state_missing', 'there is no state key'
  end
  if seen.kind ~= 'value' then
    return 'ENGAGED', 'state_wrong_type', where .. ' holds a ' .. seen.text .. ' instead of a string'
  end
  local mode = mode_of(seen)
  if mode == 'SAFE' then return mode, 'open', '' end
  if mode == 'REDUCING' then return mode, 'reducing', where .. ' permits only reducing orders' end
  local why = string.match(seen.text, '^ENGAGED (.*)$') or (seen.text == 'ENGAGED' and '')
  if why then
    local code = scope == 'switch' and 'engaged' or 'scope_engaged'
    why = string.match(why, '^%s*(.-)%s*$')
    return mode, code, where .. ' is engaged: ' .. (why == '' and 'no reason given' or why)
  end
  return mode, 'state_unrecognised', where .. ' holds a text which is none of the three modes'
end

-- What a worker that follows `keys` would decide (core/answer.py, decide), then the check of gate 2, in that order.
-- Returns nil where the order may pass, or {code, mode, epoch, reason} of what forbids it; and the names of the scopes.
local function forbidden(n, keys, given, reduces)
  local fields, scopes = { 'run_id', 'deadman' }, {}
  for i, key in ipairs(keys) do
    local of = names(key)
    if of.state ~= n.state or (of.scope == 'switch') ~= (i == 1) then
      error({ err = 'ERR the keys are the switch first, then scopes of the same prefix' })
    end
    fields[2 * i + 1], fields[2 * i + 2] = of.token, of.epoch
    if i > 1 then scopes[i - 1] = of.scope end
  end
  local kept = ledger_fields(n, fields)
  local mode, code, reason, epoch, pttl, recorded_all, by_hand = nil, nil, nil, 0, -1, true, false
  for i, key in ipairs(keys) do
    local seen, was, its_epoch = observe(key), kept[2 * i + 1] or nil, to_epoch(kept[2 * i + 2]) or 0
    local its_mode, its_code, its_reason = reading(seen, names(key).scope)
    if not mode or STRICTNESS[its_mode] > STRICTNESS[mode] then
      mode, code, reason = its_mode, its_code, its_reason
    end
    local is = token(seen)
    if was ~= is and (was or seen.kind ~= 'absent') then recorded_all = false end
    if was == '!' .. is then by_hand = true end
    epoch = math.max(epoch, its_epoch)
    if i == 1 then pttl = limited(seen.pttl, kept[2], its_epoch) end
  end
  local run, closed = run_id(), nil
  if mode == 'ENGAGED' then
    closed = { code, reason }
  elseif run == '' then
    closed = { 'incarnation_unknown', 'the server does not tell its run id (INFO refused)' }
  elseif is_full(server_ms()) then
    closed = { 'redis_maxclients', 'no client more is let in, so nobody could engage' }
  elseif kept[1] ~= run then
    closed = { 'incarnation_changed', 'Redis restarted or failed over since trading was permitted' }
  elseif by_hand then
    closed = { 'unapproved', 'it was permitted by hand, and two persons have to permit' }
  elseif not recorded_all then
    closed = { 'unrecorded', 'the state was changed by hand and is being recorded' }
  elseif pttl == 0 then
    closed = { 'permission_expired', 'the permission ran out, or nobody renewed it' }
  elseif epoch < given or epoch == 0 then  -- no permission was ever given at epoch 0
    closed = { 'epoch_behind', 'the record is at epoch ' .. show(epoch) .. ', this worker has seen ' .. show(given) }
  end
  if closed then return { closed[1], 'ENGAGED', epoch, closed[2] } end
  if mode == 'REDUCING' and not reduces then return { code, mode, epoch, reason } end
  if epoch > given then
    reason = 'the signal was made at epoch ' .. show(given) .. ', the epoch is now ' .. show(epoch)
    return { 'stale_signal', mode, epoch, reason }
  end
  return nil, table.concat(scopes, ',')
end

-- The id of the entry that this order has already, nil where it has none; or an error.
local function admitted(key, digest)
  local kept = redis.pcall('GET', key)
  if failed(kept) then return nil, kept end
  if not kept then return nil end
  local id, order = string.match(kept, '^(%d+%-%d+) (%x+)$')
  if not id then return nil, redis.error_reply('ERR the receipt of this order is damaged: use another client order id') end
  if order == digest then return id end
  return nil, redis.error_reply('CONFLICT ' .. id .. ' is the entry of another order with this client order id')
end

redis.register_function('ks_admit', function(keys, args)
  local n = names(keys[1])
  local worker, given, reduces, id, order = args[2], to_epoch(args[3]), args[4] == '1', args[5], args[6]
  local journal = journal_of(n, args[1])
  if #args ~= 6 or not given or worker == '' or (args[4] ~= '0' and not reduces) then
    return redis.error_reply('ERR usage: journal worker epoch reduces(0|1) client-order-id order')
  end
  if id == '' or #id > MAX_TEXT or string.find(id, '[%c\127]') or #order > MAX_ORDER then
    return redis.error_reply('ERR a client order id is 1 to 256 printable bytes, an order at most 16384')
  end
  local receipt, digest = n.op .. 'admit:' .. args[1] .. ':' .. id, redis.sha1hex(order)
  local first, trouble = admitted(receipt, digest)
  if trouble then return trouble end
  if first then return { VERSION, first, 1 } end

  local bar, scopes = forbidden(n, keys, given, reduces)
  if not bar and redis.call('XLEN', journal.entries) >= MOST_WAITING then
    bar = { 'journal_full', 'ENGAGED', given, MOST_WAITING .. ' orders wait in the journal ' .. args[1] }
  end
  if bar then
    return redis.error_reply('BLOCKED ' .. bar[1] .. ' ' .. bar[2] .. ' ' .. show(bar[3]) .. ' ' .. clean(bar[4], '-'))
  end
  -- The receipt first, still empty: where this user may not write it, nothing has been admitted yet.
  redis.call('SET', receipt, '', 'PX', RECEIPT_TTL_MS)
  local entry = redis.pcall('XADD', journal.entries, '*', 'epoch', show(given), 'worker', worker, 'order_id', id,
    'reduces', args[4], 'scopes', scopes, 'order', order, 'at_ms', show(server_ms()))
  if failed(entry) then
    redis.call('SET', receipt, '', 'PX', 1)
    return entry
  end
  redis.call('SET', receipt, entry .. ' ' .. digest, 'PX', RECEIPT_TTL_MS)
  return { VERSION, entry, 0 }
end)
