-- Writes events to the log, the live channel and the head, and completes the commands that they
-- answer. `head.lua` precedes it; `encode.rs` calls it, and `decode.rs` reads its answers.
--
-- KEYS  3 live (channel)
--       4, … for each completed command its ledger entry (string), followed by the pending list
--       (stream) that it is removed from, if it is in one
-- ARGV  1 'append' or 'restore'
--       5 digest of the events
--       6 approximate number of events to keep
--       7 seconds after which a log without new events expires
--       8 events older than this time (ms) are deleted ('' for none)
--       9 number of events
--       10, … id, JSON and time (ms) of each event
--       … and of each completed command: its new ledger entry, how long that is kept (ms), and its
--       id in the pending list ('' if it is in none)
--
-- Answers with one of
--   stored <unheard>    done; number of events without a live receiver
--   already             exactly these events were appended last; the reply was lost
--   occupied <id>       the log has an entry with an id as large as this, which no worker wrote:
--                       the events need larger ids
local live, digest, log_expiry, drop_before = KEYS[3], ARGV[5], tonumber(ARGV[7]), tonumber(ARGV[8])
local FIRST_EVENT = 10
local FIRST_COMPLETION = FIRST_EVENT + 3 * tonumber(ARGV[9])
-- At most ROUNDS * CHUNK events are deleted per call, so that Redis is not blocked for long.
local CHUNK, ROUNDS = 100, 100

if operation == 'restore' then
  if newer(before, last) then last = before end
elseif last ~= before then
  if last == ARGV[FIRST_COMPLETION - 3] and known[3] == digest then return {'already'} end
  return {'gap', last}
end

-- All that follows the first XADD.
require_commands(
  {'PUBLISH', live, ''}, {'HSET', head, 'last', ''}, {'SET', head, ''}, {'XDEL', log, '0-1'},
  {'XRANGE', log, '-', '+'}, {'TTL', head}, {'EXPIRE', head, '1'}
)

-- Adds an event to the log; false if an entry with its id or a larger one is there already. Only
-- the first one of a batch can fail: the others have larger ids.
local function add(id, json, time)
  local added = redis.pcall('XADD', log, 'MAXLEN', '~', ARGV[6], id, 'e', json, 't', time)
  if type(added) == 'string' then return true end
  if newer(id, end_of(log)) then error(added) end
  return false
end

local unheard = 0
for at = FIRST_EVENT, FIRST_COMPLETION - 1, 3 do
  local id, json, time = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  if newer(id, last) then
    local added = add(id, json, time)
    if not added and operation == 'append' then
      local top = end_of(log)
      if top ~= MAX_ID then return {'occupied', top} end
      rewrite(log, last)
      added = add(id, json, time)
    end
    -- The only place that publishes. In a Redis Cluster this is SPUBLISH.
    if added and redis.call('PUBLISH', live, json) == 0 then unheard = unheard + 1 end
    last = id
  end
end
redis.call('HSET', head, 'epoch', epoch, 'last', last, 'digest', digest)

local key = 4
for at = FIRST_COMPLETION, #ARGV, 3 do
  redis.call('SET', KEYS[key], ARGV[at], 'PX', ARGV[at + 1])
  if ARGV[at + 2] ~= '' then
    key = key + 1
    -- What is no stream has no entry.
    redis.pcall('XDEL', KEYS[key], ARGV[at + 2])
  end
  key = key + 1
end

-- Times are not strictly increasing: deletion stops at the first event that is not too old. An entry
-- without a time is no event.
for _ = 1, drop_before and ROUNDS or 0 do
  local old = {}
  for _, entry in ipairs(redis.call('XRANGE', log, '-', '+', 'COUNT', CHUNK)) do
    local time = tonumber(entry[2][4])
    if time and time >= drop_before then break end
    old[#old + 1] = entry[1]
  end
  if #old > 0 then redis.call('XDEL', log, unpack(old)) end
  if #old < CHUNK then break end
end

keep(head, expiry)
keep(log, log_expiry)
return {'stored', tostring(unheard)}
