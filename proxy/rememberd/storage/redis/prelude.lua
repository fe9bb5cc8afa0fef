-- What every script begins with. KEYS[1] is the prefix of all keys; ARGV = operation, now, values…

local call = redis.call
local operations = {}
local function key(...) return KEYS[1] .. table.concat({...}, ':') end

-- In milliseconds; it is Redis that tells the time, unless the caller does.
local now = tonumber(ARGV[2])
if not now then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

-- erased   hash: user to the time of the last erasure; what began then or before does not come in
local ERASED = key('erased')

local function is_erased(user, began)
  local at = call('HGET', ERASED, user)
  return at and tonumber(at) >= tonumber(began)
end

local function mark_erased(user, at)
  if not is_erased(user, at) then call('HSET', ERASED, user, at) end
end

-- How many turns were found missing since this was asked last; `set` has their ids.
local function take_missing(set)
  local count = call('SCARD', set)
  call('DEL', set)
  return count
end

-- The first `limit` turns of the sorted set `dead`, each a hash named `turn` and its id, with these fields of it.
local function dead_letters(dead, limit, turn, ...)
  local letters = {}
  for _, id in ipairs(call('ZRANGE', dead, 0, limit - 1)) do
    local fields = call('HMGET', turn .. id, ...)
    if fields[1] then table.insert(letters, {id, unpack(fields)}) end
  end
  return letters
end
