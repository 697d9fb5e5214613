#!lua flags=allow-oom
-- Acquires a shard if its record is still the one that the worker has seen. If the shard was being
-- moved, the move is finished.
--
-- KEYS  1 shards (hash)  2 move (string)
-- ARGV  1 shard  2 its record as the worker has seen it; '' for none  3 its new record
--
-- Answers 1 if the shard was acquired, else 0.
local shards, move = KEYS[1], KEYS[2]
local shard, seen, record = ARGV[1], ARGV[2], ARGV[3]

if (redis.call('HGET', shards, shard) or '') ~= seen then return 0 end
-- Redis does not undo what a script has done when a later call fails: a shard that is taken without
-- the taker's knowledge would wait until the lease is over. So everything that can fail comes first.
local moving = redis.pcall('GET', move)
local over = type(moving) == 'string' and string.sub(moving, 1, #shard) == shard
if over and not redis.acl_check_cmd('DEL', move) then return redis.error_reply('NOPERM DEL') end

redis.call('HSET', shards, shard, record)
if over then redis.call('DEL', move) end
return 1
