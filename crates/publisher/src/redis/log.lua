-- The one script that writes an account's log. It does all of it or nothing: every check comes
-- before the first write.
--
-- KEYS  1 head (hash: epoch, last, digest)  2 log (stream)  3 live (channel)
-- ARGV  1 'claim', 'append' or 'restore'
--       2 epoch of the caller
--       3 seconds after which the idle keys expire
--       4 about how many events are kept
--       5 id of the event before the first one ('' when the log was empty)
--       6 digest of the events
--       7, 8, … id and JSON of each event
--
-- Answers with one of
--   claimed <last>      the log belongs to the epoch now and ends there ('' when it is empty)
--   stored <unheard>    done; so many of the events had no live receiver
--   already             these very events were appended last: the reply to that was lost
--   fenced <epoch>      a newer epoch owns the log
--   gap <last>          the log ends there, and not at ARGV 5
local head, log, live = KEYS[1], KEYS[2], KEYS[3]
local act, epoch, expiry = ARGV[1], ARGV[2], tonumber(ARGV[3])
local FIRST = 7

local function newer(a, b)
  if a == '' or b == '' then return a ~= '' end
  local a_epoch, a_n = string.match(a, '^(%d+)-(%d+)$')
  local b_epoch, b_n = string.match(b, '^(%d+)-(%d+)$')
  if a_epoch ~= b_epoch then return tonumber(a_epoch) > tonumber(b_epoch) end
  return tonumber(a_n) > tonumber(b_n)
end

-- The keys' lives are never shortened: a refusal for an account that no worker knows any more must
-- not take its history away.
local function keep(key)
  if redis.call('TTL', key) < expiry then redis.call('EXPIRE', key, expiry) end
end

local known = redis.call('HMGET', head, 'epoch', 'last', 'digest')
if known[1] and tonumber(known[1]) > tonumber(epoch) then return {'fenced', known[1]} end

local last = known[2]
if not last then
  local newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)
  last = newest[1] and newest[1][1] or ''
end

if act == 'claim' then
  redis.call('HSET', head, 'epoch', epoch, 'last', last)
  keep(head)
  return {'claimed', last}
end

local before, digest = ARGV[5], ARGV[6]
if act == 'restore' then
  if newer(before, last) then last = before end
elseif last ~= before then
  if last == ARGV[#ARGV - 1] and known[3] == digest then return {'already'} end
  return {'gap', last}
end

local unheard = 0
for at = FIRST, #ARGV, 2 do
  local id, json = ARGV[at], ARGV[at + 1]
  if newer(id, last) then
    redis.call('XADD', log, 'MAXLEN', '~', ARGV[4], id, 'e', json)
    -- The one place that publishes. In a Redis Cluster this is SPUBLISH.
    if redis.call('PUBLISH', live, json) == 0 then unheard = unheard + 1 end
    last = id
  end
end
redis.call('HSET', head, 'epoch', epoch, 'last', last, 'digest', digest)
keep(head)
keep(log)
return {'stored', tostring(unheard)}
