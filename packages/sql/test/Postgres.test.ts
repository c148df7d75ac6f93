/**
 * The store on a Postgres server: the one of `PUNCTUAL_POSTGRES_URL`.
 */
import { it } from "@effect/vitest"
import * as TaskStoreSuite from "@punctual/testing/TaskStoreSuite"
import * as PostgresTaskStore from "../src/PostgresTaskStore.ts"

const url = process.env["PUNCTUAL_POSTGRES_URL"]

if (url !== undefined) {
  // tables of its own in each run
  const prefix = `t${crypto.randomUUID().slice(0, 8)}`
  TaskStoreSuite.suite("postgres", PostgresTaskStore.layer({ url, prefix }), {
    capabilities: { durable: true, shared: true, notifies: true }
  })
  TaskStoreSuite.model("postgres", PostgresTaskStore.layer({ url, prefix: `${prefix}_model` }))
} else if (process.env["PUNCTUAL_REQUIRE_SERVERS"] === "1") {
  it("Postgres: set PUNCTUAL_POSTGRES_URL, since PUNCTUAL_REQUIRE_SERVERS says that it must be tested", () => {
    throw new Error("PUNCTUAL_POSTGRES_URL is not set")
  })
} else {
  it.skip("Postgres: set PUNCTUAL_POSTGRES_URL=postgres://user@host:5432/database to test it", () => {})
}
