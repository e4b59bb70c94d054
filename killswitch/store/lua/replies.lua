-- What operations answer: to an operator, with a receipt by which a repetition is recognised, and to a worker.

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
  local matches = was.token == token(seen) or (was.token == nil and seen.kind == 'absent')
  return { seen.kind, seen.text, seen.length or #seen.text, seen.pttl, was.epoch, matches and 1 or 0 }
end
