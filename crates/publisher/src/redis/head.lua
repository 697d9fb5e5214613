-- The beginning of both scripts. They are atomic and idempotent: a reply may be lost, and the
-- request sent again.
--
-- KEYS  1 head (hash: epoch, last, digest, opened, logged_in)  2 log (stream)
-- ARGV  1 the operation
--       2 epoch of the caller
--       3 seconds after which the idle keys expire
--       4 id of the account's last event, as the caller knows it ('' if there is none)
--
-- Answers of every operation:
--   fenced <epoch>      a newer epoch owns the account
--   gap <last>          the log ends at <last>, not at ARGV 4
local head, log = KEYS[1], KEYS[2]
local operation, epoch, expiry, before = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]

local function newer(a, b)
  if a == '' or b == '' then return a ~= '' end
  local a_epoch, a_n = string.match(a, '^(%d+)-(%d+)$')
  local b_epoch, b_n = string.match(b, '^(%d+)-(%d+)$')
  if a_epoch ~= b_epoch then return tonumber(a_epoch) > tonumber(b_epoch) end
  return tonumber(a_n) > tonumber(b_n)
end

-- A key's expiry is never shortened: a rejection for an account that no worker runs any more must
-- not delete its history.
local function keep(key, seconds)
  if redis.call('TTL', key) < seconds then redis.call('EXPIRE', key, seconds) end
end

local known = redis.call('HMGET', head, 'epoch', 'last', 'digest')
if known[1] and tonumber(known[1]) > tonumber(epoch) then return {'fenced', known[1]} end

local last = known[2]
if not last then
  local newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)
  last = newest[1] and newest[1][1] or ''
end
