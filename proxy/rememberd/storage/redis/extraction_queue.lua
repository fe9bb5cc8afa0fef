-- Turns that wait for a model, one operation at a time; begins with prelude.lua.
--
-- turn:ID         hash: user scope talk (scope and conversation) said added body, state (due asked dead done), attempts,
--                 error, owner, group; `read` is 1 once a model found something in it
-- turns_of:USER   set of ids, in every state
-- group:USER,NAME sorted set of ids by the time they were said: due ones that are read in one call. Those of a
--                 conversation are; read ones are one of their own, and so is each one that failed
-- rests:USER      sorted set of groups by the time until which they rest
-- since:USER      hash: group to the time at which the first turn that is in it was added
-- asked:USER      set of ids: the batch that is being read, one of a user at a time
-- ready           sorted set of users without one, by the time at which their first group has rested
-- lease           sorted set of users with one, by the end of its lease
-- waiting         set of ids: due and asked ones;  over  sorted set of ids over the budget by the time they were added
-- dead, done      sorted sets of ids by the time they became that
-- missing         set of ids: turns found missing since the last claim
-- spent:DAY       hash: user to tokens
-- The names of all of these begin with reading:.

local function key(...) return KEYS[1] .. 'reading:' .. table.concat({...}, ':') end
local READY, LEASE, WAITING, OVER = key('ready'), key('lease'), key('waiting'), key('over')
local DEAD, DONE, MISSING = key('dead'), key('done'), key('missing')
local DAY = 86400000

local function members(user, group) return key('group', #user, user, group) end

-- Who can be read next of this user, and when.
local function schedule(user)
  call('ZREM', READY, user)
  if call('ZSCORE', LEASE, user) then return end
  local head = call('ZRANGE', key('rests', user), 0, 0, 'WITHSCORES')
  if head[1] then call('ZADD', READY, head[2], user) end
end

local function leave_group(id, user, group)
  call('ZREM', members(user, group), id)
  if call('EXISTS', members(user, group)) == 0 then
    call('ZREM', key('rests', user), group)
    call('HDEL', key('since', user), group)
  end
end

-- Turns whose hash is gone although nobody here dropped it: Redis evicted it, or somebody deleted it.
local missing = 0
local function forget_missing(id)
  missing = missing + 1
  call('SADD', MISSING, id)
  call('DEL', key('turn', id))
  call('SREM', WAITING, id)
  for _, set in ipairs({OVER, DEAD, DONE}) do call('ZREM', set, id) end
end

-- It waits in its group, which rests until `due` at least.
local function wait(id, due)
  local user, talk, said, added, read, attempts =
    unpack(call('HMGET', key('turn', id), 'user', 'talk', 'said', 'added', 'read', 'attempts'))
  if not user then return forget_missing(id) end
  local group = attempts ~= '0' and 'alone ' .. id or read == '1' and 'read ' .. talk or talk
  call('HSET', key('turn', id), 'state', 'due', 'owner', '', 'group', group)
  call('ZADD', members(user, group), said, id)
  call('HSETNX', key('since', user), group, added)
  local before = tonumber(call('ZSCORE', key('rests', user), group) or 0)
  call('ZADD', key('rests', user), math.max(due, before), group)
  schedule(user)
end

-- No longer of the batch that is read; after the last one the next batch may be.
local function end_lease(id, user)
  call('SREM', key('asked', user), id)
  if call('EXISTS', key('asked', user)) == 0 then call('ZREM', LEASE, user) end
  schedule(user)
end

local function drop(id)
  local user, state, group = unpack(call('HMGET', key('turn', id), 'user', 'state', 'group'))
  if not user then return forget_missing(id) end
  if state == 'due' then leave_group(id, user, group) end
  call('DEL', key('turn', id))
  call('SREM', key('turns_of', user), id)
  call('SREM', WAITING, id)
  for _, set in ipairs({OVER, DEAD, DONE}) do call('ZREM', set, id) end
  end_lease(id, user)
end

local function finish(id, user)
  call('HDEL', key('turn', id), 'body', 'talk', 'group', 'scope', 'error', 'owner')
  call('HSET', key('turn', id), 'state', 'done')
  call('ZADD', DONE, now, id)
  call('SREM', WAITING, id)
  end_lease(id, user)
end

-- The user of a turn that this owner holds. Who lost a lease has no say in the turn any more.
local function held(id, owner)
  local state, holder, user = unpack(call('HMGET', key('turn', id), 'state', 'owner', 'user'))
  if state == 'asked' and holder == owner then return user end
end

-- Runs `ended` on each turn that `owner` holds. Returns of how many it said true.
local function each_held(owner, first, ended)
  local count = 0
  for n = first, #ARGV do
    local user = held(ARGV[n], owner)
    if user and ended(ARGV[n], user) then count = count + 1 end
  end
  return count
end

local function sweep(done_ms, give_up_ms)
  local old = call('ZRANGEBYSCORE', DONE, '-inf', '(' .. now - done_ms, 'LIMIT', 0, 1000)
  for _, id in ipairs(old) do drop(id) end
  for _, id in ipairs(call('ZRANGEBYSCORE', OVER, '-inf', '(' .. now - give_up_ms, 'LIMIT', 0, 1000)) do drop(id) end
end

function operations.add(id, user, scope, talk, said, began, body, idle_ms, longest_ms, done_ms, give_up_ms)
  if is_erased(user, began) then return end
  sweep(done_ms, give_up_ms)
  local turn = key('turn', id)
  local state, group = unpack(call('HMGET', turn, 'state', 'group'))
  if state and state ~= 'due' then return end
  if not state then
    call('HSET', turn, 'user', user, 'scope', scope, 'talk', talk, 'said', said, 'body', body, 'read', 0,
      'attempts', 0, 'error', '')
    call('SADD', key('turns_of', user), id)
    call('SADD', WAITING, id)
  end
  call('HSET', turn, 'added', now)
  local since = call('HGET', key('since', user), group or talk) or now
  wait(id, math.min(now + idle_ms, since + longest_ms))
end

function operations.claim(owner, lease_ms, most)
  for _, user in ipairs(call('ZRANGEBYSCORE', LEASE, '-inf', now, 'LIMIT', 0, 100)) do
    for _, id in ipairs(call('SMEMBERS', key('asked', user))) do
      wait(id, 0)
      end_lease(id, user)
    end
  end
  local user = call('ZRANGEBYSCORE', READY, '-inf', now, 'LIMIT', 0, 1)[1]
  if not user then return {take_missing(MISSING), {}} end
  local group = call('ZRANGE', key('rests', user), 0, 0)[1]
  local bodies = {}
  for _, id in ipairs(call('ZRANGE', members(user, group), 0, most - 1)) do
    local body = call('HGET', key('turn', id), 'body')
    leave_group(id, user, group)
    if body then
      call('HSET', key('turn', id), 'state', 'asked', 'owner', owner)
      call('SADD', key('asked', user), id)
      call('ZREM', OVER, id)
      table.insert(bodies, body)
    else
      call('SREM', key('turns_of', user), id)
      forget_missing(id)
    end
  end
  if #bodies > 0 then call('ZADD', LEASE, now + lease_ms, user) end
  schedule(user)
  return {take_missing(MISSING), bodies}
end

function operations.renew(owner, lease_ms)
  each_held(owner, 5, function(_, user) call('ZADD', LEASE, now + lease_ms, user) end)
end

function operations.keep(owner)
  for n = 4, #ARGV, 2 do
    local id, body = ARGV[n], ARGV[n + 1]
    local user = held(id, owner)
    if user and body == '' then
      finish(id, user)
    elseif user then
      call('HSET', key('turn', id), 'read', 1, 'body', body)
    end
  end
end

function operations.done(owner)
  each_held(owner, 4, finish)
end

function operations.fail(owner, error, delay_ms, most)
  return each_held(owner, 7, function(id, user)
    local turn = key('turn', id)
    local attempts = call('HINCRBY', turn, 'attempts', 1)
    call('HSET', turn, 'error', error)
    local dead = attempts >= tonumber(most)
    if dead then
      call('HSET', turn, 'state', 'dead')
      call('ZADD', DEAD, now, id)
      call('SREM', WAITING, id)
    else
      wait(id, now + delay_ms * 2 ^ (attempts - 1))
    end
    end_lease(id, user)
    return dead
  end)
end

function operations.postpone(owner, delay_ms, outcome)
  each_held(owner, 6, function(id, user)
    call('HSET', key('turn', id), 'error', outcome)
    if outcome == 'over_budget' then call('ZADD', OVER, call('HGET', key('turn', id), 'added'), id) end
    wait(id, now + delay_ms)
    end_lease(id, user)
  end)
end

function operations.release(owner)
  return each_held(owner, 4, function(id, user)
    wait(id, 0)
    end_lease(id, user)
    return true
  end)
end

function operations.spent(user)
  local tokens = call('HGET', key('spent', math.floor(now / DAY)), user)
  return {tonumber(tokens or 0), DAY - now % DAY}
end

function operations.spend(user, tokens)
  local today = key('spent', math.floor(now / DAY))
  call('HINCRBY', today, user, tokens)
  call('PEXPIRE', today, 2 * DAY)
end

function operations.erase(user, at)
  mark_erased(user, at)
  for _, id in ipairs(call('SMEMBERS', key('turns_of', user))) do drop(id) end
end

function operations.stats()
  local tokens = 0
  for _, each in ipairs(call('HVALS', key('spent', math.floor(now / DAY)))) do tokens = tokens + each end
  return {call('SCARD', WAITING), call('ZCARD', DEAD), tokens}
end

function operations.dead(limit)
  return dead_letters(DEAD, limit, key('turn', ''), 'user', 'scope', 'said', 'attempts', 'error')
end

function operations.replay()
  local ids = call('ZRANGE', DEAD, 0, -1)
  for _, id in ipairs(ids) do
    call('ZREM', DEAD, id)
    call('SADD', WAITING, id)
    if call('EXISTS', key('turn', id)) == 1 then call('HSET', key('turn', id), 'attempts', 0) end
    wait(id, 0)
  end
  return #ids - missing
end

return operations[ARGV[1]](unpack(ARGV, 3, math.min(#ARGV, 13)))
