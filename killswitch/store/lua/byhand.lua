-- What was changed past the functions, with SET or DEL: it gets its epoch and its entry, and where two persons have to
-- permit it does not permit.

local STRICTNESS_OF = { SAFE = 0, REDUCING = 1, ENGAGED = 2 }

-- How strict a scope is by what lies there, and by what is on record. An absent scope follows the switch.
local function strictness(scope, seen)
  if seen.kind == 'absent' and scope ~= 'switch' then return 0 end
  return STRICTNESS_OF[mode_of(seen)]
end

local function strictness_on_record(scope, words)
  if not words or words == 'absent' then return scope == 'switch' and 2 or 0 end
  return STRICTNESS_OF[string.match(words, '^=(%u+)$') or string.match(words, '^=(%u+)@%d+$') or ''] or 2
end

-- Whether a change by hand permits more than what is on record does, or for longer, or without somebody who renews it.
local function loosens(n, scope, seen, words)
  local is = strictness(scope, seen)
  if is == 2 then return false end
  if is < strictness_on_record(scope, words) then return true end
  -- The end of a scope loosens only where it was stricter than the switch: then it was less strict just now.
  if scope ~= 'switch' then return false end
  local ended = tonumber(string.match(words or '', '@(%d+)$'))
  if ended and (not seen.ends or seen.ends > ended) then return true end
  return ledger_fields(n, { 'deadman' })[1] ~= UNLIMITED
end

-- What one person did by hand where it takes two: a beat puts a stop there, so that GET shows what is so. Where its user may
-- not do that, and for an operation, which has its own to write (`keep`), the record alone says that it is not accepted: no
-- reading holds then.
local function not_accepted(n, scope, seen, was, now, keep)
  local is = token(seen)
  local change = { from = was.text, to = shown(seen) .. ', not accepted', token = '!' .. is, reason = 'by hand, and two persons have to permit',
    actor = 'unattributed', via = 'raw' }
  local text = 'ENGAGED a permission by hand was refused: it takes two persons'
  local key = scope == 'switch' and n.state or n.state .. ':' .. scope
  if not keep and put_stop(key, text) then
    change.to, change.token = text, '=' .. text
    change.reason = 'by hand, ' .. shown(seen) .. ': two persons have to permit'
    seen.kind, seen.text, seen.length, seen.pttl, seen.ends = 'value', text, #text, -1, nil
  elseif was.token == change.token then
    return was
  end
  return { token = change.token, epoch = record(n, scope, now, change), text = change.to }
end

local function accepted(record)
  return string.sub(record.token or '', 1, 1) ~= '!'
end

-- A key that was changed by hand gets its epoch and entry from whoever comes by first. Returns the record that holds then.
-- `keep`: the key stays as it is, see not_accepted().
local function reconcile(n, scope, seen, now, keep)
  local was = recorded(n, scope)
  local is = token(seen)
  if was.token == is then return was end
  -- Nothing there and nothing on record: a scope nobody used, or a Redis nobody initialised.
  if not was.token and seen.kind == 'absent' and (scope ~= 'switch' or counter(n) == 0) then return was end
  -- What was not accepted once is not accepted because the rule was lifted since: somebody has to permit it.
  if was.token == '!' .. is or (persons_of(n) == 2 and loosens(n, scope, seen, was.token)) then
    return not_accepted(n, scope, seen, was, now, keep)
  end
  local change = found_changed(n, seen, was, now)
  return { token = is, epoch = record(n, scope, now, change), text = change.to }
end

