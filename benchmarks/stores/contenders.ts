/**
 * Queues on a server, behind one small interface: fill it, then run everything that is in it.
 *
 * Each is set up as its makers say for throughput, and keeps or deletes what has ended as it does by default.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import type { RowDataPacket } from "mysql2/promise"
import { TaskStore } from "punctual/TaskStore"
import { type Place, type Store, stores } from "../places.ts"

export interface Session {
  /** Adds one for each number, due at once. */
  readonly add: (numbers: ReadonlyArray<number>) => Promise<void>
  /** From now on runs what is there: each run calls `f` with its number, and its end is stored. */
  readonly work: (f: (n: number) => void) => Promise<void>
  /** Whether the ends of all runs are stored. */
  readonly settled: () => Promise<boolean>
  readonly close: () => Promise<void>
}

export interface Contender {
  readonly place: Place
  /** Opens it under a name, which several processes may do. */
  readonly open: (where: string, name: string) => Promise<Session>
}

// -----------------------------------------------------------------------------
// punctual
// -----------------------------------------------------------------------------

const punctual = (store: Store): Contender => ({
  place: store.place,
  open: async (where, name) => {
    const Task = await import("punctual/Task")
    const TaskScheduler = await import("punctual/TaskScheduler")
    const Trigger = await import("punctual/Trigger")
    let run: (n: number) => void = () => {}
    const Work = Task.make("Work", { payload: { n: Schema.Int } })
    const scope = Effect.runSync(Scope.make())
    const context = await Effect.runPromise(Layer.buildWithScope(
      TaskScheduler.layer(Work.toLayer(({ n }) => Effect.sync(() => run(n))), { start: "manual", drainTimeout: 0 })
        .pipe(
          Layer.provideMerge(await store.open(where, name)),
          Layer.provide(Logger.layer([]))
        ),
      scope
    ))
    const scheduler = Context.get(context, TaskScheduler.TaskScheduler)
    const { runs } = Context.get(context, TaskStore)
    return {
      add: (numbers) =>
        Effect.runPromise(Effect.asVoid(Effect.provideContext(
          scheduler.addAll(
            numbers.map((n) => Task.scheduled(Work, { id: `task-${n}`, payload: { n }, trigger: Trigger.now }))
          ),
          context
        ))),
      work: (f) => {
        run = f
        return Effect.runPromise(scheduler.start)
      },
      settled: () =>
        Effect.runPromise(Effect.map(runs({ state: "running", limit: 1 }), ({ items }) => items.length === 0)),
      close: () => Effect.runPromise(Scope.close(scope, Exit.void))
    }
  }
})

// -----------------------------------------------------------------------------
// Postgres
// -----------------------------------------------------------------------------

/** Rows claimed and deleted in batches of 500: no task, no history, no policy. */
const claimAndDelete: Contender = {
  place: "postgres",
  open: async (url, name) => {
    const { default: { Client } } = await import("pg")
    const db = new Client({ connectionString: url })
    await db.connect()
    await db.query(
      `create table ${name} (id bigserial primary key, due bigint not null, payload text not null, owner text)`
    )
    await db.query(`create index on ${name} (due) where owner is null`)
    let left = 0
    return {
      add: async (numbers) => {
        left += numbers.length
        await db.query({
          name: "insert",
          text: `insert into ${name} (due, payload) select 0, p from unnest($1::text[]) p`,
          values: [numbers.map((n) => JSON.stringify({ n }))]
        })
      },
      work: async (f) => {
        while (left > 0) {
          const { rows } = await db.query<{ readonly id: string; readonly payload: string }>({
            name: "claim",
            text: `update ${name} set owner = 'me' where id in (
  select id from ${name} where owner is null and due <= $1 order by due limit 500 for update skip locked
) returning id, payload`,
            values: [1]
          })
          for (const { payload } of rows) f(JSON.parse(payload).n)
          await db.query({
            name: "delete",
            text: `delete from ${name} where id = any($1::bigint[])`,
            values: [rows.map(({ id }) => id)]
          })
          left -= rows.length
        }
      },
      settled: async () => left === 0,
      close: () => db.end()
    }
  }
}

const graphileWorker: Contender = {
  place: "postgres",
  open: async (url, schema) => {
    const { Logger: GraphileLogger, makeWorkerUtils, run } = await import("graphile-worker")
    const { default: { Client } } = await import("pg")
    const logger = new GraphileLogger(() => () => {})
    const utils = await makeWorkerUtils({ connectionString: url, schema, logger })
    await utils.migrate()
    const db = new Client({ connectionString: url })
    await db.connect()
    let runner: Awaited<ReturnType<typeof run>> | undefined
    return {
      add: async (numbers) => {
        await utils.addJobs(numbers.map((n) => ({ identifier: "work", payload: { n } })))
      },
      work: async (f) => {
        runner = await run({
          connectionString: url,
          schema,
          logger,
          noHandleSignals: true,
          concurrency: 50,
          taskList: { work: (payload) => f((payload as { readonly n: number }).n) },
          preset: { worker: { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } }
        })
      },
      settled: async () => (await db.query(`select 1 from ${schema}._private_jobs limit 1`)).rowCount === 0,
      close: async () => {
        await runner?.stop()
        await db.end()
        await utils.release()
      }
    }
  }
}

const pgBoss: Contender = {
  place: "postgres",
  open: async (url, schema) => {
    const { PgBoss } = await import("pg-boss")
    const { default: { Client } } = await import("pg")
    const boss = new PgBoss({ connectionString: url, schema })
    boss.on("error", (error) => {
      throw error
    })
    await boss.start()
    await boss.createQueue("work")
    const db = new Client({ connectionString: url })
    await db.connect()
    return {
      add: async (numbers) => {
        await boss.insert("work", numbers.map((n) => ({ data: { n } })))
      },
      work: async (f) => {
        await boss.work<{ readonly n: number }>("work", {
          batchSize: 1_000,
          burstWhenBatchFull: true,
          pollingIntervalSeconds: 0.5
        }, async (jobs) => {
          for (const { data } of jobs) f(data.n)
        })
      },
      settled: async () =>
        (await db.query(`select 1 from ${schema}.job where state < 'completed' limit 1`)).rowCount === 0,
      close: async () => {
        await db.end()
        await boss.stop({ graceful: false })
      }
    }
  }
}

// -----------------------------------------------------------------------------
// Redis
// -----------------------------------------------------------------------------

const bullmq: Contender = {
  place: "redis",
  open: async (url, name) => {
    const { Queue, Worker } = await import("bullmq")
    const { hostname, port } = new URL(url)
    const connection = { host: hostname, port: Number(port), maxRetriesPerRequest: null }
    const queue = new Queue(name, { connection })
    let worker: { readonly close: () => Promise<void> } | undefined
    return {
      add: async (numbers) => {
        await queue.addBulk(numbers.map((n) => ({ name: "work", data: { n } })))
      },
      work: async (f) => {
        const working = new Worker(name, async ({ data }: { readonly data: { readonly n: number } }) => f(data.n), {
          connection,
          concurrency: 50
        })
        worker = working
        await working.waitUntilReady()
      },
      settled: async () => await queue.getActiveCount() === 0,
      close: async () => {
        await worker?.close()
        await queue.close()
      }
    }
  }
}

// -----------------------------------------------------------------------------
// MySQL
// -----------------------------------------------------------------------------

/** As on Postgres, except that what is claimed must be read before it is updated. */
const claimAndDeleteOnMysql: Contender = {
  place: "mysql",
  open: async (url, name) => {
    const { createConnection } = await import("mysql2/promise")
    const db = await createConnection(url)
    await db.query(
      `create table ${name} (id bigint primary key auto_increment, due bigint not null, payload text not null, owner varchar(32), key (owner, due))`
    )
    let left = 0
    return {
      add: async (numbers) => {
        left += numbers.length
        await db.query(`insert into ${name} (due, payload) values ?`, [numbers.map((n) => [0, JSON.stringify({ n })])])
      },
      work: async (f) => {
        while (left > 0) {
          await db.beginTransaction()
          const [rows] = await db.query<Array<RowDataPacket & { readonly id: number; readonly payload: string }>>(
            `select id, payload from ${name} where owner is null and due <= 1 order by due limit 500 for update skip locked`
          )
          const ids = rows.map(({ id }) => id)
          await db.query(`update ${name} set owner = 'me' where id in (?)`, [ids])
          await db.commit()
          for (const { payload } of rows) f(JSON.parse(payload).n)
          await db.query(`delete from ${name} where id in (?)`, [ids])
          left -= rows.length
        }
      },
      settled: async () => left === 0,
      close: () => db.end()
    }
  }
}

export const contenders: Readonly<Record<string, Contender>> = {
  "punctual, SQLite": punctual(stores.SQLite),
  "punctual, Postgres": punctual(stores.Postgres),
  "graphile-worker": graphileWorker,
  "pg-boss": pgBoss,
  "claim and delete by hand, Postgres": claimAndDelete,
  "punctual, Redis": punctual(stores.Redis),
  "BullMQ": bullmq,
  "punctual, MySQL": punctual(stores.MySQL),
  "claim and delete by hand, MySQL": claimAndDeleteOnMysql,
  "punctual, MongoDB": punctual(stores.MongoDB)
}
