/**
 * Tasks in Lua: their texts, their open runs, and the order in which their runs have ended.
 *
 * What a script needs of many tasks it reads in one command (`fetch`, `fetchRuns`) and writes in one (`answers.ts`).
 *
 * @since 0.1.0
 */
export const tasks = String.raw`
-- tasks -----------------------------------------------------------------------

-- What has been read of tasks: open are the keys of open runs in their order, and their numbers by key; ended the
-- history, as segments of numbers in the order of their ends, or of holes; runs, by number, what has been read of them.
-- Tables have all their fields from the beginning, since Lua lays one out anew when it grows; and at most 16 of them, since
-- it doubles them.

local tasks = {}

-- Tasks and runs whose texts are to be made and written, then texts to write, or false, by key.
local dirtyTasks, dirtyRuns, records = {}, {}, {}

local TASK = '^(%d*),(%d+),([%dx;%-]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n(.*)$'

-- A task, or nothing where somebody has damaged its record.
local function parseTask(g, text)
  local r, n, h, l, k, p, c, z = match(text, TASK)
  if not r then return nil end
  return {
    g = g, r = tonumber(r), n = n, h = h, l = l, k = k, p = p, c = c, z = z, d = false, removed = r == '', dirty = false,
    open = false, ended = false, runs = {}
  }
end

-- It is written in the end.
local function changed(t)
  if t.dirty then return end
  t.dirty = true
  dirtyTasks[#dirtyTasks + 1] = t
end

-- Reads many keys.
local function texts(names)
  if #names <= 2000 then return #names > 0 and call('MGET', unpack(names)) or {} end
  local all = {}
  for from = 1, #names, 2000 do
    for _, text in ipairs(call('MGET', unpack(names, from, math.min(from + 1999, #names)))) do all[#all + 1] = text end
  end
  return all
end

-- Tasks, removed ones included, at once.
local function fetch(gs)
  local unread, names = {}, {}
  for _, g in ipairs(gs) do
    if tasks[g] == nil then
      tasks[g] = false
      unread[#unread + 1] = g
      names[#names + 1] = P .. ':t:' .. g
    end
  end
  for i, text in ipairs(texts(names)) do
    local t = text and parseTask(unread[i], text)
    if t then tasks[t.g] = t end
  end
end

local function load(g)
  if tasks[g] == nil then fetch({ g }) end
  return tasks[g] or nil
end

local function living(g)
  local t = load(g)
  if t and not t.removed then return t end
end

local function write(t, name, value)
  t[name] = value
  changed(t)
end

-- Its definition, as it will be.
local function definition(t)
  if not t.d then t.d = call('GET', P .. ':d:' .. t.g) end
  return t.d
end

local function define(t, value)
  t.d = value
  records[P .. ':d:' .. t.g] = value
end

-- one more than it has, or than it had
local function revise(t, had)
  t.r = math.max((had or t.r) + 1, leastRevision())
  changed(t)
end

-- open runs of a task ---------------------------------------------------------

local function opening(t)
  if not t.open then
    local open = {}
    if t.l ~= '' then
      for n, key in string.gmatch(t.l, '(%d+)([^\t]+)') do open[#open + 1], open[key] = key, n end
    end
    t.open = open
  end
  return t.open
end

local function numberOf(t, key)
  if t.l == '' and not t.open then return nil end
  return opening(t)[key]
end

-- Gives an open run its number.
local function opened(t, key)
  t.n = S(tonumber(t.n) + 1)
  if t.l == '' and not t.open then t.open = { key, [key] = t.n }
  else
    local open = opening(t)
    open[#open + 1], open[key] = key, t.n
  end
  changed(t)
  return t.n
end

local function closed(t, key)
  local open = opening(t)
  open[key] = nil
  for i, other in ipairs(open) do
    if other == key then table.remove(open, i) break end
  end
  changed(t)
end

-- history of a task -----------------------------------------------------------

-- Segments: from, to; or how many holes. Numbers that are pruned out of their order leave holes, so that those that end
-- later drop the same numbers as if nothing had been pruned.
local function ending(t)
  if not t.ended then
    t.ended = {}
    for text in string.gmatch(t.h, '[^;]+') do
      local holes, from, to = match(text, '^(x?)(%d+)%-?(%d*)$')
      t.ended[#t.ended + 1] = holes == '' and { tonumber(from), tonumber(to) or tonumber(from) } or
        { false, tonumber(from) }
    end
  end
  return t.ended
end

local function sizeOf(segment) return segment[1] and segment[2] - segment[1] + 1 or segment[2] end

local function addEnd(t, number)
  changed(t)
  if t.h == '' and not t.ended then t.h = number return end
  local list, n = ending(t), tonumber(number)
  local last = list[#list]
  if last and last[1] and last[2] + 1 == n then last[2] = n else list[#list + 1] = { n, n } end
end

-- Makes one of its numbers a hole.
local function digEnd(t, n)
  local list = {}
  local function push(from, to)
    local last = list[#list]
    if from and from > to then return end
    if from then list[#list + 1] = { from, to }
    elseif last and not last[1] then last[2] = last[2] + to
    elseif last then list[#list + 1] = { false, to } end -- before all others it is none
  end
  for _, segment in ipairs(ending(t)) do
    local from, to = segment[1], segment[2]
    if from and from <= n and n <= to then
      push(from, n - 1)
      push(false, 1)
      push(n + 1, to)
    else push(from, to) end
  end
  t.ended = list
  changed(t)
end

-- The ended runs' numbers, the last ones first.
local function endedNumbers(t)
  local numbers, list = {}, ending(t)
  for i = #list, 1, -1 do
    local from, to = list[i][1], list[i][2]
    if from then for n = to, from, -1 do numbers[#numbers + 1] = n end end
  end
  return numbers
end

local function taskText(t)
  local l, h = t.l, t.h
  if t.open then
    local open = t.open
    if #open == 0 then l = ''
    elseif #open == 1 then l = open[open[1]] .. open[1]
    else
      local list = {}
      for i, key in ipairs(open) do list[i] = open[key] .. key end
      l = table.concat(list, '\t')
    end
  end
  if t.ended then
    local list = {}
    for i, segment in ipairs(t.ended) do
      local from, to = segment[1], segment[2]
      list[i] = not from and ('x' .. S(to)) or from == to and S(from) or (S(from) .. '-' .. S(to))
    end
    h = table.concat(list, ';')
  end
  return (t.removed and '' or S(t.r)) .. ',' .. t.n .. ',' .. h .. '\n' .. l .. '\n' .. t.k .. '\n' .. t.p .. '\n' .. t.c ..
    '\n' .. t.z
end
`
