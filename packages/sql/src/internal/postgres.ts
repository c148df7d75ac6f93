/**
 * Postgres, a server's or PGlite's.
 *
 * SQLite gives a writer the whole database. Here writers run beside each other, at READ COMMITTED: each statement sees
 * what was committed before it began, and only a lock keeps a row as it was read. Two rules make that enough:
 *
 * - Whoever changes a task, or promotes or counts its runs, holds the row of its clock.
 * - Locks are waited for in one order: clocks by n, then runs by (n, key). Who comes to a clock late does not wait for it.
 *
 * | operation | holds | what others may do between its statements, and why it is right |
 * |---|---|---|
 * | `insert` | nothing that was there | add the same id: the unique index lets one of them, the other reads its row |
 * | `commit` | its clocks, those it can get: what is locked is a conflict | claim, settle and extend runs. A change that touches runs that exist, or makes one wait, holds all open runs of its task, so that what it reads of them stays. Any other only creates runs: a key is inserted once, and the number of open runs can only fall, which makes a plan too careful |
 * | `claim` | the runs it picks, none that is locked | change their tasks: that waits for the claim as far as it touches these runs, so they are claimed as what they were |
 * | `start`, `heartbeat`, `cancel` | the runs named | nothing: they are one statement |
 * | `settle` | its runs; the clocks of tasks that queue, change or get a run back, or whose other runs may end at once | end other runs of the same task. These end numbers of one history: its key refuses the second, which is done again |
 * | `takeover` | the runs it picks and their clocks, none that is locked | nothing to these tasks and runs. What is locked is left for the next |
 * | `prune` | the rows it picks, none that is locked | end and prune others |
 * | `quarantine`, `clear` | the verdicts | change the tasks. Only a removal matters, and that waits, or has come first |
 *
 * Batches that are plain do not come here: see `fused.ts`. There a settlement holds nothing before it deletes.
 *
 * What is locked late (`settle` learns from a run that its task queues) and cannot be had at once ends the transaction,
 * which begins again with the clocks first. So does one that the server ended for a deadlock or for the history's key.
 *
 * Each writer reads the versions in `meta`, which locks that table against migrations and nobody else until it ends: a
 * migration waits for all writers, and they for it. Tokens and generations come from sequences, which have gaps.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { SqlClient } from "effect/sql/SqlClient"
import { SerializationError, SqlError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import type { Columns, Dialect, Update } from "./dialect.ts"
import { crossJoin, onConflict } from "./dialect.ts"

/** The oldest server: the oldest that its makers still repaired when this was written. */
export const minimumServer = 14

/** Names have 63 bytes and are cut beyond that, so that two may become one; ours are up to 22 longer than their prefix. */
const longestPrefix = 40

/**
 * Batches find their rows by key. Runs come and go: after an analyze that found next to none, a planner thinks that reading
 * the whole table is cheaper, and then reads every dead row in each statement, which an old snapshot anywhere in the
 * database keeps from being removed. What has an offset is planned by itself: so it is a probe for each row of the source.
 */
const probe = (
  table: Statement.Fragment,
  alias: string,
  on: Statement.Fragment,
  lock: "wait" | "skip" | undefined
): ReadonlyArray<Statement.Segment> => [
  Statement.literal(` cross join lateral (select ${alias}.*, ${alias}.ctid as row_at from `),
  ...table.segments,
  Statement.literal(` ${alias} where `),
  ...on.segments,
  Statement.literal(
    lock === undefined
      ? ` offset 0) ${alias}`
      : alias === "c"
      ? ` offset 0 for no key update of c${lock === "skip" ? " skip locked" : ""}) c`
      : ` order by r.run_key offset 0 for update of r${lock === "skip" ? " skip locked" : ""}) r`
  )
]

const join: Dialect["join"] = (source, table, on, lock) =>
  Statement.fragment([...source.segments, Statement.literal(" u"), ...probe(table, "r", on, lock)])

/**
 * Rows as one array for each column, written as texts: any driver passes those, whatever types it guesses. Each is selected,
 * so that no planner counts its rows: a large batch would tempt it to read whole tables, or to compile the statement.
 */
const postgresRows = (columns: Columns) => {
  const names = columns.map(([name]) => name).join(", ")
  const fragments = (cells: ReadonlyArray<ReadonlyArray<unknown>>): Statement.Fragment => {
    const segments: Array<Statement.Segment> = [Statement.literal(`(select ${names}, a.nth - 1 as i from unnest(`)]
    columns.forEach(([, type], column) => {
      segments.push(
        Statement.literal("(select "),
        Statement.parameter(type === "int" ? integers(cells, column) : texts(cells, column)),
        Statement.literal(`::${type === "int" ? "bigint" : "text"}[])${column === columns.length - 1 ? "" : ", "}`)
      )
    })
    segments.push(Statement.literal(`) with ordinality a(${names}, nth))`))
    return Statement.fragment(segments)
  }
  return fragments
}

const integers = (rows: ReadonlyArray<ReadonlyArray<unknown>>, column: number): string => {
  let text = "{"
  for (let i = 0; i < rows.length; i++) {
    const cell = rows[i]![column]
    text += `${i === 0 ? "" : ","}${cell === null || cell === undefined ? "NULL" : String(cell)}`
  }
  return `${text}}`
}

const texts = (rows: ReadonlyArray<ReadonlyArray<unknown>>, column: number): string => {
  let text = "{"
  // a batch repeats itself: states, exits, tags
  let before: unknown
  let quoted = "NULL"
  for (let i = 0; i < rows.length; i++) {
    const cell = rows[i]![column]
    if (cell !== before) {
      before = cell
      quoted = cell === null || cell === undefined ? "NULL" : `"${escaped(String(cell))}"`
    }
    text += i === 0 ? quoted : `,${quoted}`
  }
  return `${text}}`
}

const escaped = (text: string): string =>
  text.includes("\"") || text.includes("\\") ? text.replace(/["\\]/g, "\\$&") : text

/** Integers arrive as bigints: those that a number holds become numbers, the others make their row unreadable. */
const numbers = (rows: ReadonlyArray<ReadonlyArray<unknown>>): ReadonlyArray<ReadonlyArray<unknown>> => {
  for (const row of rows as ReadonlyArray<Array<unknown>>) {
    for (let i = 0; i < row.length; i++) {
      const cell = row[i]
      if (typeof cell !== "bigint") continue
      const number = Number(cell)
      if (Number.isSafeInteger(number)) row[i] = number
    }
  }
  return rows
}

/**
 * Whole batches say so. Of a number that it is to learn later a planner expects a tenth of all rows, and then prefers to read
 * and sort the table, where a table is not large; smaller ones it plans anew each time, which costs less than what that finds.
 */
const limit = (count: number): Statement.Fragment =>
  Statement.fragment(
    count % 250 === 0
      ? [Statement.literal(`limit ${count}`)]
      : [Statement.literal("limit "), Statement.parameter(String(count))]
  )

const flags = /\b(one|on_startup|on_shutdown|exact|held|queues|at_most_once|later) integer/g

/** Pages of what changes often keep room for new versions of their rows, and are cleaned before many are dead. */
const hot = " with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05)"

/** A statement of a migration as Postgres reads it. Texts compare byte by byte, whatever language the database has. */
const toPostgres = (statement: string): string => {
  if (statement.startsWith("alter table")) return statement.replace(/ text$/, " text collate \"C\"")
  if (!statement.startsWith("create table")) return statement
  const table = statement
    .replace(flags, "$1 smallint")
    .replace(/ integer\b/g, " bigint")
    .replace(/ text\b/g, " text collate \"C\"")
    .replace(/ strict(, without rowid)?$/, "")
  return /_(clock|run) \(/.test(table.slice(0, table.indexOf("\n"))) ? table + hot : table
}

const postgresUpdate = ({ set, source, table, where }: Update, ordered: boolean): Statement.Fragment =>
  Statement.fragment([
    Statement.literal("with u as materialized (select u.* from "),
    // an update locks rows in the order its plan comes to them
    ...ordered ? join(source, table, where, "wait").segments : [...source.segments, Statement.literal(" u")],
    Statement.literal(") update "),
    ...table.segments,
    Statement.literal(" as r set "),
    ...set.segments,
    // once more by key, so that no plan begins with the whole table
    Statement.literal(" from u where r.n = any(array(select u.n from u)) and "),
    ...where.segments
  ])

export const postgres: Dialect = {
  name: "pg",
  longestPrefix,
  begin: "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
  concurrent: true,
  fuses: true,
  lock: (rows, wait) =>
    Statement.fragment([
      Statement.literal(
        ` for ${rows === "c" ? "no key update" : "update"} of ${rows}${wait === "skip" ? " skip locked" : ""}`
      )
    ]),
  values: (statement) => Effect.map(statement.values, numbers),
  limit,
  rows: postgresRows,
  update: (update) => postgresUpdate(update, false),
  // they are where they are
  mark: ({ set, source, table, where }) =>
    Statement.fragment([
      Statement.literal("update "),
      ...table.segments,
      Statement.literal(" as r set "),
      ...set.segments,
      Statement.literal(" where r.ctid = any(array(select r.row_at from "),
      ...join(source, table, where).segments,
      Statement.literal("))")
    ]),
  updated: (sql, update, columns) =>
    sql`${postgresUpdate(update, true)} returning ${
      sql.literal(columns.split(", ").map((column) => `r.${column}`).join(", "))
    }`.values,
  remove: ({ keys, on, source, table, where }) =>
    Statement.fragment([
      Statement.literal("delete from "),
      ...table.segments,
      Statement.literal(" as r where r.ctid = any(array(select r.row_at from "),
      ...join(
        source,
        table,
        on ?? Statement.fragment([Statement.literal(keys.map((key) => `r.${key} = u.${key}`).join(" and "))])
      ).segments,
      Statement.literal("))"),
      ...where === undefined ? [] : [Statement.literal(" and "), ...where.segments]
    ]),
  ...onConflict,
  cross: crossJoin,
  join,
  beside: (table, alias, on, lock) =>
    Statement.fragment(probe(table, alias, Statement.fragment([Statement.literal(on)]), lock)),
  oneOf: (column, values) =>
    Statement.fragment([
      Statement.literal(`${column} = any(`),
      Statement.parameter(`{${values.join(",")}}`),
      Statement.literal("::bigint[])")
    ]),
  keep: Statement.fragment([Statement.literal(" for key share of t skip locked")]),
  next: (sql, prefix, name, count) =>
    Effect.map(
      postgres.values(
        sql`select nextval(${`${prefix}_${name}_seq`}::regclass) from generate_series(1, ${count}::int)`
      ),
      (rows) => (i) => Number(rows[i]?.[0])
    ),
  undoesAll: false,
  affected: (sql, statement) => Effect.map(sql`${statement} returning 1`.values, (rows) => rows.length),
  contains: (column, pattern) =>
    Statement.fragment([
      Statement.literal(`${column} ilike `),
      Statement.parameter(pattern),
      Statement.literal(" escape '\\'")
    ]),
  // `to_regclass` may remember, from before the wait for a lock, that there was none
  tableExists: (sql, table) =>
    sql`select 1 from pg_class c where c.relname = lower(${table}) and pg_table_is_visible(c.oid)`,
  schema: {
    translate: (statements) => statements.map(toPostgres),
    isDone: () => false,
    more: (prefix) => ["token", "generation"].map((name) => `create sequence ${prefix}_${name}_seq`),
    lock: Effect.fnUntraced(function*(sql, prefix, migrated) {
      const meta = `${prefix}_meta`
      yield* sql`select pg_advisory_xact_lock(hashtextextended(current_schema() || '.' || ${meta}, 0))`
      // who writes has read its versions, and is waited for
      if (migrated) yield* sql`lock table ${sql.literal(meta)} in access exclusive mode`
    }),
    unlock: () => Effect.void
  },
  changed: undefined,
  time: Statement.fragment([Statement.literal("(extract(epoch from clock_timestamp()) * 1000)::bigint")]),
  isContended: (error) => {
    switch (error.reason._tag) {
      case "DeadlockError":
      case "SerializationError":
        return true
      case "UniqueViolation":
        return error.reason.constraint.endsWith("_history_pkey")
      default:
        return false
    }
  },
  reason: (error) => {
    const { reason } = error
    switch (codeOf(error)) {
      case "22021":
        return { reason: "Invalid", hint: "Postgres keeps no NUL character in a text: leave it out" }
      case "25006":
        return { reason: "ReadOnly", hint: "connect to the primary, or make the database writable" }
      case "42501":
        return {
          reason: "ReadOnly",
          hint: "grant its user the right to create, read and write the tables and sequences of this store"
        }
      case "3F000":
        return { reason: "ReadOnly", hint: "let its user create in a schema of its search_path" }
      case "53100":
        return { reason: "Full", hint: "free space on the disk of the server, or prune history, and try again" }
      case "53300":
        return {
          reason: "Unavailable",
          hint: "the server has no connection left: lower maxConnections, or raise its max_connections"
        }
      case "55P03":
      case "57014":
        return { reason: "Busy", hint: "another transaction holds what this needs: try again" }
      case "57P01":
      case "57P02":
      case "57P03":
        return { reason: "Unavailable", hint: "the server is starting or stopping: try again" }
      case "3D000":
        return { reason: "Unavailable", hint: "create the database, or correct its name" }
    }
    if (reason.cause instanceof Error && reason.cause.message.includes("unsupported startup parameter")) {
      return {
        reason: "Invalid",
        hint:
          "a pooler is before the server. Where it lends sessions for a transaction each, say `crossProcess: false`; " +
          "where it lends whole ones, have it pass over that parameter (PgBouncer: ignore_startup_parameters)"
      }
    }
    switch (reason._tag) {
      case "AuthenticationError":
        return { reason: "Unavailable", hint: "check the user, the password and pg_hba.conf of the server" }
      case "AuthorizationError":
        return { reason: "ReadOnly", hint: "grant its user the rights on the tables of this store" }
      case "ConnectionError":
        return { reason: "Unavailable", hint: "check that the server runs, and the host, port and TLS of the URL" }
      case "DeadlockError":
      case "SerializationError":
      case "LockTimeoutError":
      case "StatementTimeoutError":
        return { reason: "Busy", hint: "other transactions were in the way, several times: try again" }
      default:
        return { reason: "Unknown", hint: "" }
    }
  }
}

const codeOf = (error: SqlError): string | undefined => {
  let cause: unknown = error.reason.cause
  for (let depth = 0; depth < 4 && typeof cause === "object" && cause !== null; depth++) {
    if ("code" in cause && typeof cause.code === "string" && /^[0-9A-Z]{5}$/.test(cause.code)) return cause.code
    cause = "cause" in cause ? cause.cause : undefined
  }
  return undefined
}

/** Begins the transaction again. */
export const contended = (what: string): SqlError =>
  new SqlError({
    reason: new SerializationError({ cause: new Error(what), message: what, operation: "lock" })
  })

/** What tells stores of other processes apart, and their wake-ups. */
export const channelOf = (sql: SqlClient, prefix: string) =>
  Effect.map(
    sql`select ${`${prefix}_meta`}::regclass::oid::bigint`.values,
    (rows) => `punctual_${String(rows[0]?.[0])}`
  )
