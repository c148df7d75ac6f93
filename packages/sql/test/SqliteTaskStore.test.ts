import * as TaskStoreSuite from "@punctual/testing/TaskStoreSuite"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import * as SqliteTaskStore from "../src/SqliteTaskStore.ts"
import { onFile } from "./internal/files.ts"

TaskStoreSuite.suite("sqlite file", onFile((filename) => SqliteTaskStore.layer({ filename })), {
  capabilities: { durable: true, shared: true, notifies: true, concurrencyKeys: true }
})

TaskStoreSuite.suite("sqlite :memory:", SqliteTaskStore.layer({ filename: ":memory:" }), {
  capabilities: { durable: false, shared: false, notifies: true, concurrencyKeys: true }
})

TaskStoreSuite.model("sqlite file", onFile((filename) => SqliteTaskStore.layer({ filename, synchronous: "off" })))

// known before the layer is built, since the other process is told
const directory = mkdtempSync(join(tmpdir(), "punctual-model-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))
const filename = join(directory, "punctual.db")
TaskStoreSuite.model("sqlite file", SqliteTaskStore.layer({ filename, synchronous: "off" }), {
  runs: 40,
  process: { script: new URL("fixtures/serve.ts", import.meta.url), args: ["sqlite", filename] }
})

TaskStoreSuite.model("sqlite :memory:", SqliteTaskStore.layer({ filename: ":memory:" }))
