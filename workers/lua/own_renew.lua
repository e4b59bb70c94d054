-- Prolongs an ownership that is still held under this token.
-- KEYS 1 owner (hash)
-- ARGV 1 token, 2 life in ms
-- Returns 1 when prolonged, 0 when it ran out or somebody else holds it.
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
