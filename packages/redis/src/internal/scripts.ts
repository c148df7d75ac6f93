/**
 * The scripts: one per operation of the port, each one atomic step over a batch.
 *
 * They read as `MemoryTaskStore` does, which says the same in the language of the port.
 *
 * @since 0.1.0
 */
import * as Redis from "effect/persistence/Redis"
import { plausibleLease } from "punctual/TaskStore"
import { library } from "./library.ts"

const script = (body: string) =>
  Redis.script((prefix: string, args: string) => [prefix, args], {
    lua: library + body,
    numberOfKeys: 1
  }).withReturnType<unknown>()

export type Script = ReturnType<typeof script>

export const scripts = {
  /** Says which schema is there, and writes ours where there is none. */
  open: script(String.raw`
if not meta[1] then
  wrote.schema = tostring(SCHEMA)
end
return done(meta[2] or tostring(SCHEMA))
`),

  insert: script(String.raw`
local answer = {}
for i, task in ipairs(A.tasks) do
  local existing = byId(task.id)
  if existing then answer[i] = { 0, row(existing) }
  else
    NOW = tonumber(task.c[C.createdAt])
    answer[i] = { 1, row(addTask(task.id, task)) }
  end
end
return done(answer)
`),

  get: script(String.raw`
local answer = {}
for _, id in ipairs(A.ids) do
  local g = call('HGET', P .. ':id', id)
  if g then answer[#answer + 1] = withRuns(g) end
end
return done(answer)
`),

  due: script(String.raw`
local now, patient, answer = A.now, A.now - A.patience, {}
local top = call('ZRANGE', P .. ':zoned', -1, -1)[1]
local newest = top and string.sub(top, 1, -18) or ''
local newer = below(A.zoneRules, newest)
local function left(g)
  local t = load(g)
  local rules = t and t.c[C.zoneRules]
  return t and num(t.c[C.due]) > patient and rules ~= null and below(A.zoneRules, rules)
end
if A.limit > 0 then
  for member in walk('due', '-', '(' .. ord(now + 1), math.min(A.limit, 500)) do
    local g = string.sub(member, 18)
    if not hides(g, A.reader) then
      if not (newer and left(g)) then
        answer[#answer + 1] = withRuns(g)
        if #answer >= A.limit then break end
      end
    end
  end
end
local coming = first('due', '[' .. ord(now + 1), '(' .. NEVER)
local nextDue = coming and unord(coming) or nil
if newer then
  for member in walk('due', '[' .. ord(patient + 1), '(' .. ord(now + 1), 100) do
    if left(string.sub(member, 18)) then
      local at = unord(member) + A.patience
      if not nextDue or at < nextDue then nextDue = at end
      break
    end
  end
end
local known = num(meta[5])
if known and (not nextDue or nextDue > known) then
  if nextDue then wrote.known = S(nextDue) else call('HDEL', P, 'known') end
end
return done({ answer, nextDue and S(nextDue) or '' })
`),

  outdated: script(String.raw`
local answer = {}
if A.limit > 0 then
  for member in walk('zoned', '-', '+', math.min(A.limit, 500)) do
    if not below(string.sub(member, 1, -18), A.zoneRules) then break end
    local g = string.sub(member, -16)
    if not hides(g, A.reader) then
      answer[#answer + 1] = withRuns(g)
      if #answer >= A.limit then break end
    end
  end
end
return done(answer)
`),

  commit: script(String.raw`
local kinds = { [C.tag] = true, [C.version] = true, [C.executor] = true, [C.priority] = true }

local function set(t, change)
  local c, kind, events, brought = t.c, false, hasEvent(t), false
  for _, field in ipairs(change.c) do
    local i, value = field[1], field[2]
    if i == C.due then
      setDue(t, value)
      brought = true
    elseif i == C.zoneRules then setZoneRules(t, value)
    elseif i == C.createdAt then
      rem('created', ord(num(c[i])) .. t.g)
      c[i] = value
      add('created', ord(num(value)) .. t.g)
    else
      if kinds[i] and c[i] ~= value then kind = true end
      c[i] = value
    end
  end
  if #change.d > 0 then
    local d = cjson.decode(definition(t))
    for _, field in ipairs(change.d) do d[field[1]] = field[2] end
    t.d = cjson.encode(d)
    t.defined = true
  end
  changed(t)
  if hasEvent(t) ~= events then
    if hasEvent(t) then add('events', t.g) else rem('events', t.g) end
  end
  if kind then
    for _, r in ipairs(opens(t)) do
      if r.a[R.state] ~= 'running' then
        unlink(r)
        follow(r)
        link(r)
      end
    end
  end
  if brought then brings(t) end
end

-- Whether a run must wait for those that this change has asked to stop; then their ends look for it.
local function waits(t, slots, made)
  if #made.asked == 0 or active(t) < slots then return false end
  for _, r in ipairs(made.asked) do
    r.a[R.queues] = true
    touch(r)
  end
  return true
end

local function apply(t, change, now, made)
  if change.tag == 'Create' then
    local new = change.run
    if new.state == 'waiting' then made.waits = true end
    if openRun(t, new.key) then return end
    if new.state == 'ready' and waits(t, new.slots, made) then
      create(t, new, nil, now, 'waiting')
      made.waits = true
    else
      local r = create(t, new, change.claim, now)
      if r.a[R.state] == 'running' then
        made.claimed[#made.claimed + 1] = r
        made.own[r] = true
      end
    end
    return
  end
  local r = openRun(t, change.key)
  if not r then return end
  local state = r.a[R.state]
  if change.tag == 'Drop' then
    if state == 'waiting' then dropRun(r) end
  elseif change.tag == 'Cancel' then
    if state ~= 'running' then cancelRun(r, change.reason, now)
    else
      if not made.own[r] then made.asked[#made.asked + 1] = r end
      ask(r, change.reason)
    end
  elseif change.tag == 'Promote' then
    if state == 'waiting' and not waits(t, tonumber(r.a[R.slots]), made) then ready(r) end
  elseif state ~= 'running' then hold(r, change.tag == 'Hold') end
end

-- After a run was created that waits: whatever is open looks for it when it ends, and it waits for nothing else.
local function queue(t)
  local waiting = false
  local list = opens(t)
  for _, r in ipairs(list) do if r.a[R.state] == 'waiting' then waiting = true end end
  if not waiting then return end
  for _, r in ipairs(list) do
    if not r.a[R.queues] then
      r.a[R.queues] = true
      touch(r)
    end
  end
  while promote(t) do end
end

local answer = {}
for i, change in ipairs(A.changes) do
  local t = byId(change.id)
  if not t or tonumber(t.g) ~= change.generation or tonumber(t.c[C.revision]) ~= change.revision then answer[i] = ''
  else
    NOW = change.now
    revise(t)
    if change.set then set(t, change.set) end
    local made = { claimed = {}, own = {}, asked = {}, waits = false }
    for _, run in ipairs(change.runs) do apply(t, run, change.now, made) end
    if change.set then
      if made.waits then queue(t) end
    else
      removeTask(t, change.now)
      if change.replacement then addTask(change.id, change.replacement) end
    end
    local claimed = {}
    for k, r in ipairs(made.claimed) do claimed[k] = runText(r) end
    answer[i] = { t.c[C.revision], claimed }
  end
end
return done(answer)
`),

  claim: script(String.raw`
NOW = A.now
local now, nextAt, picked, order = A.now, nil, {}, {}
local slots = {}
for _, slot in ipairs(A.slots) do
  local name, cursors = handled(slot.executor, slot.tag), {}
  for _, version in ipairs(call('ZRANGEBYSCORE', P .. ':versions:' .. name, '-inf', S(slot.version))) do
    local b = version .. ':' .. name
    see(b, now)
    local later = first('later:' .. b, '[' .. ord(now + 1), '+')
    local at = later and unord(later)
    if at and (not nextAt or at < nextAt) then nextAt = at end
    local step = walk('ready:' .. b, '-', '+', math.max(1, math.min(slot.limit, A.limit, 200)))
    cursors[#cursors + 1] = { next = step, b = b }
  end
  slots[#slots + 1] = { left = slot.limit, cursors = cursors }
end

-- the first of several versions
local function take(slot)
  local best
  for _, cursor in ipairs(slot.cursors) do
    if cursor.head == nil then cursor.head = cursor.next() or false end
    if cursor.head and (not best or below(cursor.head, best.head)) then best = cursor end
  end
  if not best then return nil end
  local member = best.head
  best.head = nil
  return member
end

while #slots > 0 and #order < A.limit do
  local rest = {}
  for _, slot in ipairs(slots) do
    if slot.left > 0 and #order < A.limit then
      local r
      for member in function() return take(slot) end do
        local g, key = string.sub(member, 35, 50), string.sub(member, 51)
        local name = g .. key
        if not picked[name] and not hides(g, A.reader) then
          local t = load(g)
          r = t and openRun(t, key)
          if r then
            picked[name] = true
            break
          end
          condemn(g)
        end
      end
      if r then
        order[#order + 1] = r
        slot.left = slot.left - 1
        rest[#rest + 1] = slot
      end
    end
  end
  slots = rest
end

local answer = {}
for i, r in ipairs(order) do
  unlink(r)
  own(r, A.lease, now)
  link(r)
  answer[i] = row(r.t)
  answer[i][4] = runText(r)
end
return done({ answer, nextAt and S(nextAt) or '' })
`),

  start: script(String.raw`
local answer = {}
for i, ref in ipairs(A.runs) do
  local r = owned(pad(ref[1]), ref[2], S(ref[3]), A.owner)
  answer[i] = r and 1 or 0
  if r and r.a[R.startedAt] == null then
    r.a[R.startedAt] = S(A.now)
    touch(r)
  end
end
return done(answer)
`),

  settle: script(String.raw`
local function told(result, state)
  return result ~= 'End' and state == 'cancelled' and 'Cancelled' or 'Settled'
end

-- What became of a run that this very token settled: takeovers make it void, claims give another one.
local function before(s)
  local t = load(pad(s.generation))
  if not t then return 'Stale' end
  local function same(a)
    return a[R.state] ~= 'running' and a[R.token] == S(s.token) and a[R.owner] == s.owner
  end
  local r = openRun(t, s.key)
  if r and same(r.a) then return told(s.result, r.a[R.state]) end
  for number = t.e, t.f, -1 do
    local text = call('HGET', P .. ':h:' .. t.g, number)
    if text then
      local a = decode(text)
      if a and a[R.key] == s.key then return same(a) and told(s.result, a[R.state]) or 'Stale' end
    end
  end
  return 'Stale'
end

local function settleTask(t, change, now)
  local c = t.c
  if change.failures == 'reset' then c[C.failures] = '0'
  elseif change.failures == 'increment' then c[C.failures] = S(tonumber(c[C.failures]) + 1) end
  if change.missed then
    local counters = cjson.decode(c[C.counters])
    counters[1], counters[2] = counters[1] - 1, counters[2] + 1
    for i = 1, 6 do counters[i] = S(counters[i]) end
    c[C.counters] = '[' .. table.concat({ counters[1], counters[2], counters[3], counters[4], counters[5], counters[6],
      tostring(counters[7]) }, ',') .. ']'
  end
  changed(t)
  local pauseAt = change.pauseAt
  if pauseAt and tonumber(c[C.failures]) >= pauseAt.failures and c[C.state] ~= 'paused' and c[C.state] ~= 'finished' then
    c[C.state], c[C.pausedAt], c[C.pauseNote], c[C.nominal] = 'paused', S(now), pauseAt.note, null
    setZoneRules(t, null)
    setDue(t, null)
    for _, r in ipairs(opens(t)) do
      if r.a[R.state] ~= 'running' then hold(r, true) end
    end
  end
end

local answer = {}
for i, s in ipairs(A.settlements) do
  local r = owned(pad(s.generation), s.key, S(s.token), s.owner)
  if not r then answer[i] = before(s)
  else
    NOW = s.now
    local t = r.t
    local revision, removed = tonumber(t.c[C.revision]), t.c[C.removed] == true
    if s.result ~= 'Release' then r.a[R.exit] = s.exit end
    touch(r)
    if s.result == 'End' then endAttempt(r, s.state, s.now, A.keep)
    else
      if s.result == 'Release' then r.a[R.attempt] = S(tonumber(r.a[R.attempt]) - 1) end
      if r.a[R.cancel] ~= null or removed then endAttempt(r, 'cancelled', s.now, A.keep)
      else
        if s.result == 'Retry' then
          unlink(r)
          r.a[R.readyAt] = S(s.readyAt)
          link(r)
        end
        back(r)
      end
    end
    if s.task and not removed then
      settleTask(t, s.task, s.now)
      t.c[C.revision] = S(revision + 1)
      changed(t)
    end
    answer[i] = told(s.result, r.a[R.state])
  end
end
return done(answer)
`),

  heartbeat: script(String.raw`
local answer = {}
for i, ref in ipairs(A.runs) do
  local r = owned(pad(ref[1]), ref[2], S(ref[3]), A.lease.owner)
  if not r then answer[i] = { 0, false }
  else
    unlink(r)
    local current, lease = num(r.a[R.leaseUntil]), A.lease['until']
    if not (current and current > lease and current - lease < ${plausibleLease}) then r.a[R.leaseUntil] = S(lease) end
    touch(r)
    link(r)
    answer[i] = { 1, r.a[R.cancel] ~= null and r.a[R.cancel] }
  end
end
return done(answer)
`),

  cancel: script(String.raw`
local answer = {}
for i, run in ipairs(A.runs) do
  local t = load(pad(run[1]))
  local r = t and openRun(t, run[2])
  if r and r.a[R.state] == 'running' then
    ask(r, run[3])
    answer[i] = 1
  else answer[i] = 0 end
end
return done(answer)
`),

  takeover: script(String.raw`
NOW = A.now
local answer = {}
for member in walk('leases', '-', '(' .. ord(A.now + 1), 100) do
  if #answer >= A.limit then break end
  local t = load(string.sub(member, 18, 33))
  local r = t and openRun(t, string.sub(member, 34))
  if r then
    local a = r.a
    local owner = a[R.owner]
    a[R.takeovers] = S(tonumber(a[R.takeovers]) + 1)
    touch(r)
    local became = 'ready'
    if a[R.cancel] ~= null then became = 'cancelled'
    elseif tonumber(a[R.takeovers]) >= A.maxTakeovers or t.c[C.removed] == true or (a[R.atMostOnce] and a[R.startedAt] ~= null) then
      became = 'abandoned'
    end
    a[R.token] = null
    if became == 'ready' then back(r) else endAttempt(r, became, A.now, A.keep) end
    answer[#answer + 1] = { runText(r), became, owner }
  end
end
local member = first('leases', '-', '+')
return done({ answer, member and S(unord(member)) or '' })
`),

  prune: script(String.raw`
local pruned = 0
for _, member in ipairs(range('ended', '-', '(' .. ord(A.before), A.limit)) do
  local t = load(string.sub(member, 18, 33))
  if t then dropEnded(t, tonumber(string.sub(member, 34))) else rem('ended', member) end
  pruned = pruned + 1
end
return done(pruned)
`),

  quarantine: script(String.raw`
for _, verdict in ipairs(A.verdicts) do
  local g = call('HGET', P .. ':id', verdict.id)
  if g and tonumber(g) == verdict.generation then
    call('HSET', P .. ':q:' .. g, verdict.reader, verdict.text)
    add('q', g)
  end
end
return done('')
`),

  /** Verdicts of a reader on tasks that it found, by generation. */
  condemn: script(String.raw`
for _, verdict in ipairs(A.verdicts) do
  local g = pad(verdict.generation)
  call('HSET', P .. ':q:' .. g, verdict.reader, verdict.text)
  add('q', g)
end
return done('')
`),

  verdicts: script(String.raw`
local answer = {}
for g in walk('q', '-', '+', 100) do
  if #answer >= A.limit then break end
  for _, text in ipairs(call('HVALS', P .. ':q:' .. g)) do
    if #answer < A.limit then answer[#answer + 1] = text end
  end
end
return done(answer)
`),

  clear: script(String.raw`
for _, generation in ipairs(A.generations) do
  local g = pad(generation)
  if call('DEL', P .. ':q:' .. g) == 1 then
    rem('q', g)
    local t = living(g)
    if t then
      -- Readers that passed it over must look again.
      brings(t)
      for _, r in ipairs(opens(t)) do if r.a[R.state] == 'ready' then broughtReady = true end end
    end
  end
end
return done('')
`),

  beat: script(String.raw`
local old = call('HGET', P .. ':instance', A.id)
old = old and decode(old)
if old then rem('instances', ord(tonumber(old[9])) .. A.id) end
add('instances', ord(A['until']) .. A.id)
call('HSET', P .. ':instance', A.id, A.text)
return done('')
`),

  instances: script(String.raw`
local answer = {}
for _, member in ipairs(call('ZREVRANGE', P .. ':instances', 0, A.limit - 1)) do
  answer[#answer + 1] = call('HGET', P .. ':instance', string.sub(member, 18))
end
return done(answer)
`),

  leave: script(String.raw`
for _, id in ipairs(A.ids) do
  local old = call('HGET', P .. ':instance', id)
  old = old and decode(old)
  if old then rem('instances', ord(tonumber(old[9])) .. id) end
  call('HDEL', P .. ':instance', id)
end
return done('')
`),

  /** Tasks of an order from a place on, as many as match among the next ones; and the place after them, if there are more. */
  tasks: script(String.raw`
local function place(after)
  if A.sort == 'ids' then return after[1] end
  return ord(after[1]) .. pad(after[2])
end
local from, to = '-', '+'
if A.after then
  if A.descending then to = '(' .. place(A.after) else from = '(' .. place(A.after) end
end
local members = A.descending
  and call('ZREVRANGEBYLEX', P .. ':' .. A.sort, to, from, 'LIMIT', 0, A.scan)
  or range(A.sort, from, to, A.scan)
local answer, last = {}, nil
for _, member in ipairs(members) do
  local t
  if A.sort == 'ids' then
    t = byId(member)
    last = { member }
  else
    t = load(string.sub(member, 18))
    last = { S(unord(member)) or '', string.sub(member, 18) }
  end
  local c = t and t.c
  if c and (A.tag == null or c[C.tag] == A.tag) and (A.state == null or c[C.state] == A.state)
    and (A.owner == null or c[C.owner] == A.owner) then
    answer[#answer + 1] = row(t)
    if #answer >= A.limit then break end
  end
end
local more = #members >= A.scan or #answer >= A.limit
return done({ answer, more and last or '' })
`),

  /** Tasks that have an event. */
  events: script(String.raw`
local answer = {}
for g in walk('events', '-', '+', 500) do
  local t = living(g)
  if t then answer[#answer + 1] = row(t) end
end
return done(answer)
`),

  /** All runs of the generations named, or of all generations of an id. */
  runsOf: script(String.raw`
local list = {}
if A.generation ~= null then list[1] = pad(A.generation)
else
  local g = call('HGET', P .. ':id', A.id)
  if g then list[1] = g end
  local name = #A.id .. ':' .. A.id
  for member in walk('gone', '[' .. name, '(' .. name .. ':', 100) do
    list[#list + 1] = string.sub(member, -16)
  end
end
local answer = {}
for _, g in ipairs(list) do
  for _, key in ipairs({ ':o:', ':h:' }) do
    for _, text in ipairs(call('HVALS', P .. key .. g)) do answer[#answer + 1] = text end
  end
end
return done(answer)
`),

  /** Runs by due, newest first, from a place on; as `tasks`. */
  runs: script(String.raw`
local to = '+'
if A.after then to = '(' .. runMember(pad(A.after[2]), A.after[1], A.after[4], A.after[3]) end
local members = call('ZREVRANGEBYLEX', P .. ':runs', to, '-', 'LIMIT', 0, A.scan)
local answer, last = {}, nil
for _, member in ipairs(members) do
  local g, number, key = string.sub(member, 18, 33), tonumber(string.sub(member, 34, 49)), string.sub(member, 50)
  local text
  if number == 0 then text = call('HGET', P .. ':o:' .. g, key) else text = call('HGET', P .. ':h:' .. g, number) end
  last = { S(unord(member)), S(tonumber(g)), key, S(number) }
  if text then
    local a = decode(text)
    if a and (A.key == null or a[R.key] == A.key) and (A.tag == null or a[R.tag] == A.tag)
      and (A.state == null or a[R.state] == A.state) then
      answer[#answer + 1] = text
      if #answer >= A.limit then break end
    end
  end
end
local more = #members >= A.scan or #answer >= A.limit
return done({ answer, more and last or '' })
`)
}
