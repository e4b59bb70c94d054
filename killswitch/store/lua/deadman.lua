-- A dead man's switch: a permission that holds only while the operator's side renews it (ks_deadman, ks_renew).
--
-- It stands in the ledger as the field `deadman`, "<epoch> <end, server ms> <life ms> <every ms> <id> <seen, server ms>",
-- and concerns the permission that was recorded at that epoch of the switch and no other. Every change of the switch
-- writes the field (record()): `-` where nobody has to renew anything. So nothing, nonsense, or words of another epoch
-- mean that the record was damaged, and the permission has run out. `seen` is the latest time of this server's clock that
-- anybody wrote there. The ledger lies outside of the tracking prefix, so a renewal closes no gate. It only shortens a
-- permission: nothing here permits.

local CLOCK_SLACK_MS = 1000
local UNLIMITED = '-'
local UNREADABLE = { ends = 0, life = 0, every = 0, id = '', seen = 0 }
local RAN_OUT = '0 0 0 over 0'

-- What was read last: between two renewals a fleet asks about the same text thousands of times.
local read_text, read_as = nil, UNREADABLE

-- The field without its epoch.
local function limit_words(ends, life, every, id, seen)
  return table.concat({ show(ends), show(life), show(every), id, show(seen) }, ' ')
end

-- What limits the permission of `epoch`, nil where nothing does. What cannot be read has run out, and so has what nobody
-- writes: an end more than a life away.
local function deadman_of(kept, epoch)
  if kept == UNLIMITED then return nil end
  if kept ~= read_text then
    local its, ends, life, every, id, seen = string.match(kept or '', '^(%d+) (%d+) (%d+) (%d+) ([%w_-]+) (%d+)$')
    read_text, read_as = kept, its and { epoch = tonumber(its), ends = tonumber(ends), life = tonumber(life),
      every = tonumber(every), id = id, seen = tonumber(seen) } or UNREADABLE
    if read_as.ends > read_as.seen + read_as.life then read_as = UNREADABLE end
  end
  return read_as.epoch == epoch and read_as or UNREADABLE
end

-- Milliseconds that it has left. A clock below what was seen of it was set back, and with it the end of the permission
-- moved away: then nobody knows when it was to end, and it has.
local function deadman_left(held, now)
  if now < held.seen - CLOCK_SLACK_MS then return 0 end
  return math.max(held.ends - now, 0)
end

-- Milliseconds that a permission has left: by the key's own limit (-1: none), or by this one where it is nearer.
local function limited(pttl, kept, epoch)
  local held = deadman_of(kept, epoch)
  if not held then return pttl end
  local left = deadman_left(held, server_ms())
  return pttl >= 0 and math.min(pttl, left) or left
end

-- Puts that into the row of the switch, see row(), where it permits anything.
local function limit(its, kept)
  if its[1] == 'value' and (its[2] == 'SAFE' or its[2] == 'REDUCING') then its[4] = limited(its[4], kept, its[5]) end
end

-- Notes the time while somebody renews; engages in writing what nobody renewed, so that GET shows it, and so that nothing
-- revives it. Where this user may not write the state, the record alone keeps it from reviving, under an epoch of its own,
-- and every reading goes on saying that it ran out. A state that is not the recorded one is for reconcile().
local function settle_deadman(n, now, state)
  local kept = ledger_fields(n, { 'deadman', 'switch:token', 'switch:epoch' })
  local epoch = to_epoch(kept[3]) or 0
  local held = deadman_of(kept[1], epoch)
  if not held or mode_of(state) == 'ENGAGED' or kept[2] ~= token(state) then return end
  if deadman_left(held, now) > 0 then
    local words = limit_words(held.ends, held.life, held.every, held.id, math.max(held.seen, now))
    mend(now, 'HSET', n.ledger, 'deadman', show(epoch) .. ' ' .. words)
    return
  end
  local text = "ENGAGED nobody renewed the permission: its dead man's switch ran out"
  local change = { reason = 'nobody renewed the permission', actor = 'killswitch', via = 'expiry' }
  if put_stop(n.state, text) then
    say_engaged(n, now, state, text, change)
  elseif kept[1] ~= show(epoch) .. ' ' .. RAN_OUT then
    change.from, change.to, change.token, change.limit = shown(state), text, token(state), RAN_OUT
    record(n, 'switch', now, change)
  end
end
