/**
 * Queues on one Redis server, behind one small interface: fill it, then run everything that is in it.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"

export interface Session {
  readonly fill: (count: number) => Promise<void>
  /** Runs all of them; each run calls `f` and its end is stored. */
  readonly drain: (count: number, f: () => void) => Promise<void>
  readonly close: () => Promise<void>
}

export type Contender = (port: number) => Promise<Session>

const punctual: Contender = async (port) => {
  const NodeRedisTaskStore = await import("@punctual/redis/NodeRedisTaskStore")
  const Task = await import("punctual/Task")
  const TaskScheduler = await import("punctual/TaskScheduler")
  const Trigger = await import("punctual/Trigger")
  const { TaskStore } = await import("punctual/TaskStore")
  let run: () => void = () => {}
  const Work = Task.make("Work", { payload: { n: Schema.Int } })
  const scope = Effect.runSync(Scope.make())
  const context = await Effect.runPromise(Layer.buildWithScope(
    TaskScheduler.layer(Work.toLayer(() => Effect.sync(() => run())), { start: "manual", drainTimeout: 0 }).pipe(
      Layer.provideMerge(NodeRedisTaskStore.layer({ url: `redis://127.0.0.1:${port}` }))
    ),
    scope
  ))
  const scheduler = Context.get(context, TaskScheduler.TaskScheduler)
  const store = Context.get(context, TaskStore)
  return {
    fill: (count) =>
      Effect.runPromise(Effect.asVoid(Effect.provideContext(
        scheduler.addAll(Array.from({ length: count }, (_, n) =>
          Task.scheduled(Work, { id: `task-${n}`, payload: { n }, trigger: Trigger.now }))),
        context
      ))),
    drain: async (count, f) => {
      let left = count
      run = () => {
        left--
        f()
      }
      await Effect.runPromise(Effect.gen(function*() {
        yield* scheduler.start
        while (left > 0) yield* Effect.sleep(5)
        // All have run; the last outcomes are on their way to the server.
        while ((yield* store.runs({ state: "running", limit: 1 })).items.length > 0) yield* Effect.sleep(1)
      }))
    },
    close: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}

/** BullMQ with so many jobs at once. It keeps as much of what has ended as Punctual does: everything, here. */
const bullmq = (concurrency: number): Contender => async (port) => {
  const { Queue, Worker } = await import("bullmq")
  const connection = { host: "127.0.0.1", port, maxRetriesPerRequest: null }
  const queue = new Queue("work", { connection })
  await queue.waitUntilReady()
  return {
    fill: async (count) => {
      for (let i = 0; i < count; i += 500) {
        await queue.addBulk(
          Array.from({ length: Math.min(500, count - i) }, (_, k) => ({ name: "work", data: { n: i + k } }))
        )
      }
    },
    drain: (count, f) =>
      new Promise((resolve) => {
        let left = count
        const worker = new Worker("work", async () => f(), { connection, concurrency })
        worker.on("completed", () => {
          if (--left === 0) resolve(worker.close())
        })
      }),
    close: () => queue.close()
  }
}

export const contenders: Readonly<Record<string, Contender>> = {
  punctual,
  "BullMQ, 50 at once": bullmq(50),
  "BullMQ, 200 at once": bullmq(200),
  "BullMQ, 1,000 at once": bullmq(1_000)
}
