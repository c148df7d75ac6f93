/**
 * Workers that fight over the tasks of one store: see `TaskStoreStress`.
 */
import * as TaskStoreStress from "@punctual/testing/TaskStoreStress"
import { onServer } from "../../../.ci/testServers.ts"
import * as NodeRedisTaskStore from "../src/NodeRedisTaskStore.ts"
import { freshPrefix } from "./internal/server.ts"

await onServer("redis", (url) => {
  const prefix = freshPrefix()
  TaskStoreStress.suite("redis", NodeRedisTaskStore.layer({ url, prefix }), { workers: 8 })
  const shared = `${prefix}:shared`
  TaskStoreStress.suite("redis", NodeRedisTaskStore.layer({ url, prefix: shared }), {
    processes: { count: 3, script: new URL("fixtures/stress.ts", import.meta.url), args: [url, shared] }
  })
})
