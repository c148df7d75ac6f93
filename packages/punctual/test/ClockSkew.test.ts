/**
 * A machine whose clock is not the store's: whoever runs it is told.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as MemoryTaskStore from "punctual/MemoryTaskStore"
import type { SchedulerEvent } from "punctual/SchedulerEvent"
import * as Task from "punctual/Task"
import * as TaskScheduler from "punctual/TaskScheduler"
import { TaskSchedulerClient } from "punctual/TaskSchedulerClient"
import { TaskStore } from "punctual/TaskStore"
import * as Trigger from "punctual/Trigger"
import { aheadBy } from "../src/internal/engine/storeClock.ts"

const hour = 3_600_000

/** A machine's clock that somebody has set. */
const setBy = (clock: Clock.Clock, millis: number): Clock.Clock => {
  const wall = () => clock.currentTimeMillisUnsafe() + millis
  return {
    currentTimeMillisUnsafe: wall,
    currentTimeMillis: Effect.sync(wall),
    currentTimeNanosUnsafe: () => BigInt(wall()) * BigInt(1_000_000),
    currentTimeNanos: Effect.sync(() => BigInt(wall()) * BigInt(1_000_000)),
    monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
    monotonicTimeNanos: clock.monotonicTimeNanos,
    sleep: (duration) => clock.sleep(duration)
  }
}

describe("how far a clock is ahead", () => {
  it("is what is sure of it: a slow answer makes no skew", () => {
    assert.strictEqual(aheadBy(1_000, 1_000, 1_000), 0)
    assert.strictEqual(aheadBy(1_000, 5_000, 9_000), 0)
    assert.strictEqual(aheadBy(1_000, 900, 9_000), 100)
    assert.strictEqual(aheadBy(1_000, 9_500, 9_000), -500)
  })
})

describe("a scheduler whose clock is an hour", () => {
  for (const [word, ahead] of [["ahead of", hour], ["behind", -hour]] as const) {
    it.live(`${word} the store's says so when it starts`, () =>
      Effect.gen(function*() {
        const listening = yield* Deferred.make<void>()
        const store = Layer.effect(
          TaskStore,
          Effect.map(Effect.map(Layer.build(MemoryTaskStore.layer), Context.get(TaskStore)), (memory) => ({
            ...memory,
            // answered once somebody listens
            time: Effect.andThen(
              Deferred.await(listening),
              Effect.clockWith((clock) => Effect.map(clock.currentTimeMillis, (now) => now - ahead))
            )
          }))
        )
        const context = yield* Layer.build(
          TaskScheduler.layer(Layer.empty, { start: "manual" }).pipe(Layer.provide(store))
        )
        const scheduler = Context.get(context, TaskScheduler.TaskScheduler)
        const heard = yield* Deferred.make<SchedulerEvent>()
        yield* Effect.forkScoped(
          Stream.runForEach(scheduler.events, (event) =>
            event._tag === "ClockSkew" ? Deferred.succeed(heard, event) : Effect.void),
          { startImmediately: true }
        )
        yield* scheduler.start
        yield* Deferred.succeed(listening, undefined)
        const event = yield* Deferred.await(heard)
        assert.strictEqual(event._tag, "ClockSkew")
        if (event._tag === "ClockSkew") {
          assert.isAtMost(Math.abs(event.ahead - ahead), 60_000)
          assert.strictEqual(event.store, "default")
        }
      }), 20_000)
  }
})

describe("over a store with a clock", () => {
  const Held = Task.make("Held", {})

  for (
    const [year, millis] of [
      ["2099", Date.parse("2099-01-01T00:00:00Z") - Date.parse("2026-01-01T00:00:00Z")],
      ["1970", -50 * 365 * 24 * hour]
    ] as const
  ) {
    it.live(
      `a machine that shows ${year} writes the store's time: what is due, leases, retries and commands`,
      () =>
        Effect.gen(function*() {
          const right = yield* Clock.Clock
          const time = Effect.sync(() => right.currentTimeMillisUnsafe())
          const memory = Context.get(yield* Layer.build(MemoryTaskStore.layer), TaskStore)
          const begun = yield* Deferred.make<void>()
          const ended = yield* Deferred.make<void>()
          const handler = Held.toLayer(() => Effect.andThen(Deferred.succeed(begun, undefined), Deferred.await(ended)))
          const context = yield* Layer.build(
            TaskScheduler.layer(handler).pipe(
              Layer.provide(Layer.succeed(TaskStore, { ...memory, time })),
              Layer.provide(Layer.succeed(Clock.Clock, setBy(right, millis)))
            )
          )
          const scheduler = Context.get(context, TaskSchedulerClient)
          const before = right.currentTimeMillisUnsafe()
          const task = yield* scheduler.add(Held, {
            id: "held",
            trigger: Trigger.every("1 hour", { immediately: true })
          })
          yield* Deferred.await(begun)
          yield* task.pause()
          const [held] = yield* memory.get(["held"])
          const after = right.currentTimeMillisUnsafe()
          const during = (instant: number | null | undefined, later = 0) =>
            assert.isTrue(instant! >= before - 60_000 + later && instant! <= after + 60_000 + later, String(instant))
          during(held!.row.anchor)
          during(held!.row.cursor)
          during(held!.row.pausedAt)
          during(held!.open[0]!.readyAt)
          during(held!.open[0]!.startedAt)
          during(held!.open[0]!.leaseUntil, 30_000)
          yield* Deferred.succeed(ended, undefined)
        }),
      20_000
    )
  }
})
