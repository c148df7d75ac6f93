/**
 * Indexes in Lua: sorted sets, whose changes are gathered and written together.
 *
 * @since 0.1.0
 */
export const indexes = String.raw`
-- indexes ---------------------------------------------------------------------

-- Changes in their order, in segments of one index and one command: what an index has to gain, or to lose.
local pending, latest = {}, {}

local function segment(index, command)
  local list = latest[index]
  if not list or list.command ~= command or #list >= 2000 then
    list = { command = command, index = index }
    latest[index] = list
    pending[#pending + 1] = list
  end
  return list
end

local function add(index, member, score)
  local list = segment(index, 'ZADD')
  local n = #list
  list[n + 1], list[n + 2] = score or '0', member
end

local function rem(index, member)
  local list = segment(index, 'ZREM')
  list[#list + 1] = member
end

local function flush()
  for _, list in ipairs(pending) do call(list.command, P .. ':' .. list.index, unpack(list)) end
  pending, latest = {}, {}
end

-- Members page by page, each told before it is walked; what a script changes is not yet among them.
local function pages(size, read, tell)
  local page, i, offset = nil, 0, 0
  return function()
    if page and i >= #page and #page < size then return nil end
    if not page or i >= #page then
      offset = offset + (page and #page or 0)
      page, i = read(offset, size, page and page[#page]), 0
      if tell then tell(page) end
    end
    i = i + 1
    return page[i]
  end
end

-- places, from one to another
local function walk(index, from, to, size)
  local key = P .. ':' .. index
  return pages(size, function(_, count, last)
    return call('ZRANGEBYLEX', key, last and ('(' .. last) or from, to, 'LIMIT', 0, count)
  end)
end

-- scores, from one to another
local function scores(index, from, to, size, tell)
  local key = P .. ':' .. index
  return pages(size, function(offset, count)
    return call('ZRANGEBYSCORE', key, from, to, 'LIMIT', offset, count)
  end, tell)
end

-- The lowest score from one on, and its member.
local function firstScore(index, from)
  local found = call('ZRANGEBYSCORE', P .. ':' .. index, from, '(+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  return tonumber(found[2]), found[1]
end

-- How many members of an index come before a place in it, which none may be at.
local function rank(index, score, member)
  local key = P .. ':' .. index
  local low = call('ZCOUNT', key, '-inf', '(' .. score)
  local high = low + call('ZCOUNT', key, score, score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if below(call('ZRANGE', key, middle, middle)[1], member) then low = middle + 1 else high = middle end
  end
  return low
end

-- Members after a place, or before it where descending, with their scores.
local function beyond(index, place, descending, count)
  local key = P .. ':' .. index
  if not descending then
    local from = place and rank(index, place.score, place.member) or 0
    if place and call('ZRANGE', key, from, from)[1] == place.member then from = from + 1 end
    return call('ZRANGE', key, from, from + count - 1, 'WITHSCORES')
  end
  local to = place and rank(index, place.score, place.member) or call('ZCARD', key)
  local found = {}
  if to > 0 then found = call('ZRANGE', key, math.max(0, to - count), to - 1, 'WITHSCORES') end
  local turned = {}
  for i = #found - 1, 1, -2 do
    turned[#turned + 1] = found[i]
    turned[#turned + 1] = found[i + 1]
  end
  return turned
end
`
