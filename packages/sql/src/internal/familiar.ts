/**
 * Tasks read without what can be told from the others: mostly all have the same policy, and a text that is not read is not
 * sent, made, nor kept until its run has ended.
 *
 *     policy      nullif(t.policy, ?)             null ──▶ what it said in the task read last, which was asked for
 *     display     nullif(t.display, t.payload)    null ──▶ the other column
 *     missed      nullif(c.missed, 0)             null ──▶ 0
 *
 * For SQLite and Postgres alone, where texts are equal only if they are the same. On SQLite a number costs no more than to
 * compare it. The driver of Postgres makes a bigint of each integer, and a number of a float: what no number holds is no safe
 * integer as a float either.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import type { Dialect } from "./dialect.ts"
import { type Cells, clockColumns, selectTask, taskColumns } from "./records.ts"

/** What `decodeTask` reads: of `t` (task) and `c` (clock). */
const columns = [
  ...taskColumns.map(([name, type]) => ({ name, type, sql: `t.${name}` })),
  ...clockColumns.slice(2).map(([name, type]) => ({ name, type, sql: `c.${name}` }))
]

const at = (name: string): number => columns.findIndex((column) => column.name === name)

/** Those that mostly say what they said in the task before. */
const alike = ["tag", "name", "rule", "policy", "executor", "labels", "state", "ranges"].map(at)

/** Those that mostly say the same as another one. */
const twins = [["display", "payload"], ["anchor", "created_at"], ["updated_at", "created_at"], ["epoch", "position"]]
  .map(([name, other]) => [at(name!), at(other!)] as const)

/** Those that mostly are a number. */
const usual = [
  ["version", 1],
  ["on_startup", 0],
  ["on_shutdown", 0],
  ["priority", 0],
  ["ran", 0],
  ["missed", 0],
  ["coalesced", 0],
  ["skipped", 0],
  ["paused", 0],
  ["extra", 0],
  ["exact", 1],
  ["failures", 0]
].map(([name, value]) => [at(name as string), value] as const)

/** Reads rows by a statement that selects tasks as told, whose cells begin at `from` in each row: as `decodeTask` reads them. */
export type Familiar = (
  read: (select: Statement.Fragment) => Effect.Effect<ReadonlyArray<Cells>, SqlError>,
  from?: number
) => Effect.Effect<ReadonlyArray<Cells>, SqlError>

export const makeFamiliar = (dialect: Dialect): Familiar => {
  if (dialect.name === "mysql") return (read) => read(Statement.fragment([Statement.literal(selectTask)]))
  const numbers = dialect.name === "pg"
  const asked = columns.map(({ sql }) => sql)
  for (const [i, other] of twins) {
    if (numbers || columns[i]!.type === "text") asked[i] = `nullif(${asked[i]}, ${columns[other]!.sql})`
  }
  if (numbers) {
    for (const [i, value] of usual) asked[i] = `nullif(${asked[i]}, ${value})`
    columns.forEach(({ type }, i) => type === "int" && (asked[i] += "::float8"))
  }
  /** The texts around those that are asked for. */
  const segments = (texts: ReadonlyArray<unknown>): ReadonlyArray<Statement.Segment> => {
    const made: Array<Statement.Segment> = []
    let literal = ""
    asked.forEach((sql, i) => {
      const k = alike.indexOf(i)
      literal += i === 0 ? "" : ", "
      if (k < 0) literal += sql
      else {
        made.push(Statement.literal(`${literal}nullif(${sql}, `), Statement.parameter(texts[k]))
        literal = ")"
      }
    })
    return [...made, Statement.literal(literal)]
  }
  let last: ReadonlyArray<unknown> = alike.map(() => null)
  return (read, from = 0) =>
    Effect.suspend(() => {
      const texts = last
      return Effect.map(read(Statement.fragment(segments(texts))), (rows) => {
        for (const cells of rows as ReadonlyArray<Array<unknown>>) {
          for (let k = 0; k < alike.length; k++) cells[from + alike[k]!] ??= texts[k]
          if (numbers) { for (const [i, value] of usual) cells[from + i] ??= value }
          for (const [i, other] of twins) cells[from + i] ??= cells[from + other]
        }
        const row = rows.at(-1)
        if (row !== undefined) last = alike.map((i) => row[from + i])
        return rows
      })
    })
}
