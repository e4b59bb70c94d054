-- What operations answer: to an operator, with a receipt by which a repetition is recognised, and to a worker; and what
-- stands on record besides changes.

local OP_TTL_MS = 3600000
local DONE_FIELDS = { 'version', 'epoch', 'was', 'state', 'at_ms', 'repeated' }

-- The same operation id names another operation on another scope, or under another verb: nobody is told that the fleet
-- was stopped because of a permission that somebody gave under this id.
local function receipt_key(n, verb, op)
  return n.op .. verb .. ':' .. n.scope .. ':' .. op
end

-- An operation that was already done is answered from its receipt and changes nothing.
local function receipt(n, verb, op)
  if not op or op == '' then return nil end
  local kept = redis.pcall('GET', receipt_key(n, verb, op))
  if failed(kept) or not kept then return nil end
  local ok, reply = pcall(cjson.decode, kept)
  if not ok or type(reply) ~= 'table' then return nil end
  for i, name in ipairs(DONE_FIELDS) do
    local value = reply[2 * i]
    if reply[2 * i - 1] ~= name or (type(value) ~= 'string' and type(value) ~= 'number') then return nil end
  end
  if not to_epoch(reply[4]) or not tonumber(reply[10]) then return nil end
  reply[12] = 1
  return reply
end

local function done(n, verb, op, epoch, was, seen, now)
  local reply = { 'version', VERSION, 'epoch', show(epoch), 'was', was, 'state', shown(seen), 'at_ms', show(now),
    'repeated', 0 }
  if op and op ~= '' then
    redis.pcall('SET', receipt_key(n, verb, op), cjson.encode(reply), 'PX', OP_TTL_MS)
  end
  return reply
end

-- The answer to a worker, see core/answer.py: version, nonce, run id, confirmed, counter, then one row per key.
local function answer(nonce, run, confirmed, epochs, rows)
  return { VERSION, nonce, run, confirmed and 1 or 0, epochs, rows }
end

local function row(seen, was)
  local is = token(seen)
  local matches = was.token == is or (was.token == nil and seen.kind == 'absent')
  return { seen.kind, seen.text, seen.length or #seen.text, seen.pttl, was.epoch,
    matches and 1 or was.token == '!' .. is and 2 or 0 }
end

-- An entry of the record that is no change: how a wait ended, or what was refused. It gets no epoch of its own and touches
-- neither state nor ledger. `once`: words under which a repetition is recognised, for an hour. Returns its id, and whether
-- it had been there before.
local function remark(n, now, kind, epoch, once, fields)
  local kept = receipt_key(n, 'proved', kind .. ':' .. once)
  local before = redis.pcall('GET', kept)
  if type(before) == 'string' and string.match(before, '^%d+%-%d+$') then return before, 1 end
  local id = mend(now, 'XADD', n.audit, '*', 'kind', kind, 'epoch', show(epoch),
    'counter', show(math.max(counter(n), audited(n))), 'scope', n.scope, 'at_ms', show(now), unpack(fields))
  redis.pcall('SET', kept, id, 'PX', OP_TTL_MS)
  return id, 0
end

-- Who tried to permit something against an epoch that is not current stands on record as well. The refusal does not depend
-- on it.
local function remark_refusal(n, now, verb, named, current, reason, actor, op, via)
  op = clean(op, '')
  local once = verb .. ':' .. (op == '' and show(now) or op)
  pcall(remark, n, now, 'refused', current, once, { 'verb', verb, 'named', clean(named, '(none)'), 'reason', reason,
    'actor', actor, 'via', clean(via, 'redis-cli'), 'op', op })
end
