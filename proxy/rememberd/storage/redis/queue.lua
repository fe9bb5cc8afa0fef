-- The turn queue, one operation at a time; begins with prelude.lua.
--
-- turn:ID        hash: user scope created_at answered body seq, state (due leased settled dead), due, attempts, error,
--                owner; `version` counts the puts of an id and `claimed` is the version that was leased, so that a
--                turn put again meanwhile is not taken for processed; `answered` is 2 of what a model found in a turn
-- turns_of:USER  set of ids, in every state
-- line:USER      sorted set of ids by seq: due and leased ones; only its head is ever claimed
-- ready          sorted set of users by the seq of their line's head, which is due
-- waiting        sorted set of users by the time that their line's head comes due
-- lease          sorted set of ids by the end of their lease: leased and settled ones
-- born           sorted set of ids by created_at: due and leased ones; what a model found counts for no age
-- dead           sorted set of ids by seq
-- missing        set of ids: turns found missing since the last claim
-- seq            the last number given out;  paused and paused:USER are written by records.lua

local READY, WAITING, LEASE, AGES = key('ready'), key('waiting'), key('lease'), key('born')
local DEAD, SEQ, MISSING = key('dead'), key('seq'), key('missing')

-- Turns whose hash is gone although nobody here dropped it: Redis evicted it, or somebody deleted it.
local missing = 0
local function forget_missing(id, user)
  missing = missing + 1
  call('SADD', MISSING, id)
  call('DEL', key('turn', id))
  for _, set in ipairs({LEASE, AGES, DEAD}) do call('ZREM', set, id) end
  if user then
    call('ZREM', key('line', user), id)
    call('SREM', key('turns_of', user), id)
  end
end

-- Who is next of this user, and when.
local function schedule(user)
  call('ZREM', READY, user)
  call('ZREM', WAITING, user)
  local head, found
  repeat
    head = call('ZRANGE', key('line', user), 0, 0, 'WITHSCORES')
    if not head[1] then return end
    found = call('HMGET', key('turn', head[1]), 'state', 'due', 'body')
    if not found[3] then forget_missing(head[1], user) end
  until found[3]
  if found[1] ~= 'due' then return end
  if tonumber(found[2]) > now then
    call('ZADD', WAITING, found[2], user)
  else
    call('ZADD', READY, head[2], user)
  end
end

local function track_age(id)
  local at, answered = unpack(call('HMGET', key('turn', id), 'created_at', 'answered'))
  call('ZADD', AGES, answered == '2' and '+inf' or at, id)
end

local function make_due(id, due)
  local user, seq = unpack(call('HMGET', key('turn', id), 'user', 'seq'))
  if not user then return forget_missing(id) end
  call('HSET', key('turn', id), 'state', 'due', 'due', due, 'owner', '')
  call('ZREM', LEASE, id)
  call('ZREM', DEAD, id)
  call('ZADD', key('line', user), seq, id)
  track_age(id)
  schedule(user)
end

local function leave_line(id, user)
  call('ZREM', key('line', user), id)
  call('ZREM', AGES, id)
  schedule(user)
end

local function drop(id, user)
  call('DEL', key('turn', id))
  call('SREM', key('turns_of', user), id)
  call('ZREM', LEASE, id)
  call('ZREM', DEAD, id)
  leave_line(id, user)
end

-- Of a turn that this owner holds: its state and its user. Who lost a lease has no say in the turn any more.
local function held(id, owner)
  local state, holder, user = unpack(call('HMGET', key('turn', id), 'state', 'owner', 'user'))
  if holder == owner and (state == 'leased' or state == 'settled') then return state, user end
end

local function put_meanwhile(id)
  local claimed, version = unpack(call('HMGET', key('turn', id), 'claimed', 'version'))
  return tonumber(claimed) < tonumber(version)
end

-- Runs `done` on each turn that `owner` holds; one that was put again since it was claimed is due again instead.
local function finish(owner, first, done)
  for n = first, #ARGV do
    local id = ARGV[n]
    local state, user = held(id, owner)
    if state == 'leased' and put_meanwhile(id) then
      make_due(id, 0)
    elseif state then
      done(id, user)
    end
  end
end

function operations.put(id, user, scope, at, answered, body)
  if is_erased(user, at) then return 0 end
  -- What a model found was said before the pause.
  if answered ~= '2' and (call('SISMEMBER', key('paused'), user) == 1
    or call('SISMEMBER', key('paused', user), scope) == 1) then return 0 end
  local turn = key('turn', id)
  local state, had_answer = unpack(call('HMGET', turn, 'state', 'answered'))
  if not state then
    call('HSET', turn, 'user', user, 'scope', scope, 'seq', call('INCR', SEQ), 'due', 0, 'claimed', 0, 'error', '')
    call('SADD', key('turns_of', user), id)
  elseif had_answer == '1' and answered == '0' then
    return 1
  end
  call('HSET', turn, 'created_at', at, 'answered', answered, 'body', body, 'attempts', 0)
  call('HINCRBY', turn, 'version', 1)
  if state == 'leased' then
    track_age(id)
  else
    make_due(id, state == 'due' and call('HGET', turn, 'due') or 0)
  end
  return 1
end

function operations.claim(owner, lease_ms, limit)
  for _, id in ipairs(call('ZRANGEBYSCORE', LEASE, '-inf', now, 'LIMIT', 0, 1000)) do make_due(id, 0) end
  -- Whose turn had a lease and is missing, nobody knows any more: look at everybody's line. Seldom or never needed.
  if missing > 0 then
    for _, line in ipairs(call('KEYS', key('line', '*'))) do schedule(line:sub(#key('line', '') + 1)) end
  end
  for _, user in ipairs(call('ZRANGEBYSCORE', WAITING, '-inf', now, 'LIMIT', 0, 1000)) do schedule(user) end
  local claims = {}
  for _, user in ipairs(call('ZRANGE', READY, 0, limit - 1)) do
    schedule(user)
    if call('ZSCORE', READY, user) then
      local id = call('ZRANGE', key('line', user), 0, 0)[1]
      local body, attempts, version = unpack(call('HMGET', key('turn', id), 'body', 'attempts', 'version'))
      call('HSET', key('turn', id), 'state', 'leased', 'claimed', version, 'owner', owner)
      call('ZADD', LEASE, now + lease_ms, id)
      call('ZREM', READY, user)
      table.insert(claims, {body, tonumber(attempts)})
    end
  end
  return {take_missing(MISSING), claims}
end

function operations.renew(owner, lease_ms)
  for n = 5, #ARGV do
    if held(ARGV[n], owner) then call('ZADD', LEASE, now + lease_ms, ARGV[n]) end
  end
end

function operations.release(owner)
  local released = 0
  for n = 4, #ARGV do
    if held(ARGV[n], owner) then
      make_due(ARGV[n], 0)
      released = released + 1
    end
  end
  return released
end

function operations.settle(owner)
  finish(owner, 4, function(id, user)
    call('HSET', key('turn', id), 'state', 'settled')
    leave_line(id, user)
  end)
end

function operations.ack(owner)
  finish(owner, 4, drop)
end

function operations.retry(owner, delay_ms, error, id)
  if held(id, owner) ~= 'leased' then return end
  call('HINCRBY', key('turn', id), 'attempts', 1)
  call('HSET', key('turn', id), 'error', error)
  make_due(id, now + delay_ms)
end

function operations.defer(owner, delay_ms, id)
  if held(id, owner) == 'leased' then make_due(id, now + delay_ms) end
end

function operations.dead_letter(owner, error)
  finish(owner, 5, function(id, user)
    local turn = key('turn', id)
    call('HINCRBY', turn, 'attempts', 1)
    call('HSET', turn, 'state', 'dead', 'error', error, 'owner', '')
    call('ZREM', LEASE, id)
    call('ZADD', DEAD, call('HGET', turn, 'seq'), id)
    leave_line(id, user)
  end)
end

function operations.alive(id)
  return call('EXISTS', key('turn', id))
end

function operations.erase(user, at)
  mark_erased(user, at)
  local ids = call('SMEMBERS', key('turns_of', user))
  for _, id in ipairs(ids) do drop(id, user) end
  return #ids
end

function operations.erased(user, since)
  return is_erased(user, since) and 1 or 0
end

function operations.has_earlier(user, than)
  local head = call('ZRANGE', key('line', user), 0, 0)[1]
  local began = head and call('HGET', key('turn', head), 'created_at')
  return began and tonumber(began) < tonumber(than) and 1 or 0
end

function operations.stats()
  local oldest = call('ZRANGE', AGES, 0, 0, 'WITHSCORES')[2]
  return {call('ZCARD', AGES), oldest and math.max(0, now - oldest) or 0, call('ZCARD', DEAD)}
end

function operations.dead(limit)
  return dead_letters(DEAD, limit, key('turn', ''), 'user', 'scope', 'created_at', 'attempts', 'error')
end

function operations.replay()
  local ids = call('ZRANGE', DEAD, 0, -1)
  for _, id in ipairs(ids) do
    if call('EXISTS', key('turn', id)) == 1 then call('HSET', key('turn', id), 'attempts', 0) end
    make_due(id, 0)
  end
  return #ids - missing
end

return operations[ARGV[1]](unpack(ARGV, 3, math.min(#ARGV, 8)))
