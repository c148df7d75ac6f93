import * as TaskStoreSuite from "@punctual/testing/TaskStoreSuite"
import * as SqliteTaskStore from "../src/SqliteTaskStore.ts"
for (const seed of [11,22,33,44]) TaskStoreSuite.model("seed"+seed, SqliteTaskStore.layer({ filename: ":memory:" }), { seed, runs: 400, timeout: 300_000 })
