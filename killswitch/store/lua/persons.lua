-- A permission that takes two persons, where `killswitch init` has put that on record (the ledger's field `persons` is 2).
--
-- The first one to reset (or to loosen in another way) approves, and nothing is permitted; the second one, another person,
-- who asks for the same at the same epoch, permits. Every change has an epoch of its own, so any stop in between voids what
-- was approved. An approval is the ledger's field <scope>:approval, "<epoch> <server ms> <what> <person>", and counts once,
-- for an hour, if the key <prefix>:approval:<person>:<scope> holds the same words: so users who may each write only the keys
-- of their own name can not approve, nor permit, in another's. Who may write any of these keys, and the ledger by hand, is
-- believed.

local APPROVAL_MS = 3600000
local NOBODY = { [''] = true, unattributed = true, unknown = true }

local function persons_of(n)
  return ledger_fields(n, { 'persons' })[1] == '2' and 2 or 1
end

-- Who is meant by a name: one person works under one name on several hosts, in capitals or not.
local function person(actor)
  local name = string.match(string.lower(actor), '^%s*([^@]-)%s*$') or string.match(string.lower(actor), '^%s*([^@]-)%s*@')
  if string.find(name or '', '^[%w_.-]+$') then return cut(name, 64) end
  return (name or '') == '' and '' or 'sha1-' .. redis.sha1hex(name)
end

-- What waits for a second person: the words of it, what was asked for and by whom; nil where nothing counts any more.
local function approval(n, now, epoch)
  local kept = ledger_fields(n, { n.scope .. ':approval' })[1]
  local its, at, what, who = string.match(kept or '', '^(%d+) (%d+) (%S+) (%S+)$')
  if tonumber(its) ~= epoch or tonumber(at) > now or now - tonumber(at) >= APPROVAL_MS then return nil end
  local witness = redis.pcall('GET', n.approval .. who .. ':' .. n.scope)
  if witness ~= kept then return nil end
  return what, who
end

-- Whether `ask` (what, epoch, reason, actor, op, via) is permitted by now. Returns the person who approved it before, or
-- nil and the error for whoever asks: `APPROVED <epoch> <person> <what> ...`, and what is approved stands on record.
local function second_person(n, now, verb, ask)
  local who = person(ask.actor)
  if NOBODY[who] then
    return nil, redis.error_reply('ERR two persons have to permit here: say who you are')
  end
  local mine = table.concat({ show(ask.epoch), show(now), ask.what, who }, ' ')
  local witness = n.approval .. who .. ':' .. n.scope
  if redis.acl_check_cmd and not redis.acl_check_cmd('SET', witness, mine, 'PX', show(APPROVAL_MS)) then
    return nil, redis.error_reply('NOPERM this user may not permit as ' .. who
      .. ': name the person whose user this is, or renew its ACL rules')
  end
  local what, first = approval(n, now, ask.epoch)
  redis.call('SET', witness, mine, 'PX', show(APPROVAL_MS))
  if first and first ~= who and what == ask.what then
    mend(now, 'HSET', n.ledger, n.scope .. ':approval', '-')  -- it counts once, also where no epoch follows
    return first
  end
  mend(now, 'HSET', n.ledger, n.scope .. ':approval', mine)
  local op = clean(ask.op, '')
  local once = verb .. ':' .. who .. ':' .. (op == '' and show(now) or op)
  pcall(remark, n, now, 'approved', ask.epoch, once, { 'verb', verb, 'what', ask.what, 'reason', ask.reason, 'actor', ask.actor,
    'via', clean(ask.via, 'redis-cli'), 'op', op })
  local how = 'has approved'
  if first == who then how = what == ask.what and 'had approved already' or 'approves this now, and what was approved before no more' end
  if first and first ~= who then how = 'has approved something else than ' .. first .. ', whose approval of ' .. what .. ' is void' end
  return nil, redis.error_reply('APPROVED ' .. show(ask.epoch) .. ' ' .. who .. ' ' .. ask.what .. ' ' .. how)
end
