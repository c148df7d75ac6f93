/**
 * Tasks read without the texts that are those of the task read last: mostly all have the same policy, and a text that is not
 * read is not made, nor kept until its run has ended.
 *
 *     policy      nullif(t.policy, ?)     null ──▶ the text that was asked for
 *     display     nullif(t.display, t.payload)
 *
 * For SQLite alone, where texts are equal only if they are the same, and where nothing but time is saved by a column less.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import { type Cells, clockColumns, taskColumns } from "./records.ts"

/** What `decodeTask` reads: of `t` (task) and `c` (clock). */
const columns = [
  ...taskColumns.map(([name]) => `t.${name}`),
  ...clockColumns.slice(2).map(([name]) => `c.${name}`)
]
const alike = ["t.tag", "t.name", "t.rule", "t.policy", "t.executor", "t.labels", "c.ranges"].map((column) =>
  columns.indexOf(column)
)
const payload = columns.indexOf("t.payload")
const display = columns.indexOf("t.display")

const select = columns.map((column, i) =>
  alike.includes(i) ? `nullif(${column}, ?)` : i === display ? `nullif(${column}, ${columns[payload]})` : column
).join(", ")

/** Reads rows by a statement that selects tasks first, as `selectTask` does. */
export type Familiar = (
  read: (select: Statement.Fragment) => Effect.Effect<ReadonlyArray<Cells>, SqlError>
) => Effect.Effect<ReadonlyArray<Cells>, SqlError>

export const makeFamiliar = (): Familiar => {
  let last: ReadonlyArray<unknown> = alike.map(() => null)
  return (read) =>
    Effect.suspend(() => {
      const texts = last
      return Effect.map(read(Statement.fragment([Statement.literal(select, texts.slice())])), (rows) => {
        for (const cells of rows as ReadonlyArray<Array<unknown>>) {
          for (let k = 0; k < alike.length; k++) cells[alike[k]!] ??= texts[k]
          cells[display] ??= cells[payload]
        }
        const row = rows.at(-1)
        if (row !== undefined) last = alike.map((column) => row[column])
        return rows
      })
    })
}
