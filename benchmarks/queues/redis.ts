/**
 * On Redis: the least that a schedule with leases and a history can be, in scripts written by hand; and BullMQ.
 */
import { type Contender, type Job, period } from "./queue.ts"

/** A task, what is due, a run with its lease, and a history: as few commands as there can be, in batches of 200. */
export const limit: Contender = {
  place: "redis",
  setup: "a hash of the task, a set of what is due, a run with a lease, a history; batches of 200, and no checks",
  role: "limit",
  kinds: ["one-off", "recurring"],
  timed: false,
  open: async (url, p, { kind }) => {
    const { Redis } = await import("ioredis")
    const db = new Redis(url)
    db.defineCommand("fill", {
      numberOfKeys: 1,
      lua: `for i = 1, #ARGV, 2 do
  redis.call('HSET', KEYS[1] .. ':t:' .. ARGV[i], 'payload', ARGV[i + 1], 'state', 'scheduled', 'rev', 1, 'due', 1)
  redis.call('ZADD', KEYS[1] .. ':due', 1, ARGV[i])
end`
    })
    db.defineCommand("claim", {
      numberOfKeys: 1,
      lua: `local ids = redis.call('ZRANGEBYSCORE', KEYS[1] .. ':due', '-inf', 1, 'LIMIT', 0, 200)
local out = {}
for i, id in ipairs(ids) do
  local t = KEYS[1] .. ':t:' .. id
  out[i] = redis.call('HGET', t, 'payload')
  ${
        kind === "recurring"
          ? `redis.call('HSET', t, 'rev', 2, 'due', ${period}) redis.call('ZADD', KEYS[1] .. ':due', ${period}, id)`
          : "redis.call('HSET', t, 'rev', 2, 'state', 'finished') redis.call('ZREM', KEYS[1] .. ':due', id)"
      }
  redis.call('HSET', KEYS[1] .. ':r:' .. id, 'key', 1, 'owner', ARGV[1], 'token', i, 'attempt', 1)
  redis.call('ZADD', KEYS[1] .. ':lease', 30000, id)
end
return { ids, out }`
    })
    db.defineCommand("settle", {
      numberOfKeys: 1,
      lua: `for _, id in ipairs(ARGV) do
  local r = KEYS[1] .. ':r:' .. id
  local run = redis.call('HGETALL', r)
  redis.call('DEL', r)
  redis.call('ZREM', KEYS[1] .. ':lease', id)
  redis.call('RPUSH', KEYS[1] .. ':h:' .. id, cjson.encode(run))
  redis.call('ZADD', KEYS[1] .. ':ended', 3, id)
end`
    })
    const call = db as unknown as Readonly<Record<string, (...args: ReadonlyArray<string>) => Promise<unknown>>>
    return {
      add: (jobs) => call["fill"]!(p, ...jobs.flatMap(({ n }) => [String(n), JSON.stringify({ n })])),
      work: async (f) => {
        while (true) {
          const [ids, payloads] = await call["claim"]!(p, "me") as readonly [
            ReadonlyArray<string>,
            ReadonlyArray<string>
          ]
          if (ids.length === 0) return
          for (const payload of payloads) void f(JSON.parse(payload).n)
          await call["settle"]!(p, ...ids)
        }
      },
      settled: async () => true,
      close: () => db.quit()
    }
  }
}

const bullmq = (role: "best" | "defaults", setup: string, concurrency: number | undefined): Contender => ({
  place: "redis",
  setup,
  role,
  kinds: role === "best" ? ["one-off", "recurring", "ready"] : ["one-off"],
  timed: true,
  open: async (url, name, { kind, shortLease }) => {
    const { Queue, Worker } = await import("bullmq")
    const { hostname, port } = new URL(url)
    const connection = { host: hostname, port: Number(port), maxRetriesPerRequest: null }
    const queue = new Queue(name, { connection })
    let worker: { readonly close: (force?: boolean) => Promise<void> } | undefined
    const delay = ({ at }: Job) => at === undefined ? {} : { delay: Math.max(0, at - Date.now()) }
    return {
      add: ([job, ...rest]) => {
        if (job === undefined) return Promise.resolve()
        const jobs = [job, ...rest]
        if (kind === "recurring") {
          return Promise.all(
            jobs.map(({ at, n }) =>
              queue.upsertJobScheduler(`task-${n}`, { every: period, offset: at! % period }, {
                name: "work",
                data: { n }
              })
            )
          )
        }
        return jobs.length === 1
          ? queue.add("work", { n: job.n }, delay(job))
          : queue.addBulk(jobs.map((job) => ({ name: "work", data: { n: job.n }, opts: delay(job) })))
      },
      work: async (f) => {
        const working = new Worker(name, async ({ data }: { readonly data: { readonly n: number } }) => f(data.n), {
          connection,
          ...concurrency === undefined ? {} : { concurrency },
          ...shortLease === true ? { lockDuration: 1_000, stalledInterval: 1_000 } : {}
        })
        working.on("error", () => {}) // a lock that is lost is told here, and the run is another's
        worker = working
        await working.waitUntilReady()
      },
      settled: async () => await queue.getActiveCount() === 0,
      ended: async () => (await queue.getCompleted(0, -1)).map(({ data }) => data.n),
      close: async () => {
        await worker?.close(true)
        await queue.close()
      }
    }
  }
})

export const bullmqBest = bullmq("best", "concurrency 50", 50)

export const bullmqDefaults = bullmq("defaults", "defaults: one at a time", undefined)
