-- API keys made while it runs, one operation at a time; begins with prelude.lua.
--
-- api_key:ID         hash: name, digest, principal, created_at, revoked_at (empty: in force); it is never deleted
-- api_keys           sorted set of ids by created_at
-- api_keys_version   what the last change called itself
-- api_keys_used      hash: digest -> when the key was last used; a use is no change

local ALL, VERSION, USED = key('api_keys'), key('api_keys_version'), key('api_keys_used')

-- The id of the key that has this id or name and is in force, or was revoked by this very call: its answer may have
-- been lost on the way, and it was sent again.
local function in_force(id, name, at)
  for _, each in ipairs(call('ZRANGE', ALL, 0, -1)) do
    local named, revoked_at = unpack(call('HMGET', key('api_key', each), 'name', 'revoked_at'))
    if (each == id or named == name) and (revoked_at == '' or revoked_at == at) then return each end
  end
end

function operations.add(id, name, digest, principal, created_at, revoked_at, version)
  if call('EXISTS', key('api_key', id)) == 1 then return 1 end
  if revoked_at == '' and in_force(nil, name) then return 0 end
  call('HSET', key('api_key', id), 'name', name, 'digest', digest, 'principal', principal, 'created_at', created_at,
    'revoked_at', revoked_at)
  call('ZADD', ALL, created_at, id)
  call('SET', VERSION, version)
  return 1
end

local function shown(id)
  local found = call('HMGET', key('api_key', id), 'digest', 'principal', 'created_at', 'revoked_at')
  return {id, found[1], found[2], found[3], found[4], call('HGET', USED, found[1]) or ''}
end

function operations.find(id_or_name, name)
  local id = in_force(id_or_name, name)
  return id and shown(id)
end

-- The old key keeps its id for a name, so that the new one can have its name.
function operations.rotate(id, old_principal, new_id, ...)
  if call('EXISTS', key('api_key', new_id)) == 1 then return 1 end
  if call('HGET', key('api_key', id), 'revoked_at') ~= '' then return 0 end
  call('HSET', key('api_key', id), 'name', id, 'principal', old_principal)
  return operations.add(new_id, ...)
end

function operations.record_uses(...)
  for at = 1, select('#', ...), 2 do
    local digest, used = select(at, ...)
    if tonumber(used) > tonumber(call('HGET', USED, digest) or 0) then call('HSET', USED, digest, used) end
  end
end

function operations.revoke(id_or_name, name, at, version)
  local id = in_force(id_or_name, name, at)
  if not id then return nil end
  call('HSET', key('api_key', id), 'revoked_at', at)
  call('SET', VERSION, version)
  return shown(id)
end

function operations.all()
  local found = {}
  for _, id in ipairs(call('ZRANGE', ALL, 0, -1)) do table.insert(found, shown(id)) end
  return found
end

function operations.version() return call('GET', VERSION) or '' end

return operations[ARGV[1]](unpack(ARGV, 3))
