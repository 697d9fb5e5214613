-- The script that claims an account, keeps its ledger and fills its pending lists.
--
-- An entry of the ledger is one of
--   h <digest> <count> <token>   handed over so often; the token is the last hand-over's
--   d <digest> <event id>        done, by that event
--
-- KEYS  3, 4 pending lists (streams): cmd_hi, cmd_lo
--       5, … the ledger entry (string) of each command
-- ARGV  1 'claim', 'begin', 'leave', 'park', 'unpark' or 'note'; then
--   claim  5 '1' when the pending lists are wanted
--   begin  5 how often a command is handed over at most
--          6, … digest, token and purpose of each command: 'again' to run it, which may be done
--          more than once, 'once' to run it, 'refuse' to answer it unrun
--   leave  5, … token of each hand-over that is taken back
--   park   5, … of each command: number of its pending list's key, its id there, how many words of
--          fields follow, and those
--   unpark 5, … number of each pending list's key, and the id there
--   note   5, … fields of the head and their values
--
-- Answers with one of
--   claimed <last> <opened> <logged_in> [<entries of 3> <entries of 4>]
--   begun …             for each command: go, conflict, handed, poison, or {done, its event if the
--                       log has it}
--   done                left, parked, taken out or noted
if act == 'claim' then
  redis.call('HSET', head, 'epoch', epoch, 'last', last)
  keep(head, expiry)
  local said = redis.call('HMGET', head, 'opened', 'logged_in')
  local answer = {'claimed', last, said[1] or '', said[2] or ''}
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
  redis.call('HSET', head, 'epoch', epoch, 'last', last)
  keep(head, expiry)
end

-- Kind, digest, count or event id, and token.
local function read(key)
  local entry = redis.call('GET', key)
  if entry then return string.match(entry, '^(%a) (%x+) (%S+) ?(%S*)$') end
end

local function hand_over(key, digest, count, token)
  redis.call('SET', key, table.concat({'h', digest, count, token}, ' '), 'EX', expiry)
end

local function begin(key, digest, token, purpose, most)
  local kind, its_digest, value, its_token = read(key)
  if kind and its_digest ~= digest then return 'conflict' end
  if kind == 'd' then
    local entry = redis.call('XRANGE', log, value, value)[1]
    return {'done', entry and entry[2][2]}
  end
  if kind == 'h' then
    if its_token == token then return 'go' end
    if purpose ~= 'again' then return 'handed' end
    if tonumber(value) >= most then return 'poison' end
  end
  if purpose ~= 'refuse' then hand_over(key, digest, (value or 0) + 1, token) end
  return 'go'
end

if act == 'begin' then
  local answer, key = {'begun'}, 5
  for at = 6, #ARGV, 3 do
    answer[#answer + 1] = begin(KEYS[key], ARGV[at], ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[5]))
    key = key + 1
  end
  return answer
end

if act == 'leave' then
  for at = 5, #ARGV do
    local kind, digest, count, token = read(KEYS[at])
    if kind == 'h' and token == ARGV[at] then
      if count == '1' then
        redis.call('DEL', KEYS[at])
      else
        hand_over(KEYS[at], digest, count - 1, '-')
      end
    end
  end
end

local function end_of(list)
  if redis.call('EXISTS', list) == 0 then return '' end
  local info = redis.call('XINFO', 'STREAM', list)
  for at = 1, #info, 2 do
    if info[at] == 'last-generated-id' then return info[at + 1] end
  end
end

if act == 'park' then
  local ends, at, key = {}, 5, 5
  while at <= #ARGV do
    local list, id, words = KEYS[tonumber(ARGV[at])], ARGV[at + 1], tonumber(ARGV[at + 2])
    ends[list] = ends[list] or end_of(list)
    if newer(id, ends[list]) and read(KEYS[key]) ~= 'd' then
      redis.call('XADD', list, id, unpack(ARGV, at + 3, at + 2 + words))
      ends[list] = id
    end
    at, key = at + 3 + words, key + 1
  end
  for list in pairs(ends) do keep(list, expiry) end
end

if act == 'unpark' then
  for at = 5, #ARGV, 2 do redis.call('XDEL', KEYS[tonumber(ARGV[at])], ARGV[at + 1]) end
end

if act == 'note' then redis.call('HSET', head, unpack(ARGV, 5)) end
return {'done'}
