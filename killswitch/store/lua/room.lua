-- Where not one client more is let in, nobody can engage: to a worker that is a refusal like those of Redis itself. Replicas
-- count among the clients, though INFO tells of them apart. It is asked for fifty times a second at most, however
-- many workers ask, so a permission outlives the last free place by a lease and 20 ms at most.
local looked_at_ms, no_room = nil, false

local function is_full(now)
  if looked_at_ms and now >= looked_at_ms and now - looked_at_ms < 20 then return no_room end
  local info = redis.pcall('INFO', 'clients', 'replication')
  if failed(info) then return no_room end  -- who may not ask is told what others found, and tells them nothing
  local function told(name) return tonumber(string.match(info, '\n' .. name .. ':(%d+)')) end
  local clients, most = told('connected_clients'), told('maxclients')
  looked_at_ms, no_room = now, clients and most and clients + (told('connected_slaves') or 0) >= most or false
  return no_room
end

local function refuse_as_full()
  return redis.error_reply('MAXCLIENTS no client more is let in, so nobody could engage')
end
