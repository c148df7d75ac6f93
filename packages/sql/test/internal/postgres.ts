/**
 * The Postgres server of `PUNCTUAL_POSTGRES_URL`, where there is one.
 */
import { PgClient } from "@effect/sql-pg"
import { describe, it } from "@effect/vitest"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as SqlTaskStore from "../../src/SqlTaskStore.ts"

export const url = process.env["PUNCTUAL_POSTGRES_URL"]

/** What the names of tables begin with that no other test has. */
export const freshPrefix = (): string => `t${crypto.randomUUID().slice(0, 8)}`

/** Tests that need the server: skipped without it, and failed where servers must be tested. */
export const onServer = (name: string, tests: (url: string) => void): void => {
  if (url !== undefined) describe(name, () => tests(url))
  else if (process.env["PUNCTUAL_REQUIRE_SERVERS"] === "1") {
    it(`${name}: set PUNCTUAL_POSTGRES_URL, since PUNCTUAL_REQUIRE_SERVERS says that it must be tested`, () => {
      throw new Error("PUNCTUAL_POSTGRES_URL is not set")
    })
  } else it.skip(`${name}: set PUNCTUAL_POSTGRES_URL=postgres://user@host:5432/database to test it`, () => {})
}

/** A client of the program, as a user would have it. */
export const clientOf = (url: string, options: Partial<PgClient.PgPoolConfig> = {}) =>
  PgClient.layer({ url: Redacted.make(url), ...options })

/** The store on a client of the program, with that client. */
export const storeOf = (url: string, options: SqlTaskStore.Options) =>
  SqlTaskStore.layer(options).pipe(Layer.provideMerge(clientOf(url)))
