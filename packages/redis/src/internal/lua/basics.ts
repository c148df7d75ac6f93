/**
 * What every script begins with: arguments, numbers, and who may write.
 *
 * @since 0.1.0
 */

/** The layout these scripts read and write. */
export const schema = 3

/** What a script answers where the store is of another version: this, the schema, and the oldest version that may write. */
export const otherSchemaPrefix = "PUNCTUALSCHEMA"

export const basics = `local SCHEMA = ${schema}
` + String.raw`
local P, ARGV, call, fmt, sub, match = KEYS[1], ARGV, redis.call, string.format, string.sub, string.match
local meta = call('HMGET', P, 'writer', 'schema', 'generation', 'token', 'known', 'wake', 'saved', 'run',
  'revision')
if (meta[1] and tonumber(meta[1]) > SCHEMA) or (meta[2] and tonumber(meta[2]) < SCHEMA) then
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
local function clock()
  if not micros then
    local time = call('TIME')
    micros = tonumber(time[1]) * 1000000 + tonumber(time[2])
  end
  return micros
end
local function fresh(last) return math.max((last or 0) + 1, clock()) end

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

-- The least revision that a change gives: greater than any that another run of the server gave and forgot. One that has
-- just begun says that it was saved at that second. So where nothing was saved since, it is the run that is known; it is
-- not asked each time, which costs more.
local least
local function leastRevision()
  if least then return least end
  least = tonumber(meta[9]) or 0
  local saved = redis.pcall('LASTSAVE')
  if type(saved) == 'number' and S(saved) == meta[7] then return least end
  local run = match(call('INFO', 'server'), 'run_id:(%x+)')
  if run ~= meta[8] then
    if meta[8] then
      least = fresh(least)
      wrote.revision = S(least)
    end
    wrote.run = run
  end
  -- within that second another one may begin
  if type(saved) == 'number' and saved * 1000000 + 1000000 < clock() then wrote.saved = S(saved) end
  return least
end

-- wake-ups --------------------------------------------------------------------

local broughtDue, broughtReady, broughtCancel

-- of a score
local function brings(due)
  local n = tonumber(due)
  if due ~= '+inf' and (not broughtDue or n < broughtDue) then broughtDue = n end
end
`
