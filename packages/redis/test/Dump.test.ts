/**
 * Moves from and to a Redis server.
 */
import * as DumpLaws from "@punctual/testing/DumpLaws"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { onServer } from "../../../.ci/testServers.ts"
import * as NodeRedisTaskStore from "../src/NodeRedisTaskStore.ts"
import { freshPrefix } from "./internal/server.ts"

await onServer("redis", (url) => {
  const empty = Layer.unwrap(Effect.sync(() => NodeRedisTaskStore.layer({ url, prefix: freshPrefix() })))
  DumpLaws.suite("redis", empty, { runs: 20 })
})
