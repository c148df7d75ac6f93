/**
 * The store on a Redis server: the one of `PUNCTUAL_REDIS_URL`.
 */
import * as TaskStoreSuite from "@punctual/testing/TaskStoreSuite"
import { freshPrefix, onServer, storeOf } from "./internal/server.ts"

onServer("Redis", (url) => {
  // keys of its own in each run
  const prefix = freshPrefix()
  TaskStoreSuite.suite("redis", storeOf(url, { prefix }), {
    capabilities: { durable: true, shared: true, notifies: true }
  })
  TaskStoreSuite.model("redis", storeOf(url, { prefix: `${prefix}:model` }))
})
