/**
 * Short words for tests of the engine: one task, what was told, what is stored, and where virtual time stands.
 */
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Executor from "../../src/Executor.ts"
import * as Executors from "../../src/Executors.ts"
import type { SchedulerEvent } from "../../src/SchedulerEvent.ts"
import * as Task from "../../src/Task.ts"
import * as TaskRegistry from "../../src/TaskRegistry.ts"
import * as TaskScheduler from "../../src/TaskScheduler.ts"
import * as TaskSchedulerClient from "../../src/TaskSchedulerClient.ts"
import { TaskStore } from "../../src/TaskStore.ts"
import * as TestScheduler from "../../src/testing/TestScheduler.ts"
import { at, clock, start } from "../utils.ts"

/** Where virtual time begins. */
export const now = start

export const Scheduler = TaskScheduler.TaskScheduler

/** Needs nothing; each test says what it does. */
export const Work = Task.make("Work")

/** Provides layers that no other test shares. */
export const isolated = <A, E, R, R2, E2>(effect: Effect.Effect<A, E, R>, layer: Layer.Layer<R2, E2>) =>
  Effect.provide(effect, layer, { local: true })

// -----------------------------------------------------------------------------
// layers
// -----------------------------------------------------------------------------

export const storeOf = (store: TaskStore["Service"]): Layer.Layer<TaskStore> => Layer.succeed(TaskStore)(store)

/** Another process, that only schedules. */
export const clientOf = (store: TaskStore["Service"]) =>
  Effect.map(
    Layer.build(TaskSchedulerClient.layer().pipe(Layer.provide(storeOf(store)))),
    Context.get(TaskSchedulerClient.TaskSchedulerClient)
  )

/** An executor with room for one run. */
export const oneAtATime = Executors.layer({ default: Executor.layerFibers({ concurrency: 1 }) })

/** An executor of our own: what it answers is what the engine must deal with. */
export const executing = (run: Executor.Executor["Service"]["run"]) =>
  Executors.layer({
    default: Layer.effect(Executor.Executor)(
      Effect.map(TaskRegistry.TaskRegistry, ({ tags }) => ({
        name: "own",
        tags: Effect.succeed(tags),
        capacity: 10,
        run
      }))
    )
  })

// -----------------------------------------------------------------------------
// what was told, what is stored
// -----------------------------------------------------------------------------

export const told = (tag: SchedulerEvent["_tag"]) =>
  Effect.map(TestScheduler.events, (events) => events.filter((event) => event._tag === tag))

export const count = (tag: SchedulerEvent["_tag"]) => Effect.map(told(tag), (events) => events.length)

export const runsOf = (id: string) =>
  Effect.flatMap(Scheduler, (scheduler) => Effect.map(scheduler.handle(id).runs(), ({ items }) => items))

/** Changes a task's row behind the scheduler's back. */
export const overwrite = (
  store: TaskStore["Service"],
  id: string,
  set: Exclude<Parameters<TaskStore["Service"]["commit"]>[0][number]["set"], "remove">
) =>
  Effect.gen(function*() {
    const [task] = yield* store.get([id])
    const { generation, revision } = task!.row
    yield* store.commit([{ id, generation, revision, set, runs: [], now: at("00:00") }])
  })

/** Metrics of this test alone. */
export const withOwnMetrics = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => Effect.provideService(effect, Metric.MetricRegistry, new Map()))

/** What was counted, or how much there is now, in each series of a metric that has these attributes. */
export const metric = (id: string, attributes: Readonly<Record<string, string>> = {}) =>
  Effect.map(
    Metric.snapshot,
    (snapshot) =>
      snapshot.filter((metric) =>
        metric.id === id && Object.entries(attributes).every(([key, value]) => metric.attributes?.[key] === value)
      ).map((metric) => {
        const state = metric.state as { readonly count?: number; readonly value?: number }
        return state.count ?? state.value
      })
  )

/** Writes down when it begins and how it ends. */
export const logged = (log: Array<string>, work: Effect.Effect<void>, name = "") =>
  Effect.gen(function*() {
    const line = (what: string) => Effect.map(DateTime.now, (at) => void log.push(`${name}${what} ${clock(at)}`))
    yield* line("begins")
    yield* Effect.onInterrupt(work, () => line("interrupted"))
    yield* line("done")
  })

// -----------------------------------------------------------------------------
// turns of the event loop
// -----------------------------------------------------------------------------

export const forked = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.tap(Effect.forkChild(effect, { startImmediately: true }), () => Effect.yieldNow)

/** Lets others go on, while something is held back by a gate. */
export const aFewTurns = Effect.repeat(Effect.yieldNow, { times: 9 })

/** Waits until virtual time, moved by another fiber, has come to an instant. */
export const reached = (instant: string) =>
  Effect.gen(function*() {
    const test = yield* TestScheduler.TestScheduler
    while ((yield* test.now).epochMilliseconds < at(instant)) yield* Effect.yieldNow
  })

/** Where virtual time is once everything had many chances to go on. */
export const standsAt = Effect.gen(function*() {
  const test = yield* TestScheduler.TestScheduler
  for (let i = 0; i < 5_000; i++) yield* Effect.yieldNow
  return clock(yield* test.now)
})
