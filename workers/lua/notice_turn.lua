-- Takes or keeps the turn to look for changes: one worker at a time does, until it has not for a while.
-- KEYS 1 turn (string: name of the worker whose turn it is)
-- ARGV 1 name, 2 ms until the turn is anybody's again
-- Returns 1 when it is this one's turn, else 0.
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
