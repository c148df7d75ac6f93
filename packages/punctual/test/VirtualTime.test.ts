/**
 * The clock of `TestScheduler`, and the count of what is in flight that holds it.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import type * as TestClock from "effect/testing/TestClock"
import * as Activity from "../src/Activity.ts"
import { makeVirtualTime } from "../src/internal/virtualTime.ts"
import * as Task from "../src/Task.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import { forked, isolated, now, Scheduler, standsAt, Work } from "./support/engine.ts"
import { at } from "./utils.ts"

describe("virtual time", () => {
  const make = Effect.flatMap(Clock.Clock, (clock) => makeVirtualTime(clock as TestClock.TestClock))

  it.effect("counts by label: one below zero hides nothing else", () =>
    Effect.gen(function*() {
      const time = yield* make
      time.activity.begin("a")
      time.activity.end("a")
      time.activity.end("a")
      assert.strictEqual(time.busy(), 0)
      time.activity.begin("b")
      assert.strictEqual(time.busy(), 1)
      assert.deepStrictEqual(time.labels(), ["b"])
      let idle = false
      const fiber = yield* Effect.forkChild(Effect.andThen(time.idle, Effect.sync(() => idle = true)))
      yield* Effect.yieldNow
      time.activity.begin("a")
      time.activity.begin("a")
      yield* Effect.yieldNow
      assert.isFalse(idle)
      assert.deepStrictEqual([time.busy(), time.labels()], [2, ["b", "a"]])
      time.activity.end("b")
      time.activity.end("a")
      yield* Fiber.join(fiber)
      assert.isTrue(idle)
    }))

  it.effect("sleeping suspends a label, waking takes it up again", () =>
    Effect.gen(function*() {
      const time = yield* make
      time.activity.begin("a")
      const fiber = yield* Effect.forkChild(
        Effect.andThen(time.clock.sleep(Duration.millis(10)), Effect.never).pipe(
          Effect.provideService(Activity.Label, "a")
        ),
        { startImmediately: true }
      )
      assert.deepStrictEqual([time.busy(), time.nextSleeper()], [0, 10])
      yield* time.testClock.setTime(10)
      assert.deepStrictEqual([time.busy(), time.nextSleeper()], [1, Infinity])
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(time.busy(), 1)
    }))

  it.effect("knows the next of many sleepers, whatever order they come and go in", () =>
    Effect.gen(function*() {
      const time = yield* make
      const fibers = new Map<number, Fiber.Fiber<void>>()
      const next = () => fibers.size === 0 ? Infinity : Math.min(...fibers.keys())
      const sleep = (millis: number) =>
        Effect.map(
          Effect.forkChild(time.clock.sleep(Duration.millis(millis)), { startImmediately: true }),
          (fiber) => fibers.set(millis, fiber)
        )
      for (let i = 1; i <= 200; i++) {
        yield* sleep((i * 7919) % 1009 + 1)
        assert.strictEqual(time.nextSleeper(), next())
      }
      for (const millis of [...fibers.keys()]) {
        if (fibers.size % 3 === 0) yield* sleep(((fibers.size * 31) % 500) + 1_200 + fibers.size / 1_000)
        yield* Fiber.interrupt(fibers.get(millis)!)
        fibers.delete(millis)
        assert.strictEqual(time.nextSleeper(), next())
      }
    }))

  it.effect("a jump adds up, moves every reading of the wall clock, and neither sleepers nor the monotonic clock", () =>
    Effect.gen(function*() {
      const time = yield* make
      yield* time.testClock.setTime(1_000)
      const monotonic = time.clock.monotonicTimeNanosUnsafe()
      time.jump(5_000)
      time.jump(-2_000)
      assert.strictEqual(time.offset(), 3_000)
      assert.strictEqual(time.clock.currentTimeMillisUnsafe(), 4_000)
      assert.strictEqual(yield* time.clock.currentTimeMillis, 4_000)
      assert.strictEqual(time.clock.currentTimeNanosUnsafe(), 4_000_000_000n)
      assert.strictEqual(yield* time.clock.currentTimeNanos, 4_000_000_000n)
      assert.strictEqual(time.clock.monotonicTimeNanosUnsafe(), monotonic)
      assert.strictEqual(yield* time.clock.monotonicTimeNanos, monotonic)
      const fiber = yield* Effect.forkChild(time.clock.sleep(Duration.millis(10)), { startImmediately: true })
      assert.strictEqual(time.nextSleeper(), 1_010)
      yield* Fiber.interrupt(fiber)
    }))

  it.effect("stops at each instant that something sleeps until, for real work done there", () => {
    const gates = [1, 2, 3].map(() => Latch.makeUnsafe(false))
    let begun = 0
    const App = Layer.mergeAll(
      Work.toLayer(() => gates[begun++]!.await),
      Task.layerScheduled(Work, { id: "work", trigger: Trigger.every("1 minute").pipe(Trigger.upTo(3)) })
    )
    return isolated(
      Effect.gen(function*() {
        const advancing = yield* forked(TestScheduler.advance("10 minutes"))
        for (const [i, gate] of gates.entries()) {
          assert.strictEqual(yield* standsAt, `00:0${i + 1}`)
          assert.strictEqual(begun, i + 1)
          yield* gate.open
        }
        assert.strictEqual((yield* Fiber.join(advancing)).length, 3)
        assert.strictEqual(yield* standsAt, "00:10")
        yield* TestScheduler.jump("1 hour")
        yield* TestScheduler.advanceTo("2026-01-01T01:10:00Z")
        assert.strictEqual((yield* (yield* TestScheduler.TestScheduler).now).epochMilliseconds, at("01:10"))
      }),
      TestScheduler.layer(App, { now })
    )
  })

  it.effect("says so when it is used under another clock than it was built with", () =>
    Effect.gen(function*() {
      const context = yield* Layer.build(TestScheduler.layer(Work.toLayer(() => Effect.void), { now }))
      const other = yield* makeVirtualTime((yield* Clock.Clock) as TestClock.TestClock)
      const test = Context.get(context, TestScheduler.TestScheduler)
      const exit = yield* Effect.exit(
        Effect.provideService(test.advance("1 second"), Clock.Clock, Object.assign({ setTime: () => {} }, other.clock))
      )
      assert.match(Exit.isFailure(exit) ? String(exit.cause) : "", /NotVirtualTime|built under one test clock/)
    }))

  it.effect("what it has told does not change afterwards", () =>
    isolated(
      Effect.gen(function*() {
        const before = yield* TestScheduler.events
        const length = before.length
        yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.now })
        yield* TestScheduler.settle
        assert.strictEqual(before.length, length)
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), { now })
    ))

  it.effect("Activity.during holds it for real work outside the scheduler", () =>
    isolated(
      Effect.gen(function*() {
        const gate = Latch.makeUnsafe(false)
        const activity = yield* Lent
        yield* forked(Effect.provideService(Activity.during(gate.await, "outside"), Activity.Activity, activity))
        const advancing = yield* forked(TestScheduler.advance("1 minute"))
        assert.strictEqual(yield* standsAt, "00:00")
        yield* gate.open
        yield* Fiber.join(advancing)
        assert.strictEqual(yield* standsAt, "00:01")
      }),
      TestScheduler.layer(Layer.mergeAll(Work.toLayer(() => Effect.void), Layer.effect(Lent)(Activity.Activity)), {
        now
      })
    ))
})

class Lent extends Context.Service<Lent, Activity.Activity>()("test/Lent") {}
