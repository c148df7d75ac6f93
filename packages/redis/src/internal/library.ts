/**
 * What every script begins with: the records and indexes of a store in Redis, in Lua.
 *
 * All keys begin with `{prefix}`, so that they are in one slot of a cluster; it is the only key a script is given.
 *
 * | key | type | holds |
 * |---|---|---|
 * | `{p}` | hash | `schema`, `writer`; the latest `generation` and `token`; `known` (see `TaskStore.listen`) and `wake`, the number of the latest wake-up |
 * | `:t:<g>` | hash | a task: its row (`fields.ts`), its runs, and what is known of them (below) |
 * | `:id` · `:gone` | hash · places | generations by id · of removed tasks that still have runs |
 * | `:due` · `:created` | scores | tasks; those that are never due are so at infinity |
 * | `:ids` · `:zoned` · `:events` | places | tasks by id · by zone rules · that have events |
 * | `:later:<b>` · `:ready:<b>` | scores · places | ready runs of a bucket (version, executor, tag), by the instant they may be claimed · in the order of claims |
 * | `:seen` · `:versions:<…>` | hash · scores | up to which instant `later` is in `ready` too · the versions of an executor and tag |
 * | `:lines:<…>` · `:lanes:<l>` | scores · places | lines of an executor and tag to look at, in turn · the buckets of a line (a concurrency key and tag) |
 * | `:busy:<l>` · `:apart:<b>` | places · scores | running runs of a line · ready runs of a version, executor and tag that are in lines, as `later` |
 * | `:leases` · `:ended` · `:runs` | scores | running runs by end of lease · history by end, with numbers · all runs by due, with a number where the key has been used again |
 * | `:instance` · `:instances` | hash · scores | schedulers by id · by until when they are to be believed |
 * | `:q` · `:q:<g>` | places · hash | tasks with verdicts · their verdicts by reader |
 *
 * | field of a task | |
 * |---|---|
 * | `z` | its zone rules, as `:zoned` has them |
 * | `e` · `f` | how many of its runs have ended · the lowest number in its history |
 * | `l` | the keys of its open runs, a line each |
 * | a number | an ended run |
 * | a key | an open run, or the number that it has ended as |
 *
 * `<g>` is a generation in 16 digits. Keys of runs are JSON, in quotes. *Scores* are instants, which a double holds exactly; members of one score sort as
 * bytes. *Places* are sorted sets whose scores are all zero: members begin with what they are sorted by.
 *
 * Commands are what costs, and after them every text that Lua makes. So clients send what is written, finished; records
 * are texts that Lua copies, and of which it reads a line where it must; numbers are texts of digits throughout. Changes
 * of indexes are gathered and written once, by `flush`. A script reads what it needs into `tasks`, changes it there and
 * writes it back at its end, so that one that fails half way has changed no task and no open run.
 *
 * @since 0.1.0
 */

/** The layout these scripts read and write. */
export const schema = 2

/**
 * The oldest that may write where tasks have concurrency keys: older scripts would begin their runs without looking. It is
 * written with the first such task.
 */
export const keyedWriter = 3

/** What a script answers where the store is of another version: this, the schema, and the oldest version that may write. */
export const otherSchemaPrefix = "PUNCTUALSCHEMA"

export const library = `local SCHEMA, KEYED = ${schema}, ${keyedWriter}
` + String.raw`
local P, ARGV, call, fmt, sub, match = KEYS[1], ARGV, redis.call, string.format, string.sub, string.match
local meta = call('HMGET', P, 'writer', 'schema', 'generation', 'token', 'known', 'wake')
if (meta[1] and tonumber(meta[1]) > KEYED) or (meta[2] and tonumber(meta[2]) < SCHEMA) then
  return redis.error_reply('${otherSchemaPrefix} ' .. (meta[2] or '?') .. ' ' .. (meta[1] or '?'))
end

-- arguments -------------------------------------------------------------------

-- The first one is who sends.
local at = 1
local function take() at = at + 1 return ARGV[at] end
local function int() at = at + 1 return tonumber(ARGV[at]) end

-- numbers ---------------------------------------------------------------------

local FAR = 9007199254740991

local function S(n) return fmt('%d', n) end
local function pad(n) return fmt('%016d', n) end

-- sorts as a number does
local function ord(n)
  if n >= 0 then return '1' .. pad(n) end
  return '0' .. pad(FAR + n)
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

local generation, token = tonumber(meta[3]), tonumber(meta[4])
local wrote = {}
local function nextGeneration()
  generation = fresh(generation)
  wrote.generation = S(generation)
  return pad(generation)
end
local function nextToken()
  token = fresh(token)
  wrote.token = S(token)
  return wrote.token
end

-- indexes ---------------------------------------------------------------------

local pending = {}

local function put(index, member, score)
  local members = pending[index]
  if not members then
    members = {}
    pending[index] = members
  end
  members[member] = score
end
local function add(index, member, score) put(index, member, score or '0') end
local function rem(index, member) put(index, member, false) end

local function flush()
  for index, members in pairs(pending) do
    local key, added, removed = P .. ':' .. index, {}, {}
    for member, score in pairs(members) do
      if score then
        added[#added + 1] = score
        added[#added + 1] = member
        if #added >= 2000 then
          call('ZADD', key, unpack(added))
          added = {}
        end
      else
        removed[#removed + 1] = member
        if #removed >= 2000 then
          call('ZREM', key, unpack(removed))
          removed = {}
        end
      end
    end
    if #added > 0 then call('ZADD', key, unpack(added)) end
    if #removed > 0 then call('ZREM', key, unpack(removed)) end
  end
  pending = {}
end

-- Members page by page; what a script changes is not yet among them.
local function pages(size, read)
  local page, i, offset = nil, 0, 0
  return function()
    if page and i >= #page and #page < size then return nil end
    if not page or i >= #page then
      offset = offset + (page and #page or 0)
      page, i = read(offset, size, page and page[#page]), 0
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
local function scores(index, from, to, size)
  local key = P .. ':' .. index
  return pages(size, function(offset, count)
    return call('ZRANGEBYSCORE', key, from, to, 'LIMIT', offset, count)
  end)
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

-- tasks -----------------------------------------------------------------------

-- What has been read of tasks: in runs, by key, an open run, the number that it has ended as, or false; in set and del
-- fields to write and to delete, of runs their records yet to be made texts. Tables have all their fields from the
-- beginning, since Lua lays one out anew when it grows.

local tasks, touched = {}, {}

local function remember(t)
  tasks[t.g] = t
  touched[#touched + 1] = t
  return t
end

local keepRun

-- A task, removed ones included, and the run it has under a key, if one is looked for.
local function load(g, key)
  local t = tasks[g]
  if t ~= nil then return t or nil end
  local name = P .. ':t:' .. g
  local v = call('HMGET', name, 'e', 'f', 'r', 'k', 'z', 'l', key or 'l')
  if not v[1] then tasks[g] = false return nil end
  t = remember({
    g = g, name = name, e = tonumber(v[1]), f = tonumber(v[2]), r = v[3] and tonumber(v[3]), k = v[4], z = v[5] or '',
    l = v[6] or '', id = false, removed = not v[3], revised = false, counted = false, listed = false, runs = {}, set = {},
    del = {}
  })
  if key then keepRun(t, key, v[7]) end
  return t
end

local function living(g)
  local t = load(g)
  if t and not t.removed then return t end
end

local function write(t, name, value)
  t.set[name] = value
  t.del[name] = nil
end

local function drop(t, name)
  t.set[name] = nil
  t.del[name] = true
end

-- A field as it will be.
local function field(t, name) return t.set[name] or (not t.del[name] and call('HGET', t.name, name)) end

local function revise(t)
  t.r = t.r + 1
  t.revised = true
end

-- runs ------------------------------------------------------------------------

-- Lines of a record: what changes while it is open; what does not; its kind; its owner; why to stop; its exit.
local RUN = '^%["(%a+)",(%a+),(%a+),([^,]+),([^,]+),([^,]+),([^,]+),([^,]+),([^,]+),([^,]+),\n([^\n]+),\n([^\n]+),\n([^\n]+),\n([^\n]+),\n([^\n]+)%]$'

-- A run, or nothing where somebody has damaged its record: that one is passed over.
local function parseRun(t, key, text)
  local state, held, queues, tok, lease, started, attempt, takeovers, readyAt, ended, fixed, kind, owner, cancel, exit =
    match(text, RUN)
  if not state then return nil end
  return {
    t = t, key = key, text = text, state = state, held = held, queues = queues, token = tok, lease = lease,
    started = started, attempt = attempt, takeovers = takeovers, readyAt = readyAt, ended = ended, fixed = fixed,
    kind = kind, owner = owner, cancel = cancel, exit = exit, once = false, slots = false, due = false, number = false,
    mine = false
  }
end

local function runText(r)
  if not r.text then
    r.text = '["' .. r.state .. '",' .. r.held .. ',' .. r.queues .. ',' .. r.token .. ',' .. r.lease .. ',' .. r.started ..
      ',' .. r.attempt .. ',' .. r.takeovers .. ',' .. r.readyAt .. ',' .. r.ended .. ',\n' .. r.fixed .. ',\n' .. r.kind ..
      ',\n' .. r.owner .. ',\n' .. r.cancel .. ',\n' .. r.exit .. ']'
  end
  return r.text
end

-- What does not change: whether its attempt may begin only once, how many of its task may be active, when it is due.
local function fix(r)
  if not r.due then r.once, r.slots, r.due = match(r.fixed, '^(%a+),([^,]+),([^,]+),') end
  return r
end

-- Whether this is the last text of a line.
local function isOf(line, text) return sub(line, -#text - 1) == ',' .. text end

-- What a key has: an open run, the number that it has ended as, or false.
keepRun = function(t, key, text)
  local run = text and (tonumber(text) or parseRun(t, key, text)) or false
  t.runs[key] = run
  return run
end

local function atKey(t, key)
  local run = t.runs[key]
  if run == nil then run = keepRun(t, key, call('HGET', t.name, key)) end
  return run
end

local function openRun(t, key)
  local run = atKey(t, key)
  return type(run) == 'table' and run or nil
end

local function byRunDue(x, y)
  local a, b = tonumber(fix(x).due), tonumber(fix(y).due)
  if a ~= b then return a < b end
  return below(x.key, y.key)
end

-- The keys of open runs.
local function keysOf(l)
  local keys = {}
  for key in string.gmatch(l, '[^\n]+') do keys[#keys + 1] = key end
  return keys
end

local function opened(t, key) t.l, t.listed = t.l == '' and key or (t.l .. '\n' .. key), true end

local function closed(t, key)
  if t.l == key then t.l = ''
  else
    local keys = {}
    for _, other in ipairs(keysOf(t.l)) do if other ~= key then keys[#keys + 1] = other end end
    t.l = table.concat(keys, '\n')
  end
  t.listed = true
end

-- Open runs, by due, then key.
local function opens(t)
  local list, unread = {}, {}
  for _, key in ipairs(keysOf(t.l)) do if t.runs[key] == nil then unread[#unread + 1] = key end end
  if #unread > 0 then
    for i, text in ipairs(call('HMGET', t.name, unpack(unread))) do keepRun(t, unread[i], text) end
  end
  for _, key in ipairs(keysOf(t.l)) do list[#list + 1] = openRun(t, key) end
  table.sort(list, byRunDue)
  return list
end

local function touch(r)
  r.text = false
  if not r.number then write(r.t, r.key, r) end
end

-- Ready runs -------------------------------------------------------------------

local NOW
local seen = {}
local broughtDue, broughtReady, broughtCancel

local function claimOrder(r)
  return ord(-tonumber(match(r.kind, '^[^,]+,([^,]+),'))) .. ord(tonumber(fix(r).due)) .. r.t.g .. r.key
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

-- Limit, concurrency key, executor and tag of a kind that has a key.
local function keyOf(kind) return match(kind, '^[^,]+,[^,]+,(%d+),([^\t]+)\t,([^\t]+)\t,(.+)$') end

-- version, and executor and tag; of a run with a key limit and key too, and its line
local function bucket(r)
  local limit, key, executor, tag = keyOf(r.kind)
  local version, name = match(r.kind, '^([^,]+),[^,]+,(.*)$')
  if not limit then return version .. ':' .. name, version, name end
  return version .. ':' .. limit .. ',' .. key .. '\t' .. executor .. '\t' .. tag, version, executor .. ',' .. tag,
    key .. '\t' .. tag
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

local function lineOf(kind)
  local limit, key, _, tag = keyOf(kind)
  return limit and key .. '\t' .. tag
end

-- Puts an open run where its state belongs.
local function link(r)
  if r.state == 'running' then
    add('leases', r.t.g .. r.key, r.lease)
    local line = lineOf(r.kind)
    if line then add('busy:' .. line, r.t.g .. r.key) end
  elseif r.state == 'ready' and r.held == 'false' then
    local readyAt = tonumber(r.readyAt)
    local b, version, name, line = bucket(r)
    if not seenOf(b) then
      seen[b] = readyAt
      call('HSET', P .. ':seen', b, r.readyAt)
      if line then
        add('lanes:' .. line, b)
        add('versions:' .. name, version .. 'k', version)
      else add('versions:' .. name, version, version) end
    elseif NOW and readyAt <= NOW and readyAt > seenOf(b) then see(b, NOW) end
    local order = claimOrder(r)
    add('later:' .. b, order, r.readyAt)
    if readyAt <= seenOf(b) then add('ready:' .. b, order) end
    if line then
      local all = version .. ':' .. name
      add('apart:' .. all, line .. '\n' .. r.t.g .. r.key, r.readyAt)
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

-- wake-ups --------------------------------------------------------------------

-- of a score
local function brings(due)
  local n = tonumber(due)
  if due ~= '+inf' and (not broughtDue or n < broughtDue) then broughtDue = n end
end

-- runs of a task --------------------------------------------------------------

local function own(r, owner, lease, now)
  r.state, r.token, r.owner, r.lease = 'running', nextToken(), owner, lease
  r.started = fix(r).once == 'true' and 'null' or now
  r.attempt = S(tonumber(r.attempt) + 1)
  touch(r)
end

-- A run as clients send it; where it is claimed they say for whom.
local function arriving(t)
  local key, state, held, queues, attempt, takeovers, readyAt, fixed =
    take(), take(), take(), take(), take(), take(), take(), take()
  local r = {
    t = t, key = key, text = false, state = state, held = held, queues = queues, token = 'null', lease = 'null',
    started = 'null', attempt = attempt, takeovers = takeovers, readyAt = readyAt, ended = 'null', fixed = fixed,
    kind = false, owner = 'null', cancel = 'null', exit = 'null', once = false, slots = false, due = false,
    number = false, mine = false
  }
  return r
end

-- Opens a run; answers it. One of its key that has ended is no longer the latest one.
local function create(r, owner, lease, now)
  local t = r.t
  local before = atKey(t, r.key)
  if before then
    local text = call('HGET', t.name, S(before))
    local ended = text and parseRun(t, r.key, text)
    if ended then add('runs', t.g .. r.key .. pad(before), fix(ended).due) end
  end
  r.kind = t.k
  if r.state == 'ready' then
    if owner ~= '' and not keyOf(t.k) then own(r, owner, lease, now) elseif r.held == 'false' then broughtReady = true end
  end
  t.runs[r.key] = r
  opened(t, r.key)
  touch(r)
  link(r)
  add('runs', t.g .. r.key, fix(r).due)
  return r
end

-- Takes a run from among the open ones, and leaves in its place the number that it has ended as, if it has.
local function close(r, number)
  local t = r.t
  unlink(r)
  closed(t, r.key)
  t.runs[r.key] = number
  if number then write(t, r.key, S(number)) else drop(t, r.key) end
end

local function dropRun(r)
  close(r, false)
  rem('runs', r.t.g .. r.key)
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
  if sub(field(r.t, 'c') or '', 1, 10) == '["paused",' then
    unlink(r)
    r.held = 'true'
    revise(r.t)
  end
  ready(r)
end

-- from open to history
local function finish(r, state, now)
  local t = r.t
  t.e = t.e + 1
  t.counted = true
  close(r, t.e)
  r.state, r.lease, r.ended, r.number, r.text = state, 'null', now, t.e, false
  write(t, S(t.e), runText(r))
  add('ended', t.g .. pad(t.e), now)
end

local function cancelRun(r, reason, now)
  r.cancel, r.token = reason, 'null'
  finish(r, 'cancelled', now)
end

-- An ended run.
local function endedRun(t, number)
  local text = field(t, S(number))
  return text and parseRun(t, nil, text)
end

local function dropEnded(t, number)
  rem('ended', t.g .. pad(number))
  local r = endedRun(t, number)
  drop(t, S(number))
  if not r then return end
  -- its key is the last text that does not change: in a text of JSON no comma is before a quote, unless at its end
  local key = match(r.fixed, '^.*,(".+)$')
  if atKey(t, key) == number then
    t.runs[key] = false
    drop(t, key)
    rem('runs', t.g .. key)
  else rem('runs', t.g .. key .. pad(number)) end
end

-- Drops the numbers of a task up to its latest − keep.
local function bound(t, keep)
  local last = t.e - keep
  if t.f > last then return end
  for number = t.f, last do dropEnded(t, number) end
  t.f, t.counted = last + 1, true
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
  if not waiting or active(t) >= tonumber(fix(waiting).slots) then return false end
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
  local t = load(g, key)
  local r = t and openRun(t, key)
  if r and r.state == 'running' and r.token == tok and r.owner == owner then return r end
end

local function ask(r, reason)
  if r.cancel ~= 'null' then return end
  r.cancel = reason
  touch(r)
  broughtCancel = true
end

-- tasks and their indexes -----------------------------------------------------

local function setZone(t, rules)
  if t.z == rules then return end
  if t.z ~= '' then rem('zoned', t.z .. '\0' .. t.g) end
  t.z = rules
  write(t, 'z', rules)
  if rules ~= '' then add('zoned', rules .. '\0' .. t.g) end
end

-- From the first task with a key on, whoever does not know of them may not write.
local function keyedBy(kind)
  if keyOf(kind) and tonumber(meta[1] or 0) < KEYED then wrote.writer = S(KEYED) end
end

local ids, noIds = {}, {}

-- A task as clients send it; answers it.
local function addTask(id)
  local g = nextGeneration()
  local created, due, zone, events = take(), take(), take(), take()
  local t = remember({ g = g, name = P .. ':t:' .. g, e = 0, f = 1, r = 1, z = zone, l = '', k = false, id = false,
    removed = false, revised = false, counted = true, listed = true, runs = {}, set = false, del = {} })
  local c, p, k, d = take(), take(), take(), take()
  t.k = k
  keyedBy(k)
  t.set = { r = '1', c = c, p = p, k = k, d = d, z = zone }
  ids[id], noIds[id] = g, nil
  add('ids', id)
  add('due', g, due)
  add('created', g, created)
  if zone ~= '' then add('zoned', zone .. '\0' .. g) end
  if events == '1' then add('events', g) end
  brings(due)
  for _ = 1, int() do
    local r = arriving(t)
    if not openRun(t, r.key) then create(r, '', '', created) end
  end
  return t
end

local function gone(t) return #t.id .. ':' .. t.id .. t.g end

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
  t.id, t.removed = id, true
  for _, name in ipairs({ 'r', 'c', 'p', 'k', 'd', 'z' }) do drop(t, name) end
  write(t, 'x', id)
  add('gone', gone(t))
end

-- verdicts --------------------------------------------------------------------

local judged
local function hides(g, reader)
  if judged == nil then judged = call('EXISTS', P .. ':q') == 1 end
  return judged and call('HEXISTS', P .. ':q:' .. g, reader) == 1
end

-- answers ---------------------------------------------------------------------

local function row(g)
  local v = call('HMGET', P .. ':t:' .. g, 'r', 'c', 'p', 'k', 'd')
  return { g, v[1], v[2], v[3], v[4], v[5] }
end

-- A task with its open runs, as stored: for scripts that change neither.
local function withRuns(g)
  local name = P .. ':t:' .. g
  local v = call('HMGET', name, 'r', 'c', 'p', 'k', 'd', 'l')
  if not v[6] then return nil end
  local answer = { g, v[1], v[2], v[3], v[4], v[5] }
  if v[6] ~= '' then
    for i, text in ipairs(call('HMGET', name, unpack(keysOf(v[6])))) do answer[6 + i] = text end
  end
  return answer
end

-- Sets fields, runs among them, and deletes those named.
local function writeHash(key, set, del)
  local list = {}
  for name, value in pairs(set) do
    list[#list + 1] = name
    list[#list + 1] = type(value) == 'table' and runText(value) or value
    if #list >= 2000 then
      call('HSET', key, unpack(list))
      list = {}
    end
  end
  if #list > 0 then call('HSET', key, unpack(list)) end
  if not next(del) then return end
  list = {}
  for name in pairs(del) do
    list[#list + 1] = name
    if #list >= 2000 then
      call('HDEL', key, unpack(list))
      list = {}
    end
  end
  if #list > 0 then call('HDEL', key, unpack(list)) end
end

-- Writes what changed, tells listeners, and answers.
local function done(answer)
  for _, t in ipairs(touched) do
    if t.revised and not t.removed then write(t, 'r', S(t.r)) end
    if t.counted then t.set.e, t.set.f = S(t.e), S(t.f) end
    if t.listed then t.set.l = t.l end
    writeHash(t.name, t.set, t.del)
    -- all that is left of it is e, f, l and x
    if t.removed and call('HLEN', t.name) == 4 then
      t.id = t.id or call('HGET', t.name, 'x')
      call('DEL', t.name)
      rem('gone', gone(t))
    end
  end
  if next(ids) or next(noIds) then writeHash(P .. ':id', ids, noIds) end
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
      wrote.schema, wrote.writer = S(SCHEMA), wrote.writer or S(SCHEMA)
    end
    local fields = {}
    for name, value in pairs(wrote) do fields[#fields + 1] = name fields[#fields + 1] = value end
    call('HSET', P, unpack(fields))
  end
  return { answer, wake }
end
`
