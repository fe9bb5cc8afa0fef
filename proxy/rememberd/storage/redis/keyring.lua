-- The wrapped keys, one operation at a time; begins with prelude.lua.
--
-- keys     hash: owner to master:wrapped; the root's owner is empty
-- turned   0 or 1: are vectors turned by a secret rotation?

-- What only a Redis that was used without a master key has in it before there is a root.
local function in_clear_text()
  for _, name in ipairs({'seq', 'receipts', 'frozen', 'paused', 'erased', 'api_keys'}) do
    if call('EXISTS', key(name)) == 1 then return true end
  end
end

-- Without the root's key there is no keyring: it was evicted, deleted, or Redis was restored without it.
local function lost()
  return call('HEXISTS', key('keys'), '') == 0 and redis.error_reply('KEYRINGLOST the keyring is gone')
end

function operations.begin(root, turned, fresh)
  if call('HEXISTS', key('keys'), '') == 0 then
    if fresh == '0' or in_clear_text() then return nil end
    call('HSET', key('keys'), '', root)
    call('SET', key('turned'), turned)
  end
  return {call('HGET', key('keys'), ''), call('GET', key('turned'))}
end

function operations.get(owner)
  return lost() or call('HGET', key('keys'), owner)
end

function operations.get_or_add(owner, made)
  local error = lost()
  if error then return error end
  call('HSETNX', key('keys'), owner, made)
  return call('HGET', key('keys'), owner)
end

function operations.drop(owner) return call('HDEL', key('keys'), owner) end

-- Whose key was thrown away meanwhile must not have it back.
function operations.swap(owner, old, new)
  if call('HGET', key('keys'), owner) ~= old then return 0 end
  call('HSET', key('keys'), owner, new)
  return 1
end

function operations.begun() return call('EXISTS', key('keys')) end

return operations[ARGV[1]](unpack(ARGV, 3))
