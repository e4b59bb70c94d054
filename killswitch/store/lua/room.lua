-- Where not one client more is let in, nobody can engage: to a worker that is a refusal like those of Redis itself. Replicas
-- count among the clients, though INFO tells of them apart. It is asked for a few times a second, however many workers ask.
local looked_at_ms, no_room = nil, false

local function is_full(now)
  if looked_at_ms and now >= looked_at_ms and now - looked_at_ms < 200 then return no_room end
  local info = redis.pcall('INFO', 'clients', 'replication')
  local function told(name) return not failed(info) and tonumber(string.match(info, '\n' .. name .. ':(%d+)')) end
  local clients, most = told('connected_clients'), told('maxclients')
  looked_at_ms, no_room = now, clients and most and clients + (told('connected_slaves') or 0) >= most or false
  return no_room
end

-- The same for renewals, of which there are thousands a second: only every fourth looks at the clock, which costs.
local unasked = 0

local function is_full_lately()
  unasked = unasked + 1
  if unasked < 4 then return no_room end
  unasked = 0
  return is_full(server_ms())
end

local function refuse_as_full()
  return redis.error_reply('MAXCLIENTS no client more is let in, so nobody could engage')
end
