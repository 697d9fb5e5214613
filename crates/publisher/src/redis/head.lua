-- The beginning of both scripts. A script is atomic, but Redis does not undo what it has done when a
-- later call in it fails. So each one is either checked before it writes, or can be repeated after
-- any of its calls has failed; and every one can be repeated, because its reply may be lost.
--
-- Keys that someone wrote by hand cost their account as little as possible: what is no number or id
-- counts as missing, and entries that no worker wrote are passed over.
--
-- KEYS  1 head (hash: epoch, last, digest, opened, logged_in, pending_hi, pending_lo, and the codes
--         epoch_mac, opened_mac and logged_in_mac)  2 log (stream)
-- ARGV  1 the operation
--       2 epoch of the caller, a colon, and its code
--       3 seconds after which the idle keys expire
--       4 id of the account's last event, as the caller knows it ('' if there is none)
--
-- Answers of every operation:
--   fenced <epoch> <code>   a newer epoch owns the account, if that is its code
--   gap <last>          the log ends at <last>, not at ARGV 4
local head, log = KEYS[1], KEYS[2]
local operation, expiry, before = ARGV[1], tonumber(ARGV[3]), ARGV[4]
local epoch, epoch_mac = string.match(ARGV[2], '^(%d+):(%x*)$')

-- The largest number in an id, and the largest id.
local MAX = '18446744073709551615'
local MAX_ID = MAX .. '-' .. MAX

-- Compares decimal numbers as text: those of Lua are exact only up to 2^53.
local function greater(a, b)
  if #a ~= #b then return #a > #b end
  return a > b
end

local function newer(a, b)
  if a == '' or b == '' then return a ~= '' end
  local a_epoch, a_n = string.match(a, '^(%d+)-(%d+)$')
  local b_epoch, b_n = string.match(b, '^(%d+)-(%d+)$')
  if a_epoch ~= b_epoch then return greater(a_epoch, b_epoch) end
  return greater(a_n, b_n)
end

-- The text, if it is an id.
local function as_id(text)
  local its_epoch, n = string.match(text or '', '^(%d+)-(%d+)$')
  if its_epoch and not greater(its_epoch, MAX) and not greater(n, MAX) then return text end
end

-- Fails unless the user may run these commands. The keys themselves were checked before the script.
local function require_commands(...)
  for _, command in ipairs({...}) do
    if not redis.acl_check_cmd(unpack(command)) then
      error(redis.error_reply('NOPERM no permission for ' .. command[1] .. ' on ' .. command[2]))
    end
  end
end

-- The epoch that owns the account, and where its log ends.
local function set_head(last, ...)
  redis.call('HSET', head, 'epoch', epoch, 'epoch_mac', epoch_mac, 'last', last, ...)
end

-- A key's expiry is never shortened: a rejection for an account that no worker runs any more must
-- not delete its history.
local function keep(key, seconds)
  if redis.call('TTL', key) < seconds then redis.call('EXPIRE', key, seconds) end
end

-- The largest id that a stream ever had; '' if it does not exist.
local function end_of(stream)
  if redis.call('EXISTS', stream) == 0 then return '' end
  local info = redis.call('XINFO', 'STREAM', stream)
  for at = 1, #info, 2 do
    if info[at] == 'last-generated-id' then return info[at + 1] end
  end
end

-- Rewrites a stream with its entries up to `last`, so that smaller ids than its largest can
-- follow again.
local function rewrite(stream, last)
  require_commands({'DEL', stream}, {'XADD', stream, '*', 'e', ''})
  local entries = last == '' and {} or redis.call('XRANGE', stream, '-', last)
  redis.call('DEL', stream)
  for _, entry in ipairs(entries) do redis.call('XADD', stream, entry[1], unpack(entry[2])) end
end

-- The newest event in the log: an entry whose JSON has the entry's own id.
local function newest_event()
  local COUNT, from = 100, '+'
  while true do
    local entries = redis.call('XREVRANGE', log, from, '-', 'COUNT', COUNT)
    for _, entry in ipairs(entries) do
      local id, json = entry[1], entry[2][2]
      if string.find(json, '"event_id":"' .. id .. '"', 1, true) then return id end
      from = '(' .. id
    end
    if #entries < COUNT then return '' end
  end
end

local known = redis.call('HMGET', head, 'epoch', 'last', 'digest', 'epoch_mac')
if as_id((known[1] or '') .. '-0') and greater(known[1], epoch) and operation ~= 'repair' then
  return {'fenced', known[1], known[4] or ''}
end

local last = as_id(known[2]) or newest_event()
