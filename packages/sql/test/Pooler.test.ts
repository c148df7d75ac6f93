/**
 * The store through PgBouncer, which lends sessions of the server to others.
 */
import { assert, describe, it } from "@effect/vitest"
import * as TaskStoreSuite from "@punctual/testing/TaskStoreSuite"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import type { Wake } from "punctual/TaskStore"
import { TaskStore } from "punctual/TaskStore"
import { onServer } from "../../../.ci/testServers.ts"
import * as PostgresTaskStore from "../src/PostgresTaskStore.ts"
import { isInstalled, pooled } from "./internal/pooler.ts"
import { freshPrefix } from "./internal/postgres.ts"
import { epoch, newTask } from "./internal/tasks.ts"

const ignored = { ignore_startup_parameters: "idle_in_transaction_session_timeout" }

const tests = (url: string) => {
  const through = (settings: Readonly<Record<string, string>>, options: Partial<PostgresTaskStore.Options> = {}) =>
    Layer.unwrap(
      Effect.map(pooled(url, settings), (url) => PostgresTaskStore.layer({ url, prefix: freshPrefix(), ...options }))
    )

  TaskStoreSuite.suite(
    "postgres, sessions lent for a transaction each",
    through({ pool_mode: "transaction", default_pool_size: "4" }, { crossProcess: false }),
    { capabilities: { durable: true, shared: true, notifies: false, concurrencyKeys: true } }
  )

  describe("a pooler", () => {
    for (const pool_mode of ["transaction", "session"]) {
      it.live(
        `that lends a ${pool_mode} is told of when a listener is refused, with both ways out`,
        () =>
          Effect.gen(function*() {
            const error = yield* Effect.flip(Effect.scoped(Layer.build(Layer.fresh(through({ pool_mode })))))
            assert.deepStrictEqual([error.reason, error.retryable], ["Invalid", false])
            assert.match(error.message, /crossProcess: false.*ignore_startup_parameters/)
          }),
        30_000
      )
    }

    it.live(
      "that lends whole sessions, and passes over the parameter, wakes those of other processes",
      () =>
        Effect.gen(function*() {
          const prefix = freshPrefix()
          const opened = Effect.map(
            Layer.build(Layer.fresh(through({ pool_mode: "session", ...ignored }, { prefix }))),
            Context.get(TaskStore)
          )
          const one = yield* opened
          const other = yield* opened
          const wakes = yield* Queue.unbounded<Wake>()
          yield* one.listen((wake) => void Queue.offerUnsafe(wakes, wake))
          yield* other.insert([newTask("a")])
          assert.deepStrictEqual(yield* Queue.take(wakes), { due: epoch, ready: false, cancel: false })
        }),
      30_000
    )
  })
}

await onServer("postgres", (url) => {
  if (isInstalled) tests(url)
  else it.skip("through PgBouncer: install pgbouncer to test it", () => {})
})
