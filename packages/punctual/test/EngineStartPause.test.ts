/**
 * Starting, pausing and resuming a scheduler, also in the middle of a turn.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Task from "../src/Task.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import {
  aFewTurns,
  count,
  forked,
  isolated,
  now,
  reached,
  runsOf,
  Scheduler,
  standsAt,
  Work
} from "./support/engine.ts"
import { gated } from "./support/patchedStore.ts"
import { at, times } from "./utils.ts"

describe("start and pause", () => {
  it.effect("pausing waits for the turn in progress, which begins what it has claimed", () => {
    let shut = false
    const gate = Latch.makeUnsafe(false)
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        yield* scheduler.add(Work, { id: "work", trigger: Trigger.at(at("00:01")) })
        yield* TestScheduler.settle
        shut = true
        const advancing = yield* forked(TestScheduler.advance("1 minute"))
        yield* reached("00:01")
        yield* aFewTurns
        const pausing = yield* forked(scheduler.pause)
        assert.strictEqual(yield* count("RunStarted"), 0)
        yield* gate.open
        yield* Fiber.join(pausing)
        yield* Fiber.join(advancing)
        assert.strictEqual(yield* count("RunStarted"), 1)
        assert.deepStrictEqual((yield* runsOf("work")).map((run) => [run.state, run.attempt]), [["succeeded", 1]])
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), { now, store: gated("commit", () => shut, gate) })
    )
  })

  it.effect("what was read while it was paused is read again when it goes on", () => {
    let shut = false
    const gate = Latch.makeUnsafe(false)
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        yield* scheduler.add(Work, { id: "work", trigger: Trigger.at(at("00:01")) })
        yield* TestScheduler.settle
        shut = true
        const advancing = yield* forked(TestScheduler.advance("1 minute"))
        yield* reached("00:01")
        yield* aFewTurns
        const pausing = yield* forked(scheduler.pause)
        yield* gate.open
        yield* Fiber.join(pausing)
        yield* Fiber.join(advancing)
        assert.strictEqual(yield* count("RunStarted"), 0)
        yield* scheduler.resume
        assert.strictEqual((yield* TestScheduler.settle).length, 1)
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), { now, store: gated("due", () => shut, gate) })
    )
  })

  it.effect("a pause while startup tasks are fired holds, and one loop goes on after it", () => {
    let shut = false
    const gate = Latch.makeUnsafe(false)
    const calls: Array<string> = []
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        yield* scheduler.add(Work, { id: "work", trigger: Trigger.every("1 minute") })
        yield* scheduler.pause
        assert.strictEqual((yield* scheduler.status).state, "idle")
        shut = true
        const starting = yield* forked(scheduler.start)
        yield* aFewTurns
        yield* scheduler.pause
        yield* gate.open
        yield* Fiber.join(starting)
        assert.strictEqual((yield* scheduler.status).state, "paused")
        yield* TestScheduler.advance("5 minutes")
        assert.strictEqual(calls.filter((call) => call === "due").length, 0)
        shut = false
        yield* scheduler.resume
        yield* scheduler.resume
        yield* TestScheduler.settle
        yield* scheduler.pause
        const before = calls.filter((call) => call === "due").length
        yield* TestScheduler.advance("5 minutes")
        assert.strictEqual(calls.filter((call) => call === "due").length, before)
        assert.deepStrictEqual(
          (yield* TestScheduler.events).flatMap(({ _tag }) => _tag.startsWith("Scheduler") ? [_tag] : []),
          ["SchedulerStarted", "SchedulerPaused", "SchedulerResumed", "SchedulerPaused"]
        )
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), {
        now,
        start: "manual",
        store: gated("list", () => shut, gate, calls)
      })
    )
  })

  it.effect("one started or resumed by the test itself stops at every instant that something is due", () =>
    isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        yield* scheduler.add(Work, { id: "work", trigger: Trigger.every("25 minutes") })
        yield* scheduler.start
        assert.deepStrictEqual(times(yield* TestScheduler.advance("1 hour")), ["00:25", "00:50"])
        yield* scheduler.pause
        yield* scheduler.resume
        assert.deepStrictEqual(times(yield* TestScheduler.advance("1 hour")), ["01:15", "01:40"])
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), { now, start: "manual" })
    ))

  it.effect("one that a handler resumes is not counted as that handler's work", () => {
    const Tick = Task.make("Tick")
    const gate = Latch.makeUnsafe(false)
    const App = Layer.mergeAll(
      Work.toLayer(() =>
        Effect.gen(function*() {
          const scheduler = yield* Scheduler
          yield* scheduler.pause
          yield* scheduler.resume
          // Work, during which time must stand still.
          yield* gate.await
        }) as Effect.Effect<void>
      ),
      Tick.toLayer(() => Effect.void),
      Task.layerScheduled(Work, { id: "work", trigger: Trigger.at(at("00:10")) }),
      Task.layerScheduled(Tick, { id: "tick", trigger: Trigger.every("1 minute") })
    )
    return isolated(
      Effect.gen(function*() {
        const advancing = yield* forked(TestScheduler.advance("1 hour"))
        assert.strictEqual(yield* standsAt, "00:10")
        yield* gate.open
        yield* Fiber.join(advancing)
        assert.strictEqual(yield* standsAt, "01:00")
      }),
      TestScheduler.layer(App, { now })
    )
  })

  it.effect("one that is paused and resumed while startup tasks are fired has one loop", () => {
    const gate = Latch.makeUnsafe(false)
    const calls: Array<string> = []
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        const due = () => calls.filter((call) => call === "due").length
        yield* scheduler.add(Work, { id: "work", trigger: Trigger.every("1 minute") })
        const starting = yield* forked(scheduler.start)
        yield* aFewTurns
        yield* scheduler.pause
        yield* scheduler.resume
        yield* gate.open
        yield* Fiber.join(starting)
        assert.strictEqual((yield* TestScheduler.advance("5 minutes")).length, 5)
        yield* scheduler.pause
        const before = due()
        yield* (yield* Scheduler).add(Work, { id: "another", trigger: Trigger.now })
        yield* TestScheduler.advance("5 minutes")
        assert.strictEqual(due(), before)
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), {
        now,
        start: "manual",
        store: gated("list", () => true, gate, calls)
      })
    )
  })

  it.effect("starting twice starts once", () => {
    let fired = 0
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        assert.strictEqual((yield* scheduler.status).startedAt?.epochMilliseconds, at("00:00"))
        yield* TestScheduler.advance("1 minute")
        yield* scheduler.start
        yield* scheduler.resume
        yield* TestScheduler.settle
        assert.strictEqual(fired, 1)
        assert.strictEqual((yield* scheduler.handle("work").snapshot).counters.extra, 1)
        assert.strictEqual((yield* scheduler.status).startedAt?.epochMilliseconds, at("00:00"))
        assert.deepStrictEqual(
          (yield* TestScheduler.events).flatMap(({ _tag }) => _tag.startsWith("Scheduler") ? [_tag] : []),
          ["SchedulerStarted"]
        )
      }),
      TestScheduler.layer(
        Layer.mergeAll(
          Work.toLayer(() => Effect.sync(() => void fired++)),
          Task.layerScheduled(Work, { id: "work", trigger: Trigger.startup })
        ),
        { now }
      )
    )
  })
})
