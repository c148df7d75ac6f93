/**
 * The store on a Postgres server.
 */
import * as TaskStoreSuite from "@punctual/testing/TaskStoreSuite"
import { onServer } from "../../../.ci/testServers.ts"
import * as PostgresTaskStore from "../src/PostgresTaskStore.ts"
import { freshPrefix } from "./internal/postgres.ts"

await onServer("postgres", (url) => {
  // tables of its own in each run
  const prefix = freshPrefix()
  TaskStoreSuite.suite("postgres", PostgresTaskStore.layer({ url, prefix }), {
    capabilities: { durable: true, shared: true, notifies: true, concurrencyKeys: true },
    broadcasts: true
  })
  TaskStoreSuite.model("postgres", PostgresTaskStore.layer({ url, prefix: `${prefix}_model` }))
  const both = `${prefix}_both`
  TaskStoreSuite.model("postgres", PostgresTaskStore.layer({ url, prefix: both }), {
    runs: 40,
    process: { script: new URL("fixtures/serve.ts", import.meta.url), args: ["postgres", url, both] }
  })
})
