/**
 * The store on a Redis server.
 */
import * as TaskStoreSuite from "@punctual/testing/TaskStoreSuite"
import { onServer } from "../../../.ci/testServers.ts"
import { freshPrefix, storeOf } from "./internal/server.ts"

await onServer("redis", (url) => {
  // keys of its own in each run
  const prefix = freshPrefix()
  TaskStoreSuite.suite("redis", storeOf(url, { prefix }), {
    capabilities: { durable: true, shared: true, notifies: true, concurrencyKeys: true },
    broadcasts: true
  })
  TaskStoreSuite.model("redis", storeOf(url, { prefix: `${prefix}:model` }))
  const both = `${prefix}:both`
  TaskStoreSuite.model("redis", storeOf(url, { prefix: both }), {
    runs: 40,
    process: { script: new URL("fixtures/serve.ts", import.meta.url), args: [url, both] }
  })
})
