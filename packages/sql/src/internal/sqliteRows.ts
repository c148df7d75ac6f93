/**
 * Rows of cells as a derived table of SQLite, with the position of each row as column `i`.
 *
 * They go in as one JSON parameter, of which each cell is written, parsed and taken out again: what the rows of a large
 * batch have in common goes in once.
 *
 *     [7, "a", 40]        e.value as n,  ? as run_key,  ? + e.key as token        "a", 40, [7,9]
 *     [9, "a", 41]
 *
 * @since 0.1.0
 */
import * as Statement from "effect/sql/Statement"

type Cells = ReadonlyArray<unknown>

/** What a column of a batch is: a cell of each row, one value, or a value that grows by one from row to row. */
type Part = "cells" | "one" | "counted"

/** From how many rows on it is worth it to look for what they have in common. */
export const manyRows = 32

/**
 * Texts made of one source at most: each makes other texts of the statements with it, which are compiled and kept. What
 * would need more goes in as cells.
 */
const maxForms = 16

/**
 * `each` is the table-valued function that unnests JSON.
 *
 * The first column is a cell of each row, always: rows of tables are found by it, and a planner that saw a parameter
 * there would begin with the table.
 */
export const sqliteRows = (each: "json_each" | "jsonb_each", names: ReadonlyArray<string>) => {
  const plain = makeForm(each, names, names.map(() => "cells"))
  const forms = new Map<string, (rows: ReadonlyArray<Cells>) => Statement.Fragment>()
  return (rows: ReadonlyArray<Cells>): Statement.Fragment => {
    if (rows.length < manyRows || names.length === 1) return plain(rows)
    const parts = names.map((_, column) => column === 0 ? "cells" : partOf(rows, column))
    const key = parts.join()
    let form = forms.get(key)
    if (form === undefined) {
      if (forms.size >= maxForms) return plain(rows)
      forms.set(key, form = makeForm(each, names, parts))
    }
    return form(rows)
  }
}

const partOf = (rows: ReadonlyArray<Cells>, column: number): Part => {
  const first = rows[0]?.[column]
  if (!isAlike(first)) return "cells"
  if (rows.every((row) => row[column] === first)) return "one"
  return typeof first === "number" && rows.every((row, i) => row[column] === first + i) ? "counted" : "cells"
}

/** Whether a parameter says it as JSON does: a text with half a surrogate pair, for one, arrives as another. */
const isAlike = (cell: unknown): boolean =>
  cell === null || (typeof cell === "string" ? !/[\p{Cs}\p{Cc}]/u.test(cell) : Number.isSafeInteger(cell))

const makeForm = (
  each: "json_each" | "jsonb_each",
  names: ReadonlyArray<string>,
  parts: ReadonlyArray<Part>
): (rows: ReadonlyArray<Cells>) => Statement.Fragment => {
  const inJson = names.flatMap((_, column) => parts[column] === "cells" ? [column] : [])
  const inParameters = names.flatMap((_, column) => parts[column] === "cells" ? [] : [column])
  const [only, ...others] = inJson
  const columns = names.map((name, column) => {
    switch (parts[column]) {
      case "one":
        return `? as ${name}`
      case "counted":
        return `? + e.key as ${name}`
      default:
        return `e.value${others.length === 0 ? "" : ` ->> ${inJson.indexOf(column)}`} as ${name}`
    }
  })
  // `limit -1` keeps the two selects apart, so that each array is made and parsed once and not once per column
  const text = `(select e.key as i, ${columns.join(", ")} from (select j.key, j.value from ${each}(?) j limit -1) e)`
  const json = others.length === 0
    ? (rows: ReadonlyArray<Cells>) => rows.map((row) => row[only!])
    : inParameters.length === 0
    ? (rows: ReadonlyArray<Cells>) => rows
    : (rows: ReadonlyArray<Cells>) => rows.map((row) => inJson.map((column) => row[column]))
  return (rows) => {
    const [first] = rows
    const parameters = inParameters.map((column) => first?.[column])
    parameters.push(JSON.stringify(json(rows)))
    return Statement.fragment([Statement.literal(text, parameters)])
  }
}
