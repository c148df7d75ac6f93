/**
 * One rate limit over several schedulers, counted by Redis.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RateLimiter from "effect/persistence/RateLimiter"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { SchedulerEvent } from "punctual/SchedulerEvent"
import * as Task from "punctual/Task"
import * as TaskScheduler from "punctual/TaskScheduler"
import * as Trigger from "punctual/Trigger"
import { onServer } from "../../../.ci/testServers.ts"
import { freshPrefix, storeOf } from "./internal/server.ts"

const Call = Task.make("Call", {
  payload: { tenant: Schema.String },
  // So long that no turn comes back while the test runs.
  rateLimit: { limit: 5, window: "10 hours", key: ({ tenant }) => tenant }
})

await onServer("redis", (url) => {
  describe("a rate limit that Redis counts", () => {
    it.live("holds over two schedulers, for each key", () =>
      Effect.gen(function*() {
        const prefix = freshPrefix()
        const events = yield* Queue.unbounded<SchedulerEvent>()
        const begun: Array<string> = []

        const scheduler = (name: string) =>
          Effect.gen(function*() {
            const context = yield* Layer.build(
              TaskScheduler.layer(
                Call.toLayer(({ tenant }) => Effect.sync(() => void begun.push(`${name} ${tenant}`))),
                { name, start: "manual" }
              ).pipe(
                Layer.provide(RateLimiter.layer),
                Layer.provide(RateLimiter.layerStoreRedis({ prefix: `${prefix}:limits:` })),
                // They share nothing but the limit.
                Layer.provide(storeOf(url, { prefix: `${prefix}:${name}` })),
                Layer.fresh
              )
            )
            const scheduler = Context.get(context, TaskScheduler.TaskScheduler)
            yield* scheduler.events.pipe(
              Stream.runForEach((event) => Queue.offer(events, event)),
              Effect.forkScoped({ startImmediately: true })
            )
            return { context, scheduler }
          })
        const [one, two] = [yield* scheduler("one"), yield* scheduler("two")]
        for (const { context, scheduler } of [one, two]) {
          yield* scheduler.addAll(
            Array.from({ length: 15 }, (_, i) =>
              Task.scheduled(Call, { payload: { tenant: i % 3 === 0 ? "small" : "large" }, trigger: Trigger.now }))
          ).pipe(Effect.provideContext(context))
        }
        yield* Effect.all([one.scheduler.start, two.scheduler.start], { concurrency: "unbounded" })

        const postponed = new Set<string>()
        let ended = 0
        while (ended + postponed.size < 30) {
          const event = yield* Queue.take(events)
          if (event._tag === "RunEnded") {
            ended++
          } else if (event._tag === "RunReleased") {
            assert.strictEqual(event.reason, "rateLimited")
            postponed.add(event.run.taskId)
          }
        }
        assert.strictEqual(ended, 10)
        for (const tenant of ["small", "large"]) {
          assert.strictEqual(
            begun.filter((line) =>
              line.endsWith(tenant)
            ).length,
            5,
            tenant
          )
        }
        const waiting = [
          ...(yield* one.scheduler.runs({ state: "ready" })).items,
          ...(yield* two.scheduler.runs({ state: "ready" })).items
        ]
        assert.strictEqual(waiting.length, 20)
        for (const run of waiting) {
          assert.strictEqual(run.attempt, 0)
          assert.isAbove(run.readyAt.epochMilliseconds, run.dueAt.epochMilliseconds + 3_600_000)
        }
      }), 60_000)
  })
})
