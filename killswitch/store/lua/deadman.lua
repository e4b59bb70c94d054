-- A dead man's switch: a permission that holds only while the operator's side renews it (ks_deadman, ks_renew).
--
-- It stands in the ledger as the field `deadman`, "<epoch> <end, server ms> <life ms> <every ms> <id>", and concerns the
-- permission that was recorded at that epoch of the switch and no other: any change of the switch ends it. The ledger
-- lies outside of the tracking prefix, so a renewal closes no gate. It only shortens a permission: nothing here permits.

local CLOCK_SLACK_MS = 1000
local UNREADABLE = { ends = 0, life = 0, every = 0, id = '' }

-- What was read last: between two renewals a fleet asks about the same text thousands of times.
local read_text, read_as = nil, nil

-- What limits the permission of `epoch`, nil where nothing does. What cannot be read has run out.
local function deadman_of(kept, epoch)
  if not kept then return nil end
  if kept ~= read_text then
    local its, ends, life, every, id = string.match(kept, '^(%d+) (%d+) (%d+) (%d+) ([%w_-]+)$')
    read_text, read_as = kept, its and { epoch = tonumber(its), ends = tonumber(ends), life = tonumber(life),
      every = tonumber(every), id = id } or UNREADABLE
  end
  return (read_as == UNREADABLE or read_as.epoch == epoch) and read_as or nil
end

-- Milliseconds that it has left. More than a whole life means that this server's clock was set back, and with it the
-- end of the permission moved away: then nobody knows when it was to end, and it has.
local function deadman_left(held, now)
  local left = held.ends - now
  return left > 0 and left <= held.life + CLOCK_SLACK_MS and left or 0
end

-- Milliseconds that a permission has left: by the key's own limit (-1: none), or by this one where it is nearer.
local function limited(pttl, kept, epoch)
  local held = deadman_of(kept, epoch)
  if not held then return pttl end
  local left = deadman_left(held, server_ms())
  return pttl >= 0 and math.min(pttl, left) or left
end

-- Puts that into the row of the switch, see row().
local function limit(its, kept)
  its[4] = limited(its[4], kept, its[5])
end

-- Engages in writing what nobody renewed, so that GET shows it, and so that nothing revives it. Where this user may not
-- write the state, the record alone keeps it from reviving, and every reading goes on saying that it ran out. Returns
-- what is on record then.
local function settle_deadman(n, now, state)
  local kept = ledger_fields(n, { 'deadman', 'switch:token', 'switch:epoch' })
  local epoch = to_epoch(kept[3]) or 0
  local held = deadman_of(kept[1], epoch)
  if not held or deadman_left(held, now) > 0 then return kept[1] end
  local permits = mode_of(state) ~= 'ENGAGED' and kept[2] == token(state)
  local over = show(epoch) .. ' 0 0 0 over'
  if kept[1] ~= over then mend(now, 'HSET', n.ledger, 'deadman', over) end
  local text = "ENGAGED nobody renewed the permission: its dead man's switch ran out"
  if not permits or failed(redis.pcall('SET', n.state, text)) then return over end
  say_engaged(n, now, state, text, { reason = 'nobody renewed the permission', actor = 'killswitch', via = 'expiry' })
  return over
end
