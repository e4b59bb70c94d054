-- Gives an ownership back, if it is still held under this token.
-- KEYS 1 owner (hash)
-- ARGV 1 token
-- Returns 1 when given back, 0 when there was nothing to give.
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
