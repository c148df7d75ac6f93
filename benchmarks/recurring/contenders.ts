/**
 * Schedulers that remember what is due every second, behind one small interface.
 *
 * Each is set up as its makers say for throughput, and keeps or deletes what has ended as it does by default.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { type Place, type Store, stores } from "../places.ts"

export const now = (): number => Clock.Clock.defaultValue().currentTimeMillisUnsafe()

export interface Session {
  /** Remembers one for each phase, due every second that many milliseconds after the full second. */
  readonly add: (phases: ReadonlyArray<number>) => Promise<void>
  /** From now on runs what is due: each run calls `f` with the number of its schedule and the instant it was due. */
  readonly work: (f: (n: number, due: number) => void) => Promise<void>
  readonly close: () => Promise<void>
}

export interface Contender {
  readonly place: Place
  /** How it is set up. */
  readonly setup: string
  /** Whether it can be due between full seconds. */
  readonly phases: boolean
  readonly open: (where: string, name: string) => Promise<Session>
}

const period = 1_000

/** The first instant of a phase after another instant. */
const nextOf = (phase: number, after: number): number => (Math.floor((after - phase) / period) + 1) * period + phase

/** In parts, so that no call is too large. */
const inParts = async (phases: ReadonlyArray<number>, add: (part: ReadonlyArray<number>) => Promise<unknown>) => {
  for (let i = 0; i < phases.length; i += 1_000) {
    await add(Array.from({ length: Math.min(1_000, phases.length - i) }, (_, k) => i + k))
  }
}

// -----------------------------------------------------------------------------
// punctual
// -----------------------------------------------------------------------------

const punctual = (store: Store): Contender => ({
  place: store.place,
  setup: "defaults",
  phases: true,
  open: async (where, name) => {
    const Task = await import("punctual/Task")
    const TaskScheduler = await import("punctual/TaskScheduler")
    const Trigger = await import("punctual/Trigger")
    const { CurrentRun } = await import("punctual/CurrentRun")
    let run: (n: number, due: number) => void = () => {}
    const Tick = Task.make("Tick", { payload: { n: Schema.Int } })
    const TickLive = Tick.toLayer(({ n }) => Effect.map(CurrentRun, ({ dueAt }) => run(n, dueAt.epochMilliseconds)))
    const scope = Effect.runSync(Scope.make())
    const context = await Effect.runPromise(Layer.buildWithScope(
      TaskScheduler.layer(TickLive, { start: "manual", drainTimeout: 0 }).pipe(
        Layer.provide(await store.open(where, name)),
        Layer.provide(Logger.layer([]))
      ),
      scope
    ))
    const scheduler = Context.get(context, TaskScheduler.TaskScheduler)
    return {
      add: (phases) =>
        inParts(phases, (part) =>
          Effect.runPromise(Effect.provideContext(
            scheduler.addAll(part.map((n) =>
              Task.scheduled(Tick, {
                id: `tick-${n}`,
                payload: { n },
                trigger: Trigger.every(period, { start: phases[n]! })
              })
            )),
            context
          ))),
      work: (f) => {
        run = f
        return Effect.runPromise(scheduler.start)
      },
      close: () => Effect.runPromise(Scope.close(scope, Exit.void))
    }
  }
})

// -----------------------------------------------------------------------------
// memory
// -----------------------------------------------------------------------------

const croner: Contender = {
  place: "memory",
  setup: "defaults, in memory",
  phases: false,
  open: async () => {
    const { Cron } = await import("croner")
    let count = 0
    let jobs: ReadonlyArray<{ readonly stop: () => void }> = []
    return {
      add: async (phases) => {
        count = phases.length
      },
      work: async (f) => {
        jobs = Array.from({ length: count }, (_, n) =>
          new Cron("* * * * * *", () => {
            const at = now()
            // it does not tell which second it means
            f(n, at - at % period)
          }))
      },
      close: async () => {
        for (const job of jobs) job.stop()
      }
    }
  }
}

// -----------------------------------------------------------------------------
// Redis
// -----------------------------------------------------------------------------

const bullmq: Contender = {
  place: "redis",
  setup: "concurrency 50, the last thousand completed jobs kept; a job scheduler each",
  phases: true,
  open: async (url, name) => {
    const { Queue, Worker } = await import("bullmq")
    const { hostname, port } = new URL(url)
    const connection = { host: hostname, port: Number(port), maxRetriesPerRequest: null }
    const queue = new Queue(name, { connection })
    let worker: { readonly close: (force?: boolean) => Promise<void> } | undefined
    return {
      add: (phases) =>
        inParts(
          phases,
          (part) =>
            Promise.all(part.map((n) =>
              queue.upsertJobScheduler(`tick-${n}`, { every: period, offset: phases[n]! }, {
                name: "tick",
                data: { n },
                opts: { removeOnComplete: { count: 1_000 } }
              })
            ))
        ),
      work: async (f) => {
        const working = new Worker(
          name,
          async ({ data, id }: { readonly data: { readonly n: number }; id?: string }) =>
            // repeat:<scheduler>:<instant>
            f(data.n, Number(id!.split(":").at(-1))),
          { connection, concurrency: 50 }
        )
        working.on("error", () => {}) // a lock that is lost is told here, and the run is another's
        worker = working
        await working.waitUntilReady()
      },
      close: async () => {
        await worker?.close(true)
        await queue.close()
      }
    }
  }
}

// -----------------------------------------------------------------------------
// Postgres
// -----------------------------------------------------------------------------

/** What those without schedules of seconds run: a job which adds the next one before it ends. */
interface Tick {
  readonly n: number
  readonly phase: number
  readonly at: number
}

const following = ({ at, n, phase }: Tick): Tick => ({ n, phase, at: nextOf(phase, Math.max(at, now())) })

const firstTick = (n: number, phase: number): Tick => ({ n, phase, at: nextOf(phase, now()) })

const pgBoss: Contender = {
  place: "postgres",
  setup: "batches of 1,000 in one call, burstWhenBatchFull, poll 0.5 s; a batch adds the next one",
  phases: true,
  open: async (url, schema) => {
    const { PgBoss } = await import("pg-boss")
    const boss = new PgBoss({ connectionString: url, schema })
    boss.on("error", (error) => {
      throw error
    })
    await boss.start()
    await boss.createQueue("tick")
    const add = (ticks: ReadonlyArray<Tick>) =>
      boss.insert("tick", ticks.map((tick) => ({ data: tick, startAfter: new Date(tick.at) })))
    return {
      add: (phases) => inParts(phases, (part) => add(part.map((n) => firstTick(n, phases[n]!)))),
      work: async (f) => {
        await boss.work<Tick>("tick", {
          batchSize: 1_000,
          burstWhenBatchFull: true,
          pollingIntervalSeconds: 0.5
        }, async (jobs) => {
          for (const { data } of jobs) f(data.n, data.at)
          await add(jobs.map(({ data }) => following(data)))
        })
      },
      close: () => boss.stop({ graceful: false })
    }
  }
}

const graphileWorker: Contender = {
  place: "postgres",
  setup: "concurrency 50, localQueue 500, completeJobBatchDelay 0, pollInterval 100 ms; a job adds the next one",
  phases: true,
  open: async (url, schema) => {
    const { Logger: GraphileLogger, makeWorkerUtils, run } = await import("graphile-worker")
    const logger = new GraphileLogger(() => () => {})
    const utils = await makeWorkerUtils({ connectionString: url, schema, logger })
    await utils.migrate()
    const spec = (tick: Tick) => ({ identifier: "tick", payload: tick, runAt: new Date(tick.at) })
    let runner: Awaited<ReturnType<typeof run>> | undefined
    return {
      add: (phases) => inParts(phases, (part) => utils.addJobs(part.map((n) => spec(firstTick(n, phases[n]!))))),
      work: async (f) => {
        runner = await run({
          connectionString: url,
          schema,
          logger,
          noHandleSignals: true,
          concurrency: 50,
          pollInterval: 100,
          taskList: {
            tick: async (payload, { addJob }) => {
              const tick = payload as Tick
              f(tick.n, tick.at)
              const { identifier, payload: next, runAt } = spec(following(tick))
              await addJob(identifier, next, { runAt })
            }
          },
          preset: { worker: { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } }
        })
      },
      close: async () => {
        await runner?.stop()
        await utils.release()
      }
    }
  }
}

export const contenders: Readonly<Record<string, Contender>> = {
  "punctual, memory": punctual(stores.memory),
  croner,
  "punctual, SQLite": punctual(stores.SQLite),
  "punctual, Postgres": punctual(stores.Postgres),
  "pg-boss": pgBoss,
  "graphile-worker": graphileWorker,
  "punctual, Redis": punctual(stores.Redis),
  BullMQ: bullmq,
  "punctual, MySQL": punctual(stores.MySQL)
}
