/**
 * Where databases differ.
 *
 * Everything else of the store is written once over `effect/sql`, in statements every supported database reads the same
 * way: rows go in as cells, flags are 0 and 1, names are never reserved words.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import type { StoreErrorReason } from "punctual/TaskStore"
import { sqliteRows } from "./sqliteRows.ts"

export type ColumnType = "int" | "text"

/** Columns of a row source, in the order of the cells. */
export type Columns = ReadonlyArray<readonly [name: string, type: ColumnType]>

export interface Dialect {
  readonly name: Statement.Dialect
  /** With more characters, names that begin with a prefix are longer than names may be. */
  readonly longestPrefix: number
  /** Starts a transaction that writes: SQLite's lock is taken now, not at the first write, which would be too late. */
  readonly begin: string
  /** Whether others write between the statements of a transaction, so that it must lock what it has read. */
  readonly concurrent: boolean
  /** Whether a statement may lock rows, write several tables and answer: see `fused.ts`. */
  readonly fuses: boolean
  /** Follows a select, and locks the rows of one of its tables: a clock `c` or another. */
  readonly lock: (rows: string, wait: "wait" | "skip") => Statement.Fragment
  /** The cells of what a statement answers, integers as numbers where a number holds them. */
  readonly values: (statement: Statement.Statement<object>) => Effect.Effect<Rows, SqlError>
  /** `limit` */
  readonly limit: (count: number) => Statement.Fragment
  /** Rows of cells as a derived table, with the position of each row as column `i`. The first column tells them apart. */
  readonly rows: (columns: Columns) => (cells: ReadonlyArray<ReadonlyArray<unknown>>) => Statement.Fragment
  /** `update table r set … from source u where …`, with what it answers as columns of the table. */
  readonly update: (update: Update) => Statement.Fragment
  /** An update that sets the same in all rows, which nobody else changes now. */
  readonly mark: (update: Update) => Statement.Fragment
  /**
   * Runs an update of runs, in a transaction, and answers these columns of those it has changed, of columns that it leaves
   * as they are. Rows are locked by (n, key), where nobody has locked them in that order before.
   */
  readonly updated: (
    sql: SqlClient.SqlClient,
    update: Update,
    columns: string
  ) => Effect.Effect<Rows, SqlError>
  /** Deletes the rows `r` of a table that are found for those of `source u`, by keys or in another way; nobody changes them. */
  readonly remove: (options: {
    readonly table: Statement.Fragment
    readonly keys: ReadonlyArray<string>
    readonly source: Statement.Fragment
    readonly on?: Statement.Fragment | undefined
    readonly where?: Statement.Fragment | undefined
  }) => Statement.Fragment
  /** Ends an insert whose rows are left out where their keys are there already. */
  readonly ignore: (table: Statement.Fragment) => Statement.Fragment
  /** Ends an insert whose rows replace these columns where their keys are there already. */
  readonly replace: (
    table: Statement.Fragment,
    keys: string,
    columns: ReadonlyArray<string>
  ) => Statement.Fragment
  /** Between a source of rows and the table in which these are looked up, which is locked: it comes second. */
  readonly cross: Statement.Fragment
  /** Follows a select of a task `t`, which stays while the transaction lasts. */
  readonly keep: Statement.Fragment
  /** So many numbers of a sequence, greater than any before; `undefined` where `meta` counts them. */
  readonly next:
    | ((
      sql: SqlClient.SqlClient,
      prefix: string,
      name: "token" | "generation",
      count: number
    ) => Effect.Effect<(i: number) => number, SqlError>)
    | undefined
  /** Whether a deadlock undoes the whole transaction, also where that is somebody else's and this one a savepoint in it. */
  readonly undoesAll: boolean
  /**
   * `source u`, joined with those rows `r` of a table that a condition finds for each: a probe of an index each, whatever
   * a planner thinks of the table. With `lock`, they are locked in the order of the source, then of their keys, and nothing
   * follows.
   */
  readonly join: (
    source: Statement.Fragment,
    table: Statement.Fragment,
    on: Statement.Fragment,
    lock?: "wait" | "skip"
  ) => Statement.Fragment
  /**
   * What follows `source u` to join it so with the rows of a table, under another name. With `lock`, nothing follows.
   */
  readonly beside: (table: Statement.Fragment, alias: string, on: string, lock?: "wait" | "skip") => Statement.Fragment
  /** Whether a column is one of some integers. */
  readonly oneOf: (column: string, values: ReadonlyArray<number>) => Statement.Fragment
  /** Runs an insert, in a transaction, and answers how many rows it has added. */
  readonly affected: (
    sql: SqlClient.SqlClient,
    statement: Statement.Fragment
  ) => Effect.Effect<number, SqlError>
  /** Whether a text is like a pattern made by `pattern`, in any case. */
  readonly contains: (column: string, pattern: string) => Statement.Fragment
  /** How the statements of a migration, which are SQLite's, become those of this database. */
  readonly schema: {
    readonly translate: (statements: ReadonlyArray<string>) => ReadonlyArray<string>
    /** Whether a statement of a migration failed since it had been made already, by one that was ended in its middle. */
    readonly isDone: (error: SqlError) => boolean
    /** What it needs besides. */
    readonly more: (prefix: string) => ReadonlyArray<string>
    /** One migration at a time, where others write when a database has been `migrated` once. */
    readonly lock: (sql: SqlClient.SqlClient, prefix: string, migrated: boolean) => Effect.Effect<unknown, SqlError>
    readonly unlock: (sql: SqlClient.SqlClient, prefix: string) => Effect.Effect<unknown>
  }
  readonly tableExists: (sql: SqlClient.SqlClient, table: string) => Statement.Statement<object>
  /** Answers another value after each commit of another connection; `undefined` where that cannot be asked. */
  readonly changed: ((sql: SqlClient.SqlClient) => Statement.Statement<object>) | undefined
  /** What the server's clock shows, in milliseconds; `undefined`: it is this machine's. */
  readonly time: Statement.Fragment | undefined
  /** Others were in the way: the transaction can be made again. */
  readonly isContended: (error: SqlError) => boolean
  readonly reason: (error: SqlError) => { readonly reason: typeof StoreErrorReason.Type; readonly hint: string }
}

export interface Update {
  readonly table: Statement.Fragment
  readonly set: Statement.Fragment
  readonly source: Statement.Fragment
  readonly where: Statement.Fragment
}

/** As SQLite and Postgres write it. */
export const onConflict = {
  ignore: () => Statement.fragment([Statement.literal(" on conflict do nothing")]),
  replace: (_table, keys, columns) =>
    Statement.fragment([
      Statement.literal(
        ` on conflict (${keys}) do update set ${columns.map((column) => `${column} = excluded.${column}`).join(", ")}`
      )
    ])
} satisfies Pick<Dialect, "ignore" | "replace">

export const crossJoin = Statement.fragment([Statement.literal("cross join")])

type Rows = ReadonlyArray<ReadonlyArray<unknown>>

/** `like` pattern of a text that is to be found anywhere, with `\` as escape. */
export const pattern = (text: string): string => `%${text.replace(/[\\%_]/g, (char) => `\\${char}`)}%`

// -----------------------------------------------------------------------------
// SQLite
// -----------------------------------------------------------------------------

const errcode = (error: SqlError): number | undefined => {
  const cause: unknown = error.reason.cause
  if (typeof cause !== "object" || cause === null) return undefined
  for (const key of ["errcode", "errno", "code"]) {
    const code: unknown = Reflect.get(cause, key)
    if (typeof code === "number") return code & 0xff
    if (typeof code === "string") {
      const name = sqliteNames.find(([name]) => code === name || code.startsWith(`${name}_`))
      if (name !== undefined) return name[1]
    }
  }
  return undefined
}

const sqliteNames: ReadonlyArray<readonly [string, number]> = [
  ["SQLITE_PERM", 3],
  ["SQLITE_BUSY", 5],
  ["SQLITE_LOCKED", 6],
  ["SQLITE_READONLY", 8],
  ["SQLITE_IOERR", 10],
  ["SQLITE_CORRUPT", 11],
  ["SQLITE_FULL", 13],
  ["SQLITE_CANTOPEN", 14],
  ["SQLITE_NOTADB", 26]
]

/** Fails where SQLite has no `jsonb_each` (before 3.51). */
export const probeJsonbEach = (sql: SqlClient.SqlClient): Statement.Statement<object> =>
  sql`select 1 from jsonb_each('[]')`

/** An integer in a result is beyond what a JavaScript number holds. */
const isUnsafeInteger = (error: SqlError): boolean => {
  const cause: unknown = error.reason.cause
  return typeof cause === "object" && cause !== null && "code" in cause && cause.code === "ERR_OUT_OF_RANGE"
}

const none = Statement.fragment([])

const sqliteUpdate = ({ set, source, table, where }: Update): Statement.Fragment =>
  Statement.fragment([
    Statement.literal("update "),
    ...table.segments,
    Statement.literal(" as r set "),
    ...set.segments,
    Statement.literal(" from "),
    ...source.segments,
    Statement.literal(" u where "),
    ...where.segments
  ])

const join: Dialect["join"] = (source, table, on) =>
  Statement.fragment([
    ...source.segments,
    Statement.literal(" u cross join "),
    ...table.segments,
    Statement.literal(" r on "),
    ...on.segments
  ])

const qualify = (name: string, columns: ReadonlyArray<string>): string =>
  columns.map((column) => `${name}.${column}`).join(", ")

/** `each`: the table-valued function that unnests JSON, `jsonb_each` where there is one: it spares a text per row. */
export const sqlite = (each: "json_each" | "jsonb_each" = "json_each"): Dialect => ({
  name: "sqlite",
  longestPrefix: Infinity,
  begin: "BEGIN IMMEDIATE",
  concurrent: false,
  fuses: false,
  lock: () => none,
  values: (statement) =>
    Effect.catchIf(
      statement.values,
      isUnsafeInteger,
      // one cell beyond a number's range: read again as bigints, so that only its row is unreadable
      () => Effect.provideService(statement.values, SqlClient.SafeIntegers, true)
    ),
  // A value the planner does not look at: SQLite would compile the statement anew for each value that is bound to a bare
  // parameter, which costs more than the statement.
  limit: (count) =>
    Statement.fragment([Statement.literal("limit "), Statement.parameter(count), Statement.literal(" + 0")]),
  rows: (columns) => sqliteRows(each, columns.map(([name]) => name)),
  update: sqliteUpdate,
  mark: sqliteUpdate,
  updated: (sql, update, columns) => sql`${sqliteUpdate(update)} returning ${sql.literal(columns)}`.values,
  remove: ({ keys, on, source, table, where }) =>
    Statement.fragment([
      Statement.literal("delete from "),
      ...table.segments,
      Statement.literal(
        ` as r where (${qualify("r", keys)}) in (select ${qualify(on === undefined ? "u" : "r", keys)} from `
      ),
      ...on === undefined ? [...source.segments, Statement.literal(" u")] : join(source, table, on).segments,
      Statement.literal(")"),
      ...where === undefined ? [] : [Statement.literal(" and "), ...where.segments]
    ]),
  ...onConflict,
  cross: crossJoin,
  join,
  beside: (table, alias, on) =>
    Statement.fragment([
      Statement.literal(" cross join "),
      ...table.segments,
      Statement.literal(` ${alias} on ${on}`)
    ]),
  oneOf: (column, values) =>
    Statement.fragment([
      Statement.literal(`${column} in (select j.value from ${each}(`),
      Statement.parameter(JSON.stringify(values)),
      Statement.literal(") j)")
    ]),
  keep: none,
  next: undefined,
  undoesAll: false,
  affected: (sql, statement) =>
    Effect.andThen(
      sql`${statement}`,
      Effect.map(sql`select changes()`.values, (rows) => Number(rows[0]?.[0]))
    ),
  contains: (column, pattern) =>
    Statement.fragment([
      Statement.literal(`${column} like `),
      Statement.parameter(pattern),
      Statement.literal(" escape '\\'")
    ]),
  tableExists: (sql, table) => sql`select 1 from sqlite_master where type = 'table' and name = ${table}`,
  schema: {
    translate: (statements) => statements,
    isDone: () => false,
    more: () => [],
    lock: () => Effect.void,
    unlock: () => Effect.void
  },
  changed: (sql) => sql`pragma data_version`,
  time: undefined,
  isContended: () => false,
  reason: (error) => {
    const cause: unknown = error.reason.cause
    if (typeof cause === "object" && cause !== null && "code" in cause && cause.code === "ERR_INVALID_STATE") {
      return { reason: "Closed", hint: "the scope of its layer has ended" }
    }
    switch (errcode(error)) {
      case 5:
      case 6:
        return { reason: "Busy", hint: "another process writes: try again, or raise busyTimeout" }
      case 3:
      case 8:
        return { reason: "ReadOnly", hint: "open it writable: check the readonly option, the file and its directory" }
      case 13:
        return { reason: "Full", hint: "free space on its disk, or prune history, and try again" }
      case 11:
        return {
          reason: "Corrupt",
          hint: "the file is damaged: restore a backup, or recover it with sqlite3's .recover"
        }
      case 26:
        return { reason: "Corrupt", hint: "the file is not a SQLite database: check the path, or move it away" }
      case 14:
        return { reason: "Unavailable", hint: "check that its directory exists and may be written" }
      case 10:
        return { reason: "Unavailable", hint: "its disk failed to read or write: check it and try again" }
      default:
        return { reason: "Unknown", hint: "" }
    }
  }
})
