/**
 * MySQL and MariaDB.
 *
 * As in `postgres.ts`: transactions at READ COMMITTED, which lock what they have read. What is different here:
 *
 * | matter | how |
 * |---|---|
 * | rows of cells | `json_table` over one text, sorted by their key: rows are locked in the order they are looked up in |
 * | an update that answers | none: its rows are locked and read, then updated |
 * | keys | texts of at most 255 characters (an index holds 3,072 bytes), compared as they are, spaces at their end too |
 * | partial indexes | none: what they would ask for is the first column of the index |
 * | numbers | one row of an `auto_increment` table is a thousand of them, so that nobody waits for a counter |
 * | a deadlock | undoes the whole transaction, so that one which is part of the program's fails with it |
 * | a migration | commits at each statement: `get_lock` admits one at a time, and each step may be made again |
 * | wake-ups | a row for each instance, counted up by it; the others look at the sum |
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import type { Columns, Dialect, Update } from "./dialect.ts"
import { liveClock } from "./liveClock.ts"

/** How a server compares texts: byte by byte, and no two texts are equal that differ in spaces at their end. */
export type Collation = "utf8mb4_nopad_bin" | "utf8mb4_0900_bin"

/** Names have 64 characters; ours are up to 22 longer than their prefix. */
const longestPrefix = 40

/** The longest text of a column that is in an index, in characters. */
export const longestKey = 255

const literal = Statement.literal

// -----------------------------------------------------------------------------
// rows
// -----------------------------------------------------------------------------

const rows = (collation: Collation) => (columns: Columns) => {
  const names = columns.map(([name]) => `a.\`${name}\``).join(", ")
  const text = `longtext character set utf8mb4 collate ${collation}`
  const paths = columns.map(([name, type], i) => `\`${name}\` ${type === "int" ? "bigint" : text} path '$[${i + 1}]'`)
  const before = literal(`(select ${names}, a.i from json_table(`)
  const after = literal(`, '$[*]' columns (i int path '$[0]', ${paths.join(", ")})) a)`)
  return (cells: ReadonlyArray<ReadonlyArray<unknown>>): Statement.Fragment =>
    Statement.fragment([before, Statement.parameter(json(cells)), after])
}

const json = (cells: ReadonlyArray<ReadonlyArray<unknown>>): string => {
  const order = cells.map((_, i) => i)
  order.sort((i, j) => compare(cells[i]![0], cells[j]![0]) || compare(cells[i]![1], cells[j]![1]))
  return `[${
    order.map((i) =>
      `[${i},${cells[i]!.map((cell) => typeof cell === "bigint" ? cell : JSON.stringify(cell ?? null))}]`
    )
  }]`
}

const compare = (self: unknown, that: unknown): number =>
  (self as string | number) < (that as string | number) ? -1 : (self as string) > (that as string) ? 1 : 0

// -----------------------------------------------------------------------------
// statements
// -----------------------------------------------------------------------------

/** `update u join r set r.… `: what is set needs the name of its table, since the source may have such a column too. */
const qualified = (set: Statement.Fragment): ReadonlyArray<Statement.Segment> =>
  set.segments.map((segment, i) =>
    segment._tag === "Literal"
      ? literal(
        segment.value.replace(
          i === 0 ? /(^|,)(\s*)(\w+ = )/g : /(,)(\s*)(\w+ = )/g,
          (_, comma: string, space: string, column: string) => `${comma}${space}r.${column}`
        ),
        segment.params
      )
      : segment
  )

/** A table of a few rows would be read whole, and with it what others have locked, which is waited for. */
const byPrimaryKey = " force index (primary)"

const update = ({ set, source, table, where }: Update): Statement.Fragment =>
  Statement.fragment([
    literal("update "),
    ...source.segments,
    literal(" u straight_join "),
    ...table.segments,
    literal(` r${byPrimaryKey} on `),
    ...where.segments,
    literal(" set "),
    ...qualified(set)
  ])

// -----------------------------------------------------------------------------
// tables
// -----------------------------------------------------------------------------

/** Texts of columns that are in an index. */
const short: Readonly<Record<string, number>> = {
  id: longestKey,
  task_id: longestKey,
  tag: longestKey,
  run_key: longestKey,
  concurrency_key: longestKey,
  owner: longestKey,
  reader: longestKey,
  executor: 128,
  state: 16,
  zone_rules: 64
}

const flags = /\b(one|on_startup|on_shutdown|exact|held|queues|at_most_once|later) integer/g

/** A column that is to be added is there: statements change all that they change of a table, or nothing. */
const alreadyThere = 1060

/** Tables are made or changed with their indexes, so that a migration which was ended in its middle can be made again. */
const translate = (collation: Collation) => (statements: ReadonlyArray<string>): ReadonlyArray<string> => {
  const indexes = statements.flatMap((statement) => {
    const [, name, table, columns, where] =
      /^create index (\w+) on (\w+) \(([^)]*)\)(?:\s+where ([^]*))?$/.exec(statement) ??
        []
    if (name === undefined || columns === undefined) return []
    // what all rows of a partial index have is what its walks ask for
    const fixed = Array.from((where ?? "").matchAll(/(\w+) (?:=|is null)/g), ([, column]) => `${column}, `)
    return [{ table, text: `key ${name} (${fixed.join("")}${columns})` }]
  })
  const altered = new Set<string>()
  return statements.flatMap((statement) => {
    if (statement.startsWith("create index")) return []
    const [, changed] = /^alter table (\w+)/.exec(statement) ?? []
    if (changed !== undefined) {
      if (altered.has(changed)) return []
      altered.add(changed)
      const columns = statements.flatMap((other) => {
        const [, table, name, type] = /^alter table (\w+) add column (\w+) (\w+)$/.exec(other) ?? []
        if (table !== changed) return []
        return [`add column ${name} ${type === "text" ? `varchar(${longestKey})` : "bigint"}`]
      })
      const keys = indexes.flatMap(({ table, text }) => table === changed ? [`add ${text}`] : [])
      return [`alter table ${changed} ${[...columns, ...keys].join(", ")}`]
    }
    if (statement.startsWith("insert")) return [statement.replace("insert", "insert ignore")]
    const [, table = ""] = /^create table (?:if not exists )?(\w+)/.exec(statement) ?? []
    const keys = indexes.filter((index) => index.table === table).map(({ text }) => `,\n  ${text}`).join("")
    const limits = table.endsWith("_label") ? { ...short, name: longestKey, value: longestKey } : short
    return [
      statement
        .replace(/^create table (if not exists )?/, "create table if not exists ")
        .replace(flags, "$1 smallint")
        .replace(/ integer\b/g, " bigint")
        .replace(/\b(\w+) text\b/g, (_, column: string) => {
          const limit = Reflect.get(limits, column) as number | undefined
          return `${column} ${limit === undefined ? "longtext" : `varchar(${limit})`}`
        })
        .replace(/\bexit (?=longtext)/, "`exit` ")
        .replace(/\n\)[^)]*$/, `${keys}\n) engine = InnoDB, character set utf8mb4, collate ${collation}`)
    ]
  })
}

/** Names of locks have 64 characters. MySQL 9 has no shorter hash. */
const lockName = (sql: SqlClient, prefix: string) =>
  sql`concat('punctual ', left(sha2(concat(database(), '.', ${prefix}), 256), 40))`

/** How long a process waits for another one's migration, in seconds. */
const patience = 60

// -----------------------------------------------------------------------------
// numbers
// -----------------------------------------------------------------------------

/** Numbers of one row of the table that counts. Each transaction takes rows of its own. */
const numbersOfRow = 1000

// -----------------------------------------------------------------------------
// the dialect
// -----------------------------------------------------------------------------

export const mysql = (collation: Collation): Dialect => ({
  name: "mysql",
  longestPrefix,
  begin: "START TRANSACTION READ WRITE",
  concurrent: true,
  fuses: false,
  lock: (_, wait) => Statement.fragment([literal(wait === "skip" ? " for update skip locked" : " for update")]),
  values: (statement) => statement.values,
  limit: (count) => Statement.fragment([literal("limit "), Statement.parameter(count)]),
  rows: rows(collation),
  update,
  mark: update,
  updated: Effect.fnUntraced(function*(sql, options, columns) {
    const rows = yield* sql`select ${sql.literal(columns.split(", ").map((column) => `r.${column}`).join(", "))}
from ${options.source} u straight_join ${options.table} r${sql.literal(byPrimaryKey)} where ${options.where} for update`
      .values
    if (rows.length > 0) yield* sql`${update(options)}`
    return rows
  }),
  remove: ({ keys, on, source, table, where }) =>
    Statement.fragment([
      literal("delete r from "),
      ...source.segments,
      literal(" u straight_join "),
      ...table.segments,
      // two columns are a primary key here, one may be of any index
      literal(` r${keys.length === 2 ? byPrimaryKey : ""} where `),
      ...on?.segments ?? [literal(keys.map((key) => `r.${key} = u.${key}`).join(" and "))],
      ...where === undefined ? [] : [literal(" and "), ...where.segments]
    ]),
  // not `insert ignore`, which also ignores what does not fit
  ignore: (table) =>
    Statement.fragment([
      literal(" on duplicate key update "),
      ...table.segments,
      literal(".n = "),
      ...table.segments,
      literal(".n")
    ]),
  replace: (table, _, columns) =>
    Statement.fragment([
      literal(" on duplicate key update "),
      ...columns.flatMap((column, i) => [
        literal(i === 0 ? "" : ", "),
        ...table.segments,
        literal(`.${column} = values(${column})`)
      ])
    ]),
  cross: Statement.fragment([literal("straight_join")]),
  join: (source, table, on, lock) =>
    Statement.fragment([
      ...source.segments,
      literal(" u straight_join "),
      ...table.segments,
      literal(` r${byPrimaryKey} on `),
      ...on.segments,
      literal(lock === undefined ? "" : lock === "skip" ? " for update skip locked" : " for update")
    ]),
  beside: (table, alias, on, lock) =>
    Statement.fragment([
      literal(" straight_join "),
      ...table.segments,
      literal(
        ` ${alias} on ${on}${lock === undefined ? "" : lock === "skip" ? " for update skip locked" : " for update"}`
      )
    ]),
  oneOf: (column, values) =>
    Statement.fragment([literal(`${column} in (${values.length === 0 ? "null" : values.join(", ")})`)]),
  keep: Statement.fragment([literal(" lock in share mode")]),
  next: Effect.fnUntraced(function*(sql, prefix, _, count) {
    const table = sql.literal(`${prefix}_number`)
    const places = Array.from({ length: Math.ceil(count / numbersOfRow) }, (_, i) => i)
    const header = yield* sql`insert into ${table} (n) values ${sql.literal(places.map(() => "(null)").join(", "))}`.raw
    const first = (header as { readonly insertId: number }).insertId
    // one by one: a range would touch the next row, of a transaction that may last
    yield* sql`delete from ${table} where n in (${sql.literal(places.map((i) => first + i).join(", "))})`
    return (i: number) => first * numbersOfRow + i
  }),
  undoesAll: true,
  affected: (sql, statement) =>
    Effect.map(sql`${statement}`.raw, (header) => (header as { readonly affectedRows: number }).affectedRows),
  contains: (column, pattern) =>
    Statement.fragment([
      literal(`${column} collate utf8mb4_general_ci like `),
      Statement.parameter(pattern)
    ]),
  schema: {
    translate: translate(collation),
    isDone: (error) => errnoOf(error) === alreadyThere,
    more: (prefix) => [
      `create table if not exists ${prefix}_number (n bigint auto_increment primary key) engine = InnoDB`,
      `create table if not exists ${prefix}_wake (
  source char(36) character set ascii primary key,
  n bigint not null,
  at bigint not null
) engine = InnoDB`
    ],
    lock: (sql, prefix) => sql`select get_lock(${lockName(sql, prefix)}, ${patience})`,
    unlock: (sql, prefix) => Effect.ignore(sql`select release_lock(${lockName(sql, prefix)})`)
  },
  tableExists: (sql, table) =>
    sql`select 1 from information_schema.tables where table_schema = database() and table_name = ${table}`,
  changed: undefined,
  time: Statement.fragment([literal("cast(unix_timestamp(now(3)) * 1000 as signed)")]),
  isContended: (error) => {
    switch (error.reason._tag) {
      case "DeadlockError":
      case "LockTimeoutError":
      case "SerializationError":
        return true
      case "UniqueViolation":
        // of a history: others ended runs of the same task at the same time. All other keys are looked at first.
        return error.reason.constraint.endsWith("PRIMARY")
      default:
        return false
    }
  },
  reason: (error) => {
    switch (errnoOf(error)) {
      case 1020:
      case 1205:
      case 1213:
        return { reason: "Busy", hint: "other transactions were in the way, several times: try again" }
      case 1021:
      case 1114:
        return { reason: "Full", hint: "free space on the disk of the server, or prune history, and try again" }
      case 1040:
      case 1203:
        return {
          reason: "Unavailable",
          hint: "the server has no connection left: lower maxConnections, or raise its max_connections"
        }
      case 1044:
      case 1142:
      case 1143:
      case 1227:
        return {
          reason: "ReadOnly",
          hint: "grant its user the right to create, read and write the tables of this store"
        }
      case 1045:
        return { reason: "Unavailable", hint: "check the user and the password" }
      case 1049:
        return { reason: "Unavailable", hint: "create the database, or correct its name" }
      case 1053:
      case 1927:
        return { reason: "Unavailable", hint: "the server is stopping: try again" }
      case 1153:
        return { reason: "Invalid", hint: "raise max_allowed_packet of the server, or keep payloads smaller" }
      case 1290:
      case 1792:
      case 1836:
        return { reason: "ReadOnly", hint: "connect to the server that is written to" }
      case 1406:
        return {
          reason: "Invalid",
          hint: `ids, tags, owners, keys and labels have at most ${longestKey} characters here, names of executors 128`
        }
    }
    return error.reason._tag === "ConnectionError"
      ? { reason: "Unavailable", hint: "check that the server runs, and the host, port and TLS of the URL" }
      : { reason: "Unknown", hint: "" }
  }
})

const errnoOf = (error: SqlError): number | undefined => {
  const cause: unknown = error.reason.cause
  return typeof cause === "object" && cause !== null && "errno" in cause && typeof cause.errno === "number"
    ? cause.errno
    : undefined
}

// -----------------------------------------------------------------------------
// servers
// -----------------------------------------------------------------------------

/** The collation of a server by its version, or what is wrong with it. */
export const collationOf = (version: string): Collation | { readonly tooOld: string; readonly needs: string } => {
  const maria = /(\d+)\.(\d+)\.(\d+)-MariaDB/i.exec(version)
  const [, major = 0, minor = 0, patch = 0] = (maria ?? /^(\d+)\.(\d+)\.(\d+)/.exec(version) ?? []).map(Number)
  const isAtLeast = (a: number, b: number, c: number) => major !== a ? major > a : minor !== b ? minor > b : patch >= c
  if (maria !== null) {
    return isAtLeast(10, 11, 0) ? "utf8mb4_nopad_bin" : { tooOld: `MariaDB ${major}.${minor}`, needs: "10.11" }
  }
  return isAtLeast(8, 0, 19) ? "utf8mb4_0900_bin" : { tooOld: `MySQL ${major}.${minor}.${patch}`, needs: "8.0.19" }
}

// -----------------------------------------------------------------------------
// wake-ups
// -----------------------------------------------------------------------------

/** For how long an instance is remembered that says nothing, in milliseconds. */
const silence = 86_400_000

/** How an instance says that it has changed something, and hears that another one has. */
export const wakesOf = (sql: SqlClient, prefix: string) => {
  const table = sql.literal(`${prefix}_wake`)
  const me = crypto.randomUUID()
  return {
    say: Effect.suspend(() => {
      const now = liveClock.currentTimeMillisUnsafe()
      return sql`insert into ${table} (source, n, at) values (${me}, 1, ${now})
on duplicate key update n = n + 1, at = values(at)`
    }),
    changed: Effect.map(
      sql`select count(*), cast(coalesce(sum(w.n), 0) as char) from ${table} w where w.source <> ${me}`.values,
      (rows) => String(rows[0])
    ),
    /** Of instances that are gone. */
    forget: Effect.suspend(() => sql`delete from ${table} where at < ${liveClock.currentTimeMillisUnsafe() - silence}`)
  }
}
