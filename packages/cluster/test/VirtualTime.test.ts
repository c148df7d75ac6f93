/**
 * A whole cluster under virtual time: schedulers, a runner, and the cluster's own timers.
 */
import { assert, it } from "@effect/vitest"
import * as TestRunner from "effect/cluster/TestRunner"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Executors from "punctual/Executors"
import * as Task from "punctual/Task"
import type { TaskRegistry } from "punctual/TaskRegistry"
import * as TaskScheduler from "punctual/TaskScheduler"
import * as TestScheduler from "punctual/testing/TestScheduler"
import * as Trigger from "punctual/Trigger"
import * as ClusterExecutor from "../src/ClusterExecutor.ts"

class Overdrawn extends Schema.TaggedError<Overdrawn>()("Overdrawn", { by: Schema.Int }) {}

const Report = Task.make("Report", { payload: { days: Schema.Int }, success: Schema.Int })
const Charge = Task.make("Charge", { error: Overdrawn, retry: { times: 1, schedule: Schedule.spaced("1 minute") } })
const Slow = Task.make("Slow", { timeout: "1 minute" })
const Waits = Task.make("Waits")
const Once = Task.make("Once", { delivery: "atMostOnce" })

const all = [Report, Charge, Slow, Waits, Once] as const

/** A scheduler, a runner with these handlers, and a cluster of its own in real time. */
const underTest = <A, E, R, B, E2>(
  App: Layer.Layer<A, E, R>,
  handlers: Layer.Layer<B, E2, TaskRegistry>,
  options?: { readonly concurrency?: number; readonly capacity?: number }
) =>
  TestScheduler.layer(App, {
    now: "2026-03-02T06:00:00Z",
    timeZone: "UTC",
    executors: Executors.layer({
      default: ClusterExecutor.layer({ handles: all, capacity: options?.capacity }).pipe(
        Layer.provide(ClusterExecutor.serve(handlers, { concurrency: options?.concurrency }))
      )
    })
  }).pipe(Layer.provide(TestRunner.layer))

const nothing = Layer.empty

it.live("runs are on time, take the time that they sleep, and answer results and typed errors", () => {
  const App = Layer.mergeAll(
    Task.layerScheduled(Report, { id: "report", payload: { days: 7 }, trigger: Trigger.cron("0 9 * * *") }),
    Task.layerScheduled(Charge, { id: "charge", payload: undefined, trigger: Trigger.at("2026-03-02T10:00:00Z") })
  )
  const handlers = Layer.mergeAll(
    Report.toLayer(({ days }) => Effect.as(Effect.sleep("30 seconds"), days * 2)),
    Charge.toLayer(() => Effect.fail(new Overdrawn({ by: 3 })))
  )
  return Effect.gen(function*() {
    const runs = yield* TestScheduler.advance("2 days")
    assert.deepStrictEqual(
      runs.map((run) => [run.taskId, run.state, run.attempt, DateTime.formatIso(Option.getOrThrow(run.endedAt))]),
      [
        ["report", "succeeded", 1, "2026-03-02T09:00:30.000Z"],
        ["charge", "failed", 2, "2026-03-02T10:01:00.000Z"],
        ["report", "succeeded", 1, "2026-03-03T09:00:30.000Z"]
      ]
    )
    assert.deepStrictEqual(yield* Task.decodeExit(Report, runs[0]!), Option.some(Exit.succeed(14)))
    assert.deepStrictEqual(yield* Task.decodeExit(Charge, runs[1]!), Option.some(Exit.fail(new Overdrawn({ by: 3 }))))
  }).pipe(Effect.provide(underTest(App, handlers)))
})

it.live("a run that is cancelled, or whose time is up, is interrupted where it runs, and its finalizers have run before that is told", () => {
  const said: Array<string> = []
  const endless = (name: string) => () =>
    Effect.onInterrupt(Effect.sleep("1 day"), () => Effect.sync(() => said.push(`${name} finalized`)))
  return Effect.gen(function*() {
    const scheduler = yield* TaskScheduler.TaskScheduler
    yield* scheduler.add(Slow, { id: "slow", payload: undefined, trigger: Trigger.now })
    const waits = yield* scheduler.add(Waits, { id: "waits", payload: undefined, trigger: Trigger.now })
    yield* TestScheduler.advance("59 seconds")
    assert.deepStrictEqual(said, [])
    const [timedOut] = yield* TestScheduler.advance("1 seconds")
    assert.deepInclude(timedOut, { taskId: "slow", state: "timedOut" })
    assert.deepStrictEqual(said, ["Slow finalized"])
    const [open] = (yield* waits.runs({ state: "running" })).items
    yield* waits.cancel(open!.id)
    const [cancelled] = yield* TestScheduler.settle
    assert.deepInclude(cancelled, { taskId: "waits", state: "cancelled" })
    assert.deepStrictEqual(said, ["Slow finalized", "Waits finalized"])
  }).pipe(
    Effect.provide(underTest(nothing, Layer.mergeAll(Slow.toLayer(endless("Slow")), Waits.toLayer(endless("Waits")))))
  )
})

it.live("a scheduler claims no more than its capacity, and a runner runs no more at once than its concurrency", () => {
  let running = 0
  const most: Array<number> = []
  const handlers = Waits.toLayer(() =>
    Effect.suspend(() => {
      most.push(++running)
      return Effect.ensuring(Effect.sleep("10 seconds"), Effect.sync(() => running--))
    })
  )
  return Effect.gen(function*() {
    const scheduler = yield* TaskScheduler.TaskScheduler
    for (let i = 0; i < 6; i++) yield* scheduler.add(Waits, { id: `w${i}`, payload: undefined, trigger: Trigger.now })
    yield* TestScheduler.settle
    assert.strictEqual((yield* scheduler.status).running.length, 4)
    assert.strictEqual((yield* TestScheduler.advance("10 seconds")).length, 2)
    assert.strictEqual((yield* TestScheduler.advance("30 seconds")).length, 4)
    assert.strictEqual(Math.max(...most), 2)
  }).pipe(Effect.provide(underTest(nothing, handlers, { capacity: 4, concurrency: 2 })))
})

it.live("a scheduler that shuts down interrupts its runs where they run, and gives them back", () => {
  const said: Array<string> = []
  const handlers = Waits.toLayer(() =>
    Effect.onInterrupt(Effect.sleep("1 day"), () => Effect.sync(() => said.push("finalized")))
  )
  return Effect.gen(function*() {
    const scheduler = yield* TaskScheduler.TaskScheduler
    yield* scheduler.add(Waits, { id: "waits", payload: undefined, trigger: Trigger.now })
    yield* TestScheduler.settle
    yield* TestScheduler.shutdown
    assert.deepStrictEqual(said, ["finalized"])
    const [released] = (yield* TestScheduler.events).filter((event) => event._tag === "RunReleased")
    assert.deepInclude(released, { reason: "shutdown" })
  }).pipe(Effect.provide(underTest(nothing, handlers)))
})

it.live("what may begin once runs once", () =>
  Effect.gen(function*() {
    const scheduler = yield* TaskScheduler.TaskScheduler
    yield* scheduler.add(Once, { id: "once", payload: undefined, trigger: Trigger.now })
    const runs = yield* TestScheduler.settle
    assert.deepStrictEqual(runs.map((run) => [run.taskId, run.state]), [["once", "succeeded"]])
  }).pipe(Effect.provide(underTest(nothing, Once.toLayer(() => Effect.void)))))

it.live("a run whose runner has no handler for it waits, and says so", () => {
  const said: Array<string> = []
  const hear = Logger.layer([Logger.make(({ message }) => said.push(String(message)))])
  return Effect.gen(function*() {
    const scheduler = yield* TaskScheduler.TaskScheduler
    yield* scheduler.add(Waits, { id: "waits", payload: undefined, trigger: Trigger.now })
    assert.deepStrictEqual(yield* TestScheduler.advance("9 seconds"), [])
    assert.strictEqual((yield* scheduler.status).running.length, 1)
    const warnings = said.filter((text) => text.includes("has no handler for `Waits`"))
    assert.strictEqual(warnings.length, 2)
  }).pipe(Effect.provide(underTest(nothing, Once.toLayer(() => Effect.void))), Effect.provide(hear))
})
