/**
 * The layers of a run, each by itself and then together: what is measured is `count` runs through it.
 *
 *     store ─▶ due ─▶ policy ─▶ commit (claims) ─▶ executor ─▶ fiber ─▶ decode, handler, encode ─▶ settle ─▶ store
 *             └─────────── claim ─────────────┘   └──────────── handler ───────────────────┘   └─ settle ┘
 */
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import * as Executor from "punctual/Executor"
import * as MemoryTaskStore from "punctual/MemoryTaskStore"
import * as Policy from "punctual/Policy"
import * as Task from "punctual/Task"
import type { RunRow, TaskRow } from "punctual/TaskRecord"
import * as TaskRegistry from "punctual/TaskRegistry"
import * as TaskRunner from "punctual/TaskRunner"
import * as TaskScheduler from "punctual/TaskScheduler"
import { type Change, type Settlement, TaskStore, type TaskStoreError } from "punctual/TaskStore"
import * as Trigger from "punctual/Trigger"

/** Set up, so that only what is measured is left to do. */
export interface Session {
  /** All runs, to their ends. */
  readonly run: () => Promise<void>
  readonly close: () => Promise<void>
}

/** `folder` is empty. */
export type Contender = (count: number, folder: string) => Promise<Session>

type StoreLayer = Layer.Layer<TaskStore, TaskStoreError>

/** As many as a scheduler handles in one round trip. */
const batchSize = 500

const Work = Task.make("Work", { payload: { n: Schema.Int } })
/** What takes something to decode and encode. */
const Order = Task.make("Order", {
  payload: {
    id: Schema.String,
    placed: Schema.DateTimeUtcFromString,
    lines: Schema.Array(Schema.Struct({ article: Schema.String, count: Schema.Int, price: Schema.Number }))
  },
  success: Schema.Struct({ total: Schema.Number, articles: Schema.Array(Schema.String) })
})

let ran = 0

const App = Layer.mergeAll(
  Work.toLayer(() => Effect.sync(() => void ran++)),
  Order.toLayer(({ lines }) =>
    Effect.sync(() => {
      ran++
      return {
        total: lines.reduce((sum, { count, price }) => sum + count * price, 0),
        articles: lines.map(({ article }) => article)
      }
    })
  )
)

// -----------------------------------------------------------------------------
// runs without a scheduler
// -----------------------------------------------------------------------------

/** `each` is called once for each run, with what calls back when it has ended. */
const fibers = (each: (i: number, ended: () => void) => void): (count: number) => Promise<void> => (count) =>
  new Promise((resolve) => {
    let left = count
    const ended = () => {
      if (--left === 0) resolve()
    }
    for (let i = 0; i < count; i++) each(i, ended)
  })

const bareFiber: Contender = async (count) => {
  const fork = Effect.runForkWith(Context.empty())
  const handler = Effect.suspend(() => Effect.void)
  return {
    run: () => fibers((_, ended) => fork(handler).addObserver(ended))(count),
    close: async () => {}
  }
}

/** Claimed runs and their tasks, as a scheduler gives them to an executor. */
interface Claimed {
  readonly run: RunRow
  readonly task: TaskRow
}

type Execute = (record: Executor.RunRecord) => Effect.Effect<Executor.RunResult>

const executing =
  (make: Effect.Effect<Execute, never, Executor.Executor | TaskRegistry.TaskRegistry>): Contender => async (count) => {
    const { claimed, close } = await claimedIn(MemoryTaskStore.layer, count)
    const opened = await open(
      App.pipe(
        Layer.provideMerge(Executor.layerFibers({ concurrency: count })),
        Layer.provideMerge(Layer.effect(TaskRegistry.TaskRegistry, TaskRegistry.make("bench")))
      )
    )
    const execute = await Effect.runPromise(Effect.provideContext(make, opened.context))
    const fork = Effect.runForkWith(Context.empty())
    const records = claimed.map(({ run, task }): Executor.RunRecord => ({ run, task, store: "default", timeout: null }))
    return {
      run: () => fibers((i, ended) => fork(execute(records[i]!)).addObserver(ended))(count),
      close: async () => {
        await opened.close()
        await close()
      }
    }
  }

// -----------------------------------------------------------------------------
// stores without a scheduler
// -----------------------------------------------------------------------------

const open = async <A, E>(layer: Layer.Layer<A, E>) => {
  const scope = Effect.runSync(Scope.make())
  const context = await Effect.runPromise(Layer.buildWithScope(layer, scope))
  return { context, close: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
}

/** A scheduler that is not started, with `count` tasks that are due. */
const scheduled = async (store: StoreLayer, count: number, setup: Setup = works()) => {
  const opened = await open(
    TaskScheduler.layer(App, { start: "manual", drainTimeout: 0 }).pipe(
      Layer.provideMerge(store),
      Layer.provide(setup.around ?? Layer.empty)
    )
  )
  const scheduler = Context.get(opened.context, TaskScheduler.TaskScheduler)
  await Effect.runPromise(
    Effect.provideContext(scheduler.addAll(Array.from({ length: count }, (_, i) => setup.task(i))), opened.context)
  )
  return { ...opened, scheduler, store: Context.get(opened.context, TaskStore) }
}

const now = Date.parse("2100-01-01")
const lease = { owner: "bench", until: now + 30_000 }

const dueIn = (store: TaskStore["Service"]) =>
  Effect.map(store.due({ now, limit: batchSize, reader: "bench", zoneRules: "" }), ({ tasks }) => tasks)

const changeOf = ({ counters, cursor, generation, id, revision }: TaskRow): Change => ({
  id,
  generation,
  revision,
  now,
  set: {
    state: "finished",
    cursor: cursor + 1,
    due: null,
    nominal: null,
    counters: { ...counters, ran: counters.ran + 1 }
  },
  runs: [{
    _tag: "Create",
    claim: lease,
    run: {
      key: String(cursor + 1),
      due: cursor + 1,
      nominal: cursor + 1,
      state: "ready",
      readyAt: cursor + 1,
      slots: 1,
      queues: false,
      atMostOnce: false
    }
  }]
})

const settlementOf = ({ generation, key, token }: RunRow): Settlement => ({
  generation,
  key,
  token: token!,
  owner: lease.owner,
  now,
  result: { _tag: "End", state: "succeeded", exit: "{\"_tag\":\"Success\",\"value\":null}" }
})

const claimAll = Effect.fnUntraced(function*(store: TaskStore["Service"]) {
  const claimed: Array<Claimed> = []
  while (true) {
    const tasks = yield* dueIn(store)
    if (tasks.length === 0) return claimed
    const answers = yield* store.commit(tasks.map(({ row }) => changeOf(row)))
    answers.forEach((answer, i) => {
      if (answer._tag === "Committed") {
        for (const run of answer.claimed) claimed.push({ run, task: tasks[i]!.row })
      }
    })
  }
})

const claimedIn = async (layer: StoreLayer, count: number) => {
  const { close, store } = await scheduled(layer, count)
  return { claimed: await Effect.runPromise(claimAll(store)), store, close }
}

const claiming = (layer: (folder: string) => Promise<StoreLayer>): Contender => async (count, folder) => {
  const { close, store } = await scheduled(await layer(folder), count)
  return {
    run: async () => {
      const { length } = await Effect.runPromise(claimAll(store))
      if (length !== count) throw new Error(`claimed ${length} of ${count}`)
    },
    close
  }
}

const settling = (layer: (folder: string) => Promise<StoreLayer>): Contender => async (count, folder) => {
  const { claimed, close, store } = await claimedIn(await layer(folder), count)
  return {
    run: () =>
      Effect.runPromise(Effect.gen(function*() {
        for (let i = 0; i < count; i += batchSize) {
          const answers = yield* store.settle(claimed.slice(i, i + batchSize).map(({ run }) => settlementOf(run)), {
            keep: 100
          })
          if (answers.some((answer) => answer !== "Settled")) throw new Error("not settled")
        }
      })),
    close
  }
}

/** What a scheduler decides for a task that is due: its policy and trigger, read and asked. */
const deciding: Contender = async (count) => {
  const { close, store } = await scheduled(MemoryTaskStore.layer, count)
  const { items } = await Effect.runPromise(store.list({ sort: "id", descending: false, limit: count }))
  return {
    run: async () => {
      let runs = 0
      for (const row of items) {
        const policy = Policy.decode(row.policy)
        if (policy._tag === "Failure") throw policy.failure
        runs += Policy.plan({
          policy: policy.success,
          trigger: Trigger.bind(Trigger.now, { anchor: row.anchor, seed: row.id }),
          cursor: row.cursor,
          now: row.anchor + 1,
          open: [],
          ran: 0,
          paused: false
        }).runs.length
      }
      if (runs !== count) throw new Error(`decided ${runs} of ${count}`)
    },
    close
  }
}

// -----------------------------------------------------------------------------
// all of it
// -----------------------------------------------------------------------------

interface Setup {
  readonly task: (i: number) => ReturnType<typeof Task.scheduled<typeof Work | typeof Order>>
  /** What the program has around its scheduler. */
  readonly around?: Layer.Layer<never>
  readonly listens?: boolean
}

const works = (policy?: Policy.Options): Setup => ({
  task: (i) => Task.scheduled(Work, { id: `task-${i}`, payload: { n: i }, trigger: Trigger.now, ...policy })
})

const lines = Array.from({ length: 8 }, (_, i) => ({ article: `article ${i}`, count: i + 1, price: 2.5 }))

const orders: Setup = {
  task: (i) =>
    Task.scheduled(Order, {
      id: `task-${i}`,
      payload: { id: `order ${i}`, placed: DateTime.makeUnsafe(now), lines },
      trigger: Trigger.now
    })
}

/** Spans that nobody exports. */
const tracer = Layer.succeed(Tracer.Tracer, Tracer.make({ span: (options) => new Tracer.NativeSpan(options) }))

const all = (layer: (folder: string) => Promise<StoreLayer>, setup: Setup): Contender => async (count, folder) => {
  const { close, context, scheduler, store } = await scheduled(await layer(folder), count, setup)
  let heard = 0
  const listener = setup.listens === true
    ? Effect.runForkWith(context)(Stream.runForEach(scheduler.events, () => Effect.sync(() => void heard++)))
    : undefined
  ran = 0
  return {
    run: () =>
      Effect.runPromise(Effect.gen(function*() {
        yield* scheduler.start
        while (ran < count) yield* Effect.sleep(5)
        while ((yield* store.runs({ state: "running", limit: 1 })).items.length > 0) yield* Effect.sleep(1)
        if (listener !== undefined && heard === 0) return yield* Effect.die("no event was heard")
      })),
    close
  }
}

/** Effect compiles schemas to functions in programs that ask for it, by one import. */
const compiled = (contender: Contender): Contender => async (count, folder) => {
  await import("effect/schema/SchemaJITCompiler/enable")
  return contender(count, folder)
}

const memory = async () => MemoryTaskStore.layer
const sqlite = async (folder: string) =>
  (await import("@punctual/sql/SqliteTaskStore")).layer({ filename: `${folder}/bench.db` })

export const contenders: Readonly<Record<string, Contender>> = {
  "bare fiber": bareFiber,
  "handler: decode, context, scope, encode": executing(
    Effect.map(TaskRegistry.TaskRegistry, (registry): Execute => (record) => TaskRunner.run(registry, record))
  ),
  "handler in an executor": executing(Effect.map(Executor.Executor, ({ run }): Execute => run)),
  "policy and trigger": deciding,
  "claim, memory": claiming(memory),
  "settle, memory": settling(memory),
  "claim, SQLite": claiming(sqlite),
  "settle, SQLite": settling(sqlite),
  "scheduler, memory": all(memory, works()),
  "+ events heard": all(memory, { ...works(), listens: true }),
  "+ spans": all(memory, { ...works(), around: tracer }),
  "+ policy that queues": all(memory, works({ whenBusy: "queue" })),
  "+ payload and result of 500 bytes": all(memory, orders),
  "+ the same, schemas compiled": compiled(all(memory, orders)),
  "scheduler, SQLite": all(sqlite, works()),
  "SQLite + events heard": all(sqlite, { ...works(), listens: true })
}
