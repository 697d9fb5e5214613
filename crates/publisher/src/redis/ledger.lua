-- Claims an account, and maintains its ledger, its pending lists and its head. `head.lua` precedes
-- it; `encode.rs` calls it, and `decode.rs` reads its answers.
--
-- An entry of the ledger is one of
--   h <fingerprint> <count> <token>   dispatched <count> times; the token is the last dispatch's
--   d <fingerprint> <event id>        done, answered by that event
--
-- KEYS  3, 4 pending lists (streams): cmd_hi, cmd_lo
--       5 quarantine (stream)
--       6, … the ledger entry (string) of each command
-- ARGV  1 'claim', 'repair', 'begin', 'leave', 'park', 'unpark', 'quarantine' or 'note'; then
--   claim  5 '1' if the pending lists are wanted
--   repair (take the head back from an epoch with a wrong code)
--          5 that epoch, 6 that code
--   begin  (admit commands)
--          5 how often a command may be dispatched
--          6, … fingerprint, token and intent of each command: 'again' to run an idempotent one,
--          'once' to run any other, 'refuse' to answer it without running it
--   leave  (undo dispatches)
--          5, … token of each dispatch
--   park   (push to the pending lists)
--          5, … of each command: number of its pending list's key, its id there, number of words
--          of its fields, and those words
--   unpark (remove from the pending lists)
--          5, … of each command: number of its pending list's key, its id there
--   quarantine (move entries that no owner has written out of the pending lists)
--          5, … of each entry: number of its pending list's key, its id there
--   note   (set fields of the head)
--          5, … fields and their values
--
-- Answers with one of
--   claimed <last> <opened> <its code> <logged_in> <its code> [<entries of 3> <entries of 4>]
--   begun …             for each command: go (proceed), conflict, handed (already dispatched),
--                       poison, or {done, its event if it is still in the log}
--   done                any other operation was applied
if operation == 'repair' then
  if known[1] == ARGV[5] and (known[4] or '') == ARGV[6] then set_head(last) end
  return {'done'}
end

if operation == 'claim' then
  set_head(last)
  keep(head, expiry)
  local answer = {'claimed', last}
  for _, field in ipairs({'opened', 'opened_mac', 'logged_in', 'logged_in_mac'}) do
    answer[#answer + 1] = redis.call('HGET', head, field) or ''
  end
  if ARGV[5] == '1' then
    for at = 3, 4 do
      keep(KEYS[at], expiry)
      answer[#answer + 1] = redis.call('XRANGE', KEYS[at], '-', '+')
    end
  end
  return answer
end

if last ~= before then return {'gap', last} end
if known[1] ~= epoch then
  set_head(last)
  keep(head, expiry)
end

-- Kind, fingerprint, count or event id, and token; nothing if no worker wrote the key.
local function read(key)
  local entry = redis.pcall('GET', key)
  if type(entry) == 'string' then return string.match(entry, '^(%a) (%x+) (%S+) ?(%S*)$') end
  if entry and string.sub(entry.err, 1, 9) ~= 'WRONGTYPE' then error(entry) end
end

local function set_dispatched(key, fingerprint, count, token)
  redis.call('SET', key, table.concat({'h', fingerprint, count, token}, ' '), 'EX', expiry)
end

local function admit(key, fingerprint, token, intent, most)
  local kind, its_fingerprint, value, its_token = read(key)
  if kind and its_fingerprint ~= fingerprint then return 'conflict' end
  if kind == 'd' then
    local entry = redis.call('XRANGE', log, value, value)[1]
    return {'done', entry and entry[2][2]}
  end
  if kind == 'h' then
    if its_token == token then return 'go' end
    if intent ~= 'again' then return 'handed' end
    if tonumber(value) >= most then return 'poison' end
  end
  if intent ~= 'refuse' then set_dispatched(key, fingerprint, (value or 0) + 1, token) end
  return 'go'
end

if operation == 'begin' then
  local answer, key = {'begun'}, 6
  for at = 6, #ARGV, 3 do
    answer[#answer + 1] = admit(KEYS[key], ARGV[at], ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[5]))
    key = key + 1
  end
  return answer
end

if operation == 'leave' then
  for at = 5, #ARGV do
    local key = KEYS[at + 1]
    local kind, fingerprint, count, token = read(key)
    if kind == 'h' and token == ARGV[at] then
      if count == '1' then
        redis.call('DEL', key)
      else
        set_dispatched(key, fingerprint, count - 1, '-')
      end
    end
  end
end

-- The fields of the head with the last position that each pending list was given.
local LAST_POSITION = {[3] = 'pending_hi', [4] = 'pending_lo'}

-- The stream's own end is no substitute: an entry that no worker wrote may be there. But whatever
-- was in a list that is gone is gone with it.
local function last_position(list)
  local top = end_of(KEYS[list])
  local position = as_id(redis.call('HGET', head, LAST_POSITION[list]))
  if position and not newer(position, top) then return position end
  return top
end

local function push(list, last, id, from, to)
  if not newer(id, end_of(list)) then rewrite(list, last) end
  redis.call('XADD', list, id, unpack(ARGV, from, to))
end

-- Writes a pending list again without its foreign entries, which go to the quarantine. They are
-- not only deleted: one with a high id would keep every later command out of the list.
local function set_aside(list, is_foreign)
  local entries = redis.call('XRANGE', list, '-', '+')
  for _, entry in ipairs(entries) do
    if is_foreign(entry[1]) then
      -- Its writer chose how many fields it has.
      local fields = {unpack(entry[2], 1, math.min(#entry[2], 32))}
      redis.call(
        'XADD', KEYS[5], 'MAXLEN', '~', 1000, '*', 'reason', 'written by no owner', 'list', list,
        'id', entry[1], unpack(fields)
      )
      keep(KEYS[5], expiry)
    end
  end
  redis.call('DEL', list)
  for _, entry in ipairs(entries) do
    if not is_foreign(entry[1]) then redis.call('XADD', list, entry[1], unpack(entry[2])) end
  end
  keep(list, expiry)
end

if operation == 'quarantine' then
  local foreign = {}
  for at = 5, #ARGV, 2 do
    local list = KEYS[tonumber(ARGV[at])]
    foreign[list] = foreign[list] or {}
    foreign[list][ARGV[at + 1]] = true
  end
  for list, ids in pairs(foreign) do set_aside(list, function(id) return ids[id] end) end
end

if operation == 'park' then
  local ends, at, key = {}, 5, 6
  while at <= #ARGV do
    local list, id, words = tonumber(ARGV[at]), ARGV[at + 1], tonumber(ARGV[at + 2])
    ends[list] = ends[list] or last_position(list)
    if newer(id, ends[list]) and read(KEYS[key]) ~= 'd' then
      push(KEYS[list], ends[list], id, at + 3, at + 2 + words)
      ends[list] = id
    end
    at, key = at + 3 + words, key + 1
  end
  for list, last in pairs(ends) do
    if last ~= '' then redis.call('HSET', head, LAST_POSITION[list], last) end
    keep(KEYS[list], expiry)
  end
end

if operation == 'unpark' then
  for at = 5, #ARGV, 2 do redis.call('XDEL', KEYS[tonumber(ARGV[at])], ARGV[at + 1]) end
end

if operation == 'note' then redis.call('HSET', head, unpack(ARGV, 5)) end
return {'done'}
