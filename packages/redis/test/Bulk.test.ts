/**
 * Much in one call, and what becomes of it when the connection is lost in its middle.
 */
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import { assert, it } from "@effect/vitest"
import * as TaskStoreBulk from "@punctual/testing/TaskStoreBulk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Redis from "effect/persistence/Redis"
import { TaskStore } from "punctual/TaskStore"
import { onServer } from "../../../.ci/testServers.ts"
import * as RedisTaskStore from "../src/RedisTaskStore.ts"
import { newTask } from "./internal/records.ts"
import { freshPrefix, storeOf } from "./internal/server.ts"

await onServer("redis", (url) => {
  TaskStoreBulk.suite("redis", storeOf(url, { prefix: freshPrefix() }))

  it.live("a call that fails in its middle leaves the pieces that were answered, and made again it adds the rest", () =>
    Effect.gen(function*() {
      const prefix = freshPrefix()
      let left = Infinity
      let open = 0
      const answered = yield* Latch.make()
      const dying = Layer.effect(
        Redis.Redis,
        Effect.map(Redis.Redis, (redis) =>
          Redis.Redis.of({
            ...redis,
            eval: (script) => {
              const send = redis.eval(script)
              return (...args) =>
                left-- > 0
                  ? Effect.tap(send(...args), () => --open === 0 ? answered.open : Effect.void)
                  : Effect.andThen(
                    answered.await,
                    Effect.fail(new Redis.RedisError({ cause: new Error("ECONNRESET") }))
                  )
            }
          }))
      ).pipe(Layer.provide(NodeRedis.layer({ url })))
      const store = Context.get(
        yield* Layer.build(RedisTaskStore.layer({ prefix }).pipe(Layer.provide(dying))),
        TaskStore
      )
      const tasks = Array.from({ length: 1_000 }, (_, i) => newTask(`task-${i}`))
      left = open = 3
      const error = yield* Effect.flip(store.insert(tasks))
      assert.strictEqual(error.operation, "insert")
      left = Infinity
      const kept = yield* store.get(tasks.map(({ id }) => id))
      assert.deepStrictEqual(kept.map(({ row }) => row.id), tasks.slice(0, 750).map(({ id }) => id))
      const again = yield* store.insert(tasks)
      assert.deepStrictEqual(
        again.map(({ _tag }) => _tag),
        tasks.map((_, i) => i < kept.length ? "Exists" : "Inserted")
      )
    }))
})
