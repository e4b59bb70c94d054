-- ks_outcome: a gateway says what became of the oldest entry of a journal: the outcome is written, the entry taken out and
-- the position moved on in one step, so that whatever lies in the journal has not been dealt with.
--   FCALL ks_outcome 1 <prefix>:state <journal> <token> [<entry id> <order id> <outcome> <code> <reason>]
-- token: of the ownership under which the gateway acts. Without an entry: from now on only this token, or a higher one, may
-- write outcomes, so a gateway that was taken for dead and wakes changes nothing.
-- outcome: forwarded, refused or unknown.
-- Returns {version, position, written 0|1}; not written: the entry was dealt with before. Error `LOST <token>`: the journal
-- belongs to another gateway by now.

local MOST_OUTCOMES = 10000

local function kept_text(key)
  local found = redis.pcall('GET', key)
  if failed(found) then
    if not says(found, 'WRONGTYPE') then error(found) end
    return ''
  end
  return found or ''
end

redis.register_function('ks_outcome', function(keys, args)
  local n = names(keys[1])
  local journal, token = journal_of(n, args[1]), to_epoch(args[2])
  if not token or (#args ~= 2 and #args ~= 7) then
    return redis.error_reply('ERR usage: journal token [entry-id order-id outcome code reason]')
  end
  local fence = to_epoch(kept_text(journal.fence)) or 0
  if token < fence then return redis.error_reply('LOST ' .. show(fence) .. ' is the token of the gateway now') end
  if token > fence then redis.call('SET', journal.fence, show(token)) end
  if #args == 2 then
    local position = kept_text(journal.position)
    return { VERSION, string.match(position, '^%d+%-%d+$') or '0-0', 0 }
  end
  local id, now = args[3], server_ms()
  if not string.match(id, '^%d+%-%d+$') then return redis.error_reply('ERR an entry id is <ms>-<number>') end
  if #redis.call('XRANGE', journal.entries, id, id) == 0 then return { VERSION, id, 0 } end
  mend(now, 'XADD', journal.outcomes, 'MAXLEN', '~', MOST_OUTCOMES, '*', 'entry', id, 'order_id', clean(args[4], '-'),
    'outcome', args[5], 'code', args[6], 'reason', clean(args[7], '-'), 'at_ms', show(now))
  redis.call('XDEL', journal.entries, id)
  redis.call('SET', journal.position, id)
  return { VERSION, id, 1 }
end)
