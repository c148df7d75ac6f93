/**
 * Connections that die without being closed.
 */
import { halfOpen } from "../../../.ci/chaos/halfOpen.ts"
import { onServer } from "../../../.ci/testServers.ts"
import * as MysqlTaskStore from "../src/MysqlTaskStore.ts"
import * as PostgresTaskStore from "../src/PostgresTaskStore.ts"

await onServer("postgres", (url) => {
  halfOpen("postgres", url, (url, prefix) => PostgresTaskStore.layer({ url, prefix }))
})

await onServer("mysql", (url) => {
  halfOpen("mysql", url, (url, prefix) => MysqlTaskStore.layer({ url, prefix }))
})
