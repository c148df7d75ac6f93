import { PGlite } from "@electric-sql/pglite"
import * as VirtualTimeLaw from "@punctual/testing/VirtualTimeLaw"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { onServer } from "../../../.ci/testServers.ts"
import * as MysqlTaskStore from "../src/MysqlTaskStore.ts"
import * as PgliteClient from "../src/PgliteClient.ts"
import * as PostgresTaskStore from "../src/PostgresTaskStore.ts"
import * as SqliteTaskStore from "../src/SqliteTaskStore.ts"
import * as SqlTaskStore from "../src/SqlTaskStore.ts"
import { onFile } from "./internal/files.ts"
import { freshPrefix } from "./internal/postgres.ts"

VirtualTimeLaw.suite("sqlite", onFile((filename) => SqliteTaskStore.layer({ filename })))

VirtualTimeLaw.suite(
  "pglite",
  SqlTaskStore.layer().pipe(Layer.provide(PgliteClient.layer(Effect.promise(() => PGlite.create()))))
)

await onServer("postgres", (url) => {
  VirtualTimeLaw.suite("postgres", PostgresTaskStore.layer({ url, prefix: freshPrefix() }))
})

await onServer("mysql", (url) => {
  VirtualTimeLaw.suite("mysql", MysqlTaskStore.layer({ url, prefix: freshPrefix() }))
})
