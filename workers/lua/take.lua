-- Claims the first job of a queue that is not to be skipped. The claim lies in the intermediate list, so a worker that dies
-- between claim and start loses no job. A skipped job keeps its place.
-- KEYS 1 queue (list), 2 intermediate (list)
-- ARGV 1 how deep to look, 2.. job ids to skip
-- Returns the job id, or nothing.
local skip = {}
for i = 2, #ARGV do skip[ARGV[i]] = true end
for _, id in ipairs(redis.call('LRANGE', KEYS[1], 0, ARGV[1] - 1)) do
  if not skip[id] then
    redis.call('LREM', KEYS[1], 1, id)
    redis.call('RPUSH', KEYS[2], id)
    return id
  end
end
return false
