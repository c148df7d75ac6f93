import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Task from "../src/Task.ts"
import { TaskScheduler } from "../src/TaskScheduler.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import {
  at,
  clock,
  counts,
  Echo,
  Fail,
  Handlers,
  hourly,
  nextTime,
  Refused,
  scheduled,
  Slow,
  start,
  Tick,
  times
} from "./utils.ts"

const slow = (options: object = {}) =>
  Effect.flatMap(
    TaskScheduler,
    (scheduler) =>
      scheduler.add(Slow, { id: "a", payload: { minutes: 10 }, trigger: Trigger.every("1 day"), ...options })
  )

describe("runNow", () => {
  it.effect("answers the handler's typed result", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const handle = yield* scheduler.add(Echo, { id: "a", payload: { text: "hi" }, trigger: hourly })
      const run = yield* handle.runNow()
      assert.strictEqual(run.status, "started")
      assert.strictEqual(run.taskId, "a")
      assert.strictEqual(yield* run.await, "HI")
      assert.strictEqual(yield* run.await, "HI")
      const info = yield* run.info
      assert.deepInclude(info, { id: run.id, taskId: "a", callable: "Echo", extra: true, state: "succeeded" })
    })))

  it.effect("waits for a result that takes time, in whichever way the handle was got", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      yield* slow()
      const typed = yield* scheduler.handle("a", { task: Slow }).runNow()
      const untyped = yield* scheduler.handle("a").runNow({ whenBusy: "allow" })
      const results = yield* Effect.forkChild(Effect.all([typed.await, untyped.await], { concurrency: 2 }), {
        startImmediately: true
      })
      yield* TestScheduler.advance("10 minutes")
      assert.deepStrictEqual(yield* Fiber.join(results), [10, undefined])
    })))

  it.effect("fails with the handler's typed error", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const handle = yield* scheduler.add(Fail, { id: "a", payload: { why: "no mail" }, trigger: hourly })
      const error = yield* Effect.flip((yield* handle.runNow()).await)
      assert.instanceOf(error, Refused)
      assert.strictEqual(error.why, "no mail")
    })))

  it.effect("leaves the schedule untouched and is counted apart", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* Effect.flatMap(TaskScheduler, (scheduler) =>
        scheduler.add(Tick, { id: "a", trigger: hourly }))
      yield* TestScheduler.advance("90 minutes")
      const before = yield* handle.snapshot
      yield* (yield* handle.runNow()).await
      const after = yield* handle.snapshot
      assert.deepStrictEqual(counts(after.counters), { ran: 1, extra: 1 })
      assert.deepStrictEqual(
        { ...after, counters: before.counters, revision: before.revision },
        before
      )
      assert.deepStrictEqual(times(yield* TestScheduler.advance("1 hour")), ["01:30", "02:00"])
    })))

  it.effect("runs while paused, which it stays, and while finished", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* Effect.flatMap(TaskScheduler, (scheduler) =>
        scheduler.add(Echo, { id: "a", payload: { text: "x" }, trigger: Trigger.at(at("00:30")) }))
      yield* handle.pause("note")
      assert.strictEqual(yield* (yield* handle.runNow()).await, "X")
      assert.deepInclude(yield* handle.snapshot, { state: "paused", pauseNote: Option.some("note") })
      yield* handle.resume
      yield* TestScheduler.advance("1 hour")
      assert.strictEqual((yield* handle.snapshot).state, "finished")
      assert.strictEqual(yield* (yield* handle.runNow()).await, "X")
      assert.strictEqual((yield* handle.snapshot).state, "finished")
      assert.deepStrictEqual(counts((yield* handle.snapshot).counters), { ran: 1, extra: 2 })
    })))

  it.effect("while busy, under a policy that skips, fails and names the run in the way", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* slow()
      const first = yield* handle.runNow()
      const error = yield* Effect.flip(handle.runNow())
      assert.deepInclude(error, { _tag: "TaskBusy", id: "a", by: first.id })
      assert.include(error.message, first.id)
      assert.deepStrictEqual(counts((yield* handle.snapshot).counters), { extra: 1 })
    })))

  it.effect("while busy, queues when asked to; at its limit it says so", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* slow({ queueLimit: 1 })
      const first = yield* handle.runNow({ whenBusy: "queue" })
      const second = yield* handle.runNow({ whenBusy: "queueAll" })
      assert.deepStrictEqual([first.status, second.status], ["started", "queued"])
      const full = yield* Effect.flip(handle.runNow({ whenBusy: "queueAll" }))
      assert.deepInclude(full, { _tag: "TaskBusy", by: first.id, waiting: 1 })
      assert.include(full.message, "queueLimit")
      const runs = yield* TestScheduler.advance("20 minutes")
      assert.deepStrictEqual(runs.map((run) => [run.id, clock(Option.getOrThrow(run.endedAt))]), [
        [first.id, "00:10"],
        [second.id, "00:20"]
      ])
    })))

  it.effect("while busy, runs beside when allowed, and instead when that is asked", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* slow()
      const first = yield* handle.runNow()
      const beside = yield* handle.runNow({ whenBusy: "allow" })
      assert.strictEqual(beside.status, "started")
      yield* TestScheduler.advance("5 minutes")
      const instead = yield* handle.runNow({ whenBusy: "cancelPrevious" })
      assert.strictEqual(instead.status, "queued")
      yield* TestScheduler.settle
      assert.strictEqual((yield* first.info).state, "cancelled")
      assert.strictEqual((yield* beside.info).state, "cancelled")
      assert.strictEqual((yield* instead.info).state, "running")
    })))

  it.effect("the same key is the same run, while it is open and after it has ended", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* slow()
      const first = yield* handle.runNow({ key: "order-7" })
      const open = yield* handle.runNow({ key: "order-7" })
      assert.strictEqual(open.id, first.id)
      yield* TestScheduler.advance("10 minutes")
      const ended = yield* handle.runNow({ key: "order-7" })
      assert.strictEqual(ended.id, first.id)
      assert.strictEqual(yield* ended.await, 10)
      assert.deepStrictEqual(counts((yield* handle.snapshot).counters), { extra: 1 })
      const other = yield* handle.runNow({ key: "order-8" })
      assert.notStrictEqual(other.id, first.id)
    })))

  it.effect("the same key asked for at once from several fibers is one run", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* slow({ whenBusy: "allow" })
      const runs = yield* Effect.all(
        Array.from({ length: 20 }, () => handle.runNow({ key: "k" })),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(new Set(runs.map((run) => run.id)).size, 1)
      assert.strictEqual((yield* handle.snapshot).counters.extra, 1)
    })))

  it.effect("the same key of a task added anew is another run", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* slow()
      const first = yield* handle.runNow({ key: "k" })
      yield* handle.remove()
      const again = yield* slow()
      const second = yield* again.runNow({ key: "k" })
      assert.notStrictEqual(second.id, first.id)
      yield* TestScheduler.advance("10 minutes")
      assert.strictEqual((yield* TestScheduler.runs).length, 2)
    })))

  it.effect("at an occurrence's own instant both run", () =>
    scheduled(
      Effect.gen(function*() {
        const scheduler = yield* TaskScheduler
        const handle = yield* scheduler.add(Tick, { id: "a", trigger: hourly })
        yield* TestScheduler.advance("1 hour")
        yield* handle.runNow()
        yield* TestScheduler.settle
        yield* scheduler.pause
        yield* TestScheduler.advance("1 hour")
        yield* handle.runNow({ whenBusy: "allow" })
        yield* scheduler.resume
        yield* TestScheduler.settle
        const runs = yield* TestScheduler.runs
        assert.deepStrictEqual(runs.map((run) => `${clock(run.scheduledAt)}${run.extra ? " extra" : ""}`).sort(), [
          "01:00",
          "01:00 extra",
          "02:00",
          "02:00 extra"
        ])
        assert.deepStrictEqual(counts((yield* handle.snapshot).counters), { ran: 2, extra: 2 })
      }),
      { defaults: { maxInstances: 2 } }
    ))

  it.effect("a handler may run another task and wait for its result", () => {
    const Outer = Task.make("Outer", { success: Schema.Int })
    const App = Layer.mergeAll(
      Handlers,
      Outer.toLayer(() =>
        Effect.gen(function*() {
          const scheduler = yield* TaskScheduler
          const run = yield* scheduler.handle("inner", { task: Slow }).runNow()
          return 1 + (yield* run.await)
        }).pipe(Effect.orDie)
      )
    )
    return Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      yield* scheduler.add(Slow, { id: "inner", payload: { minutes: 10 }, trigger: Trigger.every("1 day") })
      const outer = yield* scheduler.add(Outer, { id: "outer", trigger: Trigger.at(at("01:00")) })
      yield* TestScheduler.advance("75 minutes")
      const [run] = (yield* outer.runs()).items
      assert.deepInclude(Option.getOrThrow(run!.exit) as object, { _tag: "Success", value: 11 })
      assert.strictEqual(clock(Option.getOrThrow(run!.endedAt)), "01:10")
    }).pipe(Effect.provide(TestScheduler.layer(App, { now: start })))
  })

  it.effect("refuses what it does not know", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const handle = yield* slow()
      assert.match((yield* Effect.flip(handle.runNow({ key: "" }))).message, /key/)
      assert.match((yield* Effect.flip(handle.runNow({ keys: "a" } as never))).message, /did you mean `key`/)
      assert.strictEqual((yield* Effect.flip(handle.runNow({ whenBusy: "maybe" as never })))._tag, "InvalidOption")
      assert.strictEqual((yield* Effect.flip(scheduler.handle("x").runNow()))._tag, "TaskNotFound")
      assert.deepStrictEqual((yield* handle.runs()).items, [])
    })))

  it.effect("starts nothing before the scheduler has started, and then it runs", () =>
    scheduled(
      Effect.gen(function*() {
        const scheduler = yield* TaskScheduler
        const handle = yield* slow()
        yield* handle.runNow()
        yield* TestScheduler.advance("1 hour")
        assert.deepStrictEqual((yield* handle.runs()).items.map((run) => run.state), ["ready"])
        yield* scheduler.start
        assert.strictEqual((yield* TestScheduler.advance("10 minutes")).length, 1)
      }),
      { start: "manual" }
    ))
})

describe("cancel", () => {
  it.effect("interrupts a running run: its await fails, its finalizers have run, the next occurrence comes", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* slow({ trigger: hourly })
      const run = yield* handle.runNow()
      yield* TestScheduler.advance("5 minutes")
      const waiting = yield* Effect.forkChild(Effect.flip(run.await), { startImmediately: true })
      yield* run.cancel
      yield* TestScheduler.settle
      const error = yield* Fiber.join(waiting)
      assert.deepInclude(error, { _tag: "RunNotCompleted", run: run.id, state: "cancelled" })
      assert.match((error as Error).message, /was cancelled/)
      assert.strictEqual((yield* run.info).state, "cancelled")
      assert.deepStrictEqual(times(yield* TestScheduler.advance("70 minutes")).slice(-1), ["01:00"])
    })))

  it.effect("ends a waiting or ready run at once, and tells whoever waits for it", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const handle = yield* slow()
      yield* handle.runNow()
      const queued = yield* handle.runNow({ whenBusy: "queue" })
      const waiting = yield* Effect.forkChild(Effect.flip(queued.await), { startImmediately: true })
      yield* queued.cancel
      assert.deepInclude(yield* Fiber.join(waiting), { _tag: "RunNotCompleted", state: "cancelled" })
      assert.strictEqual((yield* queued.info).state, "cancelled")
      yield* scheduler.pause
      const ready = yield* handle.runNow({ whenBusy: "allow" })
      assert.strictEqual((yield* ready.info).state, "ready")
      yield* handle.cancel(ready.id)
      assert.deepInclude(yield* Effect.flip(ready.await), { _tag: "RunNotCompleted", state: "cancelled" })
      const ended = (yield* TestScheduler.events).flatMap((event) => event._tag === "RunEnded" ? [event.run.id] : [])
      assert.deepStrictEqual(ended, [queued.id, ready.id])
    })))

  it.effect("of a ready run lets the one behind it go", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const handle = yield* slow()
      yield* scheduler.pause
      const first = yield* handle.runNow()
      const second = yield* handle.runNow({ whenBusy: "queue" })
      assert.strictEqual(second.status, "queued")
      yield* first.cancel
      assert.strictEqual((yield* second.info).state, "ready")
      yield* scheduler.resume
      assert.deepStrictEqual((yield* TestScheduler.advance("10 minutes")).map((run) => run.state), [
        "cancelled",
        "succeeded"
      ])
    })))

  it.effect("of a run by its snapshot, from a list", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const handle = yield* slow()
      yield* handle.runNow()
      yield* TestScheduler.settle
      const [info] = (yield* scheduler.runs({ state: "running" })).items
      yield* scheduler.cancel(info!)
      assert.deepStrictEqual((yield* TestScheduler.settle).map((run) => run.state), ["cancelled"])
    })))

  it.effect("of one that has ended is no change; of one that never was fails", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* slow()
      const run = yield* handle.runNow()
      yield* TestScheduler.advance("10 minutes")
      yield* run.cancel
      assert.strictEqual((yield* run.info).state, "succeeded")
      assert.strictEqual(yield* run.await, 10)
      for (const id of ["1:x:nothing", "nonsense", "7:1767225600000", ""]) {
        const error = yield* Effect.flip(handle.cancel(id))
        assert.deepInclude(error, { _tag: "RunNotFound", taskId: "a", run: id })
      }
    })))

  it.effect("a result that history no longer has", () =>
    scheduled(
      Effect.gen(function*() {
        const scheduler = yield* TaskScheduler
        const handle = yield* scheduler.add(Echo, { id: "a", payload: { text: "x" }, trigger: hourly })
        const run = yield* handle.runNow()
        yield* TestScheduler.settle
        yield* handle.runNow()
        yield* TestScheduler.settle
        assert.strictEqual((yield* Effect.flip(run.await))._tag, "RunNotFound")
        assert.strictEqual((yield* Effect.flip(run.info))._tag, "RunNotFound")
      }),
      { retention: { runs: 1 } }
    ))

  it.effect("an await that is interrupted leaves the run alone", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* slow()
      const run = yield* handle.runNow()
      const waiting = yield* Effect.forkChild(run.await, { startImmediately: true })
      yield* Fiber.interrupt(waiting)
      assert.isTrue(Exit.isFailure(yield* Fiber.await(waiting)))
      yield* TestScheduler.advance("10 minutes")
      assert.strictEqual(yield* run.await, 10)
      assert.strictEqual(nextTime(yield* handle.snapshot), "2026-01-02 00:00")
      assert.strictEqual(DateTime.toEpochMillis((yield* run.info).dueAt), at("00:00"))
    })))
})
