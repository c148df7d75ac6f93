/**
 * The store on PGlite: real Postgres, no server.
 */
import { PGlite } from "@electric-sql/pglite"
import * as TaskStoreSuite from "@punctual/testing/TaskStoreSuite"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PgliteClient from "../src/PgliteClient.ts"
import * as SqlTaskStore from "../src/SqlTaskStore.ts"

const Pglite = PgliteClient.layer(Effect.promise(() => PGlite.create()))

TaskStoreSuite.suite(
  "pglite",
  SqlTaskStore.layer({ capabilities: { durable: false } }).pipe(Layer.provide(Pglite)),
  { capabilities: { durable: false, shared: false, notifies: true, concurrencyKeys: true }, broadcasts: true }
)

TaskStoreSuite.model("pglite", SqlTaskStore.layer({ prefix: "model" }).pipe(Layer.provide(Pglite)), { runs: 20 })
