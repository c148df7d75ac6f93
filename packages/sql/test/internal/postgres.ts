/**
 * What tests do with a Postgres server.
 */
import { PgClient } from "@effect/sql-pg"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as SqlTaskStore from "../../src/SqlTaskStore.ts"

/** What the names of tables begin with that no other test has. */
export const freshPrefix = (): string => `t${crypto.randomUUID().slice(0, 8)}`

/** A client of the program, as a user would have it. */
export const clientOf = (url: string, options: Partial<PgClient.PgPoolConfig> = {}) =>
  PgClient.layer({ url: Redacted.make(url), ...options })

/** The store on a client of the program, with that client. */
export const storeOf = (url: string, options: SqlTaskStore.Options) =>
  SqlTaskStore.layer(options).pipe(Layer.provideMerge(clientOf(url)))
