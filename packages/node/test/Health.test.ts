/**
 * What probes are answered.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as MemoryTaskStore from "punctual/MemoryTaskStore"
import { layer as scheduler, TaskScheduler } from "punctual/TaskScheduler"
import * as TaskStore from "punctual/TaskStore"
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

describe("Health.layer", () => {
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
