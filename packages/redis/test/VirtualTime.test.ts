import * as VirtualTimeLaw from "@punctual/testing/VirtualTimeLaw"
import { onServer } from "../../../.ci/testServers.ts"
import * as NodeRedisTaskStore from "../src/NodeRedisTaskStore.ts"
import { freshPrefix } from "./internal/server.ts"

await onServer("redis", (url) => {
  VirtualTimeLaw.suite("redis", NodeRedisTaskStore.layer({ url, prefix: freshPrefix() }))
})
