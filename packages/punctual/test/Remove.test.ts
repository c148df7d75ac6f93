import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TaskScheduler } from "../src/TaskScheduler.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import { counts, hourly, nextTime, scheduled, Slow, Tick, times } from "./utils.ts"

const slow = Effect.flatMap(
  TaskScheduler,
  (scheduler) => scheduler.add(Slow, { id: "a", payload: { minutes: 100 }, trigger: hourly, whenBusy: "queueAll" })
)

const states = Effect.flatMap(
  TaskScheduler,
  (scheduler) => Effect.map(scheduler.handle("a").runs(), ({ items }) => items.map((run) => run.state))
)

describe("remove", () => {
  it.effect("forgets the task", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const handle = yield* scheduler.add(Tick, { id: "a", trigger: hourly })
      yield* handle.remove()
      assert.deepStrictEqual((yield* scheduler.list()).items, [])
      assert.deepStrictEqual(times(yield* TestScheduler.advance("3 hours")), [])
      for (const command of [handle.remove(), handle.snapshot, handle.pause(), handle.runNow(), handle.preview(1)]) {
        assert.strictEqual(
          (yield* Effect.flip(command as Effect.Effect<unknown, { readonly _tag: string }>))._tag,
          "TaskNotFound"
        )
      }
    })))

  it.effect("ends waiting runs cancelled; a running one goes on and settles into history", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* slow
      yield* TestScheduler.advance("130 minutes")
      assert.deepStrictEqual(yield* states, ["waiting", "running"])
      yield* handle.remove()
      assert.deepStrictEqual(yield* states, ["cancelled", "running"])
      const runs = yield* TestScheduler.advance("1 hour")
      assert.deepStrictEqual(runs.map((run) => run.state), ["cancelled", "succeeded"])
      assert.deepStrictEqual(yield* states, ["cancelled", "succeeded"])
    })))

  it.effect("with interrupt, interrupts the running one", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* slow
      yield* TestScheduler.advance("70 minutes")
      yield* handle.remove({ interrupt: true })
      yield* TestScheduler.settle
      assert.deepStrictEqual(yield* states, ["cancelled"])
      assert.deepStrictEqual(times(yield* TestScheduler.advance("1 day")), [])
    })))

  it.effect("tells whoever waits for a run of it", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const handle = yield* slow
      yield* TestScheduler.advance("70 minutes")
      const run = yield* scheduler.handle("a", { task: Slow }).runNow()
      const waiting = yield* Effect.forkChild(Effect.flip(run.await), { startImmediately: true })
      yield* handle.remove()
      const error = yield* Fiber.join(waiting)
      assert.deepInclude(error, { _tag: "RunNotCompleted", state: "cancelled" })
    })))

  it.effect("and add of the same id is another task: no history, no counters, other run names", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* slow
      yield* TestScheduler.advance("70 minutes")
      const [old] = (yield* handle.runs()).items
      yield* handle.remove()
      const again = yield* slow
      assert.deepStrictEqual((yield* again.runs()).items, [])
      const info = yield* again.snapshot
      assert.deepStrictEqual(counts(info.counters), {})
      assert.strictEqual(nextTime(info), "02:10")
      // The old run is still open and is no overlap to the new task.
      yield* TestScheduler.advance("1 hour")
      assert.deepStrictEqual(yield* states, ["running"])
      const [run] = (yield* again.runs()).items
      assert.notStrictEqual(run!.id.split(":")[0], old!.id.split(":")[0])
      const error = yield* Effect.flip(again.cancel("999:nothing"))
      assert.strictEqual(error._tag, "RunNotFound")
    })))
})

describe("removeAll", () => {
  it.effect("removes all, or those of an owner, and answers how many", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const entries = (prefix: string) =>
        [1, 2, 3].map((n) => ({ task: Tick, options: { id: `${prefix}${n}`, trigger: hourly } }))
      yield* scheduler.reconcile("billing", entries("b"))
      yield* scheduler.reconcile("mail", entries("m"))
      yield* scheduler.add(Tick, { id: "free", trigger: hourly })
      assert.strictEqual(yield* scheduler.removeAll({ owner: "billing" }), 3)
      assert.strictEqual(yield* scheduler.removeAll({ owner: "nobody" }), 0)
      assert.deepStrictEqual((yield* scheduler.list()).items.map((info) => info.id), ["free", "m1", "m2", "m3"])
      assert.strictEqual(yield* scheduler.removeAll(), 4)
      assert.deepStrictEqual((yield* scheduler.list()).items, [])
      assert.strictEqual((yield* Effect.flip(scheduler.removeAll({ store: "x" })))._tag, "UnknownStore")
    })))

  it.effect("goes through more than one page", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      yield* scheduler.addAll(
        Array.from({ length: 1_203 }, (_, n) => ({ task: Tick, options: { id: `t${n}`, trigger: hourly } }))
      )
      assert.strictEqual(yield* scheduler.removeAll(), 1_203)
    })))
})
