/**
 * Connections that die without being closed.
 */
import { halfOpen } from "../../../.ci/chaos/halfOpen.ts"
import { onServer } from "../../../.ci/testServers.ts"
import * as NodeRedisTaskStore from "../src/NodeRedisTaskStore.ts"

await onServer("redis", (url) => {
  halfOpen("redis", url, (url, prefix) => NodeRedisTaskStore.layer({ url, prefix }))
})
