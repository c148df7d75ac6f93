/**
 * Locks on a Redis server, over the program's own `Redis` service.
 *
 * ```ts
 * const Locks = RedisLock.layer({ prefix: "billing" }).pipe(
 *   Layer.provide(NodeRedis.layer({ url: "redis://127.0.0.1:6379" }))
 * )
 * ```
 *
 * A lock is a key with an expiry, its lease, which the holder extends. Who waits stands in a line on the server, and keeps
 * its place as long as it is heard of. Every step is one script. All keys begin with `{prefix}`, so they are in one slot of
 * a cluster:
 *
 * | key | type | holds |
 * |---|---|---|
 * | `:lock:<name>` | hash, expires | `owner`, `token`, `holder` as JSON |
 * | `:lock-line:<name>` | sorted set, expires | who waits, in order |
 * | `:lock-seen:<name>` | hash, expires | until when each of them keeps its place |
 * | `:lock-token` | text | the latest token of any name |
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redis from "effect/persistence/Redis"
import * as Schema from "effect/Schema"
import { hostname } from "node:os"
import process from "node:process"
import * as Lock from "punctual/Lock"
import * as LockLease from "punctual/LockLease"
import { InvalidOption, refuseOptions } from "punctual/SchedulerError"
import { storeError } from "./internal/errors.ts"
import { liveClock } from "./internal/liveClock.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** What its keys begin with, in braces: any text without braces. Default: `punctual`. */
  readonly prefix?: string | undefined
  /** For messages. Default: `redis:` and the prefix. */
  readonly name?: string | undefined
  /** What `holder` calls this program. Default: a random one. */
  readonly identity?: string | undefined
  /** How long a holder that is not heard of keeps a lock: at least 100 ms. Default: 10 seconds. */
  readonly lease?: Duration.Input | undefined
  /** The longest pause between two attempts of who waits. Default: 50 ms. */
  readonly pollInterval?: Duration.Input | undefined
}

const known: Readonly<Record<keyof Options, true>> = {
  prefix: true,
  name: true,
  identity: true,
  lease: true,
  pollInterval: true
}

/** How many polls of who waits may fail to come before its place is lost. */
const missedPolls = 20

/**
 * Locks by name, as long as the server remembers them.
 *
 * **Details**
 *
 * Locks are had in the order of asking, over all programs: a released one goes to the first in line at its next poll. One
 * that was killed while it waited keeps its place for 20 polls. Tokens follow the server's clock, so they grow even where it
 * lost what it knew.
 *
 * **Gotchas**
 *
 * A server that forgets (a crash without `appendfsync always`, a replica that takes over before it has heard of the lock)
 * gives a lock away that somebody holds. The holder learns it at its next extension; what must not be overtaken compares
 * tokens.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<Lock.Lock, InvalidOption, Redis.Redis> =>
  Layer.effect(Lock.Lock)(Effect.gen(function*() {
    const refused = refuseOptions(options, Object.keys(known), "RedisLock.layer")
    if (refused !== undefined) return yield* refused
    const prefix = options.prefix ?? "punctual"
    if (prefix === "" || /[{}]/.test(prefix)) {
      return yield* new InvalidOption({
        option: "prefix",
        value: prefix,
        message: `prefix: "${prefix}" cannot begin keys: use a text that is not empty and has no { nor }`
      })
    }
    const lease = yield* LockLease.leaseMillis(options.lease)
    const redis = yield* Redis.Redis
    const lock = options.name ?? `redis:${prefix}`
    const pollInterval = Duration.toMillis(Duration.fromInputUnsafe(options.pollInterval ?? "50 millis"))
    return Lock.make(LockLease.make({
      name: lock,
      capabilities: { spans: "network", fair: true, fenced: true, leased: true },
      identity: options.identity ?? crypto.randomUUID(),
      host: hostname(),
      pid: process.pid,
      lease,
      pollInterval,
      clock: liveClock,
      newOwner: () => crypto.randomUUID(),
      leases: makeLeases(redis, { lock, root: `{${prefix}}`, lease, patience: pollInterval * missedPolls })
    }))
  }))

const HolderText = Schema.fromJsonString(Schema.toCodecJson(Lock.Holder))
const decodeHolder = Schema.decodeUnknownOption(HolderText)
const encodeHolder = Schema.encodeSync(HolderText)

const makeLeases = (
  redis: Redis.Redis["Service"],
  { lease, lock, patience, root }: {
    readonly lock: string
    readonly root: string
    readonly lease: number
    readonly patience: number
  }
): LockLease.Leases => {
  const ask = (operation: keyof typeof scripts, name: string, ...args: ReadonlyArray<string | number>) =>
    redis.eval(scripts[operation])(root, name, args.map(String)).pipe(
      Effect.mapError(({ cause }) => {
        const { message } = storeError(lock, operation, cause)
        return new Lock.LockUnavailable({ lock, operation, message, cause })
      })
    )
  return {
    acquire: ({ holder, name, owner, wait }) =>
      Effect.map(
        ask("acquire", name, owner, encodeHolder(holder), Math.ceil(lease), wait ? Math.ceil(patience) : 0),
        (token) => token === null ? Option.none() : Option.some(Number(token))
      ),
    forget: (name, owner) => Effect.asVoid(ask("release", name, owner)),
    extend: (name, owner) => Effect.map(ask("extend", name, owner, Math.ceil(lease)), (done) => done === 1),
    release: (name, owner) => Effect.map(ask("release", name, owner), (done) => done === 1),
    holder: (name) =>
      Effect.map(ask("holder", name), (holder) => holder === null ? Option.none() : decodeHolder(holder))
  }
}

// -----------------------------------------------------------------------------
// scripts
// -----------------------------------------------------------------------------

const script = (body: string) =>
  Redis.script((root: string, name: string, args: ReadonlyArray<string>) => [root, name, ...args], {
    lua: `
local root, name = KEYS[1], ARGV[1]
local lock, line, seen = root .. ':lock:' .. name, root .. ':lock-line:' .. name, root .. ':lock-seen:' .. name
local owner = ARGV[2]
local function leave(waiter)
  redis.call('ZREM', line, waiter)
  redis.call('HDEL', seen, waiter)
end
${body}`,
    numberOfKeys: 1
  }).withReturnType<string | number | null>()

const scripts = {
  /** Answers the token of who has it now, or nothing; with a patience, notes who waits. */
  acquire: script(String.raw`
local holder, lease, patience = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local current = redis.call('HGET', lock, 'owner')
if current == owner then return redis.call('HGET', lock, 'token') end
local first = redis.call('ZRANGE', line, 0, 0)[1]
while first and first ~= owner and tonumber(redis.call('HGET', seen, first) or 0) < now do
  leave(first)
  first = redis.call('ZRANGE', line, 0, 0)[1]
end
if current or (first and first ~= owner) then
  if patience > 0 then
    local last = redis.call('ZRANGE', line, -1, -1, 'WITHSCORES')[2]
    redis.call('ZADD', line, 'NX', (tonumber(last) or 0) + 1, owner)
    redis.call('HSET', seen, owner, string.format('%.0f', now + patience))
    redis.call('PEXPIRE', line, patience * 2)
    redis.call('PEXPIRE', seen, patience * 2)
  end
  return false
end
leave(owner)
local last = tonumber(redis.call('GET', root .. ':lock-token') or 0)
local token = string.format('%.0f', math.max(last + 1, time[1] * 1000000 + time[2]))
redis.call('SET', root .. ':lock-token', token)
redis.call('HSET', lock, 'owner', owner, 'token', token, 'holder', holder)
redis.call('PEXPIRE', lock, lease)
return token
`),

  extend: script(String.raw`
if redis.call('HGET', lock, 'owner') ~= owner then return 0 end
return redis.call('PEXPIRE', lock, tonumber(ARGV[3]))
`),

  /** Also out of the line. */
  release: script(String.raw`
leave(owner)
if redis.call('HGET', lock, 'owner') ~= owner then return 0 end
return redis.call('DEL', lock)
`),

  holder: script(String.raw`
return redis.call('HGET', lock, 'holder')
`)
}
