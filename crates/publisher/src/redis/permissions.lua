-- Which of these commands the user may not run. Runs none of them.
--
-- ARGV  commands, words separated by spaces
--
-- Answers with those that are refused.
local refused = {}
for _, command in ipairs(ARGV) do
  local words = {}
  for word in string.gmatch(command, '%S+') do words[#words + 1] = word end
  if not redis.acl_check_cmd(unpack(words)) then refused[#refused + 1] = command end
end
return refused
