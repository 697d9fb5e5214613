#!lua flags=allow-oom
-- One heartbeat of a worker: it announces the worker, renews and releases its shards, may begin a
-- move, and returns the state of the fleet.
--
-- KEYS  1 shards (hash)  2 workers (hash)  3 pins (hash)  4 move (string)
-- ARGV  1 JSON:
--         by                  deadline, in milliseconds of Redis's clock; 0 for none. A request
--                             that arrives later only reads
--         name, incarnation   the worker
--         record              its record; '' to leave it unchanged
--         over                record of a dead worker with the same name, which may be overwritten;
--                             '' for none
--         goodbye             true: delete the record instead
--         renew, free         lists of {shard, owner, epoch, record}
--         move                '' or the value to set, for move_ms milliseconds, if there is none
--         forget              list of {name, record}: workers to remove
--
-- Answers  1 whether the worker's record was written or deleted  2 whether its move was set
--          3 shards that were not renewed  4 shards  5 workers  6 pins  7 the move, or ''
--          8 Redis's time in milliseconds  9 whether the request was late and only read
--
-- The records never expire.
--
-- The beat can be repeated after any of its calls has failed, which Redis does not undo: it has then
-- renewed and freed what it was asked to, and does so again.
local shards, workers, pins, move = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local ask = cjson.decode(ARGV[1])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local late = ask.by > 0 and now > ask.by
if late then
  ask.record, ask.goodbye, ask.renew, ask.free, ask.forget, ask.move = '', false, {}, {}, {}, ''
end

-- The record in a field; false if there is none, an empty table if it cannot be read.
local function read(key, field)
  local text = redis.call('HGET', key, field)
  if not text then return false end
  local good, record = pcall(cjson.decode, text)
  return good and type(record) == 'table' and record or {}
end

-- The same rule as `may_renew` in rules.rs.
local function may_renew(known, owner, epoch)
  if not known then return true end
  if type(known.epoch) ~= 'number' then return false end
  return known.epoch < epoch or (known.epoch == epoch and known.owner == owner)
end

local function announce()
  if ask.record == '' and not ask.goodbye then return false end
  local known = read(workers, ask.name)
  if known and known.incarnation and known.incarnation ~= ask.incarnation
    and redis.call('HGET', workers, ask.name) ~= ask.over then
    return false
  end
  if ask.goodbye then
    redis.call('HDEL', workers, ask.name)
  else
    redis.call('HSET', workers, ask.name, ask.record)
  end
  return true
end

local lost = {}
for _, lease in ipairs(ask.renew) do
  if may_renew(read(shards, lease.shard), lease.owner, lease.epoch) then
    redis.call('HSET', shards, lease.shard, lease.record)
  else
    lost[#lost + 1] = lease.shard
  end
end

for _, lease in ipairs(ask.free) do
  local known = read(shards, lease.shard)
  if known and known.epoch == lease.epoch and known.owner == lease.owner then
    redis.call('HSET', shards, lease.shard, lease.record)
  end
end

for _, worker in ipairs(ask.forget) do
  if redis.call('HGET', workers, worker.name) == worker.record then
    redis.call('HDEL', workers, worker.name)
  end
end

-- What an operator's key holds; nothing if it has another type.
local function read_operator_key(command, key, nothing)
  local answer = redis.pcall(command, key)
  if type(answer) == 'table' and answer.err then
    if string.sub(answer.err, 1, 9) ~= 'WRONGTYPE' then error(answer) end
    return nothing
  end
  return answer or nothing
end

local moving = 0
if ask.move ~= '' then
  redis.call('SET', move, ask.move, 'NX', 'PX', ask.move_ms)
  -- Also if an earlier attempt has set it.
  if read_operator_key('GET', move, '') == ask.move then moving = 1 end
end

return {
  announce() and 1 or 0,
  moving,
  lost,
  redis.call('HGETALL', shards),
  redis.call('HGETALL', workers),
  read_operator_key('HGETALL', pins, {}),
  read_operator_key('GET', move, ''),
  now,
  late and 1 or 0,
}
