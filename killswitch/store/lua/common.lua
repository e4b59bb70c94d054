-- Shared by every operation. Loaded first; the other shared parts follow, then the operations by name.
--
-- Keys are derived from one declared key, KEYS[1] = <prefix>:state or <prefix>:state:<dimension>:<name>, so that a
-- person with nothing but redis-cli types the very key that SET would take. On Redis Cluster the prefix carries a
-- hash tag, so all of them live in one slot.
--
-- The ledger is a hash: epoch, run_id, replid, on_failover, persons, and per scope (`switch` is the switch itself)
--   <scope>:token   what was last recorded under the key (see token()); of what is not accepted, see byhand.lua, with a !
--   <scope>:epoch   the epoch of that record; also <scope>:actor, :reason, :at_ms, :via, :text
--
-- An operation repairs what is in its way: a key of the wrong type is renamed to <key>:damaged:<ms>, never deleted,
-- so that the evidence stays. Only a state key is overwritten, as SET does, and the audit entry says what it held.

local MAX_EPOCH = 9007199254740991
local MAX_TEXT = 256
local LEAP = 1000
local EXHAUSTED = 'ERR the epoch counter is exhausted, which only tampering can do: '
  .. 'rename the ledger and the audit stream away and restart the workers'
local NEW_HISTORY = '0000000000000000000000000000000000000000'

local run_id_of_this_server = nil

-- A fleet asks under the same few keys thousands of times a second, so what follows from a key is kept. The tables are
-- shared by all calls: nobody writes into them.
local MOST_NAMES = 1000
local kept_names, names_kept = {}, 0

local function names(key)
  local found = kept_names[key]
  if found then return found end
  -- A scope without a dimension is none: `switch` would be taken for the switch.
  local base, scope = string.match(key, '^(.-):state:([^:]+:.+)$')
  if not base then
    base = string.match(key, '^(.+):state$')
    scope = 'switch'
  end
  if not base then
    error({ err = 'ERR the first key must be <prefix>:state or <prefix>:state:<dimension>:<name>' })
  end
  found = {
    state = base .. ':state', ledger = base .. ':ledger', audit = base .. ':audit', acks = base .. ':acks',
    workers = base .. ':workers', worker = base .. ':worker:', op = base .. ':op:', journal = base .. ':journal:',
    seals = base .. ':seals', note = base .. ':note',
    drill = base .. ':drill', drills = base .. ':drills', approval = base .. ':approval:',
    key = key, scope = scope, token = scope .. ':token', epoch = scope .. ':epoch', text = scope .. ':text',
  }
  if names_kept >= MOST_NAMES then kept_names, names_kept = {}, 0 end
  if #key <= MAX_TEXT then kept_names[key], names_kept = found, names_kept + 1 end
  return found
end

local function failed(reply)
  return type(reply) == 'table' and reply.err ~= nil
end

local function says(reply, word)
  return string.find(tostring(reply.err), word, 1, true) ~= nil
end

local function server_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- Cut to `most` bytes, not in the middle of a character.
local function cut(text, most)
  if #text <= most then return text end
  text = string.sub(text, 1, most + 1)
  if string.find(text, '[\128-\191]$') then text = string.gsub(text, '[\192-\247]?[\128-\191]*$', '') end
  return string.sub(text, 1, most)
end

-- One line of printable text: control characters would forge lines in logs and terminals, and so would those of the
-- second range (C1), the ones that turn the writing direction, and the invisible ones.
local function clean(text, fallback)
  text = string.gsub(cut(text or '', 4 * MAX_TEXT), '[%c\127]', ' ')
  if string.find(text, '[\194\226\239]') then
    text = string.gsub(text, '\194[\128-\159]', ' ')
    text = string.gsub(text, '\226\128[\139-\143\168-\174]', ' ')
    text = string.gsub(text, '\226\129[\160-\175]', ' ')
    text = string.gsub(text, '\239\187\191', ' ')
  end
  if text == '' then return fallback end
  return cut(text, MAX_TEXT)
end

local function to_epoch(text)
  local n = tonumber(text)
  if n and n >= 0 and n <= MAX_EPOCH and n == math.floor(n) then return n end
  return nil
end

local function show(n)
  return string.format('%.0f', n)
end

-- What lies under a state key: kind is value, absent or another type's name.
local function observe(key)
  local pttl = redis.call('PTTL', key)
  if pttl == -2 then return { kind = 'absent', text = '', pttl = -2 } end
  -- Never the whole of a huge value: reading it on every question would keep Redis from answering the operator.
  local text = redis.pcall('GETRANGE', key, 0, MAX_TEXT)
  if failed(text) then
    if not says(text, 'WRONGTYPE') then error(text) end
    local kind = redis.call('TYPE', key)
    return { kind = 'wrong-type', text = type(kind) == 'table' and kind.ok or kind, pttl = -1 }
  end
  local length = #text
  if length > MAX_TEXT then text, length = string.sub(text, 1, MAX_TEXT), redis.call('STRLEN', key) end
  return { kind = 'value', text = text, length = length, pttl = pttl, ends = pttl >= 0 and redis.call('PEXPIRETIME', key) or nil }
end

-- A short stand-in for what was observed, its end of life included: exact up to MAX_TEXT bytes, which is far more than
-- anything that permits; of longer ones, and of one that looks as if it had an end, length and digest of the beginning.
local function token(seen)
  if seen.kind == 'absent' then return 'absent' end
  if seen.kind ~= 'value' then return 'type:' .. seen.text end
  local ends = seen.ends and '@' .. show(seen.ends) or ''
  if (seen.length or 0) <= MAX_TEXT and not string.find(seen.text, '@%d+$') then return '=' .. seen.text .. ends end
  return 'long:' .. show(seen.length or #seen.text) .. ':' .. redis.sha1hex(seen.text) .. ends
end

local function shown(seen)
  if seen.kind == 'value' then
    return clean(seen.text, '(empty)') .. (seen.ends and ' (for ' .. show(math.ceil(seen.pttl / 1000)) .. ' s)' or '')
  end
  return '(' .. seen.kind .. (seen.kind == 'wrong-type' and ' ' .. seen.text or '') .. ')'
end

-- REDUCING and SAFE are the only texts that permit anything, and only to the letter.
local function mode_of(seen)
  if seen.kind == 'value' and (seen.text == 'SAFE' or seen.text == 'REDUCING') then return seen.text end
  return 'ENGAGED'
end

local function run_id()
  -- A process keeps its run id for life and its own copy of this variable, so one INFO is enough.
  if not run_id_of_this_server then
    local info = redis.pcall('INFO', 'server')
    if failed(info) then return '' end
    run_id_of_this_server = string.match(info, 'run_id:(%w+)')
  end
  return run_id_of_this_server or ''
end

local function incarnation()
  local info = redis.pcall('INFO', 'replication')
  if failed(info) then return { run_id = run_id(), replid = '', replid2 = NEW_HISTORY } end
  return {
    run_id = run_id(),
    replid = string.match(info, 'master_replid:(%w+)') or '',
    replid2 = string.match(info, 'master_replid2:(%w+)') or NEW_HISTORY,
  }
end

-- Asks nothing first: who may move a key aside need not be able to read what was moved there before.
local function set_aside(key, now)
  while redis.call('RENAMENX', key, key .. ':damaged:' .. show(now)) == 0 do now = now + 1 end
end

-- Runs a write; when a wrong type or an exhausted stream is in the way, moves it aside and runs it again. Any other
-- failure (this user may not write there) leaves a sound key where it is.
local function mend(now, command, key, ...)
  local reply = redis.pcall(command, key, ...)
  if not failed(reply) then return reply end
  if not says(reply, 'WRONGTYPE') and not says(reply, 'exhausted') then error(reply) end
  set_aside(key, now)
  return redis.call(command, key, ...)
end

-- Whether this user may write that, asked before anything is put on record of it. Redis 7.0 and Valkey 7.2 can be asked.
local function may_set(key, text)
  return not redis.acl_check_cmd or redis.acl_check_cmd('SET', key, text)
end

local function ledger_fields(n, fields)
  local values = redis.pcall('HMGET', n.ledger, unpack(fields))
  if failed(values) then
    if not says(values, 'WRONGTYPE') then error(values) end
    return {}
  end
  return values
end

-- The highest epoch that the last entry knows of. One that is no change tells the counter of its moment as well, because
-- the epoch it is about may be an older one.
local function audited(n)
  local last, highest = redis.pcall('XREVRANGE', n.audit, '+', '-', 'COUNT', 1), 0
  if not failed(last) and last[1] then
    local fields = last[1][2]
    for i = 1, #fields, 2 do
      if fields[i] == 'epoch' or fields[i] == 'counter' then highest = math.max(highest, to_epoch(fields[i + 1]) or 0) end
    end
  end
  return highest
end

-- The counter of epochs. Where the ledger lost it, the last audit entry still knows it.
local function counter(n)
  return to_epoch(ledger_fields(n, { 'epoch' })[1]) or audited(n)
end

-- The epoch of the next change in `scope`: above all that is remembered anywhere, so none is used twice. What was
-- remembered under another incarnation may lack its last changes, whose epochs somebody may have seen, and may name in a
-- reset: they are leapt over.
local function next_epoch(n, scope)
  local kept, inc = ledger_fields(n, { scope .. ':epoch', 'run_id', 'replid' }), incarnation()
  local step = kept[2] and (kept[2] ~= inc.run_id or kept[3] ~= inc.replid) and LEAP or 1
  return math.min(math.max(counter(n), audited(n), to_epoch(kept[1]) or 0) + step, MAX_EPOCH)
end

-- Gives a change its epoch, its ledger record and its audit entry. The entry is written first: where it cannot be,
-- nothing is recorded at all. `change.limit`: what somebody has to renew, see deadman.lua. Of the switch it is always
-- said whether there is any, so that a field which was lost, or is of another change, never reads as no limit.
local function record(n, scope, now, change)
  local epoch = next_epoch(n, scope)
  mend(now, 'XADD', n.audit, '*', 'epoch', show(epoch), 'scope', scope, 'from', change.from, 'to', change.to,
    'reason', change.reason, 'actor', change.actor, 'via', change.via, 'op', change.op or '', 'at_ms', show(now))
  local fields = { 'epoch', show(epoch), scope .. ':token', change.token, scope .. ':epoch', show(epoch),
    scope .. ':text', change.to, scope .. ':actor', change.actor, scope .. ':reason', change.reason,
    scope .. ':via', change.via, scope .. ':at_ms', show(now) }
  if scope == 'switch' then
    fields[#fields + 1] = 'deadman'
    fields[#fields + 1] = change.limit and show(epoch) .. ' ' .. change.limit or '-'
  end
  mend(now, 'HSET', n.ledger, unpack(fields))
  return epoch
end

local function recorded(n, scope)
  local values = ledger_fields(n, { scope .. ':token', scope .. ':epoch', scope .. ':text' })
  return { token = values[1] or nil, epoch = to_epoch(values[2]) or 0, text = values[3] or '(nothing)' }
end

-- What a user who may write nothing else said beside its stop, for the seconds that this lasts. Nobody vouches for it.
local function noted(n, seen)
  local text = mode_of(seen) == 'ENGAGED' and redis.pcall('GETRANGE', n.note, 0, MAX_TEXT - 1) or ''
  if failed(text) or text == '' then return '' end
  return ', noted beside it: ' .. clean(text, '')
end

-- The change of which nothing is known but what lies there now: by a hand, or because a time limit came.
local function found_changed(n, seen, was, now)
  local change = {
    from = was.text, to = shown(seen), token = token(seen), reason = 'changed by hand' .. noted(n, seen),
    actor = 'unattributed', via = 'raw',
  }
  local ended = tonumber(string.match(was.token or '', '@(%d+)$'))
  if seen.kind == 'absent' and ended and now >= ended then
    change.reason, change.actor, change.via = 'the time-boxed permission ran out', 'killswitch', 'expiry'
  end
  return change
end

-- The drill that is under way, as its text; '' for none. What has no end, or a later one than any drill, another hand wrote:
-- it neither keeps everybody from drilling nor is it acknowledged.
local LONGEST_DRILL_MS = 600000

local function drill_under_way(n)
  local run = redis.pcall('GETRANGE', n.drill, 0, MAX_TEXT)
  if failed(run) or run == '' then return '' end
  local left = redis.call('PTTL', n.drill)
  return left >= 0 and left <= LONGEST_DRILL_MS and run or ''
end

-- The life that a worker's row tells of besides the one that wrote it: until when it counts, and its instance name. What
-- cannot be read counts.
local SEVERAL = '*'

local function rival_in(till_text, who, now)
  local till = tonumber(till_text or '0')
  if till and till <= now then return 0, '' end
  return till or now + 1, who and who ~= '' and who or SEVERAL
end
