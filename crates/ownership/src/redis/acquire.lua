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
redis.call('HSET', shards, shard, record)

local moving = redis.call('GET', move)
if moving and string.sub(moving, 1, #shard) == shard then redis.call('DEL', move) end
return 1
