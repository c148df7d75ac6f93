/**
 * Tasks that come and go, verdicts on them, what scripts answer, and the end of every script in Lua.
 *
 * @since 0.1.0
 */
export const answers = String.raw`
-- tasks and their indexes -----------------------------------------------------

local function setZone(t, rules)
  if t.z == rules then return end
  if t.z ~= '' then rem('zoned', t.z .. '\0' .. t.g) end
  write(t, 'z', rules)
  if rules ~= '' then add('zoned', rules .. '\0' .. t.g) end
end

local ids, noIds = {}, {}

-- A task as clients send it: its texts are finished, unless it comes with runs. Answers its generation.
local function addTask(id)
  local g = nextGeneration()
  local created, due, zoned, events, runs = match(take(), '^([^,]+),([^,]+),(%d),(%d),(%d+)$')
  local text = take()
  records[P .. ':t:' .. g], records[P .. ':d:' .. g] = text, take()
  ids[id], noIds[id] = g, nil
  add('ids', id)
  add('due', g, due)
  add('created', g, created)
  if zoned == '1' then add('zoned', parseTask(g, text).z .. '\0' .. g) end
  if events == '1' then add('events', g) end
  brings(due)
  if runs ~= '0' then
    local t = parseTask(g, text)
    tasks[g] = t
    changed(t)
    for _ = 1, tonumber(runs) do
      local r = arriving(t, take())
      if not openRun(t, r.key) then create(r, '', '', created) end
    end
  end
  return g
end

local function gone(t) return #t.z .. ':' .. t.z .. t.g end

local function removeTask(t, id, now)
  for _, r in ipairs(opens(t)) do
    if r.state ~= 'running' then cancelRun(r, '"removed"', now) end
  end
  call('DEL', P .. ':q:' .. t.g)
  rem('q', t.g)
  ids[id], noIds[id] = nil, true
  rem('ids', id)
  rem('due', t.g)
  rem('created', t.g)
  rem('events', t.g)
  setZone(t, '')
  t.removed, t.k, t.p, t.c, t.z = true, '', '', '', id
  changed(t)
  records[P .. ':d:' .. t.g] = false
  add('gone', gone(t))
end

-- verdicts --------------------------------------------------------------------

local judged
local function hides(g, reader)
  if judged == nil then judged = call('EXISTS', P .. ':q') == 1 end
  return judged and call('HEXISTS', P .. ':q:' .. g, reader) == 1
end

-- answers ---------------------------------------------------------------------

-- Tasks as stored: generation, text and definition, each nothing where there is none.
local function rows(gs)
  local names, answer = {}, {}
  for i, g in ipairs(gs) do names[2 * i - 1], names[2 * i] = P .. ':t:' .. g, P .. ':d:' .. g end
  local found = texts(names)
  for i, g in ipairs(gs) do answer[i] = { g, found[2 * i - 1], found[2 * i] } end
  return answer
end

-- The same with their open runs, those left out that are not there: for scripts that change neither.
local function withRuns(gs)
  local answer, names, whose = {}, {}, {}
  for _, each in ipairs(rows(gs)) do
    if each[2] then
      answer[#answer + 1] = each
      local l = match(each[2], '^[^\n]*\n([^\n]*)')
      if l and l ~= '' then
        for n in string.gmatch(l, '(%d+)[^\t]+') do
          names[#names + 1] = runName(each[1], n)
          whose[#names] = each
        end
      end
    end
  end
  for i, text in ipairs(texts(names)) do
    local each = whose[i]
    each[#each + 1] = text or ''
  end
  return answer
end

-- Writes what changed, tells listeners, and answers.
local function done(answer)
  local set, del = {}, {}
  local function put(name, text)
    local n = #set
    if n >= 2000 then
      call('MSET', unpack(set))
      set, n = {}, 0
    end
    set[n + 1], set[n + 2] = name, text
  end
  for _, t in ipairs(dirtyTasks) do
    local text = taskText(t)
    -- nothing is left of it but its id
    if t.removed and match(text, '^,%d+,\n\n') then
      records[P .. ':t:' .. t.g] = false
      rem('gone', gone(t))
    else
      records[P .. ':t:' .. t.g] = nil
      put(P .. ':t:' .. t.g, text)
    end
  end
  for _, r in ipairs(dirtyRuns) do
    local name = runName(r.t.g, r.number)
    if records[name] ~= false then put(name, runText(r)) end
  end
  for name, text in pairs(records) do
    if text then put(name, text)
    else
      del[#del + 1] = name
      if #del >= 2000 then
        call('DEL', unpack(del))
        del = {}
      end
    end
  end
  if #set > 0 then call('MSET', unpack(set)) end
  if #del > 0 then call('DEL', unpack(del)) end
  if next(ids) then
    set = {}
    for id, g in pairs(ids) do set[#set + 1] = id set[#set + 1] = g end
    call('HSET', P .. ':id', unpack(set))
  end
  if next(noIds) then
    del = {}
    for id in pairs(noIds) do del[#del + 1] = id end
    call('HDEL', P .. ':id', unpack(del))
  end
  flush()
  local known, wake = tonumber(meta[5]), false
  local due = broughtDue and (not known or broughtDue < known) and broughtDue or nil
  if due then wrote.known = S(due) end
  if due or broughtReady or broughtCancel then
    wrote.wake = S(fresh(tonumber(meta[6])))
    wake = { wrote.wake, meta[6] or '', due and S(due) or '', broughtReady and 1 or 0, broughtCancel and 1 or 0 }
    call('PUBLISH', P .. ':wake', cjson.encode({ ARGV[1], wake }))
  end
  if next(wrote) then
    if not meta[1] then
      wrote.schema, wrote.writer = S(SCHEMA), S(SCHEMA)
    end
    local fields = {}
    for name, value in pairs(wrote) do fields[#fields + 1] = name fields[#fields + 1] = value end
    call('HSET', P, unpack(fields))
  end
  return { answer, wake }
end
`
