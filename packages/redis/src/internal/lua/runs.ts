/**
 * Runs in Lua: their texts, the indexes their states belong to, and what becomes of them.
 *
 * @since 0.1.0
 */
export const runs = String.raw`
-- runs ------------------------------------------------------------------------

-- Lines of a record: what changes while it is open; what does not; its kind; its owner; why to stop; its exit.
local RUN = '^%["(%a+)",(%a+),(%a+),([^,]+),([^,]+),([^,]+,[^,]+,[^,]+,[^,]+),([^,]+),\n([^\n]+),\n([^\n]+),\n([^\n]+),\n([^\n]+),\n([^\n]+)%]$'

-- A number, so that it sorts as one.
local function place(n) return string.char(64 + #n) .. n end
local function numberAt(text) return sub(text, 2) end

local function runName(g, n) return P .. ':r:' .. g .. ':' .. n end

-- A run, or nothing where somebody has damaged its record: that one is passed over.
local function parseRun(t, key, n, text)
  local state, held, queues, tok, lease, past, ended, fixed, kind, owner, cancel, exit = match(text, RUN)
  if not state then return nil end
  return {
    t = t, key = key, number = n, text = text, state = state, held = held, queues = queues, token = tok, lease = lease,
    past = past, ended = ended, fixed = fixed, kind = kind, owner = owner, cancel = cancel, exit = exit
  }
end

local function runText(r)
  if not r.text then
    r.text = '["' .. r.state .. '",' .. r.held .. ',' .. r.queues .. ',' .. r.token .. ',' .. r.lease .. ',' .. r.past ..
      ',' .. r.ended .. ',\n' .. r.fixed .. ',\n' .. r.kind .. ',\n' .. r.owner .. ',\n' .. r.cancel .. ',\n' .. r.exit .. ']'
  end
  return r.text
end

-- What does not change: whether its attempt may begin only once, how many of its task may be active, when it is due.
local function facts(r) return match(r.fixed, '^(%a+),([^,]+),([^,]+),') end

local function slotsOf(r)
  local _, slots = facts(r)
  return tonumber(slots)
end

local function dueOf(r)
  local _, _, due = facts(r)
  return due
end

-- When its attempt began, how many there were, how many leases were lost, when it may be claimed.
local function past(r) return match(r.past, '^([^,]+),([^,]+),([^,]+),(.*)$') end

local function setPast(r, started, attempt, takeovers, readyAt)
  r.past = started .. ',' .. attempt .. ',' .. takeovers .. ',' .. readyAt
end

local function readyAtOf(r) return match(r.past, '[^,]+$') end

-- Whether this is the last text of a line.
local function isOf(line, text) return sub(line, -#text - 1) == ',' .. text end

-- Open runs, by generation and key, and their tasks, at once.
local function fetchRuns(gs, keys)
  fetch(gs)
  local unread, names = {}, {}
  for i, g in ipairs(gs) do
    local t = tasks[g]
    local n = t and numberOf(t, keys[i])
    if n and t.runs[n] == nil then
      t.runs[n] = false
      unread[#unread + 1] = { t, keys[i], n }
      names[#names + 1] = runName(g, n)
    end
  end
  for i, text in ipairs(texts(names)) do
    local t, key, n = unread[i][1], unread[i][2], unread[i][3]
    t.runs[n] = text and parseRun(t, key, n, text) or false
  end
end

local function openRun(t, key)
  local n = numberOf(t, key)
  if not n then return nil end
  if t.runs[n] == nil then fetchRuns({ t.g }, { key }) end
  return t.runs[n] or nil
end

local function byRunDue(x, y)
  local a, b = tonumber(dueOf(x)), tonumber(dueOf(y))
  if a ~= b then return a < b end
  return below(x.key, y.key)
end

-- Open runs, by due, then key.
local function opens(t)
  local list, gs = {}, {}
  if t.l == '' and not t.open then return list end
  local keys = opening(t)
  for i = 1, #keys do gs[i] = t.g end
  fetchRuns(gs, keys)
  for _, key in ipairs(keys) do list[#list + 1] = openRun(t, key) end
  table.sort(list, byRunDue)
  return list
end

local function touch(r)
  if r.text then dirtyRuns[#dirtyRuns + 1] = r end
  r.text = false
end

-- The latest ended run of a key, if there is one.
local function endedRun(t, key)
  local numbers = endedNumbers(t)
  for from = 1, #numbers, 50 do
    local names = {}
    for i = from, math.min(from + 49, #numbers) do names[#names + 1] = runName(t.g, S(numbers[i])) end
    for i, text in ipairs(texts(names)) do
      local n = S(numbers[from + i - 1])
      -- one that this script has ended is not written yet
      local r = t.runs[n] or text and parseRun(t, key, n, text)
      if r and isOf(r.fixed, key) then return r end
    end
  end
end

-- Ready runs -------------------------------------------------------------------

local NOW
local seen = {}

local function claimOrder(r)
  return ord(-tonumber(match(r.kind, '^[^,]+,([^,]+),'))) .. ord(tonumber(dueOf(r))) .. r.t.g .. r.key
end

local function seenOf(b)
  if seen[b] == nil then seen[b] = tonumber(call('HGET', P .. ':seen', b)) or false end
  return seen[b]
end

-- Makes what may be claimed at now what is in the order of claims.
local function see(b, now)
  local upTo = seenOf(b)
  if upTo == now then return end
  flush()
  for member in scores('later:' .. b, '(' .. S(math.min(upTo, now)), S(math.max(upTo, now)), 500) do
    if now > upTo then add('ready:' .. b, member) else rem('ready:' .. b, member) end
  end
  flush()
  seen[b] = now
  call('HSET', P .. ':seen', b, S(now))
end

-- version, and executor and tag; of a run with a key limit and key too, and its line
local function bucket(r)
  local limit, key, executor, tag = keyOf(r.kind)
  local version, name = match(r.kind, '^([^,]+),[^,]+,(.*)$')
  if not limit then return version .. ':' .. name, version, name end
  return version .. ':' .. limit .. ',' .. key .. '\t' .. executor .. '\t' .. tag, version, executor .. ',' .. tag,
    key .. '\t' .. tag
end

-- Puts an open run where its state belongs.
local function link(r)
  if r.state == 'running' then
    add('leases', r.t.g .. r.key, r.lease)
    local line = lineOf(r.kind)
    if line then add('busy:' .. line, r.t.g .. r.key) end
  elseif r.state == 'ready' and r.held == 'false' then
    local readyAtText = readyAtOf(r)
    local readyAt = tonumber(readyAtText)
    local b, version, name, line = bucket(r)
    if not seenOf(b) then
      seen[b] = readyAt
      call('HSET', P .. ':seen', b, readyAtText)
      if line then
        add('lanes:' .. line, b)
        add('versions:' .. name, version .. 'k', version)
      else add('versions:' .. name, version, version) end
    elseif NOW and readyAt <= NOW and readyAt > seenOf(b) then see(b, NOW) end
    local order = claimOrder(r)
    add('later:' .. b, order, readyAtText)
    if readyAt <= seenOf(b) then add('ready:' .. b, order) end
    if line then
      local all = version .. ':' .. name
      add('apart:' .. all, line .. '\n' .. r.t.g .. r.key, readyAtText)
      if not NOW or readyAt <= NOW or readyAt <= (seenOf('k' .. all) or -FAR) then mark(name, line) end
    end
  end
end

-- Takes an open run out of where its state belonged; before its state, hold, kind or instants change.
local function unlink(r)
  if r.state == 'running' then
    rem('leases', r.t.g .. r.key)
    local line = lineOf(r.kind)
    if line then
      rem('busy:' .. line, r.t.g .. r.key)
      freed(line)
    end
  elseif r.state == 'ready' and r.held == 'false' then
    local b, version, name, line = bucket(r)
    local order = claimOrder(r)
    rem('later:' .. b, order)
    rem('ready:' .. b, order)
    if line then rem('apart:' .. version .. ':' .. name, line .. '\n' .. r.t.g .. r.key) end
  end
end

-- runs of a task --------------------------------------------------------------

local function own(r, once, owner, lease, now)
  r.state, r.token, r.owner, r.lease = 'running', nextToken(), owner, lease
  local attempt, rest = match(r.past, '^[^,]+,([^,]+)(.*)$')
  r.past = (once == 'true' and 'null' or now) .. ',' .. S(tonumber(attempt) + 1) .. rest
  touch(r)
end

-- The owner that an entry names, or the same as of the one before.
local lastOwner = ''
local function takeOwner()
  local owner = take()
  if owner ~= '=' then lastOwner = owner end
  return lastOwner
end

-- A run as clients send it; and where it is claimed, by whom and until when.
local function arriving(t, head)
  local state, held, queues, attempts, lease = match(head, '^%a+,(%a+),(%a+),(%a+),([^,]+,[^,]+,[^,]+),(.*)$')
  local key, fixed = take(), take()
  return {
    t = t, key = key, number = '', text = '', state = state, held = held, queues = queues, token = 'null', lease = 'null',
    past = 'null,' .. attempts, ended = 'null', fixed = fixed, kind = t.k, owner = 'null', cancel = 'null', exit = 'null'
  }, lease ~= '' and takeOwner() or '', lease
end

-- Opens a run; answers it.
local function create(r, owner, lease, now)
  local t = r.t
  r.kind = t.k
  r.number = opened(t, r.key)
  t.runs[r.number] = r
  touch(r)
  local once, _, due = facts(r)
  if r.state == 'ready' then
    if owner ~= '' and not keyOf(t.k) then own(r, once, owner, lease, now)
    elseif r.held == 'false' then broughtReady = true end
  end
  link(r)
  add('runs', t.g .. place(r.number), due)
  return r
end

-- Takes a run from among the open ones.
local function close(r)
  unlink(r)
  closed(r.t, r.key)
end

local function dropRun(r)
  close(r)
  records[runName(r.t.g, r.number)] = false
  rem('runs', r.t.g .. place(r.number))
end

local function hold(r, held)
  if r.held == held then return end
  unlink(r)
  r.held = held
  touch(r)
  link(r)
  if held == 'false' and r.state == 'ready' then broughtReady = true end
end

-- waiting or running to ready; what became of its task's kind meanwhile is its own from here on
local function ready(r)
  unlink(r)
  r.state, r.lease, r.kind = 'ready', 'null', r.t.k
  touch(r)
  link(r)
  if r.held == 'false' then broughtReady = true end
end

-- running to ready; held while its task is paused
local function back(r)
  if sub(r.t.c, 1, 10) == '["paused",' then
    unlink(r)
    r.held = 'true'
    revise(r.t)
  end
  ready(r)
end

-- from open to history
local function finish(r, state, now)
  close(r)
  addEnd(r.t, r.number)
  r.state, r.lease, r.ended = state, 'null', now
  touch(r)
  add('ended', r.t.g .. place(r.number), now)
end

local function cancelRun(r, reason, now)
  r.cancel, r.token = reason, 'null'
  finish(r, 'cancelled', now)
end

-- Forgets an ended run.
local function dropEnded(t, number)
  records[runName(t.g, number)] = false
  rem('ended', t.g .. place(number))
  rem('runs', t.g .. place(number))
end

-- Drops what has ended before the latest keep.
local function bound(t, keep)
  -- most often there is one, or none
  if keep > 0 and not t.ended and match(t.h, '^%d*$') then return end
  local list, most = ending(t), -keep
  for _, segment in ipairs(list) do most = most + sizeOf(segment) end
  while most > 0 do
    local first = list[1]
    local count = math.min(most, sizeOf(first))
    if first[1] then
      for n = first[1], first[1] + count - 1 do dropEnded(t, S(n)) end
      first[1] = first[1] + count
    else first[2] = first[2] - count end
    if sizeOf(first) == 0 then table.remove(list, 1) end
    most = most - count
    changed(t)
  end
  while list[1] and not list[1][1] do table.remove(list, 1) end
end

local function active(t)
  local count = 0
  for _, r in ipairs(opens(t)) do if r.state ~= 'waiting' then count = count + 1 end end
  return count
end

-- Makes the waiting run that is due first ready, if there is room for it; answers whether it did.
local function promote(t)
  local waiting
  for _, r in ipairs(opens(t)) do
    if r.state == 'waiting' then waiting = r break end
  end
  if not waiting or active(t) >= slotsOf(waiting) then return false end
  ready(waiting)
  return true
end

local function endAttempt(r, state, now, keep)
  local t = r.t
  finish(r, state, now)
  bound(t, keep)
  if r.queues == 'true' and not t.removed then
    revise(t)
    promote(t)
  end
end

-- The run of a reference, while it is this owner's.
local function owned(g, key, tok, owner)
  local t = load(g)
  local r = t and openRun(t, key)
  if r and r.state == 'running' and r.token == tok and r.owner == owner then return r end
end

-- What a batch is of comes before all else, so that it is read at once: generations, one after another in one text.
local function takeGenerations()
  local text, gs = take(), {}
  for i = 1, #text / 16 do gs[i] = sub(text, 16 * i - 15, 16 * i) end
  return gs
end

-- The keys of its runs.
local function takeKeys(count)
  local keys = {}
  for i = 1, count do keys[i] = ARGV[at + i] end
  at = at + count
  return keys
end

-- References, with their runs read; their tokens come next.
local function takeRefs()
  local gs = takeGenerations()
  local keys = takeKeys(#gs)
  fetchRuns(gs, keys)
  return gs, keys
end

local function ask(r, reason)
  if r.cancel ~= 'null' then return end
  r.cancel = reason
  touch(r)
  broughtCancel = true
end
`
