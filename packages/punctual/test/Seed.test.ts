/**
 * The page this toolkit grew from, example by example, in our idiom. `docs/migrating.md` sets the two side by side.
 *
 * That page is the documentation of tasks of a scheduler for another language. Its sentences stand above the tests.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Executor from "../src/Executor.ts"
import * as Executors from "../src/Executors.ts"
import * as Lifecycle from "../src/Lifecycle.ts"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import * as Task from "../src/Task.ts"
import * as TaskScheduler from "../src/TaskScheduler.ts"
import { TaskStore } from "../src/TaskStore.ts"
import * as TaskStores from "../src/TaskStores.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import * as FaultyStore from "./support/FaultyStore.ts"
import { times } from "./utils.ts"

/** A Thursday. */
const now = "2026-01-01T00:00:00Z"
const Scheduler = TaskScheduler.TaskScheduler

const isolated = <A, E, R, R2, E2>(effect: Effect.Effect<A, E, R>, layer: Layer.Layer<R2, E2>) =>
  Effect.provide(effect, layer, { local: true })

describe("core task fields", () => {
  const Resize = Task.make("Resize", { payload: { file: Schema.String, width: Schema.Int } })
  const App = Resize.toLayer(() => Effect.void)
  const executors = Executors.layer({ default: Executor.layerFibers(), pictures: Executor.layerFibers() })

  it.effect("id, name, fn, args, kwargs, trigger, executor, grace, coalesce, max_instances, next_run_time", () =>
    Effect.gen(function*() {
      const scheduler = yield* Scheduler
      const handle = yield* scheduler.add(Resize, {
        id: "resize-logo",
        name: "resize the logo",
        payload: { file: "logo.png", width: 64 },
        trigger: Trigger.every("1 hour"),
        executor: "pictures",
        misfireGrace: "1 second",
        coalesce: "latest",
        maxInstances: 1,
        nextRunTime: "2026-01-01T09:30" // read in the scheduler's zone: an hour ahead of UTC
      })
      const info = yield* handle.snapshot
      const policy = Option.getOrThrow(info.policy)
      assert.deepStrictEqual(
        [info.id, info.name, info.callable, info.payload, info.when, info.executor],
        ["resize-logo", "resize the logo", "Resize", { file: "logo.png", width: 64 }, "every hour", "pictures"]
      )
      assert.deepStrictEqual([policy.misfireGrace, policy.coalesce, policy.maxInstances], [1_000, "latest", 1])
      assert.strictEqual(DateTime.formatIso(Option.getOrThrow(info.nextRunTime)), "2026-01-01T08:30:00.000Z")
    }).pipe(Effect.provide(TestScheduler.layer(App, { now, executors, timeZone: "Europe/Berlin" }))))

  it.effect("an executor nobody has is refused when the task is added, and never a reason to delete it (B11)", () =>
    Effect.gen(function*() {
      const scheduler = yield* Scheduler
      const error = yield* Effect.flip(
        scheduler.add(Resize, { id: "typo", payload: { file: "logo.png", width: 64 }, executor: "picturs" })
      )
      assert.deepInclude(error, { _tag: "UnknownExecutor", alias: "picturs", suggestion: "pictures" })
      assert.deepStrictEqual((yield* scheduler.list()).items, [])
    }).pipe(Effect.provide(TestScheduler.layer(App, { now, executors }))))
})

describe("task state and inspection", () => {
  const Cleanup = Task.make("cleanup", { payload: { password: Schema.Redacted(Schema.String) } })
  const App = Layer.mergeAll(
    Cleanup.toLayer(() => Effect.void),
    Task.layerScheduled(Cleanup, {
      id: "cleanup",
      payload: { password: Redacted.make("hunter2") },
      trigger: Trigger.every("5 minutes")
    })
  )

  it.effect("pending until a started scheduler has seen it, then scheduled; paused, and scheduled again", () =>
    Effect.gen(function*() {
      const scheduler = yield* Scheduler
      const task = scheduler.handle("cleanup")
      const info = yield* task.snapshot
      assert.deepStrictEqual([info.callable, info.when, info.state], ["cleanup", "every 5 minutes", "pending"])

      yield* task.pause("later")
      yield* scheduler.start
      // B18: the start undid the pause of a pending task.
      assert.deepStrictEqual(yield* TestScheduler.advance("1 hour"), [])
      const paused = yield* task.snapshot
      assert.deepStrictEqual([paused.state, paused.pauseNote], ["paused", Option.some("later")])
      assert.isTrue(Option.isNone(paused.nextRunTime))

      yield* task.resume
      const scheduled = yield* task.snapshot
      assert.strictEqual(scheduled.state, "scheduled")
      assert.strictEqual(DateTime.formatIso(Option.getOrThrow(scheduled.nextRunTime)), "2026-01-01T01:05:00.000Z")
    }).pipe(Effect.provide(TestScheduler.layer(App, { now, start: "manual" }))))

  it.effect("a snapshot is immutable, equal by value, and safe for dashboards and logs: it has no secrets", () =>
    Effect.gen(function*() {
      const scheduler = yield* Scheduler
      const info = yield* scheduler.handle("cleanup").snapshot
      assert.deepStrictEqual(yield* scheduler.handle("cleanup").snapshot, info)
      assert.isTrue([info, info.payload, info.counters, info.ranges, info.labels].every(Object.isFrozen))
      assert.notInclude(JSON.stringify(info), "hunter2")
      const before = info.updatedAt
      yield* scheduler.handle("cleanup").update({ name: "another" })
      assert.deepStrictEqual([info.name, info.updatedAt], ["cleanup", before])
    }).pipe(Effect.provide(TestScheduler.layer(App, { now }))))
})

describe("creating a task", () => {
  const CheckStatus = Task.make("CheckStatus", { maxInstances: 3, coalesce: "latest" })
  const CheckStatusLive = CheckStatus.toLayer(() => Effect.void)
  const atEight = Trigger.cron("1 8 * * mon,tue,wed,thu,fri,sat,sun")

  it.effect("directly: what is scheduled beside its handler runs once the scheduler starts", () =>
    Effect.gen(function*() {
      const runs = yield* TestScheduler.advance("3 days")
      assert.deepStrictEqual(times(runs), ["08:01", "2026-01-02 08:01", "2026-01-03 08:01"])
    }).pipe(Effect.provide(TestScheduler.layer(
      Layer.mergeAll(
        CheckStatusLive,
        Task.layerScheduled(CheckStatus, { id: "my-task", name: "my-func", trigger: atEight })
      ),
      { now }
    ))))

  it.effect("or submitted with a changed trigger; the defaults of definition and scheduler apply", () => {
    const Hourly = Task.make("Hourly", { trigger: Trigger.every("1 hour"), maxInstances: 1, coalesce: "latest" })
    return Effect.gen(function*() {
      const scheduler = yield* Scheduler
      const task = yield* scheduler.add(Hourly, { id: "my-task2", trigger: atEight })
      const policy = Option.getOrThrow((yield* task.snapshot).policy)
      assert.deepStrictEqual([policy.maxInstances, policy.coalesce, policy.misfireGrace], [1, "latest", 60_000])
      assert.deepStrictEqual(times(yield* TestScheduler.advance("1 day")), ["08:01"])
      // One id, one task: an id that exists is an error unless it is said what to do.
      assert.strictEqual((yield* Effect.flip(scheduler.add(Hourly, { id: "my-task2" })))._tag, "DuplicateTask")
    }).pipe(Effect.provide(TestScheduler.layer(Hourly.toLayer(() => Effect.void), {
      now,
      defaults: { misfireGrace: "1 minute", maxInstances: 7 }
    })))
  })
})

describe("updating a task", () => {
  const CheckStatus = Task.make("CheckStatus", { maxInstances: 3, coalesce: "latest" })
  const App = Layer.mergeAll(
    CheckStatus.toLayer(() => Effect.void),
    Task.layerScheduled(CheckStatus, { id: "my-task", name: "my-func", trigger: Trigger.cron("1 8 * * *") })
  )

  it.effect("changes what it names and leaves the schedule alone; all of it is checked first", () =>
    Effect.gen(function*() {
      const task = (yield* Scheduler).handle("my-task")
      const before = yield* task.snapshot
      const after = yield* task.update({ name: "my-new-task-id", maxInstances: 5, coalesce: "none" })
      const policy = Option.getOrThrow(after.policy)
      assert.deepStrictEqual([after.name, policy.maxInstances, policy.coalesce], ["my-new-task-id", 5, "none"])
      assert.deepStrictEqual(after.nextRunTime, before.nextRunTime)

      const refused = yield* Effect.flip(task.update({ name: "not applied", maxInstances: 0 }))
      assert.deepInclude(refused, { _tag: "InvalidPolicy", option: "maxInstances" })
      assert.deepStrictEqual(yield* task.snapshot, after)
    }).pipe(Effect.provide(TestScheduler.layer(App, { now }))))

  it.effect("ids are immutable", () =>
    Effect.gen(function*() {
      const task = (yield* Scheduler).handle("my-task")
      // @ts-expect-error: `id` is not among the changes
      const refused = yield* Effect.flip(task.update({ id: "another" }))
      assert.deepInclude(refused, { _tag: "InvalidOption", option: "id" })
    }).pipe(Effect.provide(TestScheduler.layer(App, { now }))))

  it.effect("a next run time without an offset is read in the scheduler's zone; the task goes on by its trigger", () =>
    Effect.gen(function*() {
      const task = (yield* Scheduler).handle("my-task")
      yield* task.update({ nextRunTime: "2026-01-01T12:00" })
      assert.deepStrictEqual(times(yield* TestScheduler.advance("2 days")), ["11:00", "2026-01-02 08:01"])
    }).pipe(Effect.provide(TestScheduler.layer(App, { now, timeZone: "Europe/Berlin" }))))

  it.effect("what a durable store keeps must be a definition: an effect of this process is refused", () =>
    Effect.gen(function*() {
      const scheduler = yield* Scheduler
      const refused = yield* Effect.flip(scheduler.addEffect(Effect.void, { id: "closure" }))
      assert.deepInclude(refused, { _tag: "ClosureNotPersistable", id: "closure" })
      yield* scheduler.add(CheckStatus, { id: "definition" })
    }).pipe(Effect.provide(
      TestScheduler.layer(App, { now, store: FaultyStore.layer(FaultyStore.makeFaults()) })
    )))
})

describe("rescheduling a task", () => {
  const CheckStatus = Task.make("CheckStatus")
  const App = Layer.mergeAll(
    CheckStatus.toLayer(() => Effect.void),
    Task.layerScheduled(CheckStatus, { id: "my-task", trigger: Trigger.cron("1 8 * * *") })
  )

  it.effect("changes the trigger and computes the next run time", () =>
    Effect.gen(function*() {
      const task = (yield* Scheduler).handle("my-task")
      const after = yield* task.reschedule(Trigger.cron("5 10 * * *"))
      assert.strictEqual(DateTime.formatIso(Option.getOrThrow(after.nextRunTime)), "2026-01-01T10:05:00.000Z")
      assert.deepStrictEqual(times(yield* TestScheduler.advance("1 day")), ["10:05"])
    }).pipe(Effect.provide(TestScheduler.layer(App, { now }))))

  it.effect("leaves a paused task paused", () =>
    Effect.gen(function*() {
      const task = (yield* Scheduler).handle("my-task")
      yield* task.pause()
      assert.strictEqual((yield* task.reschedule(Trigger.every("1 minute"))).state, "paused")
      assert.deepStrictEqual(yield* TestScheduler.advance("1 hour"), [])
    }).pipe(Effect.provide(TestScheduler.layer(App, { now }))))
})

describe("decorator mode", () => {
  it.effect("when and how stand beside what; each time it is submitted there is another copy", () => {
    const seen: Array<string> = []
    // The metadata lives next to the function, as one value that can be submitted any number of times.
    const Refresh = Task.make("Refresh", {
      payload: { what: Schema.String },
      trigger: Trigger.every("5 hours"),
      name: "refresh",
      maxInstances: 2
    })
    const RefreshLive = Refresh.toLayer(({ what }) => Effect.sync(() => void seen.push(what)))
    return Effect.gen(function*() {
      const scheduler = yield* Scheduler
      const news = yield* scheduler.add(Refresh, { payload: { what: "news" } })
      const prices = yield* scheduler.add(Refresh, { payload: { what: "prices" } })
      const held = yield* scheduler.add(Refresh, { payload: { what: "held" }, paused: true })
      assert.strictEqual(new Set([news.id, prices.id, held.id]).size, 3)

      yield* news.reschedule(Trigger.every("2 hours"))
      yield* TestScheduler.advance("5 hours")
      assert.deepStrictEqual(seen, ["news", "news", "prices"])
      const { items } = yield* scheduler.list({ task: Refresh })
      assert.deepStrictEqual(items.map((info) => info.name), ["refresh", "refresh", "refresh"])
      assert.strictEqual((yield* held.snapshot).state, "paused")
    }).pipe(Effect.provide(TestScheduler.layer(RefreshLive, { now })))
  })
})

describe("lifecycle tasks", () => {
  const journal = () => {
    const log: Array<string> = []
    return { log, say: (line: string) => Effect.sync(() => void log.push(line)) }
  }

  it.effect("setup, a tick every five minutes, cleanup when the scheduler stops", () => {
    const { log, say } = journal()
    const App = Lifecycle.layer("lifecycle", {
      acquire: Effect.acquireRelease(
        Effect.andThen(say("setup"), Ref.make(0)),
        (ticks) => Effect.flatMap(Ref.get(ticks), (n) => say(`cleanup after ${n}`))
      ),
      tick: (ticks) => Effect.flatMap(Ref.updateAndGet(ticks, (n) => n + 1), (n) => say(`tick ${n}`)),
      trigger: Trigger.every("5 minutes")
    })
    return Effect.gen(function*() {
      assert.deepStrictEqual(log, ["setup"])
      yield* TestScheduler.advance("10 minutes")
      yield* TestScheduler.shutdown
      assert.deepStrictEqual(log, ["setup", "tick 1", "tick 2", "cleanup after 2"])
    }).pipe(Effect.provide(TestScheduler.layer(App, { now })))
  })

  it.effect("a task of its own may wait for the end: the shutdown trigger", () => {
    const { log, say } = journal()
    const Goodbye = Task.make("Goodbye")
    const App = Layer.mergeAll(
      Goodbye.toLayer(() => say("goodbye")),
      Task.layerScheduled(Goodbye, { id: "goodbye", trigger: Trigger.shutdown })
    )
    return Effect.gen(function*() {
      yield* TestScheduler.advance("1 hour")
      const task = (yield* Scheduler).handle("goodbye")
      // B19: such a task was called paused, and resuming it deleted it.
      assert.strictEqual((yield* task.snapshot).state, "onShutdown")
      yield* task.resume
      yield* TestScheduler.shutdown
      assert.deepStrictEqual(log, ["goodbye"])
    }).pipe(Effect.provide(TestScheduler.layer(App, { now })))
  })

  it.effect("it works in a volatile store only, which may stand beside a durable one", () => {
    const { log, say } = journal()
    const App = (store: string) =>
      Lifecycle.layer("cache", {
        acquire: Effect.void,
        tick: () => say("tick"),
        trigger: Trigger.every("5 minutes"),
        store
      })
    const stores = TaskStores.layer({
      default: FaultyStore.layer(FaultyStore.makeFaults()),
      memory: MemoryTaskStore.layer
    })
    return Effect.gen(function*() {
      const refused = yield* Effect.flip(
        isolated(Effect.void, TestScheduler.layer(App("default"), { now, store: stores }))
      )
      assert.deepInclude(refused, { _tag: "ClosureNotPersistable", store: "default" })
      yield* isolated(
        TestScheduler.advance("5 minutes"),
        TestScheduler.layer(App("memory"), { now, store: stores })
      )
      assert.deepStrictEqual(log, ["tick"])
    })
  })
})

/**
 * What a shared store does without a lock: one tick in one process at a time, and each process keeps what it has made to
 * itself. With a lock: `LifecycleTerms.test.ts`, and as three real processes `examples/test/processes.test.ts`.
 */
describe("lifecycle tasks in several processes", () => {
  const Tick = Task.make("lifecycle_tick")
  type Ticks = Task.Handler<"lifecycle_tick">

  /** A process: a scheduler over the store that all share, and a memory store of its own. */
  const process = (
    name: string,
    shared: TaskStore["Service"],
    app: Layer.Layer<Ticks, unknown, TaskScheduler.Provided | Ticks>,
    faults = FaultyStore.makeFaults()
  ) =>
    TaskScheduler.layer(app, { name, drainTimeout: 0 }).pipe(
      Layer.provide(TaskStores.layer({ default: FaultyStore.layer(faults, shared), memory: MemoryTaskStore.layer }))
    )

  const sharedStore = Effect.map(Layer.build(MemoryTaskStore.layer), (context) => Context.get(context, TaskStore))

  it.effect("the tick is one task of the shared store, setup and cleanup are each process's", () => {
    const log: Array<string> = []
    const app = (name: string) => {
      const TickLive = Tick.toLayer(Effect.gen(function*() {
        yield* Effect.acquireRelease(
          Effect.sync(() => void log.push(`${name} setup`)),
          () => Effect.sync(() => void log.push(`${name} cleanup`))
        )
        return () => Effect.sync(() => void log.push("tick"))
      }))
      // Every process declares it, and there is one: three processes stored three ticks there.
      const Ticks = Task.layerScheduled(Tick, {
        id: "lifecycle_tick",
        trigger: Trigger.every("5 minutes"),
        onConflict: "update"
      })
      return Layer.mergeAll(TickLive, Ticks)
    }
    return Effect.gen(function*() {
      const shared = yield* sharedStore
      const all = ["a", "b", "c"].map((name) => process(name, shared, app(name)))
      yield* isolated(
        Effect.gen(function*() {
          const runs = yield* TestScheduler.advance("1 hour")
          assert.deepStrictEqual(runs.length, 12)
          assert.deepStrictEqual(log.filter((line) => line !== "tick").toSorted(), ["a setup", "b setup", "c setup"])
          yield* TestScheduler.shutdown
        }),
        TestScheduler.layerProgram(Layer.mergeAll(Layer.empty, ...all), { now })
      )
      assert.strictEqual(log.filter((line) => line === "tick").length, 12)
      assert.deepStrictEqual(log.slice(-3).toSorted(), ["a cleanup", "b cleanup", "c cleanup"])
    })
  })

  it.effect("a delayed setup: only the process that gets a tick makes what the tick needs; another takes over", () => {
    const log: Array<string> = []
    const say = (line: string) => Effect.sync(() => void log.push(line))
    const app = (name: string) => {
      const TickLive = Tick.toLayer(Effect.gen(function*() {
        yield* Effect.addFinalizer(() => say(`${name} extra cleanup`))
        const scope = yield* Effect.scope
        // Made at the first tick that comes here, in the scope of the layer: cleaned up once, whoever made it.
        const client = yield* Effect.cached(
          Scope.provide(Effect.acquireRelease(say(`${name} setup`), () => say(`${name} cleanup`)), scope)
        )
        return () => Effect.andThen(client, say(`${name} tick`))
      }))
      return Layer.mergeAll(
        TickLive,
        Task.layerScheduled(Tick, { id: "tick", trigger: Trigger.every("5 minutes"), onConflict: "update" })
      )
    }
    const a = FaultyStore.makeFaults()
    return Effect.gen(function*() {
      const shared = yield* sharedStore
      yield* isolated(
        Effect.gen(function*() {
          yield* TestScheduler.advance("15 minutes")
          assert.deepStrictEqual(log, ["a setup", "a tick", "a tick", "a tick"])
          a.down = true // the process that had it is cut off
          yield* TestScheduler.advance("10 minutes")
          assert.deepStrictEqual(log.slice(4), ["b setup", "b tick", "b tick"])
          a.down = false
          yield* TestScheduler.shutdown
        }),
        TestScheduler.layerProgram(
          Layer.mergeAll(process("a", shared, app("a"), a), process("b", shared, app("b"))),
          { now }
        )
      )
      assert.deepStrictEqual(log.slice(7).toSorted(), ["a cleanup", "a extra cleanup", "b cleanup", "b extra cleanup"])
    })
  })
})
