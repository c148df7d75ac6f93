import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"
import { manyRows, sqliteRows } from "../src/internal/sqliteRows.ts"
import * as SqliteClient from "../src/SqliteClient.ts"

const client = SqliteClient.layer({ filename: ":memory:" })

/** What a column is in a row; each is alike, counted or neither over many rows. */
const columns: Record<string, (row: number) => unknown> = {
  alike: () => 7,
  negative: () => -1,
  null: () => null,
  text: () => "é \"quoted\", {\"json\":[1]}, 😀",
  empty: () => "",
  digits: () => "40",
  counted: (row) => 40 + row,
  "counted from below zero": (row) => row - 2,
  "counted in text": (row) => String(40 + row),
  "counted by two": (row) => 2 * row,
  "counted but the last": (row) => row === manyRows - 1 ? 0 : row,
  "alike but the last": (row) => row === manyRows - 1 ? null : 7,
  "to the last integer": (row) => Number.MAX_SAFE_INTEGER - manyRows + row,
  "half a pair": () => "\ud83d",
  "a zero": () => "a\0b",
  "half an integer": () => 0.5,
  "no number": () => NaN,
  "no end": () => Infinity,
  nothing: () => undefined,
  flag: () => true
}

describe("rows of a batch", () => {
  for (const each of ["json_each", "jsonb_each"] as const) {
    it.effect(`many at once are what they are a few at a time, ${each}`, () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const names = Object.keys(columns)
        for (const [a, first] of Object.entries(columns)) {
          // one source for all forms of three columns: what exceeds its bound must read the same
          const rowsOf = sqliteRows(each, ["id", "a", "b"])
          for (const b of names) {
            for (const size of [manyRows - 1, manyRows, manyRows + 1]) {
              const rows = Array.from({ length: size }, (_, i) => [`id ${i}`, first(i), columns[b]!(i)])
              const read = (rows: ReadonlyArray<ReadonlyArray<unknown>>) =>
                sql`select u.i, u.id, u.a, u.b, typeof(u.a) = 'text', typeof(u.b) = 'text' from ${rowsOf(rows)} u`
                  .values
              const few = yield* Effect.forEach(
                Array.from({ length: Math.ceil(size / 10) }, (_, i) => 10 * i),
                (from) =>
                  Effect.map(
                    read(rows.slice(from, from + 10)),
                    (found) => found.map(([i, ...cells]) => [Number(i) + from, ...cells])
                  )
              )
              assert.deepStrictEqual(yield* read(rows), few.flat(), `${a}, ${b}, ${size} rows`)
            }
          }
        }
      }).pipe(Effect.provide(client)))
  }

  it.effect("what all rows have in common is said once, but for the first column", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const rowsOf = sqliteRows("json_each", ["n", "a", "b"])
      const parameters = (b: (i: number) => number) => {
        const rows = Array.from({ length: manyRows }, (_, i) => [1, "x", b(i)])
        return sql`select * from ${rowsOf(rows)} u`.compile()[1].slice(0, -1)
      }
      assert.deepStrictEqual(parameters(() => 3), ["x", 3])
      assert.deepStrictEqual(parameters((i) => 3 + i), ["x", 3])
      assert.deepStrictEqual(parameters((i) => 3 * i), ["x"])
    }).pipe(Effect.provide(client)))

  it.effect("a source makes a bounded number of texts, and goes on with cells", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const names = ["n", "a", "b", "c", "d", "e"]
      const rowsOf = sqliteRows("json_each", names)
      const texts = new Set<string>()
      for (let form = 0; form < 32; form++) {
        const rows = Array.from(
          { length: manyRows },
          (_, i) => names.map((_, c) => c > 0 && (form & (1 << (c - 1))) !== 0 ? 1 : i * i + c)
        )
        const statement = sql`select u.i, u.n, u.a, u.b, u.c, u.d, u.e from ${rowsOf(rows)} u`
        texts.add(statement.compile()[0])
        assert.deepStrictEqual(yield* statement.values, rows.map((row, i) => [i, ...row]))
      }
      assert.isBelow(texts.size, 20)
    }).pipe(Effect.provide(client)))
})
