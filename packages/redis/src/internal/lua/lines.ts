/**
 * Lines in Lua: the runs of one concurrency key and tag, of which so many at most may run at once.
 *
 * A run of a line is in a bucket that is of its line alone, where claims of others never come by. A claim looks at the
 * lines of its executor and tag in turn; one that nobody may have more of leaves the turn, until one of its runs ends.
 *
 * @since 0.1.0
 */
export const lines = String.raw`
-- lines -----------------------------------------------------------------------

-- Limit, concurrency key, executor and tag of a kind that has a key.
local function keyOf(kind) return match(kind, '^[^,]+,[^,]+,(%d+),([^\t]+)\t,([^\t]+)\t,(.+)$') end

local function lineOf(kind)
  local limit, key, _, tag = keyOf(kind)
  return limit and key .. '\t' .. tag
end

-- A bucket's version, limit, and executor and tag, where it is one of a line.
local function laneOf(b)
  local version, limit, executor, tag = match(b, '^([^:]+):(%d+),[^\t]+\t([^\t]+)\t(.+)$')
  return tonumber(version), tonumber(limit), executor .. ',' .. tag
end

-- Lets claims look at a line, behind all others of its executor and tag where it is not among them.
local turn
local function mark(name, line)
  turn = fresh(turn)
  call('ZADD', P .. ':lines:' .. name, 'NX', S(turn), line)
end

-- A run of a line has made room.
local function freed(line)
  for _, b in ipairs(call('ZRANGE', P .. ':lanes:' .. line, 0, -1)) do
    local _, _, name = laneOf(b)
    mark(name, line)
    broughtReady = true
  end
end
`
