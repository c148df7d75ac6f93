/**
 * On Postgres: what Punctual writes, written by hand; a table of jobs; graphile-worker and pg-boss.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { stores } from "../places.ts"
import { type Contender, type Job, period, texts } from "./queue.ts"

const connect = async (url: string) => {
  const { default: { Client } } = await import("pg")
  const db = new Client({ connectionString: url })
  await db.connect()
  return db
}

/** Rows claimed and deleted in batches of 500: no task, no history, no policy. */
export const claimAndDelete: Contender = {
  place: "postgres",
  setup: "batches of 500",
  role: "limit",
  kinds: ["one-off"],
  timed: false,
  open: async (url, name) => {
    const db = await connect(url)
    await db.query(
      `create table if not exists ${name} (id bigserial primary key, due bigint not null, payload text not null, owner text)`
    )
    await db.query(`create index if not exists ${name}_due on ${name} (due) where owner is null`)
    return {
      add: (jobs) =>
        db.query({
          name: "insert",
          text: `insert into ${name} (due, payload) select 0, p from unnest($1::text[]) p`,
          values: [jobs.map(({ n }) => JSON.stringify({ n }))]
        }),
      work: async (f) => {
        while (true) {
          const { rows } = await db.query<{ readonly id: string; readonly payload: string }>({
            name: "claim",
            text: `update ${name} set owner = 'me' where id in (
  select id from ${name} where owner is null and due <= $1 order by due limit 500 for update skip locked
) returning id, payload`,
            values: [1]
          })
          if (rows.length === 0) return
          for (const { payload } of rows) void f(JSON.parse(payload).n)
          await db.query({
            name: "delete",
            text: `delete from ${name} where id = any($1::bigint[])`,
            values: [rows.map(({ id }) => id)]
          })
        }
      },
      settled: async () => true,
      close: () => db.end()
    }
  }
}

/**
 * What Punctual writes, written by hand: the same rows of the same tables, texts and instants included, with every index,
 * in the same two transactions a batch. It checks nothing, knows that all rows of a batch are alike, and that nobody else
 * works.
 */
export const limit: Contender = {
  place: "postgres",
  setup: "the same rows of the same tables with all their indexes, in batches of 500, and no checks",
  role: "limit",
  kinds: ["one-off", "recurring", "ready"],
  timed: false,
  open: async (url, p, { kind }) => {
    await Effect.runPromise(Effect.scoped(Layer.build(await stores.Postgres.open(url, p))))
    const db = await connect(url)
    const { exit, owner, policy, ranges, rule } = await texts(kind)
    const columns = `n, run_key, task_id, tag, version, executor, priority, due, nominal, ready_at, created_at,
  slots, queues, at_most_once`
    const begun = "attempt, owner, token, started_at"
    const fill = `with u as (
  select nextval('${p}_generation_seq') as n, a.*, $3::bigint as now from unnest($1::text[], $2::text[]) a(id, payload)
), t as (
  insert into ${p}_task (n, id, tag, version, name, payload, display, rule, anchor, on_startup, on_shutdown, policy,
    executor, priority, labels, created_at, updated_at)
  select n, id, 'Work', 1, 'Work', payload, payload, '${rule}', now, 0, 0, '${policy}', 'default', 0, '{}', now, now from u
)${
      kind === "ready"
        ? `, r as (
  insert into ${p}_run (${columns}, state)
  select n, now::text, id, 'Work', 1, 'default', 0, now, now, now, now, 1, 0, 0, 'ready' from u
)`
        : ""
    }
insert into ${p}_clock (n, id, revision, state, position, due, nominal, epoch, ran, missed, coalesced, skipped, paused,
  extra, exact, ranges, failures)
select n, id, 1, ${
      kind === "ready" ? "'finished', now - 1, null::bigint, null::bigint" : "'scheduled', now - 1, now, now"
    }, now - 1, 0, 0, 0, 0, 0, 0, 1, '${ranges}', 0 from u`
    const next = kind === "recurring"
      ? `due = r.due + ${period}, nominal = r.nominal + ${period}`
      : "due = null, nominal = null, state = 'finished'"
    const claim = kind === "ready"
      ? `with u as materialized (
  select r.ctid as at, t.payload from ${p}_run r join ${p}_task t on t.n = r.n
  where r.executor = 'default' and r.tag = 'Work' and r.state = 'ready' and r.held = 0 and r.later = 0
  order by r.priority desc, r.due, r.n, r.run_key limit 500
)
update ${p}_run r set state = 'running', attempt = 1, owner = '${owner}', token = nextval('${p}_token_seq'),
  started_at = $1::bigint, lease_until = $1::bigint + 30000
from u where r.ctid = u.at returning r.n, u.payload`
      : `with u as materialized (
  select c.ctid as at, c.n, c.id, c.due, t.payload from ${p}_clock c join ${p}_task t on t.n = c.n
  where c.due <= $1::bigint order by c.due, c.n limit 500
), p as (
  update ${p}_clock r set revision = revision + 1, position = $1::bigint, ran = ran + 1, ${next} from u
  where r.ctid = u.at returning u.n, u.id, u.due, u.payload
), w as (
  insert into ${p}_run (${columns}, state, ${begun}, lease_until)
  select n, due::text, id, 'Work', 1, 'default', 0, due, due, due, $1::bigint, 1, 0, 0, 'running', 1, '${owner}',
    nextval('${p}_token_seq'), $1::bigint, $1::bigint + 30000 from p
)
select n, payload from p`
    const settle = `with d as (
  delete from ${p}_run where n = any($1::bigint[]) returning *
)
insert into ${p}_history (${columns}, ${begun}, state, exit, no, ended_at)
select ${columns}, ${begun}, 'succeeded', '${exit}', 1, $2::bigint from d`
    return {
      add: (jobs) =>
        db.query({
          name: "fill",
          text: fill,
          values: [jobs.map(({ n }) => `task-${n}`), jobs.map(({ n }) => JSON.stringify({ n })), Date.now()]
        }),
      work: async (f) => {
        while (true) {
          const { rows } = await db.query<{ readonly n: string; readonly payload: string }>({
            name: "claim",
            text: claim,
            values: [Date.now()]
          })
          if (rows.length === 0) return
          for (const { payload } of rows) void f(JSON.parse(payload).n)
          await db.query({ name: "settle", text: settle, values: [rows.map(({ n }) => n), Date.now()] })
        }
      },
      settled: async () => true,
      close: () => db.end()
    }
  }
}

const graphileWorker = (
  role: "best" | "defaults",
  setup: string,
  options: {
    readonly concurrency?: number
    readonly pollInterval?: number
    readonly preset?: { readonly worker: object }
  }
): Contender => ({
  place: "postgres",
  setup,
  role,
  kinds: role === "best" ? ["one-off", "recurring", "ready"] : ["one-off"],
  timed: true,
  open: async (url, schema, { kind }) => {
    const { Logger, makeWorkerUtils, run } = await import("graphile-worker")
    const logger = new Logger(() => () => {})
    const utils = await makeWorkerUtils({ connectionString: url, schema, logger })
    await utils.migrate()
    const db = await connect(url)
    const spec = ({ at, n }: Job) => ({
      identifier: "work",
      payload: { n },
      ...at === undefined ? {} : { runAt: new Date(at) }
    })
    let runner: Awaited<ReturnType<typeof run>> | undefined
    const added = new Set<number>()
    return {
      add: ([job, ...rest]) => {
        if (job === undefined) return Promise.resolve()
        for (const { n } of [job, ...rest]) added.add(n)
        if (rest.length > 0) return utils.addJobs([job, ...rest].map(spec))
        const { identifier, payload, ...options } = spec(job)
        return utils.addJob(identifier, payload, options)
      },
      work: async (f) => {
        runner = await run({
          connectionString: url,
          schema,
          logger,
          noHandleSignals: true,
          taskList: {
            // its crontab is of minutes: a job adds the next one
            work: async (payload, { addJob }) => {
              const { n } = payload as { readonly n: number }
              await f(n)
              if (kind === "recurring") await addJob("work", payload, { runAt: new Date(Date.now() + period) })
            }
          },
          ...options
        })
      },
      settled: async () =>
        (await db.query(`select 1 from ${schema}._private_jobs where run_at <= now() limit 1`)).rowCount === 0,
      // what ends is deleted
      ended: async () => {
        const { rows } = await db.query<{ readonly n: number }>(
          `select (payload->>'n')::int as n from ${schema}._private_jobs`
        )
        const left = new Set(rows.map(({ n }) => n))
        return [...added].filter((n) => !left.has(n))
      },
      close: async () => {
        await runner?.stop()
        await db.end()
        await utils.release()
      }
    }
  }
})

export const graphileBest = graphileWorker(
  "best",
  "concurrency 50, localQueue 500, completeJobBatchDelay 0, failJobBatchDelay 0, pollInterval 100 ms",
  {
    concurrency: 50,
    pollInterval: 100,
    preset: { worker: { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } }
  }
)

export const graphileDefaults = graphileWorker("defaults", "defaults: one at a time, pollInterval 2 s", {})

const pgBoss = (
  role: "best" | "defaults",
  setup: string,
  options: {
    readonly batchSize?: number
    readonly burstWhenBatchFull?: boolean
    readonly pollingIntervalSeconds?: number
  }
): Contender => ({
  place: "postgres",
  setup,
  role,
  kinds: role === "best" ? ["one-off", "recurring", "ready"] : ["one-off"],
  timed: true,
  open: async (url, schema, { kind, shortLease }) => {
    const { PgBoss } = await import("pg-boss")
    const boss = new PgBoss({
      connectionString: url,
      schema,
      ...shortLease === true ? { superviseIntervalSeconds: 1, maintenanceIntervalSeconds: 1 } : {}
    })
    boss.on("error", (error) => {
      throw error
    })
    await boss.start()
    await boss.createQueue("work", shortLease === true ? { expireInSeconds: 2, retryDelay: 0 } : {})
    const db = await connect(url)
    const after = ({ at }: Job) => at === undefined ? {} : { startAfter: new Date(at) }
    return {
      add: ([job, ...rest]) =>
        job === undefined
          ? Promise.resolve()
          : rest.length === 0
          ? boss.send("work", { n: job.n }, after(job))
          : boss.insert("work", [job, ...rest].map((job) => ({ data: { n: job.n }, ...after(job) }))),
      work: (f) =>
        boss.work<{ readonly n: number }>("work", options, async (jobs) => {
          await Promise.all(jobs.map(async ({ data }) => f(data.n)))
          // its schedules are of minutes: a batch adds the next one
          if (kind === "recurring") {
            const startAfter = new Date(Date.now() + period)
            await boss.insert("work", jobs.map(({ data }) => ({ data, startAfter })))
          }
        }),
      settled: async () =>
        (await db.query(
          `select 1 from ${schema}.job where name = 'work' and state < 'completed' and start_after <= now() limit 1`
        )).rowCount === 0,
      ended: async () =>
        (await db.query<{ readonly n: number }>(
          `select (data->>'n')::int as n from ${schema}.job where name = 'work' and state = 'completed'`
        )).rows.map(({ n }) => n),
      close: async () => {
        await db.end()
        await boss.stop({ graceful: false })
      }
    }
  }
})

export const pgBossBest = pgBoss(
  "best",
  "batches of 1,000 in one call of the handler, with one outcome; burstWhenBatchFull, poll 0.5 s",
  { batchSize: 1_000, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 }
)

export const pgBossDefaults = pgBoss("defaults", "defaults: one at a time, poll 2 s", {})
