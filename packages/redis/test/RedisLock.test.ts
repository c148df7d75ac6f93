/**
 * Locks on a Redis server.
 */
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as LockSuite from "@punctual/testing/LockSuite"
import * as Effect from "effect/Effect"
import * as Redis from "effect/persistence/Redis"
import { onServer } from "../../../.ci/testServers.ts"
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
})
