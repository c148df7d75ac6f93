/**
 * Locks in a table, on each database.
 */
import { assert, describe, it } from "@effect/vitest"
import * as LockSuite from "@punctual/testing/LockSuite"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Lock } from "punctual/Lock"
import { afterAll } from "vitest"
import { onServer } from "../../../.ci/testServers.ts"
import * as SqliteClient from "../src/SqliteClient.ts"
import * as SqlLock from "../src/SqlLock.ts"
import { locksOf } from "./internal/locks.ts"
import { freshPrefix } from "./internal/postgres.ts"

const suite = (kind: string, place: string) => {
  const prefix = freshPrefix()
  LockSuite.suite(`${kind} table`, locksOf[kind]!(place)(prefix), {
    capabilities: { spans: "network", fair: false, fenced: true, leased: true },
    processes: { script: new URL("fixtures/locker.ts", import.meta.url), args: [kind, place, prefix] }
  })
}

const folder = mkdtempSync(join(tmpdir(), "punctual-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

suite("sqlite", join(folder, "locks.db"))
await onServer("postgres", (url) => suite("postgres", url))
await onServer("mysql", (url) => suite("mysql", url))

describe("locks in a table", () => {
  it.live("are not taken inside a transaction, where nobody else would see them", () =>
    Effect.gen(function*() {
      const filename = join(folder, "transactions.db")
      const context = yield* Layer.build(
        Layer.provideMerge(SqlLock.layer(), SqliteClient.layer({ filename }))
      )
      const [lock, sql] = [Context.get(context, Lock), Context.get(context, SqlClient.SqlClient)]
      const error = yield* Effect.flip(sql.withTransaction(lock.withLock("a")(Effect.die("ran"))))
      assert.strictEqual(error._tag, "LockUnavailable")
      assert.include(error.message, "take the lock around that")
      yield* lock.withLock("a")(sql.withTransaction(sql`select 1`))
    }))

  it.live("are lost at the next extension where another has come to own the row", () =>
    Effect.gen(function*() {
      const filename = join(folder, "owners.db")
      const context = yield* Layer.build(
        Layer.provideMerge(SqlLock.layer({ lease: "1 second" }), SqliteClient.layer({ filename }))
      )
      const [lock, sql] = [Context.get(context, Lock), Context.get(context, SqlClient.SqlClient)]
      const held = yield* lock.hold("a")
      // It ends later than the holder would find out by itself.
      yield* sql`update punctual_lock set owner = 'another', until_at = until_at + 3600000`
      const error = yield* Effect.flip(held.awaitLost)
      assert.deepInclude(error, { _tag: "LockLost", name: "a", token: held.token })
      const [row] = yield* sql<{ owner: string }>`select owner from punctual_lock`
      assert.strictEqual(row?.owner, "another")
    }))

  it.effect("refuse options that they do not know, and such that cannot be", () =>
    Effect.gen(function*() {
      const unknown: object = { leas: 1 }
      for (
        const [options, says] of [
          [unknown as SqlLock.Options, "did you mean `lease`?"],
          [{ prefix: "a-b" }, "cannot begin the name of a table"],
          [{ lease: "99 millis" }, "at least 100 ms"],
          [{ lease: Infinity }, "at least 100 ms"]
        ] as const
      ) {
        const error = yield* Effect.flip(
          Layer.build(SqlLock.layer(options).pipe(Layer.provide(SqliteClient.layer({ filename: ":memory:" }))))
        )
        assert.strictEqual(error._tag, "InvalidOption")
        assert.include(error.message, says)
      }
    }))
})
