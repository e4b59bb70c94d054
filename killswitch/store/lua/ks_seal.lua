-- ks_seal: seals the next entries of the record. The digests are the sealer's, because Redis knows SHA-1 only; that there
-- is one chain, without gaps, whoever seals at the same moment, is decided here.
--   FCALL ks_seal 1 <prefix>:state <head id> <head link> <algorithm> [<entry id> <content> <link> ...]
-- head: the last seal as the sealer has read it; both empty where there is none. At most 200 entries, each the one behind
-- the one before it.
-- Returns {version, appended 0|1, position, entry id, link, algorithm}, the latter four of the last seal there is now. Not
-- appended: it is another one than the sealer read; go on behind it. Error `SEAL`: these are not the next entries.

local MOST_SEALS = 200

-- The last seal; position nil: what lies there is none.
local function last_seal(n)
  local last = redis.pcall('XREVRANGE', n.seals, '+', '-', 'COUNT', 1)
  if failed(last) and not says(last, 'WRONGTYPE') then error(last) end
  if failed(last) or not last[1] then return { position = 0, id = '', link = '', by = '', foreign = failed(last) } end
  local found = { id = last[1][1], link = '', by = '' }
  local fields = last[1][2]
  for i = 1, #fields, 2 do
    if fields[i] == 'n' then found.position = to_epoch(fields[i + 1]) end
    if fields[i] == 'link' or fields[i] == 'by' then found[fields[i]] = fields[i + 1] end
  end
  return found
end

redis.register_function('ks_seal', function(keys, args)
  local n = names(keys[1])
  if #args < 3 or #args % 3 ~= 0 or #args > 3 + 3 * MOST_SEALS then
    return redis.error_reply('ERR usage: head-id head-link algorithm [entry-id content link ...], at most 200 entries')
  end
  local head = last_seal(n)
  if not head.position then
    return redis.error_reply('SEAL the last seal cannot be read: `killswitch audit verify` tells where it lies')
  end
  local function answer_head(appended)
    return { VERSION, appended, head.position, head.id, head.link, head.by }
  end
  if head.id ~= args[1] or head.link ~= args[2] then return answer_head(0) end
  local after = head.id == '' and '-' or '(' .. head.id
  for i = 4, #args, 3 do
    local following = redis.call('XRANGE', n.audit, after, '+', 'COUNT', 1)[1]
    if not following or following[1] ~= args[i] then
      return redis.error_reply('SEAL the record goes on with another entry than ' .. clean(args[i], '(none)'))
    end
    if head.foreign then set_aside(n.seals, server_ms()) end
    redis.call('XADD', n.seals, args[i], 'n', show(head.position + 1), 'content', args[i + 1], 'link', args[i + 2],
      'by', args[3])
    head = { position = head.position + 1, id = args[i], link = args[i + 2], by = args[3] }
    after = '(' .. args[i]
  end
  return answer_head(1)
end)
