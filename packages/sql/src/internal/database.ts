/**
 * What the operations of the store share: statements, transactions, errors.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"
import { SqlError } from "effect/sql/SqlError"
import type * as Statement from "effect/sql/Statement"
import { TaskStoreError } from "punctual/TaskStore"
import type { Columns, Dialect } from "./dialect.ts"
import type { Cells } from "./records.ts"
import { schemaVersion, type Tables, tables, type Versions } from "./schema.ts"
import { type Brought, brought, type Wakes } from "./wakes.ts"

/** A transaction that writes. */
export interface Write {
  /** What listeners will be told. */
  readonly brought: Brought
  /** The first of this many fencing tokens. */
  readonly tokens: (count: number) => Effect.Effect<number, SqlError>
  /** The first of this many generations. */
  readonly generations: (count: number) => Effect.Effect<number, SqlError>
}

/** Rows with these columns, of cells, as a table. */
export type Source = (cells: ReadonlyArray<Cells>) => Statement.Fragment

export interface Database {
  readonly sql: SqlClient.SqlClient
  readonly dialect: Dialect
  readonly t: Tables
  readonly store: string
  readonly wakes: Wakes
  readonly source: (columns: Columns) => Source
  readonly values: (statement: Statement.Statement<object>) => Effect.Effect<ReadonlyArray<Cells>, SqlError>
  /**
   * `limit`, of a value the planner does not look at: SQLite would compile the statement anew for each value that is
   * bound to a bare parameter, which costs more than the statement.
   */
  readonly limit: (count: number) => Statement.Fragment
  /** Names what failed. */
  readonly fail: (operation: string) => (error: SqlError | TaskStoreError) => TaskStoreError
  readonly read: <A>(
    operation: string,
    effect: Effect.Effect<A, SqlError | TaskStoreError>
  ) => Effect.Effect<A, TaskStoreError>
  /** One transaction, which a store that a newer program has changed refuses. */
  readonly write: <A>(
    operation: string,
    body: (write: Write) => Effect.Effect<A, SqlError | TaskStoreError>
  ) => Effect.Effect<A, TaskStoreError>
  /** Sets columns of rows by `n`, one statement for each set of columns. */
  readonly setByN: (
    table: Statement.Fragment,
    extra: string | undefined,
    entries: ReadonlyArray<{ readonly n: number; readonly columns: Columns; readonly cells: Cells }>
  ) => Effect.Effect<void, SqlError>
}

export const newerSchema = (store: string, operation: string, versions: Versions): TaskStoreError =>
  new TaskStoreError({
    store,
    operation,
    reason: "NewerSchema",
    message: `${store} has schema version ${versions.version}, which only programs that know version ` +
      `${versions.minimumWriter} or later may write; this one knows version ${schemaVersion}. ` +
      "Upgrade @punctual/sql in this program; nothing was changed."
  })

export const storeError = (
  store: string,
  dialect: Dialect,
  operation: string,
  error: SqlError
): TaskStoreError => {
  const { hint, reason } = dialect.reason(error)
  return new TaskStoreError({
    store,
    operation,
    reason,
    message: `${store}: ${operation} failed: ${error.message}${hint === "" ? "" : `; ${hint}`}`,
    cause: error
  })
}

export const make = (options: {
  readonly sql: SqlClient.SqlClient
  readonly dialect: Dialect
  readonly prefix: string
  readonly store: string
  readonly wakes: Wakes
}): Database => {
  const { dialect, prefix, sql, store, wakes } = options
  const t = tables(sql, prefix)

  const fail = (operation: string) => (error: SqlError | TaskStoreError): TaskStoreError =>
    error instanceof SqlError ? storeError(store, dialect, operation, error) : error

  const values: Database["values"] = (statement) =>
    Effect.catchIf(
      statement.values,
      (error) => dialect.isUnsafeInteger(error),
      // one cell beyond a number's range: read again as bigints, so that only its row is unreadable
      () => Effect.provideService(statement.values, SqlClient.SafeIntegers, true)
    )

  const sources = new Map<string, Source>()
  const source = (columns: Columns): Source => {
    const key = columns.map(([name]) => name).join()
    let made = sources.get(key)
    if (made === undefined) sources.set(key, made = dialect.rows(columns))
    return made
  }

  return {
    sql,
    dialect,
    t,
    store,
    wakes,
    source,
    values,
    limit: (count) => sql`limit ${count} + 0`,
    fail,
    read: (operation, effect) => Effect.mapError(effect, fail(operation)),
    write: (operation, body) => {
      const change = brought()
      const transaction = Effect.gen(function*() {
        const rows = yield* sql`select version, minimum_writer, token, generation from ${t.meta}${
          sql.literal(dialect.forUpdate)
        }`
          .values
        const [version = 0, minimumWriter = 0, token = 0, generation = 0] = (rows[0] ?? []).map(Number)
        if (minimumWriter > schemaVersion) {
          return yield* newerSchema(store, operation, { version, minimumWriter })
        }
        // a transaction may ask several times
        let tokens = token
        let generations = generation
        const result = yield* body({
          brought: change,
          tokens: (count) =>
            Effect.suspend(() => {
              const first = tokens + 1
              tokens += count
              return Effect.as(sql`update ${t.meta} set token = ${tokens}`, first)
            }),
          generations: (count) =>
            Effect.suspend(() => {
              const first = generations + 1
              generations += count
              return Effect.as(sql`update ${t.meta} set generation = ${generations}`, first)
            })
        })
        // inside somebody's transaction this waits for theirs, and is forgotten if that rolls back
        if (change.due !== Infinity || change.ready || change.cancel) yield* sql.afterCommit(wakes.tell(change))
        return result
      })
      return sql.withTransaction(transaction).pipe(
        Effect.provideService(SqlClient.BeginTransaction, dialect.begin),
        Effect.mapError(fail(operation))
      )
    },
    setByN: (table, extra, entries) => {
      const groups = new Map<string, { readonly columns: Columns; readonly rows: Array<Cells> }>()
      // most have the very columns of the one before
      let before: Columns | undefined
      let group: { readonly columns: Columns; readonly rows: Array<Cells> } | undefined
      for (const { cells, columns, n } of entries) {
        if (group === undefined || columns !== before) {
          before = columns
          const key = columns.map(([name]) => name).join()
          group = groups.get(key)
          if (group === undefined) groups.set(key, group = { columns, rows: [] })
        }
        group.rows.push([n, ...cells])
      }
      return Effect.forEach(groups.values(), ({ columns, rows }) => {
        const set = columns.map(([name]) => `${name} = u.${name}`)
        if (extra !== undefined) set.push(extra)
        return sql`${
          dialect.update({
            table,
            set: sql.literal(set.join(", ")),
            source: source([["n", "int"], ...columns])(rows),
            where: sql.literal("r.n = u.n")
          })
        }`
      }, { discard: true })
    }
  }
}
