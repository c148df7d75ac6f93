/**
 * A task's `rateLimit`: what may not begin yet is postponed, costs no attempt, and keeps nobody else from running.
 */
import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RateLimiter from "effect/persistence/RateLimiter"
import * as Schema from "effect/Schema"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import * as Task from "../src/Task.ts"
import type { TaskRegistry } from "../src/TaskRegistry.ts"
import type * as TaskStore from "../src/TaskStore.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import {
  count,
  executing,
  isolated,
  metric,
  now,
  oneAtATime,
  Scheduler,
  storeOf,
  told,
  withOwnMetrics
} from "./support/engine.ts"
import { clock } from "./utils.ts"

const Call = Task.make("Call", {
  payload: { tenant: Schema.String },
  rateLimit: { limit: 2, window: "1 minute", key: ({ tenant }) => tenant, algorithm: "token-bucket" }
})
const Free = Task.make("Free")

const Limiter = RateLimiter.layer.pipe(Layer.provide(RateLimiter.layerStoreMemory))

/** As a server does, it answers when all have asked. */
const Slow = RateLimiter.layer.pipe(Layer.provide(
  Layer.effect(RateLimiter.RateLimiterStore)(
    Effect.map(RateLimiter.RateLimiterStore, (store) => ({
      ...store,
      tokenBucket: (options) => Effect.andThen(Effect.repeat(Effect.yieldNow, { times: 9 }), store.tokenBucket(options))
    } as RateLimiter.RateLimiterStore["Service"]))
  ).pipe(Layer.provide(RateLimiter.layerStoreMemory))
))

/** Writes down who begins, and when. */
const app = (log: Array<string>) => {
  const line = (name: string) => Effect.map(DateTime.now, (at) => void log.push(`${name} ${clock(at)}`))
  return Layer.mergeAll(
    Call.toLayer(({ tenant }) => line(tenant)),
    Free.toLayer(() => line("free"))
  )
}

const layer = (log: Array<string>, executors?: typeof oneAtATime) =>
  TestScheduler.layer(app(log), { now, executors }).pipe(Layer.provide(Limiter))

const add = (tenant: string, n: number, options: object = {}) =>
  Effect.flatMap(Scheduler, (scheduler) =>
    scheduler.addAll(
      Array.from({ length: n }, (_, i) =>
        Task.scheduled(Call, { id: `${tenant}-${i}`, payload: { tenant }, trigger: Trigger.now, ...options }))
    ))

/** How often a store was asked for runs that it gave. */
const counting = Effect.map(MemoryTaskStore.make, (store) => {
  const claims = { count: 0 }
  return {
    claims,
    store: {
      ...store,
      claim: (options) => Effect.tap(store.claim(options), ({ runs }) => Effect.sync(() => claims.count += runs.length))
    } as TaskStore.TaskStore["Service"]
  }
})

describe("rateLimit", () => {
  it.effect("lets so many begin in a time, for each key, and postpones the rest until their turns", () => {
    const log: Array<string> = []
    return isolated(
      Effect.gen(function*() {
        yield* add("a", 5)
        yield* add("b", 1)
        yield* TestScheduler.settle
        assert.deepStrictEqual(log.toSorted(), ["a 00:00", "a 00:00", "b 00:00"])
        yield* TestScheduler.advance("2 minutes")
        assert.deepStrictEqual(log.slice(3), ["a 00:00:30", "a 00:01", "a 00:01:30"])
      }),
      layer(log)
    )
  })

  it.effect("costs a postponed run no attempt, tells of it, and shows until when it waits", () => {
    const log: Array<string> = []
    return withOwnMetrics(isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        yield* add("a", 3)
        yield* TestScheduler.settle
        const [released] = yield* told("RunReleased")
        assert.strictEqual(yield* count("RunReleased"), 1)
        assert.isTrue(released?._tag === "RunReleased" && released.reason === "rateLimited")
        if (released?._tag !== "RunReleased") return
        const { items } = yield* scheduler.handle(released.run.taskId).runs()
        assert.deepInclude(items[0], { state: "ready", attempt: 0, takeovers: 0 })
        assert.strictEqual(clock(items[0]!.readyAt), "00:00:30")
        assert.strictEqual(clock(released.run.readyAt), "00:00:30")
        assert.deepStrictEqual(yield* metric("punctual_postponed_total"), [1])
        const [ended] = yield* TestScheduler.advance("1 minute")
        assert.deepInclude(ended, { state: "succeeded", attempt: 1 })
      }),
      layer(log)
    ))
  })

  it.effect("keeps nobody else waiting: a postponed run gives its place in the executor back", () => {
    const log: Array<string> = []
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        yield* add("a", 4)
        yield* scheduler.add(Free, { id: "free", trigger: Trigger.now })
        yield* TestScheduler.settle
        assert.deepStrictEqual(log.toSorted(), ["a 00:00", "a 00:00", "free 00:00"])
      }),
      layer(log, oneAtATime)
    )
  })

  it.effect("judges misfireGrace when a run begins: one that waited too long is missed", () => {
    const log: Array<string> = []
    return isolated(
      Effect.gen(function*() {
        yield* add("a", 5, { misfireGrace: "45 seconds" })
        const ended = yield* TestScheduler.advance("5 minutes")
        assert.deepStrictEqual(log, ["a 00:00", "a 00:00", "a 00:00:30"])
        assert.deepStrictEqual(ended.map(({ state }) => state), [
          "succeeded",
          "succeeded",
          "succeeded",
          "missed",
          "missed"
        ])
      }),
      layer(log)
    )
  })

  for (
    const [algorithm, limiter] of [["fixed-window", Limiter], ["token-bucket", Limiter], [
      "token-bucket",
      Slow
    ]] as const
  ) {
    it.effect(
      `claims a backlog little more often than once for each run (${algorithm}${
        limiter === Slow ? ", of a server" : ""
      })`,
      () =>
        Effect.gen(function*() {
          const { claims, store } = yield* counting
          const Bulk = Task.make("Bulk", { rateLimit: { limit: 10, window: "1 minute", algorithm } })
          let begun = 0
          yield* isolated(
            Effect.gen(function*() {
              const scheduler = yield* Scheduler
              yield* scheduler.addAll(
                Array.from({ length: 200 }, (_, i) => Task.scheduled(Bulk, { id: `bulk-${i}`, trigger: Trigger.now }))
              )
              yield* TestScheduler.advance("5 minutes")
              assert.isAtMost(begun, 60)
              yield* TestScheduler.advance("20 minutes")
              assert.strictEqual(begun, 200)
              // Each is claimed where it is created or here, postponed, and claimed again at its turn.
              assert.isAtMost(claims.count, 2 * 200 + 40)
            }),
            TestScheduler.layer(Bulk.toLayer(() => Effect.sync(() => begun++)), { now, store: storeOf(store) }).pipe(
              Layer.provide(limiter)
            )
          )
        })
    )
  }

  it.effect("counts every attempt: retries and runNow too", () => {
    const begun: Array<string> = []
    const Flaky = Task.make("Flaky", {
      error: Schema.String,
      retry: { times: 2 },
      rateLimit: { limit: 2, window: "1 minute", algorithm: "token-bucket" }
    })
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        const flaky = yield* scheduler.add(Flaky, { id: "flaky", trigger: Trigger.every("1 hour") })
        yield* flaky.runNow()
        yield* TestScheduler.advance("1 minute")
        assert.deepStrictEqual(begun, ["1 00:00", "2 00:00", "3 00:00:30"])
        yield* flaky.runNow()
        yield* TestScheduler.settle
        assert.deepStrictEqual(begun.slice(3), ["1 00:01"])
      }),
      TestScheduler.layer(
        Flaky.toLayer((_, run) =>
          Effect.flatMap(DateTime.now, (at) => {
            begun.push(`${run.attempt} ${clock(at)}`)
            return run.attempt < 3 ? Effect.fail("no") : Effect.void
          })
        ),
        { now }
      ).pipe(Layer.provide(Limiter))
    )
  })

  it.effect("runs nothing while the limiter is away, asks it less and less, and goes on when it answers", () => {
    const log: Array<string> = []
    let asked = 0
    let away = true
    const Away = Layer.effect(RateLimiter.RateLimiterStore)(
      Effect.map(RateLimiter.RateLimiterStore, (store) => ({
        ...store,
        tokenBucket: (options) =>
          Effect.andThen(
            Effect.repeat(Effect.yieldNow, { times: 9 }),
            Effect.suspend(() => {
              asked++
              return away
                ? Effect.fail(
                  new RateLimiter.RateLimiterError({
                    reason: new RateLimiter.RateLimitStoreError({ message: "it is away" })
                  })
                )
                : store.tokenBucket(options)
            })
          )
      } as RateLimiter.RateLimiterStore["Service"]))
    ).pipe(Layer.provide(RateLimiter.layerStoreMemory))
    return isolated(
      Effect.gen(function*() {
        yield* add("a", 2)
        yield* TestScheduler.advance("2 minutes")
        assert.deepStrictEqual(log, [])
        // Both at once, after 1, 2, 4, 8, 16 and then each 30 seconds.
        assert.strictEqual(asked, 2 * 8)
        const reasons = (yield* told("RunReleased")).map((event) => event._tag === "RunReleased" && event.reason)
        assert.isTrue(reasons.every((reason) => reason === "limiterAway"))
        away = false
        const ended = yield* TestScheduler.advance("30 seconds")
        for (const run of ended) assert.deepInclude(run, { state: "succeeded", attempt: 1, takeovers: 0 })
        assert.strictEqual(log.length, 2)
      }),
      TestScheduler.layer(app(log), { now }).pipe(
        Layer.provide(RateLimiter.layer.pipe(Layer.provide(Away)))
      )
    )
  })

  it.effect("may begin once only: a run that was postponed has not begun, and is not abandoned", () => {
    const begun: Array<string> = []
    const Once = Task.make("Once", {
      delivery: "atMostOnce",
      rateLimit: { limit: 1, window: "1 minute" }
    })
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        for (const id of ["one", "two"]) yield* scheduler.add(Once, { id, trigger: Trigger.now })
        const ended = yield* TestScheduler.advance("2 minutes")
        assert.deepStrictEqual(ended.map(({ attempt, state }) => [state, attempt]), [["succeeded", 1], [
          "succeeded",
          1
        ]])
        assert.deepStrictEqual(begun, ["00:00", "00:01"])
      }),
      TestScheduler.layer(
        Once.toLayer(() => Effect.map(DateTime.now, (at) => void begun.push(clock(at)))),
        { now }
      ).pipe(Layer.provide(Limiter))
    )
  })

  it.effect("ends a postponed run that is cancelled, and one whose task is removed", () => {
    const log: Array<string> = []
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        yield* add("a", 4)
        yield* TestScheduler.settle
        const [first, second] = (yield* told("RunReleased")).flatMap((event) =>
          event._tag === "RunReleased" ? [event.run] : []
        )
        yield* scheduler.cancel(first!)
        yield* scheduler.handle(second!.taskId).remove()
        yield* TestScheduler.advance("10 minutes")
        assert.strictEqual(log.length, 2)
        const { items } = yield* scheduler.handle(first!.taskId).runs()
        assert.strictEqual(items[0]?.state, "cancelled")
      }),
      layer(log)
    )
  })

  it.effect("of an executor of one's own postpones as well", () =>
    Effect.gen(function*() {
      let asked = 0
      yield* isolated(
        Effect.gen(function*() {
          const scheduler = yield* Scheduler
          yield* scheduler.add(Free, { id: "free", trigger: Trigger.now })
          yield* TestScheduler.advance("1 minute")
          const released = yield* told("RunReleased")
          assert.deepStrictEqual(released.map(({ at }) => clock(at)), ["00:00", "00:00:20", "00:00:40", "00:01"])
        }),
        TestScheduler.layer(Free.toLayer(() => Effect.void), {
          now,
          executors: executing(() =>
            Effect.sync(() => {
              asked++
              return { _tag: "Postponed", reason: "rateLimited", retryAfter: 20_000 }
            })
          )
        })
      )
      assert.strictEqual(asked, 4)
    }))

  it.effect("fails a run whose key cannot be computed, and says why", () => {
    const Keyed = Task.make("Keyed", {
      rateLimit: {
        limit: 1,
        window: "1 minute",
        key: () => {
          throw new Error("no tenant")
        }
      }
    })
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        yield* scheduler.add(Keyed, { id: "keyed", trigger: Trigger.now })
        const [ended] = yield* TestScheduler.advance("1 minute")
        assert.deepInclude(ended, { state: "failed", attempt: 1 })
        assert.include(JSON.stringify(ended?.exit), "no tenant")
      }),
      TestScheduler.layer(Keyed.toLayer(() => Effect.void), { now }).pipe(Layer.provide(Limiter))
    )
  })

  it("must say something that can be kept", () => {
    const refused = (rateLimit: object, reason: RegExp) =>
      assert.throws(() => Task.make("Bad", { rateLimit: rateLimit as { limit: number; window: number } }), reason)
    refused({ limit: 0, window: "1 minute" }, /integer of at least 1/)
    refused({ limit: 1.5, window: "1 minute" }, /integer of at least 1/)
    refused({ limit: 1 }, /window must be a duration/)
    refused({ limit: 1, window: 0 }, /window must be a duration/)
    refused({ limit: 1, window: "soon" }, /window must be a duration/)
    refused({ limit: 1, window: "1 minute", key: "tenant" }, /function of the payload/)
    refused({ limit: 1, window: "1 minute", algorithm: "leaky" }, /fixed-window/)
    refused({ limit: 1, windw: "1 minute" }, /did you mean `window`/)
  })

  it("needs a limiter, and the compiler says so", () => {
    const needs = <A, E, R>(_: Layer.Layer<A, E, R>): Array<R> => []
    const limited: Array<RateLimiter.RateLimiter | TaskRegistry> = needs(Call.toLayer(() => Effect.void))
    const free: Array<TaskRegistry> = needs(Free.toLayer(() => Effect.void))
    // @ts-expect-error the limiter is not provided
    const missing: Array<TaskRegistry> = needs(Call.toLayer(() => Effect.void))
    assert.deepStrictEqual([limited, free, missing], [[], [], []])
  })
})
