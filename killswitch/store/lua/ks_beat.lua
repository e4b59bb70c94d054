-- ks_beat: a worker's heartbeat, acknowledgement, reconciliation and read in one step.
--   FCALL ks_beat <n> <prefix>:state [scope keys ...] <nonce> <worker> <seen epoch> <closed 0|1> <in flight>
--         <ttl ms> <retain ms> <instance> [field value ...]
-- seen epoch: the highest the worker knows; the counter is raised to it, so no epoch is used twice after a loss.
-- closed, in flight: as they were when this was SENT. Closed with nothing in flight, answered by ENGAGED, is the proof
-- of quiet: the worker can open only by a later answer.
-- ttl: life of the worker's hash (while orders are in flight it has no end); retain: silence that ends its membership.
-- instance: one life of one agent. Its nonces rise and each of its connections begins with a beat, so a beat whose
-- nonce is not above the last one was held up on a dead connection: it says how things were, and writes nothing.
-- The first field, where it is `stop_epoch`, tells the highest epoch at which this worker saw a stop, see reassert().
-- The last field may be `line`: `` on the first beat of a connection, and on one that follows an announcement three
-- numbers, see ks_drill. Such a beat may be the answer to a drill.
-- Returns the same as ks_read.

-- Takes workers off the membership that have been silent for longer than `retain` ms and whose hash has expired: a worker
-- that asked for a longer memory is not taken off by one with a shorter. When everybody seems to have been silent, it
-- was the server's clock that jumped (or the fleet that slept): then nobody is taken off until all had time to beat.
local function prune(n, now, retain)
  local newest = redis.pcall('ZREVRANGE', n.workers, 0, 0, 'WITHSCORES')
  if failed(newest) or not newest[1] then return end
  if now - tonumber(newest[2]) > retain then
    mend(now, 'HSET', n.ledger, 'prune_after_ms', show(now + retain))
  elseif now > (tonumber(ledger_fields(n, { 'prune_after_ms' })[1] or '0') or 0) then
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', n.workers, '-inf', show(now - retain), 'LIMIT', 0, 100)) do
      if redis.call('EXISTS', n.worker .. id) == 0 then redis.call('ZREM', n.workers, id) end
    end
  end
end

-- For how long (ms) nothing is known of other lives under a worker id that is a member and has no row: the server's clock
-- jumped and ended the row, or all were silent for long. By then another life has beaten, or its lease has run out, by
-- two clocks that may be wrong (core/lease.py). nil where nothing was lost; where this user may not ask, something may be.
local function lost_for(n, id, args, retain)
  local score = redis.pcall('ZSCORE', n.workers, id)
  if not score or (failed(score) and says(score, 'WRONGTYPE')) then return nil end
  local told = {}
  for i = 9, #args - 1, 2 do told[args[i]] = tonumber(args[i + 1]) end
  return told.lease_ms and told.beat_ms and math.ceil((told.lease_ms + told.beat_ms) * 1.1 / 0.9) or retain
end

-- Another life under the same worker id that was not quiet when it last spoke, and may live on: until when it counts, and
-- which it is. This row cannot speak for both, and is not called quiet until then. Who speaks now is no rival of itself,
-- and who took its leave is none any more (ks_leave).
local function rivals(kept, instance, now, retain)
  local spoke = tonumber(kept[5] or '0') or 0
  -- Where the clock was set back meanwhile, what was left then is left now.
  local till, who = rival_in(kept[6], kept[8], math.max(now, spoke))
  if spoke > now then till, spoke = math.max(0, till - (spoke - now)), now end
  if who == instance then till, who = 0, '' end
  if not kept[1] and kept.lost then return now + kept.lost, SEVERAL end
  if not kept[1] or kept[1] == '' or kept[1] == instance then return till, who end
  -- Closed and empty is not enough: the answer to that very beat may have opened it. Quiet means it was a stop.
  if kept[3] == '1' and kept[4] == '0' and (to_epoch(kept[7]) or 0) > 0 then return till, who end
  if who ~= '' and who ~= kept[1] then who = SEVERAL else who = kept[1] end
  return math.max(till, spoke + retain), who
end

-- The drill that a beat answers, and the microseconds since it began: one that follows an announcement, was sent closed,
-- and by a worker to which the announcement told nothing new. Where there is anything new, that is no drill.
local function drill_answered(n, hash, args, seen_epoch, epoch)
  if args[#args - 1] ~= 'line' or args[#args] == '' or args[4] ~= '1' or seen_epoch < epoch then return nil end
  local token, began_us = string.match(drill_under_way(n), '^(%x+) (%d+) ')
  local before = token and redis.pcall('HGET', hash, 'drill')
  if not token or type(before) == 'table' or string.find(before or '', token .. ' ', 1, true) == 1 then return nil end
  local t = redis.call('TIME')
  return token, math.max(t[1] * 1000000 + t[2] - began_us, 0)
end

-- The fields of a beat that answers a drill. It was sent closed, and opens by this very answer where the fleet is not
-- stopped: then the row says that it is open, because a drill must not look like a stop.
local function fields_of_drill(told, opens, rows, ack)
  local fields, says = { 'drill', ack }, {}
  if opens then says = { mode = 'SAFE', code = 'open', closed = '0', closed_ms = '0' } end
  for _, of in ipairs(opens and rows or {}) do
    if of[2] == 'REDUCING' then says.mode, says.code = 'REDUCING', 'reducing' end
  end
  for i = 1, #told, 2 do
    fields[#fields + 1], fields[#fields + 2] = told[i], says[told[i]] or told[i + 1]
  end
  return fields
end

redis.register_function('ks_beat', function(keys, args)
  local n = names(keys[1])
  -- What is first is believed to be the switch: a new incarnation, and what nobody renewed, are settled by it.
  if n.scope ~= 'switch' then return redis.error_reply('ERR the first key is that of the switch') end
  local now = server_ms()
  local full = is_full(now)  -- then it is told and recorded, and confirms nothing
  local seen_epoch = to_epoch(args[3]) or 0
  local state = observe(keys[1])
  local id, instance, retain = args[2], args[8] or '', tonumber(args[7])
  local hash = n.worker .. id
  local kept = redis.pcall('HMGET', hash, 'instance', 'nonce', 'closed', 'in_flight', 'beat_at_ms', 'rival_until_ms',
    'quiet_epoch', 'rival')
  if failed(kept) then kept = {} end
  local late = kept[1] == instance and (tonumber(args[1]) or 0) <= (tonumber(kept[2] or '') or -1)
  -- Register first, read afterwards: an operator who wrote before this line finds the worker or is read by it.
  prune(n, now, retain)
  if not kept[1] then kept.lost = lost_for(n, id, args, retain) end
  if not late then mend(now, 'ZADD', n.workers, show(now), id) end
  if seen_epoch > counter(n) then mend(now, 'HSET', n.ledger, 'epoch', show(seen_epoch)) end

  local confirmed = settle_incarnation(n, now, state)
  settle_deadman(n, now, state)
  local rows, epoch, engaged = {}, 0, false
  for i, key in ipairs(keys) do
    local scope = names(key).scope
    local seen = i == 1 and state or observe(key)
    local was = confirmed and reconcile(n, scope, seen, now) or recorded(n, scope)
    rows[i] = row(seen, was)
    epoch = math.max(epoch, was.epoch)
    if mode_of(seen) == 'ENGAGED' and (i == 1 or seen.kind ~= 'absent') then engaged = true end
  end
  limit(rows[1], ledger_fields(n, { 'deadman' })[1])
  if late then return full and refuse_as_full() or answer(args[1], run_id(), confirmed, counter(n), rows) end
  local stopped = args[9] == 'stop_epoch' and to_epoch(args[10]) or 0
  local again = confirmed and reassert(n, now, state, id, stopped, epoch)
  if again then
    rows[1] = row(state, recorded(n, 'switch'))
    epoch, engaged = again, true
  end

  local rival_till, rival = rivals(kept, instance, now, retain)
  local quiet = confirmed and engaged and args[4] == '1' and args[5] == '0' and now >= rival_till
  local fields = { 'seen_epoch', show(math.max(seen_epoch, epoch)), 'closed', args[4], 'in_flight', args[5],
    'beat_at_ms', show(now), 'quiet_epoch', quiet and show(epoch) or '0', 'instance', instance, 'nonce', args[1],
    'rival_until_ms', show(rival_till), 'rival', rival }
  for i = 9, #args do fields[#fields + 1] = args[i] end
  local drill, after_us = drill_answered(n, hash, args, seen_epoch, epoch)
  if drill then
    local ack = drill .. ' ' .. show(after_us) .. ' ' .. args[5] .. ' ' .. clean(args[#args], '-')
    -- A worker that has seen more than is on record stays closed, see core/answer.py (decide).
    local opens = confirmed and not full and not engaged and rows[1][4] ~= 0 and seen_epoch <= epoch and stopped < epoch
    fields = fields_of_drill(fields, opens, rows, ack)
  end
  mend(now, 'HSET', hash, unpack(fields))
  -- A worker that vanishes with an order in flight is remembered until somebody takes it off by hand (ks_leave).
  if args[5] == '0' then redis.call('PEXPIRE', hash, args[6]) else redis.call('PERSIST', hash) end
  if quiet and kept[7] ~= show(epoch) then redis.pcall('PUBLISH', n.acks, id .. ' ' .. show(epoch)) end
  if drill then redis.pcall('PUBLISH', n.acks, id .. ' drill:' .. drill) end
  return full and refuse_as_full() or answer(args[1], run_id(), confirmed, counter(n), rows)
end)
