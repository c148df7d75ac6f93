/**
 * The scripts: one per operation of the port, each one atomic step over a batch.
 *
 * They read as `MemoryTaskStore` does, which says the same in the language of the port. Their arguments are texts one
 * after another, as `records.ts` writes them: what a batch has of each entry follows a count of the entries.
 *
 * @since 0.1.0
 */
import * as Redis from "effect/persistence/Redis"
import { plausibleLease } from "punctual/TaskStore"
import { library } from "./library.ts"

const script = (body: string) =>
  Redis.script((prefix: string, sender: string, ...args: ReadonlyArray<string>) => [prefix, sender, ...args], {
    lua: library + body,
    numberOfKeys: 1
  }).withReturnType<unknown>()

export const scripts = {
  /** Says which schema is there, and writes ours where there is none; from here on it is known which run of the server it is. */
  open: script(String.raw`
if not meta[1] then
  wrote.schema = S(SCHEMA)
end
leastRevision()
return done(meta[2] or S(SCHEMA))
`),

  /** First all ids, so that they are looked up at once. */
  insert: script(String.raw`
local names, answer, twins, found = {}, {}, {}, {}
for i = 1, int() do names[i] = take() end
local existing = call('HMGET', P .. ':id', unpack(names))
for i, id in ipairs(names) do
  local size = int()
  local g = existing[i]
  if g or ids[id] then
    at = at + size
    twins[#twins + 1] = { i, g or ids[id] }
  else
    NOW = tonumber(match(ARGV[at + 1], '^[^,]+'))
    answer[i] = addTask(id)
  end
end
for i, twin in ipairs(twins) do found[i] = twin[2] end
for i, row in ipairs(rows(found)) do
  -- one of this very batch is not written yet
  answer[twins[i][1]] = row[2] and row or { row[1], records[P .. ':t:' .. row[1]], records[P .. ':d:' .. row[1]] }
end
return done(answer)
`),

  get: script(String.raw`
local names, gs = {}, {}
for i = 1, int() do names[i] = take() end
for _, g in ipairs(call('HMGET', P .. ':id', unpack(names))) do
  if g then gs[#gs + 1] = g end
end
return done(withRuns(gs))
`),

  due: script(String.raw`
local now, limit, reader, rules, patience = int(), int(), take(), take(), int()
local patient, gs = now - patience, {}
local top = call('ZRANGE', P .. ':zoned', -1, -1)[1]
local newest = top and sub(top, 1, -18) or ''
local newer = below(rules, newest)
local function left(g)
  local t = load(g)
  local due = tonumber(call('ZSCORE', P .. ':due', g))
  return t and due and due > patient and t.z ~= '' and below(rules, t.z)
end
if limit > 0 then
  for g in scores('due', '-inf', S(now), math.min(limit, 500)) do
    if not hides(g, reader) and not (newer and left(g)) then
      gs[#gs + 1] = g
      if #gs >= limit then break end
    end
  end
end
local nextDue = firstScore('due', '(' .. S(now))
if newer then
  for g in scores('due', '(' .. S(patient), S(now), 100) do
    if left(g) then
      local due = tonumber(call('ZSCORE', P .. ':due', g)) + patience
      if not nextDue or due < nextDue then nextDue = due end
      break
    end
  end
end
local known = tonumber(meta[5])
if known and (not nextDue or nextDue > known) then
  if nextDue then wrote.known = S(nextDue) else call('HDEL', P, 'known') end
end
return done({ withRuns(gs), nextDue and S(nextDue) or '' })
`),

  outdated: script(String.raw`
local limit, reader, rules, gs = int(), take(), take(), {}
if limit > 0 then
  for member in walk('zoned', '-', '+', math.min(limit, 500)) do
    if not below(sub(member, 1, -18), rules) then break end
    local g = sub(member, -16)
    if not hides(g, reader) then
      gs[#gs + 1] = g
      if #gs >= limit then break end
    end
  end
end
return done(withRuns(gs))
`),

  /** Of each change its size, so that one that conflicts is passed over. */
  commit: script(String.raw`
-- Of each text a letter says what it sets.
local function set(t, names, due)
  local kind = false
  for i = 1, #names do
    local name, value = sub(names, i, i), take()
    if name == 'z' then setZone(t, value)
    elseif name == 't' then add('created', t.g, value)
    elseif name == 'v' then
      if value == '1' then add('events', t.g) else rem('events', t.g) end
    elseif name == 'd' then define(t, value)
    else
      if name == 'k' then kind = t.k ~= value end
      write(t, name, value)
    end
  end
  if kind then
    for _, r in ipairs(opens(t)) do
      if r.state ~= 'running' then
        unlink(r)
        r.kind = t.k
        touch(r)
        link(r)
      end
    end
  end
  if due ~= '' then
    add('due', t.g, due)
    brings(due)
  end
end

-- Whether a run must wait for those that this change has asked to stop; then their ends look for it.
local function waits(r, made)
  if not made.asked or active(r.t) < slotsOf(r) then return false end
  for _, other in ipairs(made.asked) do
    other.queues = 'true'
    touch(other)
  end
  return true
end

local function isAmong(list, one)
  for _, each in ipairs(list) do if each == one then return true end end
  return false
end

local function apply(t, now, made)
  local head = take()
  local what = match(head, '^%a+')
  if what == 'Create' then
    local r, owner, lease = arriving(t, head)
    if r.state == 'waiting' then made.waits = true end
    if openRun(t, r.key) then return end
    if r.state == 'ready' and waits(r, made) then
      r.state = 'waiting'
      made.waits = true
    end
    create(r, owner, lease, now)
    if r.state == 'running' then made.told[#made.told + 1] = r end
    return
  end
  local key, reason = take(), what == 'Cancel' and take()
  local r = openRun(t, key)
  if not r then return end
  if what == 'Drop' then
    if r.state == 'waiting' then dropRun(r) end
  elseif what == 'Cancel' then
    if r.state ~= 'running' then cancelRun(r, reason, now)
    else
      if not isAmong(made.told, r) then
        made.asked = made.asked or {}
        made.asked[#made.asked + 1] = r
      end
      ask(r, reason)
    end
  elseif what == 'Promote' then
    if r.state == 'waiting' and not waits(r, made) then ready(r) end
  elseif r.state ~= 'running' then hold(r, what == 'Hold' and 'true' or 'false') end
end

-- After a run was created that waits: whatever is open looks for it when it ends, and it waits for nothing else.
local function queue(t)
  local waiting = false
  local list = opens(t)
  for _, r in ipairs(list) do if r.state == 'waiting' then waiting = true end end
  if not waiting then return end
  for _, r in ipairs(list) do
    if r.queues == 'false' then
      r.queues = 'true'
      touch(r)
    end
  end
  while promote(t) do end
end

local gs, answer = takeGenerations(), {}
fetch(gs)
for i, g in ipairs(gs) do
  local revision, now, size, sets, runs, known, due = match(take(), '^(%d+),([^,]+),(%d+),(%a*),(%d+)(k?),(.*)$')
  local t = tasks[g]
  revision = tonumber(revision)
  if not t or t.removed or t.r ~= revision then
    answer[i] = ''
    at = at + tonumber(size)
  else
    NOW = tonumber(now)
    revise(t)
    local removed = sets == 'remove'
    -- its revision, where that is not the next one; what it has claimed, as it is after this change, whatever a later one of
    -- the batch does; what it has asked to stop; whether it has created runs that wait
    local told = {}
    if t.r ~= revision + 1 then told[1] = t.r end
    if not removed then set(t, sets, due) end
    local made = { told = told, asked = false, waits = false }
    for _ = 1, tonumber(runs) do apply(t, now, made) end
    if not removed then
      if made.waits then queue(t) end
    else
      local id = take()
      removeTask(t, id, now)
      if take() == 'replace' then addTask(id) end
    end
    -- the only one, of which all but its token is known, is not told again
    if known ~= '' and #told == 1 and type(told[1]) == 'table' then answer[i] = told[1].token
    else
      for k, r in ipairs(told) do if type(r) == 'table' then told[k] = runText(r) end end
      answer[i] = #told == 1 and type(told[1]) == 'string' and told[1] or told
    end
  end
end
return done(answer)
`),

  claim: script(String.raw`
local now, owner, lease, limit, reader = take(), take(), take(), int(), take()
NOW = tonumber(now)
local nextAt, picked, order = nil, {}, {}
local slots, keyed = {}, false

local function sooner(at)
  if at and (not nextAt or at < nextAt) then nextAt = at end
end

-- Lets the lines be looked at that have runs whose time has come since a claim last asked.
local function ripen(name, version)
  local all = version .. ':' .. name
  local upTo = seenOf('k' .. all) or -FAR
  if NOW > upTo then
    for member in scores('apart:' .. all, '(' .. S(upTo), now, 500) do mark(name, match(member, '^[^\n]+')) end
    seen['k' .. all] = NOW
    call('HSET', P .. ':seen', 'k' .. all, now)
  end
  sooner(firstScore('apart:' .. all, '(' .. now))
end

for _ = 1, int() do
  local name, version, most = take(), take(), int()
  local slot = { left = most, cursors = {}, name = name, version = tonumber(version), keyed = false, full = {} }
  slot.size = math.max(1, math.min(most, limit, 200))
  for _, version in ipairs(call('ZRANGEBYSCORE', P .. ':versions:' .. name, '-inf', version)) do
    if sub(version, -1) == 'k' then
      slot.keyed, keyed = true, true
      ripen(name, sub(version, 1, -2))
    else
      local b = version .. ':' .. name
      see(b, NOW)
      sooner(firstScore('later:' .. b, '(' .. now))
      slot.cursors[#slot.cursors + 1] = { next = walk('ready:' .. b, '-', '+', slot.size) }
    end
  end
  slots[#slots + 1] = slot
end

-- Lines that were looked at, by what runs in them; with what is picked.
local busy, visited = {}, {}

-- Looks at lines of a slot, in turn, until as many may begin as are asked for; answers whether there were any.
local function visit(slot)
  if not slot.keyed or slot.left <= 0 then return false end
  slot.lines = slot.lines or pages(slot.size, function(offset, count)
    return call('ZRANGE', P .. ':lines:' .. slot.name, offset, offset + count - 1)
  end)
  local some, promising = false, 0
  while promising < math.min(slot.left, limit) do
    local line = slot.lines()
    if not line then return some end
    some = true
    visited[#visited + 1] = { name = slot.name, line = line }
    busy[line] = busy[line] or call('ZCARD', P .. ':busy:' .. line)
    for _, b in ipairs(call('ZRANGE', P .. ':lanes:' .. line, 0, -1)) do
      local version, most, name = laneOf(b)
      if name == slot.name and version <= slot.version then
        see(b, NOW)
        local cursor = { next = walk('ready:' .. b, '-', '+', math.min(slot.size, most)), line = line, limit = most }
        cursor.head = cursor.next() or false
        if cursor.head and busy[line] < most then promising = promising + 1 end
        slot.cursors[#slot.cursors + 1] = cursor
      end
    end
  end
  return some
end

-- the first of several versions and lines
local function pick(slot)
  local best
  for _, cursor in ipairs(slot.cursors) do
    if slot.full[cursor.line] then cursor.head = false
    elseif cursor.head == nil then cursor.head = cursor.next() or false end
    if cursor.head and (not best or below(cursor.head, best.head)) then best = cursor end
  end
  if not best then return nil end
  local member = best.head
  best.head = nil
  return member, best
end

-- A task that cannot be read, found by its generation.
local function condemn(g)
  local verdict = '["",' .. S(tonumber(g)) .. ',' .. cjson.encode(reader) .. ',"its record is damaged",' .. now .. ']'
  call('HSET', P .. ':q:' .. g, reader, verdict)
  add('q', g)
  judged = true
end

local function runAt(g, key)
  local t = load(g)
  return t and openRun(t, key)
end

-- Up to so many, round robin. One of a line is read at once: whether it can be says how much room it leaves there.
local function pickAll(count)
  local gs, keys, from = {}, {}, {}
  local going = slots
  while #going > 0 and #gs < count do
    local rest = {}
    for _, slot in ipairs(going) do
      if slot.left > 0 and #gs < count then
        for member, cursor in function() return pick(slot) end do
          local g, key, line = sub(member, 35, 50), sub(member, 51), cursor.line
          if not picked[g .. key] and not hides(g, reader) then
            if line and busy[line] >= cursor.limit then slot.full[line] = true
            else
              picked[g .. key] = true
              if line and not runAt(g, key) then condemn(g)
              else
                if line then busy[line] = busy[line] + 1 end
                gs[#gs + 1], keys[#gs + 1], from[#gs + 1] = g, key, slot
                slot.left = slot.left - 1
                rest[#rest + 1] = slot
                break
              end
            end
          end
        end
      end
    end
    going = rest
  end
  return gs, keys, from
end

-- Lines are looked at as long as there is room for more of them; what cannot be read makes room for others.
repeat
  local more = false
  if keyed and limit > 0 then
    for _, slot in ipairs(slots) do more = visit(slot) or more end
  end
  repeat
    local gs, keys, from = pickAll(limit - #order)
    fetchRuns(gs, keys)
    for i, g in ipairs(gs) do
      local r = runAt(g, keys[i])
      if r then order[#order + 1] = r
      else
        from[i].left = from[i].left + 1
        condemn(g)
      end
    end
  until #gs == 0
until not more or #order >= limit

local gs = {}
for i, r in ipairs(order) do gs[i] = r.t.g end
local answer = rows(gs)
for i, r in ipairs(order) do
  unlink(r)
  own(r, (facts(r)), owner, lease, now)
  link(r)
  answer[i][4] = runText(r)
end

-- Lines that nobody may have more of are not looked at again until that changes; the others come behind all.
if #visited > 0 then flush() end
for _, each in ipairs(visited) do
  local stays = false
  for _, b in ipairs(call('ZRANGE', P .. ':lanes:' .. each.line, 0, -1)) do
    local version, most, name = laneOf(b)
    local first = firstScore('later:' .. b, '-inf')
    if not first then
      call('ZREM', P .. ':lanes:' .. each.line, b)
      call('HDEL', P .. ':seen', b)
    elseif name == each.name and busy[each.line] < most and first <= (seenOf('k' .. S(version) .. ':' .. name) or -FAR) then
      stays = true
    end
  end
  turn = fresh(turn)
  if stays then call('ZADD', P .. ':lines:' .. each.name, S(turn), each.line)
  else call('ZREM', P .. ':lines:' .. each.name, each.line) end
end
return done({ answer, nextAt and S(nextAt) or '' })
`),

  start: script(String.raw`
local now, owner, answer = take(), take(), {}
local gs, keys = takeRefs()
for i, g in ipairs(gs) do
  local r = owned(g, keys[i], take(), owner)
  answer[i] = r and 1 or 0
  if r then
    local started, attempt, takeovers, readyAt = past(r)
    if started == 'null' then
      setPast(r, now, attempt, takeovers, readyAt)
      touch(r)
    end
  end
end
return done(answer)
`),

  settle: script(String.raw`
local function told(result, state)
  return result ~= 'End' and state == 'cancelled' and 'Cancelled' or 'Settled'
end

-- What became of a run that this very token settled: takeovers make it void, claims give another one.
local function before(g, key, tok, owner, result)
  local t = load(g)
  if not t then return 'Stale' end
  local r = openRun(t, key) or endedRun(t, key)
  if r and r.state ~= 'running' and r.token == tok and r.owner == owner then return told(result, r.state) end
  return 'Stale'
end

-- Parts of where a task stands; see fields.ts.
local CLOCK = '^%["(%a+)",([^,]+),([^,]+),([^,]+),([^,]+),([^,]+),([^,]+),([^\t]*),\t([^\t]*),\t([^\t]*)%]$'

local function settleTask(t, key, failures, missed, pauseAt, note, now)
  local failed, rest = match(t.p, '^([^,]+),(.*)$')
  if failures == 'reset' then failed = '0' elseif failures == 'increment' then failed = S(tonumber(failed) + 1) end
  local pauses = pauseAt ~= '' and tonumber(failed) >= tonumber(pauseAt)
  -- counted since another trigger was bound: what was before is not in these numbers
  local instant = missed == '1' and tonumber(match(key, '^"(-?%d+)"$') or '')
  if instant and instant <= tonumber(match(definition(t), '([^,]+)%]$')) then missed = '0' end
  if missed == '1' or pauses then
    local state, cursor, due, nominal, override, ran, missing, counters, zone, ranges = match(t.c, CLOCK)
    if missed == '1' then ran, missing = S(tonumber(ran) - 1), S(tonumber(missing) + 1) end
    pauses = pauses and state ~= 'paused' and state ~= 'finished'
    if pauses then state, due, nominal, zone, rest = 'paused', 'null', 'null', 'null', now .. ',' .. note end
    write(t, 'c', '["' .. state .. '",' .. cursor .. ',' .. due .. ',' .. nominal .. ',' .. override .. ',' .. ran .. ',' ..
      missing .. ',' .. counters .. ',\t' .. zone .. ',\t' .. ranges .. ']')
  end
  write(t, 'p', failed .. ',' .. rest)
  if pauses then
    setZone(t, '')
    add('due', t.g, '+inf')
    for _, r in ipairs(opens(t)) do
      if r.state ~= 'running' then hold(r, 'true') end
    end
  end
end

local keep, gs, answer = int(), takeGenerations(), {}
local keys = takeKeys(#gs)
fetchRuns(gs, keys)
for i, g in ipairs(gs) do
  local tok, now, result, state, failures, missed, pauseAt =
    match(take(), '^([^,]+),([^,]+),(%a+),([^,]*),(%a*),(%d?),(%d*)$')
  local key, owner, exit, note = keys[i], takeOwner(), take(), pauseAt ~= '' and take()
  local r = owned(g, key, tok, owner)
  if not r then answer[i] = before(g, key, tok, owner, result)
  else
    NOW = tonumber(now)
    local t = r.t
    local revision = t.r
    touch(r)
    if result ~= 'Release' then r.exit = exit end
    if result == 'End' then endAttempt(r, state, now, keep)
    else
      local started, attempt, takeovers, readyAt = past(r)
      if result == 'Release' then attempt = S(tonumber(attempt) - 1) end
      local again = r.cancel == 'null' and not t.removed
      setPast(r, started, attempt, takeovers, again and state ~= '' and state or readyAt)
      if again then back(r) else endAttempt(r, 'cancelled', now, keep) end
    end
    if failures ~= '' and not t.removed then
      settleTask(t, key, failures, missed, pauseAt, note, now)
      revise(t, revision)
    end
    answer[i] = told(result, r.state)
  end
end
return done(answer)
`),

  heartbeat: script(String.raw`
local owner, lease, answer = take(), take(), {}
local to = tonumber(lease)
local gs, keys = takeRefs()
for i, g in ipairs(gs) do
  local r = owned(g, keys[i], take(), owner)
  if not r then answer[i] = { 0, '' }
  else
    local current = tonumber(r.lease)
    if not (current and current > to and current - to < ${plausibleLease}) then
      r.lease = lease
      touch(r)
      link(r)
    end
    answer[i] = { 1, r.cancel }
  end
end
return done(answer)
`),

  cancel: script(String.raw`
local answer = {}
for i = 1, int() do
  local g, key, reason = take(), take(), take()
  local t = load(g)
  local r = t and openRun(t, key)
  if r and r.state == 'running' then
    ask(r, reason)
    answer[i] = 1
  else answer[i] = 0 end
end
return done(answer)
`),

  takeover: script(String.raw`
local now, limit, most, keep, answer = take(), int(), int(), int(), {}
NOW = tonumber(now)
-- How long a damaged record is left alone.
local DAMAGED = 60000
local function read(page)
  local gs, keys = {}, {}
  for i, member in ipairs(page) do gs[i], keys[i] = sub(member, 1, 16), sub(member, 17) end
  fetchRuns(gs, keys)
end
for member in scores('leases', '-inf', now, math.max(limit, 100), read) do
  if #answer >= limit then break end
  local g, key = sub(member, 1, 16), sub(member, 17)
  local t = load(g)
  local r = t and openRun(t, key)
  if r then
    local started, attempt, lost, readyAt = past(r)
    lost = tonumber(lost) + 1
    setPast(r, started, attempt, S(lost), readyAt)
    touch(r)
    local became = 'ready'
    if r.cancel ~= 'null' then became = 'cancelled'
    elseif lost >= most or t.removed or (facts(r) == 'true' and started ~= 'null') then
      became = 'abandoned'
    end
    r.token = 'null'
    if became == 'ready' then back(r) else endAttempt(r, became, now, keep) end
    answer[#answer + 1] = { g, runText(r), became }
  else
    -- Damaged: it keeps nobody from running, and is looked at again, since it may be restored.
    add('leases', member, S(NOW + DAMAGED))
    local line = t and lineOf(t.k)
    if line then
      rem('busy:' .. line, member)
      freed(line)
    end
  end
end
flush()
local nextAt = firstScore('leases', '-inf')
return done({ answer, nextAt and S(nextAt) or '' })
`),

  prune: script(String.raw`
local before, limit = take(), int()
local members, gs = call('ZRANGEBYSCORE', P .. ':ended', '-inf', '(' .. before, 'LIMIT', 0, limit), {}
for i, member in ipairs(members) do gs[i] = sub(member, 1, 16) end
fetch(gs)
for i, member in ipairs(members) do
  local t, number = load(gs[i]), numberAt(sub(member, 17))
  if t then
    digEnd(t, tonumber(number))
    dropEnded(t, number)
  else rem('ended', member) end
end
return done(#members)
`),

  quarantine: script(String.raw`
for _ = 1, int() do
  local id, g, reader, text = take(), take(), take(), take()
  if call('HGET', P .. ':id', id) == g then
    call('HSET', P .. ':q:' .. g, reader, text)
    add('q', g)
  end
end
return done('')
`),

  /** Verdicts of a reader on tasks that it found, by generation. */
  condemn: script(String.raw`
local reader = take()
for _ = 1, int() do
  local g, text = take(), take()
  call('HSET', P .. ':q:' .. g, reader, text)
  add('q', g)
end
return done('')
`),

  verdicts: script(String.raw`
local limit, answer = int(), {}
for g in walk('q', '-', '+', 100) do
  if #answer >= limit then break end
  for _, text in ipairs(call('HVALS', P .. ':q:' .. g)) do
    if #answer < limit then answer[#answer + 1] = text end
  end
end
return done(answer)
`),

  clear: script(String.raw`
for _ = 1, int() do
  local g = take()
  if call('DEL', P .. ':q:' .. g) == 1 then
    rem('q', g)
    local t = living(g)
    if t then
      -- Readers that passed it over must look again.
      local due = call('ZSCORE', P .. ':due', g)
      if due and due ~= 'inf' then brings(due) end
      for _, r in ipairs(opens(t)) do if r.state == 'ready' then broughtReady = true end end
    end
  end
end
return done('')
`),

  beat: script(String.raw`
local id, to, text = take(), take(), take()
add('instances', id, to)
call('HSET', P .. ':instance', id, text)
return done('')
`),

  instances: script(String.raw`
local answer = {}
for _, id in ipairs(call('ZREVRANGE', P .. ':instances', 0, int() - 1)) do
  answer[#answer + 1] = call('HGET', P .. ':instance', id)
end
return done(answer)
`),

  leave: script(String.raw`
for _ = 1, int() do
  local id = take()
  rem('instances', id)
  call('HDEL', P .. ':instance', id)
end
return done('')
`),

  /** Tasks of an index from a place on, as many as match among the next ones; and the place after them, if there are more. */
  tasks: script(String.raw`
local index, descending, state, tag = take(), take() == '1', take(), take()
local limit, scan, score, member = int(), int(), take(), take()
local found
if index == 'ids' then
  local names
  if descending then
    names = call('ZREVRANGEBYLEX', P .. ':ids', score == '' and '+' or ('(' .. member), '-', 'LIMIT', 0, scan)
  else names = call('ZRANGEBYLEX', P .. ':ids', score == '' and '-' or ('(' .. member), '+', 'LIMIT', 0, scan) end
  found = {}
  local all = #names > 0 and call('HMGET', P .. ':id', unpack(names)) or {}
  for i, name in ipairs(names) do
    found[2 * i - 1] = all[i]
    found[2 * i] = name
  end
else found = beyond(index, score ~= '' and { score = score, member = member }, descending, scan) end
local gs = {}
for i = 1, #found, 2 do gs[#gs + 1] = found[i] or '' end
local read = rows(gs)
local answer, last = {}, nil
for i = 1, #found, 2 do
  local each = read[(i + 1) / 2]
  last = index == 'ids' and { '0', found[i + 1] } or { found[i + 1], found[i] }
  local t = each[2] and parseTask(each[1], each[2])
  if t
    and (state == '' or sub(t.c, 1, #state + 4) == '["' .. state .. '",')
    and (tag == '' or isOf(t.k, tag)) then
    answer[#answer + 1] = each
    if #answer >= limit then break end
  end
end
local more = #found >= 2 * scan or #answer >= limit
return done({ answer, more and last or '' })
`),

  /** Tasks that have an event. */
  events: script(String.raw`
local gs = {}
for g in walk('events', '-', '+', 500) do gs[#gs + 1] = g end
return done(rows(gs))
`),

  /** All runs of the generation named, or of all generations of an id. */
  runsOf: script(String.raw`
local id, list, answer = take(), { take() }, {}
if list[1] == '' then
  list = { call('HGET', P .. ':id', id) or nil }
  local name = #id .. ':' .. id
  for member in walk('gone', '[' .. name, '(' .. name .. ':', 100) do
    list[#list + 1] = sub(member, -16)
  end
end
for _, g in ipairs(list) do
  local t, names, numbers = load(g), {}, {}
  if t then
    numbers = endedNumbers(t)
    for i, n in ipairs(numbers) do numbers[i] = S(n) end
    for _, key in ipairs(opening(t)) do numbers[#numbers + 1] = numberOf(t, key) end
    for i, n in ipairs(numbers) do names[i] = runName(g, n) end
  end
  for i, text in ipairs(texts(names)) do
    if text then answer[#answer + 1] = { g, numbers[i], text } end
  end
end
return done(answer)
`),

  /** Runs that run now, if they are few. */
  running: script(String.raw`
local most, answer = int(), {}
if call('ZCARD', P .. ':leases') > most then return done('') end
local gs, keys = {}, {}
for i, member in ipairs(call('ZRANGE', P .. ':leases', 0, -1)) do gs[i], keys[i] = sub(member, 1, 16), sub(member, 17) end
fetchRuns(gs, keys)
for i, g in ipairs(gs) do
  local t = load(g)
  local r = t and openRun(t, keys[i])
  if r then answer[#answer + 1] = { g, r.number, runText(r) } end
end
return done(answer)
`),

  /** Runs by due, newest first, from a place on; as `tasks`. */
  runs: script(String.raw`
local key, tag, state = take(), take(), take()
local limit, scan, score, member = int(), int(), take(), take()
local found = beyond('runs', score ~= '' and { score = score, member = member }, true, scan)
local answer, last, names = {}, nil, {}
for i = 1, #found, 2 do names[#names + 1] = runName(sub(found[i], 1, 16), numberAt(sub(found[i], 17))) end
local read = texts(names)
for i = 1, #found, 2 do
  local member, text = found[i], read[(i + 1) / 2]
  last = { found[i + 1], member }
  if text and (state == '' or sub(text, 1, #state + 4) == '["' .. state .. '",') then
    local number = numberAt(sub(member, 17))
    local r = (key ~= '' or tag ~= '') and parseRun(nil, '', number, text) or {}
    if r and (tag == '' or isOf(r.kind, tag))
      and (key == '' or isOf(r.fixed, key)) then
      answer[#answer + 1] = { sub(member, 1, 16), number, text }
      if #answer >= limit then break end
    end
  end
end
local more = #found >= 2 * scan or #answer >= limit
return done({ answer, more and last or '' })
`)
}
