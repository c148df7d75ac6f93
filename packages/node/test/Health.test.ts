/**
 * What probes are answered.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as MemoryTaskStore from "punctual/MemoryTaskStore"
import * as Task from "punctual/Task"
import { layer as scheduler, TaskScheduler } from "punctual/TaskScheduler"
import * as TaskStore from "punctual/TaskStore"
import { TestScheduler } from "punctual/testing"
import * as Trigger from "punctual/Trigger"
import * as Health from "../src/Health.ts"

/** A store that may be away, or hang, and that may forget when it was told of its schedulers. */
const trouble = { away: false, hangs: false, silent: false }

const StoreLive = Layer.effect(TaskStore.TaskStore)(Effect.map(MemoryTaskStore.make, (store) => ({
  ...store,
  instances: (options) =>
    trouble.hangs
      ? Effect.never
      : trouble.away
      ? Effect.fail(
        new TaskStore.TaskStoreError({
          store: "memory",
          operation: "instances",
          reason: "Unavailable",
          message: "away"
        })
      )
      : Effect.map(
        store.instances(options),
        (rows) => trouble.silent ? rows.map((row) => ({ ...row, until: 0 })) : rows
      )
} as TaskStore.TaskStore["Service"])))

const probe = (scheduler: TaskScheduler["Service"], options: Health.Options = {}) => {
  const { handler } = HttpRouter.toWebHandler(
    Health.layer(options).pipe(Layer.provide(Layer.succeed(TaskScheduler)(scheduler))),
    { disableLogger: true }
  )
  return (path: string) => Effect.promise(() => handler(new Request(`http://localhost${path}`)))
}

/** What a scheduler that has a run at work says of its lease. */
const leased = (scheduler: TaskScheduler["Service"]) =>
  Effect.gen(function*() {
    const ask = probe(scheduler)
    const answer = yield* ask("/readyz")
    const { stores } = (yield* Effect.promise(() => answer.json())) as {
      readonly stores: ReadonlyArray<{ readonly leaseAgeMillis: number | null; readonly problem: string | null }>
    }
    return { status: answer.status, ...stores[0]! }
  })

describe("Health.layer", () => {
  it.effect("is not ready while the leases of its runs are not extended", () =>
    Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      let deaf = false
      const store: TaskStore.TaskStore["Service"] = {
        ...memory,
        heartbeat: (options) =>
          deaf
            ? Effect.fail(
              new TaskStore.TaskStoreError({
                store: "memory",
                operation: "heartbeat",
                reason: "Unavailable",
                message: "deaf"
              })
            )
            : memory.heartbeat(options)
      }
      const Long = Task.make("Long")
      yield* Effect.gen(function*() {
        const scheduler = yield* TaskScheduler
        const { leaseAgeMillis, status } = yield* leased(scheduler)
        assert.deepStrictEqual([leaseAgeMillis, status], [null, 200])

        yield* scheduler.add(Long, { id: "long", trigger: Trigger.now })
        yield* TestScheduler.advance("25 seconds")
        // Extended every ten seconds, of thirty.
        assert.deepStrictEqual(
          yield* Effect.map(leased(scheduler), ({ leaseAgeMillis, status }) => [leaseAgeMillis, status]),
          [5_000, 200]
        )
        const strict = yield* probe(scheduler, { maxLeaseAge: "4 seconds" })("/readyz")
        assert.strictEqual(strict.status, 503)

        deaf = true
        yield* TestScheduler.advance("14 seconds")
        assert.deepStrictEqual(
          yield* Effect.map(leased(scheduler), ({ leaseAgeMillis, status }) => [leaseAgeMillis, status]),
          [19_000, 200]
        )
        yield* TestScheduler.advance("2 seconds")
        const late = yield* leased(scheduler)
        assert.deepStrictEqual([late.leaseAgeMillis, late.status], [21_000, 503])
        assert.match(late.problem!, /not extended/)
        // A restart would end the run: it is alive.
        assert.strictEqual((yield* probe(scheduler)("/healthz")).status, 200)

        deaf = false
        yield* TestScheduler.advance("2 seconds")
        assert.strictEqual((yield* leased(scheduler)).status, 200)
      }).pipe(Effect.provide(
        TestScheduler.layer(Long.toLayer(() => Effect.sleep("10 minutes")), {
          lease: "30 seconds",
          store: Layer.succeed(TaskStore.TaskStore)(store)
        })
      ))
    }))

  it.live("is ready while it runs and its stores answer; alive unless its loop is silent", () =>
    Effect.gen(function*() {
      const live = yield* TaskScheduler
      const { handler } = HttpRouter.toWebHandler(
        Health.layer({ timeout: "50 millis" }).pipe(Layer.provide(Layer.succeed(TaskScheduler)(live))),
        { disableLogger: true }
      )
      const ask = (path: string) =>
        Effect.promise(async () => {
          const response = await handler(new Request(`http://localhost${path}`))
          return {
            status: response.status,
            body: await response.json() as {
              readonly state: string
              readonly stores: ReadonlyArray<{ readonly problem: string | null; readonly beatAgeMillis: number | null }>
            }
          }
        })
      const both = Effect.all([ask("/healthz"), ask("/readyz")])
      const statuses = Effect.map(both, (answers) => answers.map(({ status }) => status))

      let [well] = yield* both
      while (well.body.stores[0]!.beatAgeMillis === null) {
        yield* Effect.sleep("10 millis") // it has not told of itself yet
        well = (yield* both)[0]
      }
      assert.deepStrictEqual(yield* statuses, [200, 200])
      assert.strictEqual(well.body.state, "running")
      assert.strictEqual(well.body.stores[0]!.problem, null)
      assert.isNumber(well.body.stores[0]!.beatAgeMillis)

      trouble.away = true
      assert.deepStrictEqual(yield* statuses, [200, 503])
      trouble.away = false
      trouble.hangs = true
      assert.deepStrictEqual(yield* statuses, [200, 503])
      assert.strictEqual((yield* ask("/readyz")).body.stores[0]!.problem, "did not answer in time")
      trouble.hangs = false
      trouble.silent = true
      assert.deepStrictEqual(yield* statuses, [503, 503])
      trouble.silent = false

      yield* live.pause
      assert.deepStrictEqual(yield* statuses, [200, 503])
      yield* live.resume
      assert.deepStrictEqual(yield* statuses, [200, 200])
    }).pipe(Effect.provide(scheduler(Layer.empty).pipe(Layer.provide(StoreLive)))))
})
