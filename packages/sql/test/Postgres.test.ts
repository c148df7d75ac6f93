/**
 * The store on a Postgres server: the one of `PUNCTUAL_POSTGRES_URL`.
 */
import * as TaskStoreSuite from "@punctual/testing/TaskStoreSuite"
import * as PostgresTaskStore from "../src/PostgresTaskStore.ts"
import { freshPrefix, onServer } from "./internal/postgres.ts"

onServer("Postgres", (url) => {
  // tables of its own in each run
  const prefix = freshPrefix()
  TaskStoreSuite.suite("postgres", PostgresTaskStore.layer({ url, prefix }), {
    capabilities: { durable: true, shared: true, notifies: true }
  })
  TaskStoreSuite.model("postgres", PostgresTaskStore.layer({ url, prefix: `${prefix}_model` }))
})
