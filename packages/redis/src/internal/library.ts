/**
 * What every script begins with: the records and indexes of a store in Redis, in Lua.
 *
 * All keys begin with `{prefix}`, so that they are in one slot of a cluster; it is the only key a script is given.
 *
 * | key | type | holds |
 * |---|---|---|
 * | `{p}` | hash | `schema`, `writer`; the latest `generation` and `token`; `known` (see `TaskStore.listen`) and `wake`, the number of the latest wake-up |
 * | `:t:<g>` | hash | a task: `c` its position and what claims look at, `d` the rest, `e` ended runs so far, `f` the lowest number in its history |
 * | `:o:<g>` · `:h:<g>` | hash | its open runs by key · its history by number |
 * | `:id` · `:gone` | hash · order | generations by id · of removed tasks that still have runs |
 * | `:due` · `:created` · `:ids` · `:zoned` · `:events` | order | tasks |
 * | `:later:<b>` · `:ready:<b>` | order | ready runs of a bucket (version, executor, tag), by the instant they may be claimed · in the order of claims |
 * | `:seen` · `:versions:<…>` | hash · sorted set | up to which instant `later` is in `ready` too · the versions of an executor and tag |
 * | `:leases` · `:ended` · `:runs` | order | running runs by end of lease · history by end · all runs by due |
 * | `:instance` · `:instances` | hash · order | schedulers by id · by until when they are to be believed |
 * | `:q` · `:q:<g>` | order · hash | tasks with verdicts · their verdicts by reader |
 *
 * `<g>` is a generation in 16 digits. An *order* is a sorted set whose scores are all zero: its members begin with what
 * it is sorted by, written so that bytes sort as numbers do, which is exact where a score would tie or round.
 *
 * Records are JSON arrays of texts (`fields.ts`): numbers are texts too, since Lua's JSON writes no more than 14 digits.
 * A script reads what it needs into `tasks`, changes it there and writes it back at its end, so that one that fails half
 * way has changed no task and no open run.
 *
 * @since 0.1.0
 */
import { runFields, taskFields } from "./fields.ts"

const positions = (fields: ReadonlyArray<string>): string =>
  `{${fields.map((field, index) => `${field}=${index + 1}`).join(",")}}`

/** The layout these scripts write. */
export const schema = 1

/** What a script answers where the store is of a newer version: this, the schema, and the oldest version that may write. */
export const newerPrefix = "PUNCTUALNEWER"

export const library = `local C,R = ${positions(taskFields)},${positions(runFields)}
local SCHEMA, WIDTH = ${schema}, ${runFields.length}
` + String.raw`
local P, A, null, call, fmt = KEYS[1], cjson.decode(ARGV[1]), cjson.null, redis.call, string.format
local meta = call('HMGET', P, 'writer', 'schema', 'generation', 'token', 'known', 'wake')
if meta[1] and tonumber(meta[1]) > SCHEMA then
  return redis.error_reply('${newerPrefix} ' .. (meta[2] or '?') .. ' ' .. meta[1])
end

-- numbers ---------------------------------------------------------------------

local FAR = 9007199254740991
local NEVER = '2' .. fmt('%016d', 0)

local function S(n) if n == nil or n == null then return null end return fmt('%d', n) end
local function num(s) if s == nil or s == null or s == false then return nil end return tonumber(s) end
local function pad(n) return fmt('%016d', n) end

-- sorts as a number does
local function ord(n)
  if n == nil or n == null then return NEVER end
  if n >= 0 then return '1' .. pad(n) end
  return '0' .. pad(FAR + n)
end

local function unord(s)
  local kind, n = string.sub(s, 1, 1), tonumber(string.sub(s, 2, 17))
  if kind == '1' then return n elseif kind == '0' then return n - FAR end
  return nil
end

-- A record, or nothing where somebody has damaged it: that one is passed over.
local function decode(text)
  local ok, record = pcall(cjson.decode, text)
  if ok and type(record) == 'table' then return record end
end

-- by bytes, whatever the server's language
local function below(a, b)
  local n = math.min(#a, #b)
  for i = 1, n do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

-- Never given twice, even where the end of the log was lost: the server's clock has gone on.
local micros
local function fresh(last)
  if not micros then
    local time = call('TIME')
    micros = tonumber(time[1]) * 1000000 + tonumber(time[2])
  end
  return math.max((last or 0) + 1, micros)
end

local generation, token = num(meta[3]), num(meta[4])
local wrote = {}
local function nextGeneration()
  generation = fresh(generation)
  wrote.generation = S(generation)
  return pad(generation)
end
local function nextToken()
  token = fresh(token)
  wrote.token = S(token)
  return S(token)
end

-- orders ----------------------------------------------------------------------

local function add(index, member) call('ZADD', P .. ':' .. index, 0, member) end
local function rem(index, member) call('ZREM', P .. ':' .. index, member) end
local function range(index, from, to, count)
  if count then return call('ZRANGEBYLEX', P .. ':' .. index, from, to, 'LIMIT', 0, count) end
  return call('ZRANGEBYLEX', P .. ':' .. index, from, to)
end
local function first(index, from, to) return range(index, from, to, 1)[1] end

-- Walks an order in pages; a member may leave it meanwhile.
local function walk(index, from, to, size)
  local page, i, last = nil, 0, nil
  return function()
    if page and i >= #page and #page < size then return nil end
    if not page or i >= #page then
      page, i = range(index, last and ('(' .. last) or from, to, size), 0
    end
    i = i + 1
    last = page[i]
    return last
  end
end

-- tasks -----------------------------------------------------------------------

local tasks, touched = {}, {}

local function keep(t) tasks[t.g] = t touched[#touched + 1] = t return t end

-- A task, removed ones included.
local function load(g)
  local t = tasks[g]
  if t ~= nil then return t or nil end
  local v = call('HMGET', P .. ':t:' .. g, 'c', 'e', 'f')
  local c = v[1] and decode(v[1])
  if not c then tasks[g] = false return nil end
  return keep({ g = g, c = c, text = v[1], e = num(v[2]) or 0, f = num(v[3]) or 1, runs = {}, keys = {} })
end

local function living(g)
  local t = load(g)
  if t and t.c[C.removed] ~= true then return t end
end

local function byId(id)
  local g = call('HGET', P .. ':id', id)
  if g then return load(g) end
end

local function definition(t)
  if not t.d then t.d = call('HGET', P .. ':t:' .. t.g, 'd') end
  return t.d
end

local function changed(t) t.dirty = true t.text = nil end

local function revise(t) t.c[C.revision] = S(num(t.c[C.revision]) + 1) changed(t) end

local function textOf(t)
  if not t.text then t.text = cjson.encode(t.c) end
  return t.text
end

-- runs ------------------------------------------------------------------------

local function openRun(t, key)
  local r = t.runs[key]
  if r ~= nil then return r or nil end
  if t.all then return nil end
  local text = call('HGET', P .. ':o:' .. t.g, key)
  local a = text and decode(text)
  if not a then t.runs[key] = false return nil end
  r = { a = a, text = text, t = t, key = key }
  t.runs[key] = r
  return r
end

local function byRunDue(x, y)
  local a, b = tonumber(x.a[R.due]), tonumber(y.a[R.due])
  if a ~= b then return a < b end
  return below(x.key, y.key)
end

-- Open runs, by due, then key.
local function opens(t)
  if not t.all then
    local v = call('HGETALL', P .. ':o:' .. t.g)
    for i = 1, #v, 2 do
      local a = t.runs[v[i]] == nil and decode(v[i + 1])
      if a then t.runs[v[i]] = { a = a, text = v[i + 1], t = t, key = v[i] } end
    end
    t.all = true
  end
  local list = {}
  for _, r in pairs(t.runs) do if r then list[#list + 1] = r end end
  table.sort(list, byRunDue)
  return list
end

local function runText(r)
  if not r.text then r.text = cjson.encode(r.a) end
  return r.text
end

local function touch(r)
  r.text = nil
  if not r.ended then r.t.keys[r.key] = true end
end

local function runMember(g, due, number, key) return ord(tonumber(due)) .. g .. pad(number) .. key end

-- Ready runs -------------------------------------------------------------------

local NOW
local seen, registered = {}, {}

local function handled(executor, tag) return #executor .. ':' .. executor .. ':' .. tag end

local function claimOrder(r)
  local a = r.a
  return ord(-tonumber(a[R.priority])) .. ord(tonumber(a[R.due])) .. r.t.g .. r.key
end

local function seenOf(b)
  if seen[b] == nil then seen[b] = num(call('HGET', P .. ':seen', b)) or false end
  return seen[b]
end

-- Makes what may be claimed at now what is in the order of claims.
local function see(b, now)
  local upTo = seenOf(b)
  if upTo == now then return end
  local from, to = math.min(upTo, now), math.max(upTo, now)
  for member in walk('later:' .. b, '[' .. ord(from + 1), '(' .. ord(to + 1), 500) do
    if now > upTo then add('ready:' .. b, string.sub(member, 18)) else rem('ready:' .. b, string.sub(member, 18)) end
  end
  seen[b] = now
  call('HSET', P .. ':seen', b, S(now))
end

local function bucket(r)
  local a = r.a
  return a[R.version] .. ':' .. handled(a[R.executor], a[R.tag])
end

-- Puts an open run where its state belongs.
local function link(r)
  local a = r.a
  if a[R.state] == 'running' then add('leases', ord(tonumber(a[R.leaseUntil])) .. r.t.g .. r.key)
  elseif a[R.state] == 'ready' and not a[R.held] then
    local b, readyAt = bucket(r), tonumber(a[R.readyAt])
    if not seenOf(b) then
      seen[b] = readyAt
      call('HSET', P .. ':seen', b, a[R.readyAt])
      call('ZADD', P .. ':versions:' .. handled(a[R.executor], a[R.tag]), a[R.version], a[R.version])
    elseif NOW and readyAt <= NOW and readyAt > seenOf(b) then see(b, NOW) end
    local order = claimOrder(r)
    add('later:' .. b, ord(readyAt) .. order)
    if readyAt <= seenOf(b) then add('ready:' .. b, order) end
  end
end

-- Takes an open run out of where its state belonged; before anything of it changes.
local function unlink(r)
  local a = r.a
  if a[R.state] == 'running' then rem('leases', ord(tonumber(a[R.leaseUntil])) .. r.t.g .. r.key)
  elseif a[R.state] == 'ready' and not a[R.held] then
    local b, order = bucket(r), claimOrder(r)
    rem('later:' .. b, ord(tonumber(a[R.readyAt])) .. order)
    rem('ready:' .. b, order)
  end
end

-- wake-ups --------------------------------------------------------------------

local broughtDue, broughtReady, broughtCancel

local function brings(t)
  local due = num(t.c[C.due])
  if due and (not broughtDue or due < broughtDue) then broughtDue = due end
end

-- runs of a task --------------------------------------------------------------

local function follow(r)
  local c = r.t.c
  r.a[R.tag], r.a[R.version], r.a[R.executor], r.a[R.priority] = c[C.tag], c[C.version], c[C.executor], c[C.priority]
  touch(r)
end

local function own(r, lease, now)
  local a = r.a
  a[R.state], a[R.token], a[R.owner], a[R.leaseUntil] = 'running', nextToken(), lease.owner, S(lease['until'])
  if a[R.atMostOnce] then a[R.startedAt] = null else a[R.startedAt] = S(now) end
  a[R.attempt] = S(tonumber(a[R.attempt]) + 1)
  touch(r)
end

-- new: key, due, nominal, state, readyAt, slots, queues, atMostOnce; from another store held, attempt, takeovers
local function create(t, new, claim, now, state)
  local r = { t = t, key = new.key, a = {} }
  local a = r.a
  for i = 1, WIDTH do a[i] = null end
  a[R.generation], a[R.key], a[R.taskId], a[R.due], a[R.nominal] = S(tonumber(t.g)), new.key, t.c[C.id], S(new.due), S(new.nominal)
  a[R.state], a[R.held], a[R.readyAt] = state or new.state, new.held == true, S(new.readyAt)
  a[R.attempt], a[R.takeovers] = S(new.attempt or 0), S(new.takeovers or 0)
  a[R.createdAt], a[R.slots], a[R.queues], a[R.atMostOnce], a[R.number] = S(now), S(new.slots), new.queues, new.atMostOnce, '0'
  follow(r)
  if a[R.state] == 'ready' then
    if claim then own(r, claim, now) elseif not a[R.held] then broughtReady = true end
  end
  t.runs[new.key] = r
  link(r)
  add('runs', runMember(t.g, new.due, 0, new.key))
  return r
end

local function dropRun(r)
  unlink(r)
  r.t.runs[r.key] = false
  r.t.keys[r.key] = true
  rem('runs', runMember(r.t.g, r.a[R.due], 0, r.key))
end

local function hold(r, held)
  if r.a[R.held] == held then return end
  unlink(r)
  r.a[R.held] = held
  touch(r)
  link(r)
  if not held and r.a[R.state] == 'ready' then broughtReady = true end
end

local function ready(r)
  unlink(r)
  r.a[R.state], r.a[R.leaseUntil] = 'ready', null
  follow(r)
  link(r)
  if not r.a[R.held] then broughtReady = true end
end

-- running to ready; held while its task is paused
local function back(r)
  if r.t.c[C.state] == 'paused' then
    r.a[R.held] = true
    revise(r.t)
  end
  ready(r)
end

-- from open to history
local function finish(r, state, now)
  local t, a = r.t, r.a
  dropRun(r)
  a[R.state], a[R.leaseUntil], a[R.endedAt] = state, null, S(now)
  t.e = t.e + 1
  t.counted = true
  a[R.number] = S(t.e)
  r.ended = true
  r.text = nil
  call('HSET', P .. ':h:' .. t.g, t.e, runText(r))
  add('ended', ord(now) .. t.g .. pad(t.e))
  add('runs', runMember(t.g, a[R.due], t.e, r.key))
end

local function cancelRun(r, reason, now)
  r.a[R.cancel], r.a[R.token] = reason, null
  finish(r, 'cancelled', now)
end

local function dropEnded(t, number)
  local key = P .. ':h:' .. t.g
  local text = call('HGET', key, number)
  call('HDEL', key, number)
  local a = text and decode(text)
  if not a then return end
  rem('ended', ord(tonumber(a[R.endedAt])) .. t.g .. pad(number))
  rem('runs', runMember(t.g, a[R.due], number, a[R.key]))
end

-- Drops the numbers of a task up to its latest − keep.
local function bound(t, keep)
  local last = t.e - keep
  if t.f > last then return end
  for number = t.f, last do dropEnded(t, number) end
  t.f = last + 1
  t.counted = true
end

local function active(t)
  local count = 0
  for _, r in ipairs(opens(t)) do if r.a[R.state] ~= 'waiting' then count = count + 1 end end
  return count
end

-- Makes the waiting run that is due first ready, if there is room for it; answers whether it did.
local function promote(t)
  local waiting
  for _, r in ipairs(opens(t)) do
    if r.a[R.state] == 'waiting' then waiting = r break end
  end
  if not waiting or active(t) >= tonumber(waiting.a[R.slots]) then return false end
  ready(waiting)
  return true
end

local function endAttempt(r, state, now, keep)
  local t = r.t
  finish(r, state, now)
  bound(t, keep)
  if r.a[R.queues] and t.c[C.removed] ~= true then
    revise(t)
    promote(t)
  end
end

local function owned(g, key, tok, owner)
  local t = load(g)
  local r = t and openRun(t, key)
  if r and r.a[R.state] == 'running' and r.a[R.token] == tok and r.a[R.owner] == owner then return r end
end

local function ask(r, reason)
  if r.a[R.cancel] ~= null then return end
  r.a[R.cancel] = reason
  touch(r)
  broughtCancel = true
end

-- tasks and their indexes -----------------------------------------------------

local function zoneMember(t) return t.c[C.zoneRules] .. '\0' .. t.g end

local function setDue(t, due)
  if t.c[C.due] == due then return end
  rem('due', ord(num(t.c[C.due])) .. t.g)
  t.c[C.due] = due
  changed(t)
  add('due', ord(num(due)) .. t.g)
end

local function setZoneRules(t, rules)
  if t.c[C.zoneRules] == rules then return end
  if t.c[C.zoneRules] ~= null then rem('zoned', zoneMember(t)) end
  t.c[C.zoneRules] = rules
  changed(t)
  if rules ~= null then add('zoned', zoneMember(t)) end
end

local function hasEvent(t) return t.c[C.onStartup] or t.c[C.onShutdown] end

-- task: c (a position without its revision), d (text), runs
local function addTask(id, task)
  local t = keep({ g = nextGeneration(), c = task.c, d = task.d, e = 0, f = 1, runs = {}, keys = {}, all = true })
  local c = t.c
  c[C.id], c[C.revision], c[C.removed] = id, '1', false
  changed(t)
  t.defined, t.counted = true, true
  call('HSET', P .. ':id', id, t.g)
  add('ids', id)
  add('due', ord(num(c[C.due])) .. t.g)
  add('created', ord(num(c[C.createdAt])) .. t.g)
  if c[C.zoneRules] ~= null then add('zoned', zoneMember(t)) end
  if hasEvent(t) then add('events', t.g) end
  brings(t)
  for _, new in ipairs(task.runs) do
    if not openRun(t, new.key) then create(t, new, nil, tonumber(c[C.createdAt])) end
  end
  return t
end

local function gone(t) return #t.c[C.id] .. ':' .. t.c[C.id] .. t.g end

local function removeTask(t, now)
  for _, r in ipairs(opens(t)) do
    if r.a[R.state] ~= 'running' then cancelRun(r, 'removed', now) end
  end
  call('DEL', P .. ':q:' .. t.g)
  rem('q', t.g)
  local c = t.c
  call('HDEL', P .. ':id', c[C.id])
  rem('ids', c[C.id])
  rem('due', ord(num(c[C.due])) .. t.g)
  rem('created', ord(num(c[C.createdAt])) .. t.g)
  if c[C.zoneRules] ~= null then rem('zoned', zoneMember(t)) end
  rem('events', t.g)
  add('gone', gone(t))
  c[C.removed] = true
  changed(t)
end

-- verdicts --------------------------------------------------------------------

local judged
local function hides(g, reader)
  if judged == nil then judged = call('EXISTS', P .. ':q') == 1 end
  return judged and call('HEXISTS', P .. ':q:' .. g, reader) == 1
end

-- A task that cannot be read, found by its generation.
local function condemn(g)
  call('HSET', P .. ':q:' .. g, A.reader, cjson.encode({ '', S(tonumber(g)), A.reader, 'its record is damaged', S(A.now) }))
  add('q', g)
  judged = true
end

-- answers ---------------------------------------------------------------------

local function row(t) return { t.g, textOf(t), definition(t) } end

-- A task with its open runs, as stored: for scripts that change neither.
local function withRuns(g)
  local v = call('HMGET', P .. ':t:' .. g, 'c', 'd')
  if not v[1] then return nil end
  return { g, v[1], v[2], call('HVALS', P .. ':o:' .. g) }
end

-- Writes what changed, tells listeners, and answers.
local function done(answer)
  for _, t in ipairs(touched) do
    local key, set, del = P .. ':o:' .. t.g, {}, {}
    for name in pairs(t.keys) do
      local r = t.runs[name]
      if r then
        set[#set + 1] = name
        set[#set + 1] = runText(r)
      else del[#del + 1] = name end
      if #set >= 1000 then call('HSET', key, unpack(set)) set = {} end
      if #del >= 1000 then call('HDEL', key, unpack(del)) del = {} end
    end
    if #set > 0 then call('HSET', key, unpack(set)) end
    if #del > 0 then call('HDEL', key, unpack(del)) end
    local fields = {}
    if t.dirty then fields[1], fields[2] = 'c', textOf(t) end
    if t.defined then fields[#fields + 1] = 'd' fields[#fields + 1] = t.d end
    if t.counted then
      fields[#fields + 1] = 'e' fields[#fields + 1] = S(t.e)
      fields[#fields + 1] = 'f' fields[#fields + 1] = S(t.f)
    end
    if #fields > 0 then call('HSET', P .. ':t:' .. t.g, unpack(fields)) end
    if t.c[C.removed] == true and call('EXISTS', key, P .. ':h:' .. t.g) == 0 then
      call('DEL', P .. ':t:' .. t.g)
      rem('gone', gone(t))
    end
  end
  local known, wake = num(meta[5]), false
  local due = broughtDue and (not known or broughtDue < known) and broughtDue or nil
  if due then wrote.known = S(due) end
  if due or broughtReady or broughtCancel then
    wrote.wake = S(fresh(num(meta[6])))
    wake = { wrote.wake, meta[6] or '', due and S(due) or '', broughtReady and 1 or 0, broughtCancel and 1 or 0 }
    call('PUBLISH', P .. ':wake', cjson.encode({ A.sender or '', wake }))
  end
  if next(wrote) then
    if not meta[1] then
      wrote.schema, wrote.writer = tostring(SCHEMA), tostring(SCHEMA)
    end
    local fields = {}
    for name, value in pairs(wrote) do fields[#fields + 1] = name fields[#fields + 1] = value end
    call('HSET', P, unpack(fields))
  end
  return { answer, wake }
end
`
