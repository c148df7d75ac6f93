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
import type { TaskStoreError } from "punctual/TaskStore"
import { TaskStore } from "punctual/TaskStore"

export interface Session {
  readonly fill: (count: number) => Promise<void>
  /** Runs all of them; each run calls `f` and its end is stored. */
  readonly drain: (count: number, f: () => void) => Promise<void>
  readonly close: () => Promise<void>
}

export interface Contender {
  readonly server: "postgres" | "redis"
  /** `name` is nobody else's. */
  readonly open: (url: string, name: string) => Promise<Session>
}

const wait = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis))

const chunks = function*(count: number, size: number): Generator<ReadonlyArray<number>> {
  for (let i = 0; i < count; i += size) yield Array.from({ length: Math.min(size, count - i) }, (_, k) => i + k)
}

// -----------------------------------------------------------------------------
// punctual
// -----------------------------------------------------------------------------

const punctualOn = async (Store: Layer.Layer<TaskStore, TaskStoreError>): Promise<Session> => {
  const Task = await import("punctual/Task")
  const TaskScheduler = await import("punctual/TaskScheduler")
  const Trigger = await import("punctual/Trigger")
  let run: () => void = () => {}
  const Work = Task.make("Work", { payload: { n: Schema.Int } })
  const scope = Effect.runSync(Scope.make())
  const context = await Effect.runPromise(Layer.buildWithScope(
    TaskScheduler.layer(Work.toLayer(() => Effect.sync(() => run())), { start: "manual", drainTimeout: 0 }).pipe(
      Layer.provideMerge(Store),
      Layer.provide(Logger.layer([]))
    ),
    scope
  ))
  const scheduler = Context.get(context, TaskScheduler.TaskScheduler)
  const store = Context.get(context, TaskStore)
  return {
    fill: (count) =>
      Effect.runPromise(Effect.provideContext(
        Effect.forEach(chunks(count, 1_000), (numbers) =>
          scheduler.addAll(numbers.map((n) =>
            Task.scheduled(Work, { id: `task-${n}`, payload: { n }, trigger: Trigger.now })
          )), { discard: true }),
        context
      )),
    drain: async (count, f) => {
      let left = count
      run = () => {
        left--
        f()
      }
      await Effect.runPromise(Effect.gen(function*() {
        yield* scheduler.start
        while (left > 0) yield* Effect.sleep(5)
        // All have run; the last outcomes are on their way to the store.
        while ((yield* store.runs({ state: "running", limit: 1 })).items.length > 0) yield* Effect.sleep(1)
      }))
    },
    close: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}

const punctualPostgres: Contender = {
  server: "postgres",
  open: async (url, prefix) => punctualOn((await import("@punctual/sql/PostgresTaskStore")).layer({ url, prefix }))
}

// -----------------------------------------------------------------------------
// Postgres
// -----------------------------------------------------------------------------

/** Rows claimed and deleted in batches of 500: no task, no history, no policy. */
const claimAndDelete: Contender = {
  server: "postgres",
  open: async (url, name) => {
    const { default: { Client } } = await import("pg")
    const db = new Client({ connectionString: url })
    await db.connect()
    await db.query(
      `create table ${name} (id bigserial primary key, due bigint not null, payload text not null, owner text)`
    )
    await db.query(`create index on ${name} (due) where owner is null`)
    return {
      fill: async (count) => {
        for (const numbers of chunks(count, 1_000)) {
          await db.query({
            name: "insert",
            text: `insert into ${name} (due, payload) select 0, p from unnest($1::text[]) p`,
            values: [numbers.map((n) => JSON.stringify({ n }))]
          })
        }
      },
      drain: async (count, f) => {
        for (let done = 0; done < count;) {
          const { rows } = await db.query<{ readonly id: string; readonly payload: string }>({
            name: "claim",
            text: `update ${name} set owner = 'me' where id in (
  select id from ${name} where owner is null and due <= $1 order by due limit 500 for update skip locked
) returning id, payload`,
            values: [1]
          })
          for (const { payload } of rows) {
            JSON.parse(payload)
            f()
          }
          await db.query({
            name: "delete",
            text: `delete from ${name} where id = any($1::bigint[])`,
            values: [rows.map(({ id }) => id)]
          })
          done += rows.length
        }
      },
      close: () => db.end()
    }
  }
}

const graphileWorker: Contender = {
  server: "postgres",
  open: async (url, schema) => {
    const { Logger: GraphileLogger, makeWorkerUtils, run } = await import("graphile-worker")
    const { default: { Client } } = await import("pg")
    const logger = new GraphileLogger(() => () => {})
    const utils = await makeWorkerUtils({ connectionString: url, schema, logger })
    await utils.migrate()
    const db = new Client({ connectionString: url })
    await db.connect()
    return {
      fill: async (count) => {
        for (const numbers of chunks(count, 1_000)) {
          await utils.addJobs(numbers.map((n) => ({ identifier: "work", payload: { n } })))
        }
      },
      drain: async (count, f) => {
        let left = count
        const runner = await run({
          connectionString: url,
          schema,
          logger,
          noHandleSignals: true,
          concurrency: 50,
          taskList: {
            work: () => {
              left--
              f()
            }
          },
          preset: { worker: { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } }
        })
        while (left > 0) await wait(5)
        while ((await db.query(`select 1 from ${schema}._private_jobs limit 1`)).rowCount !== 0) await wait(1)
        await runner.stop()
      },
      close: async () => {
        await db.end()
        await utils.release()
      }
    }
  }
}

const pgBoss: Contender = {
  server: "postgres",
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
      fill: async (count) => {
        for (const numbers of chunks(count, 1_000)) {
          await boss.insert("work", numbers.map((n) => ({ data: { n } })))
        }
      },
      drain: async (count, f) => {
        let left = count
        await boss.work(
          "work",
          { batchSize: 1_000, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 },
          async (jobs) => {
            left -= jobs.length
            for (let i = 0; i < jobs.length; i++) f()
          }
        )
        while (left > 0) await wait(5)
        while ((await db.query(`select 1 from ${schema}.job where state < 'completed' limit 1`)).rowCount !== 0) {
          await wait(1)
        }
      },
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
  server: "redis",
  open: async (url, name) => {
    const { Queue, Worker } = await import("bullmq")
    const { hostname, port } = new URL(url)
    const connection = { host: hostname, port: Number(port), maxRetriesPerRequest: null }
    const queue = new Queue(name, { connection })
    return {
      fill: async (count) => {
        for (const numbers of chunks(count, 1_000)) {
          await queue.addBulk(numbers.map((n) => ({ name: "work", data: { n } })))
        }
      },
      drain: async (count, f) => {
        let left = count
        const worker = new Worker(name, async () => {
          left--
          f()
        }, { connection, concurrency: 50 })
        while (left > 0) await wait(5)
        while (await queue.getActiveCount() > 0) await wait(1)
        await worker.close()
      },
      close: () => queue.close()
    }
  }
}

export const contenders: Readonly<Record<string, Contender>> = {
  "punctual, Postgres": punctualPostgres,
  "graphile-worker": graphileWorker,
  "pg-boss": pgBoss,
  "claim and delete by hand, Postgres": claimAndDelete,
  "BullMQ": bullmq
}
