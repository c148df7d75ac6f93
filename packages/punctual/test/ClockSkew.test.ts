/**
 * A machine whose clock is not the store's: whoever runs it is told.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as MemoryTaskStore from "punctual/MemoryTaskStore"
import type { SchedulerEvent } from "punctual/SchedulerEvent"
import * as TaskScheduler from "punctual/TaskScheduler"
import { TaskStore } from "punctual/TaskStore"
import { aheadBy } from "../src/internal/engine/skew.ts"

const hour = 3_600_000

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
