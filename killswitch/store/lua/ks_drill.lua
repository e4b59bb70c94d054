-- ks_drill: a drill: the announcement that a stop would make, on the very line that a stop takes, and no stop.
--   FCALL ks_drill 1 <prefix>:state:drill:fleet begin <token> <ttl ms> [actor] | end <token> [field value ...]
-- token: 8 to 32 hex digits, one for each drill. ttl: after so long the drill is over in any case, at most ten minutes.
-- begin: engages the scratch scope drill:fleet and lifts it again in one step. Every worker is told that something changed,
-- closes its gate, and asks; nothing is left under the state that could look like a stop, or outlive a tool that died.
-- While <prefix>:drill stands a beat that follows an announcement and brings nothing new is an acknowledgement: the row
-- gets `drill` = `<token> <us since begin, by this server> <in flight> <line>` and the channel `<worker> drill:<token>`.
-- line, by the worker's own clock: us from the announcement seen to the gate closed, and to the question sent; and how many
-- us the question before had taken to be answered.
-- Returns {version, token, us}. Error `BUSY ...`: another drill is under way; nothing was announced.
-- end: takes the drill away; with fields it becomes an entry of <prefix>:drills, where the newest thousand or so are kept.
-- Returns {version, token, id of the entry or ``, ms}.
-- Who may drill needs FCALL; SET and DEL on the scratch key; GETRANGE, SET and DEL on <prefix>:drill; XADD on
-- <prefix>:drills; TIME: the role `driller`. A worker needs GETRANGE on <prefix>:drill to acknowledge.

local MOST_DRILLS = 1000
local MOST_WORDS = 128

local function drill_begins(n, key, token, ttl, actor)
  local run = drill_under_way(n)
  if run ~= '' then
    return redis.error_reply('BUSY another drill is under way, by ' .. (string.match(run, '^%x+ %d+ (.*)$') or 'somebody'))
  end
  local t = redis.call('TIME')
  local us = show(t[1] * 1000000 + t[2])
  redis.call('SET', key, 'ENGAGED drill ' .. token)
  redis.call('DEL', key)
  redis.call('SET', n.drill, token .. ' ' .. us .. ' ' .. clean(actor, 'unattributed'), 'PX', ttl)
  return { VERSION, token, us }
end

local function drill_ends(n, token, args)
  local run = redis.pcall('GETRANGE', n.drill, 0, MAX_TEXT)
  if failed(run) or string.find(run, token .. ' ', 1, true) == 1 then redis.call('DEL', n.drill) end
  local now, fields = server_ms(), {}
  if #args == 2 then return { VERSION, token, '', show(now) } end
  for i = 3, #args do fields[#fields + 1] = clean(args[i], '-') end
  local id = mend(now, 'XADD', n.drills, 'MAXLEN', '~', MOST_DRILLS, '*', 'token', token, 'at_ms', show(now), unpack(fields))
  return { VERSION, token, id, show(now) }
end

redis.register_function('ks_drill', function(keys, args)
  local n = names(keys[1])
  local token, ttl = string.match(args[2] or '', '^%x+$'), tonumber(args[3])
  if n.scope ~= 'drill:fleet' then return redis.error_reply('ERR the key of a drill is <prefix>:state:drill:fleet') end
  if not token or #token < 8 or #token > 32 then return redis.error_reply('ERR a token is 8 to 32 hex digits') end
  if args[1] == 'end' and #args % 2 == 0 and #args <= MOST_WORDS then return drill_ends(n, token, args) end
  if args[1] ~= 'begin' or not ttl or ttl ~= math.floor(ttl) or ttl < 1 or ttl > LONGEST_DRILL_MS then
    return redis.error_reply('ERR usage: begin token ttl-ms [actor] | end token [field value ...]')
  end
  return drill_begins(n, keys[1], token, show(ttl), args[4])
end)
