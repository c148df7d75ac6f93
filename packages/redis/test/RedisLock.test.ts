/**
 * Locks on a Redis server.
 */
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import { assert, it } from "@effect/vitest"
import * as LockSuite from "@punctual/testing/LockSuite"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redis from "effect/persistence/Redis"
import { Lock } from "punctual/Lock"
import { onServer } from "../../../.ci/testServers.ts"
import * as NodeRedisLock from "../src/NodeRedisLock.ts"
import { locksOf } from "./internal/locks.ts"
import { freshPrefix } from "./internal/server.ts"

await onServer("redis", (url) => {
  const prefix = freshPrefix()
  const send = <A>(command: string, ...args: ReadonlyArray<string>) =>
    Redis.Redis.use((redis) => redis.send<A>(command, ...args)).pipe(
      Effect.provide(NodeRedis.layer({ url }), { local: true }),
      Effect.orDie
    )

  LockSuite.suite("redis", locksOf(url, prefix), {
    capabilities: { spans: "network", fair: true, fenced: true, leased: true },
    waiting: (name) => send<number>("ZCARD", `{${prefix}}:lock-line:${name}`),
    processes: { script: new URL("fixtures/locker.ts", import.meta.url), args: [url, prefix] }
  })

  it.live("a lock is lost at the next extension where another has come to own the key", () =>
    Effect.gen(function*() {
      const prefix = freshPrefix()
      const lock = yield* Effect.map(
        Layer.build(NodeRedisLock.layer({ url, prefix, lease: "1 second" })),
        (context) => Context.get(context, Lock)
      )
      const held = yield* lock.hold("a")
      yield* send("HSET", `{${prefix}}:lock:a`, "owner", "another")
      const error = yield* Effect.flip(held.awaitLost)
      assert.deepInclude(error, { _tag: "LockLost", name: "a", token: held.token })
      yield* send("DEL", `{${prefix}}:lock:a`)
    }))
})
