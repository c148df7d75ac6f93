/**
 * The store on a MySQL or MariaDB server.
 */
import * as TaskStoreSuite from "@punctual/testing/TaskStoreSuite"
import { onServer } from "../../../.ci/testServers.ts"
import * as MysqlTaskStore from "../src/MysqlTaskStore.ts"
import { freshPrefix } from "./internal/mysql.ts"

await onServer("mysql", (url) => {
  // tables of its own in each run
  const prefix = freshPrefix()
  TaskStoreSuite.suite("mysql", MysqlTaskStore.layer({ url, prefix }), {
    capabilities: { durable: true, shared: true, notifies: true, concurrencyKeys: true }
  })
  TaskStoreSuite.model("mysql", MysqlTaskStore.layer({ url, prefix: `${prefix}_model` }))
  const both = `${prefix}_both`
  TaskStoreSuite.model("mysql", MysqlTaskStore.layer({ url, prefix: both }), {
    runs: 20,
    process: { script: new URL("fixtures/serve.ts", import.meta.url), args: ["mysql", url, both] }
  })
})
