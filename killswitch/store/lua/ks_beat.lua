-- ks_beat: a worker's heartbeat, acknowledgement, reconciliation and read in one step.
--   FCALL ks_beat <n> <prefix>:state [scope keys ...] <nonce> <worker> <seen epoch> <closed 0|1> <in flight>
--         <ttl ms> <retain ms> [field value ...]
-- seen epoch: the highest the worker knows; the counter is raised to it, so no epoch is used twice after a loss.
-- closed, in flight: as they were when this was SENT. Closed with nothing in flight, answered by ENGAGED, is the proof
-- of quiet: the worker can open only by a later answer.
-- ttl: life of the worker's hash; retain: silence after which it leaves the membership.
-- Returns the same as ks_read.
redis.register_function('ks_beat', function(keys, args)
  local n = names(keys[1])
  local now = server_ms()
  local seen_epoch = to_epoch(args[3]) or 0
  local state = observe(keys[1])
  -- Register first, read afterwards: an operator who wrote before this line finds the worker or is read by it.
  local id = args[2]
  local hash = n.worker .. id
  prune(n, now, tonumber(args[7]))
  mend(now, 'ZADD', n.workers, show(now), id)
  if seen_epoch > counter(n) then mend(now, 'HSET', n.ledger, 'epoch', show(seen_epoch)) end

  local confirmed = settle_incarnation(n, now, state)
  local rows, epoch, engaged = {}, 0, false
  for i, key in ipairs(keys) do
    local scope = names(key).scope
    local seen = i == 1 and state or observe(key)
    if confirmed then reconcile(n, scope, seen, now) end
    local was = recorded(n, scope)
    rows[i] = row(seen, was)
    epoch = math.max(epoch, was.epoch)
    if mode_of(seen) == 'ENGAGED' and (i == 1 or seen.kind ~= 'absent') then engaged = true end
  end

  local quiet = confirmed and engaged and args[4] == '1' and args[5] == '0'
  local fields = { 'seen_epoch', show(math.max(seen_epoch, epoch)), 'closed', args[4], 'in_flight', args[5],
    'beat_at_ms', show(now), 'quiet_epoch', quiet and show(epoch) or '0' }
  for i = 8, #args do fields[#fields + 1] = args[i] end
  local before = redis.pcall('HGET', hash, 'quiet_epoch')
  mend(now, 'HSET', hash, unpack(fields))
  redis.call('PEXPIRE', hash, args[6])
  if quiet and before ~= show(epoch) then redis.pcall('PUBLISH', n.acks, id .. ' ' .. show(epoch)) end
  return answer(args[1], run_id(), confirmed, counter(n), rows)
end)
