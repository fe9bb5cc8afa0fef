-- Receipts, cached blocks, preferences and the memory tool's files, one operation at a time; begins with prelude.lua.
--
-- receipt:ID          hash: user scope at turn body write, written (ids, a line each)
-- receipts            sorted set of ids by time; receipts:USER the same of one user
-- receipts_of:TURN    set of ids
-- versions:USER       hash: v + scope to the space's version, f + scope to the version that an erasure led to: a block
--                     that was made before it is not taken in any more
-- blocks:USER         hash: block (scope and key) to version:value
-- frozen              sorted set of user and block by time
-- files:USER          hash: scope to version:body
-- apps:USER           hash: app to key, requests, first_at and last_at, a line each
-- app_rights:USER     hash: app to what it may do, if that is less than everything
-- owned:DIGEST        empty: an object that a provider stores for a user
-- groups              hash: name to members and rules; groups_version  what the last change called itself
-- paused              set of users, paused:USER set of scopes; the queue reads both
-- time_zones:USER     hash: scope to time zone

local RECEIPTS, FROZEN, PAUSED = key('receipts'), key('frozen'), key('paused')

-- Two texts as one, unambiguous whatever stands in them.
local function pair(first, second) return #first .. ':' .. first .. second end
local function apart(both)
  local length = both:match('^%d+')
  local from = #length + 2
  return both:sub(from, from + length - 1), both:sub(from + length)
end

local function drop_receipt(id)
  local user, turn = unpack(call('HMGET', key('receipt', id), 'user', 'turn'))
  call('DEL', key('receipt', id))
  call('ZREM', RECEIPTS, id)
  call('ZREM', key('receipts', user), id)
  call('SREM', key('receipts_of', turn), id)
end

function operations.put(id, user, scope, at, turn, body, write, written)
  if is_erased(user, at) then return 0 end
  if call('EXISTS', key('receipt', id)) == 1 then return 1 end
  call('HSET', key('receipt', id), 'user', user, 'scope', scope, 'turn', turn, 'body', body, 'write', write,
    'written', written)
  call('ZADD', RECEIPTS, at, id)
  call('ZADD', key('receipts', user), at, id)
  if turn ~= '' then call('SADD', key('receipts_of', turn), id) end
  return 1
end

-- A tool loop or a client's retry leaves several receipts of one turn; what was written belongs to all of them.
function operations.written(user, scope, id, outcome, ...)
  local turn = call('HGET', key('receipt', id), 'turn')
  local ids = turn and turn ~= '' and call('SMEMBERS', key('receipts_of', turn)) or {id}
  for _, each in ipairs(ids) do
    local owner, space, before = unpack(call('HMGET', key('receipt', each), 'user', 'scope', 'written'))
    if owner == user and space == scope then
      local lines, seen = {}, {}
      for line in before:gmatch('[^\n]+') do table.insert(lines, line) end
      for _, line in ipairs({...}) do table.insert(lines, line) end
      local together = {}
      for _, line in ipairs(lines) do
        if not seen[line] then table.insert(together, line) end
        seen[line] = true
      end
      call('HSET', key('receipt', each), 'write', outcome, 'written', table.concat(together, '\n'))
    end
  end
end

local function shown(id, user, scope)
  local owner, space, body, write, written =
    unpack(call('HMGET', key('receipt', id), 'user', 'scope', 'body', 'write', 'written'))
  if owner == user and space == scope then return {body, write, written} end
end

function operations.get(user, scope, id)
  return shown(id, user, scope)
end

-- Of answers given here, and of imported turns if these are asked for.
function operations.recent(user, scope, limit, imported)
  local found = {}
  for _, id in ipairs(call('ZREVRANGE', key('receipts', user), 0, -1)) do
    if #found >= tonumber(limit) then break end
    if imported == '1' or id:sub(1, 4) ~= 'imp_' then found[#found + 1] = shown(id, user, scope) end
  end
  return found
end

function operations.erase(user, at)
  mark_erased(user, at)
  local ids = call('ZRANGE', key('receipts', user), 0, -1)
  for _, id in ipairs(ids) do drop_receipt(id) end
  return #ids
end

function operations.expire(older_than)
  local ids = call('ZRANGEBYSCORE', RECEIPTS, '-inf', '(' .. older_than)
  for _, id in ipairs(ids) do drop_receipt(id) end
  return #ids
end

function operations.bump(user, scope)
  return call('HINCRBY', key('versions', user), 'v' .. scope, 1)
end

function operations.get_block(user, scope, name)
  local version = tonumber(call('HGET', key('versions', user), 'v' .. scope) or 0)
  return {version, call('HGET', key('blocks', user), pair(scope, name))}
end

function operations.versions(...)
  local spaces, found = {...}, {}
  for at = 1, #spaces, 2 do
    local version, floor = unpack(call('HMGET', key('versions', spaces[at]), 'v' .. spaces[at + 1], 'f' .. spaces[at + 1]))
    found[at], found[at + 1] = tonumber(version or 0), tonumber(floor or 0)
  end
  return found
end

-- Of two blocks of one version the first stands, unless it is the one that the new block replaces.
function operations.put_block(user, scope, name, version, value, at, replaces)
  local block = pair(scope, name)
  local floor = call('HGET', key('versions', user), 'f' .. scope) or 0
  if tonumber(version) < tonumber(floor) then return end
  local before = call('HGET', key('blocks', user), block)
  if before then
    local newer = tonumber(version) - tonumber(before:match('^%d+'))
    local made = tonumber(call('ZSCORE', FROZEN, pair(user, block)) or 0)
    if newer < 0 or (newer == 0 and made > tonumber(replaces)) then return end
  end
  call('HSET', key('blocks', user), block, version .. ':' .. value)
  call('ZADD', FROZEN, at, pair(user, block))
end

local function drop_block(user, block)
  call('HDEL', key('blocks', user), block)
  call('ZREM', FROZEN, pair(user, block))
end

function operations.erase_blocks(user)
  local versions = key('versions', user)
  for _, field in ipairs(call('HKEYS', versions)) do
    if field:sub(1, 1) == 'v' then
      call('HSET', versions, 'f' .. field:sub(2), call('HINCRBY', versions, field, 1))
    end
  end
  local blocks = call('HKEYS', key('blocks', user))
  for _, block in ipairs(blocks) do drop_block(user, block) end
  return #blocks
end

function operations.expire_blocks(older_than)
  local old = call('ZRANGEBYSCORE', FROZEN, '-inf', '(' .. older_than)
  for _, both in ipairs(old) do drop_block(apart(both)) end
  return #old
end

-- An empty scope is every scope.
function operations.preferences(user, scope)
  local own, general = unpack(call('HMGET', key('time_zones', user), scope, ''))
  return {math.max(call('SISMEMBER', PAUSED, user), call('SISMEMBER', key('paused', user), scope)), own or general}
end

function operations.pause(user, scope)
  if scope == '' then return call('SADD', PAUSED, user) end
  return call('SADD', key('paused', user), scope)
end

function operations.resume(user, scope)
  if scope ~= '' then return call('SREM', key('paused', user), scope) end
  call('DEL', key('paused', user))
  return call('SREM', PAUSED, user)
end

function operations.set_time_zone(user, scope, zone)
  if scope == '' then call('DEL', key('time_zones', user)) else call('HDEL', key('time_zones', user), scope) end
  if zone ~= '' then call('HSET', key('time_zones', user), scope, zone) end
end

function operations.get_files(user, scope) return call('HGET', key('files', user), scope) end

function operations.put_files(user, scope, version, body, at)
  if is_erased(user, at) then return 0 end
  local before = call('HGET', key('files', user), scope)
  if (before and before:match('^%d+') or '0') ~= version then return 0 end
  call('HSET', key('files', user), scope, (version + 1) .. ':' .. body)
  return 1
end

function operations.erase_files(user, at)
  mark_erased(user, at)
  return call('DEL', key('files', user))
end

function operations.app_rights(user, app) return call('HGET', key('app_rights', user), app) end

function operations.set_app(user, app, rights)
  if call('HEXISTS', key('apps', user), app) == 0 then return 0 end
  if rights == '' then call('HDEL', key('app_rights', user), app)
  else call('HSET', key('app_rights', user), app, rights) end
  return 1
end

local function seen(user, app)
  local row = call('HGET', key('apps', user), app)
  if not row then return end
  local name, requests, first, last = row:match('^(.*)\n(%d+)\n(%d+)\n(%d+)$')
  return name, tonumber(requests), tonumber(first), tonumber(last)
end

function operations.saw_apps(user, most, ...)
  local given = {...}
  for at = 1, #given, 5 do
    local app, name = given[at], given[at + 1]
    local requests, first, last = tonumber(given[at + 2]), tonumber(given[at + 3]), tonumber(given[at + 4])
    if not is_erased(user, first) then
      local known, before, began, ended = seen(user, app)
      if known then
        if ended > last then name, last = known, ended end
        requests, first = requests + before, math.min(first, began)
      end
      call('HSET', key('apps', user), app, string.format('%s\n%d\n%d\n%d', name, requests, first, last))
    end
  end
  while call('HLEN', key('apps', user)) > tonumber(most) do
    local oldest, at
    for _, app in ipairs(call('HKEYS', key('apps', user))) do
      local _, _, _, last = seen(user, app)
      if call('HEXISTS', key('app_rights', user), app) == 0 and (not at or last < at) then oldest, at = app, last end
    end
    if not oldest then return end
    call('HDEL', key('apps', user), oldest)
  end
end

function operations.apps(user) return {call('HGETALL', key('apps', user)), call('HGETALL', key('app_rights', user))} end

function operations.erase_apps(user, at)
  mark_erased(user, at)
  return call('DEL', key('apps', user), key('app_rights', user))
end

-- A change made again because its answer was lost finds that it was made, and changes nothing.
function operations.groups() return call('HGETALL', key('groups')) end
function operations.group(name) return call('HGET', key('groups'), name) end
function operations.groups_version() return call('GET', key('groups_version')) or '' end
function operations.swap_group(name, before, after, version)
  if (call('HGET', key('groups'), name) or '') ~= before then return 0 end
  if after == '' then call('HDEL', key('groups'), name) else call('HSET', key('groups'), name, after) end
  call('SET', key('groups_version'), version)
  return 1
end

function operations.own(digest, seconds) return call('SET', key('owned', digest), '', 'EX', seconds) end
function operations.owned(digest) return call('EXISTS', key('owned', digest)) end

return operations[ARGV[1]](unpack(ARGV, 3))
