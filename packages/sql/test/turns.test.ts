import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"
import * as SqliteClient from "../src/SqliteClient.ts"

describe("SqliteClient", () => {
  it.effect("whoever makes one transaction after another lets others have a turn in between", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const turns: Array<string> = []
      const turn = (who: string) => Effect.sync(() => turns.push(who))
      yield* Effect.all([
        Effect.forEach([1, 2, 3], () => sql.withTransaction(Effect.andThen(turn("transaction"), sql`select 1`))),
        Effect.forEach([1, 2, 3, 4], () => Effect.andThen(turn("other"), Effect.yieldNow))
      ], { concurrency: 2 })
      assert.strictEqual(turns.filter((who) => who === "transaction").length, 3)
      assert.notInclude(turns.join(), "transaction,transaction")
    }).pipe(Effect.provide(SqliteClient.layer({ filename: ":memory:" }))))
})
