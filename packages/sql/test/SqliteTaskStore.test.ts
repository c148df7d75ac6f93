import * as TaskStoreSuite from "@punctual/testing/TaskStoreSuite"
import * as SqliteTaskStore from "../src/SqliteTaskStore.ts"
import { onFile } from "./internal/files.ts"

TaskStoreSuite.suite("sqlite file", onFile((filename) => SqliteTaskStore.layer({ filename })), {
  capabilities: { durable: true, shared: true, notifies: true, concurrencyKeys: true }
})

TaskStoreSuite.suite("sqlite :memory:", SqliteTaskStore.layer({ filename: ":memory:" }), {
  capabilities: { durable: false, shared: false, notifies: true, concurrencyKeys: true }
})

TaskStoreSuite.model("sqlite file", onFile((filename) => SqliteTaskStore.layer({ filename, synchronous: "off" })))

TaskStoreSuite.model("sqlite :memory:", SqliteTaskStore.layer({ filename: ":memory:" }))
