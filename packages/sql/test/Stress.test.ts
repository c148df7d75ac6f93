/**
 * Workers that fight over the tasks of one store: see `TaskStoreStress`.
 */
import { PGlite } from "@electric-sql/pglite"
import * as TaskStoreStress from "@punctual/testing/TaskStoreStress"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { onServer } from "../../../.ci/testServers.ts"
import * as MysqlTaskStore from "../src/MysqlTaskStore.ts"
import * as PgliteClient from "../src/PgliteClient.ts"
import * as PostgresTaskStore from "../src/PostgresTaskStore.ts"
import * as SqliteTaskStore from "../src/SqliteTaskStore.ts"
import * as SqlTaskStore from "../src/SqlTaskStore.ts"
import { onFile } from "./internal/files.ts"
import { freshPrefix } from "./internal/postgres.ts"

const script = new URL("fixtures/stress.ts", import.meta.url)

TaskStoreStress.suite("sqlite", onFile((filename) => SqliteTaskStore.layer({ filename })))

// known before the layer is built, since its processes are told
const directory = mkdtempSync(join(tmpdir(), "punctual-stress-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))
const filename = join(directory, "punctual.db")
TaskStoreStress.suite("sqlite", SqliteTaskStore.layer({ filename }), {
  turns: 30,
  processes: { count: 3, script, args: ["sqlite", filename] }
})

TaskStoreStress.suite(
  "pglite",
  SqlTaskStore.layer().pipe(Layer.provide(PgliteClient.layer(Effect.promise(() => PGlite.create()))))
)

await onServer("postgres", (url) => {
  const prefix = freshPrefix()
  TaskStoreStress.suite("postgres", PostgresTaskStore.layer({ url, prefix }), { workers: 8 })
  const shared = `${prefix}_shared`
  TaskStoreStress.suite("postgres", PostgresTaskStore.layer({ url, prefix: shared }), {
    processes: { count: 3, script, args: ["postgres", url, shared] }
  })
})

await onServer("mysql", (url) => {
  const prefix = freshPrefix()
  TaskStoreStress.suite("mysql", MysqlTaskStore.layer({ url, prefix }), { workers: 8 })
  const shared = `${prefix}_shared`
  TaskStoreStress.suite("mysql", MysqlTaskStore.layer({ url, prefix: shared }), {
    processes: { count: 3, script, args: ["mysql", url, shared] }
  })
})
