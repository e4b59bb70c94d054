-- Gives an ownership back, unless somebody else holds it by now, and notes that its holder acts no more.
-- KEYS 1 owner (hash), 2 released (string: last token given back), or '' when an owner before may still act
-- ARGV 1 token
-- Returns 1 when given back, 0 when there was nothing to give.
local held = redis.call('HGET', KEYS[1], 'token')
if held and held ~= ARGV[1] then return 0 end
if KEYS[2] ~= '' then redis.call('SET', KEYS[2], ARGV[1]) end
return redis.call('DEL', KEYS[1])
