/**
 * What the operations of the store share: statements, transactions, errors.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as SqlClient from "effect/sql/SqlClient"
import { SqlError } from "effect/sql/SqlError"
import type * as Statement from "effect/sql/Statement"
import { TaskStoreError } from "punctual/TaskStore"
import { transactions } from "./bounded.ts"
import type { Columns, Dialect } from "./dialect.ts"
import { keyedSchema, mark, Marks } from "./lines.ts"
import { sleepUnref } from "./liveClock.ts"
import type { Cells } from "./records.ts"
import { schemaVersion, type Tables, tables, type Versions } from "./schema.ts"
import { type Brought, brought, type Wakes } from "./wakes.ts"

/** A transaction that writes. */
export interface Write {
  /** What listeners will be told. */
  readonly brought: Brought
  /** Lines that claims will look at. */
  readonly lines: Marks
  /** Before a row with a concurrency key is written: from then on whoever knows of no keys may not write. */
  readonly keyed: Effect.Effect<void, SqlError>
  /** Whether there may be such rows. */
  readonly hasKeys: boolean
  /** So many fencing tokens, the lowest first: the one at a position. */
  readonly tokens: (count: number) => Effect.Effect<(i: number) => number, SqlError>
  /** So many generations, the lowest first: the one at a position. */
  readonly generations: (count: number) => Effect.Effect<(i: number) => number, SqlError>
}

/** Rows with these columns, of cells, as a table. */
export type Source = (cells: ReadonlyArray<Cells>) => Statement.Fragment

export interface Database {
  readonly sql: SqlClient.SqlClient
  readonly dialect: Dialect
  readonly t: Tables
  readonly prefix: string
  readonly store: string
  readonly wakes: Wakes
  readonly source: (columns: Columns) => Source
  readonly values: (statement: Statement.Statement<object>) => Effect.Effect<ReadonlyArray<Cells>, SqlError>
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

/** How often a transaction is made again that others are in the way of: some seconds in all. */
const maxAttempts = 11

export const newerSchema = (store: string, operation: string, versions: Versions): TaskStoreError =>
  new TaskStoreError({
    store,
    operation,
    reason: "NewerSchema",
    message: `${store} has schema version ${versions.version}, which only programs that know version ` +
      `${versions.minimumWriter} or later may write; this one knows version ${schemaVersion}. ` +
      "Upgrade @punctual/sql in this program; nothing was changed."
  })

/** A transaction whose rollback fails dies of that, and of nothing else: its connection is lost, and with it what it did. */
export const survivingRollback = <A, E, R>(transaction: Effect.Effect<A, E, R>): Effect.Effect<A, E | SqlError, R> =>
  Effect.catchDefect(transaction, (defect) => defect instanceof SqlError ? Effect.fail(defect) : Effect.die(defect))

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
    message: `${store}: ${operation} failed: ${told(error)}${hint === "" ? "" : `; ${hint}`}`,
    cause: error
  })
}

/** What a driver says, and what the database said to it. */
const told = ({ message, reason: { cause } }: SqlError): string =>
  cause instanceof Error && cause.message !== "" && !message.includes(cause.message)
    ? `${message}: ${cause.message}`
    : message

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

  const sources = new Map<string, Source>()
  const source = (columns: Columns): Source => {
    const key = columns.map(([name]) => name).join()
    let made = sources.get(key)
    if (made === undefined) sources.set(key, made = dialect.rows(columns))
    return made
  }

  /** Numbers of a sequence. A transaction may ask several times. */
  const next = (name: "token" | "generation", last: number): Write["tokens"] => (count) => {
    if (dialect.next !== undefined) return dialect.next(sql, prefix, name, count)
    return Effect.suspend(() => {
      const first = last + 1
      last += count
      return Effect.as(sql`update ${t.meta} set ${sql.literal(name)} = ${last}`, (i) => first + i)
    })
  }

  /** A transaction that others were in the way of, as a whole; inside somebody's transaction, to its savepoint. */
  const again = <A, E>(transaction: Effect.Effect<A, E | SqlError>, attempt: number): Effect.Effect<A, E | SqlError> =>
    Effect.catchIf(
      transaction,
      (error) => error instanceof SqlError && attempt < maxAttempts && dialect.isContended(error),
      (error) =>
        Effect.withFiber((fiber) =>
          // what is undone with it, nobody here can do again
          dialect.undoesAll && Context.getOrUndefined(fiber.context, sql.transactionService) !== undefined
            ? Effect.fail(error)
            : Effect.flatMap(
              Random.next,
              (share) => Effect.andThen(sleepUnref(share * 2 ** attempt), again(transaction, attempt + 1))
            )
        )
    )

  const withTransaction = sql.driver === "pglite" || dialect.name !== "pg"
    ? sql.withTransaction
    : transactions(sql)

  return {
    sql,
    dialect,
    t,
    prefix,
    store,
    wakes,
    source,
    values: dialect.values,
    limit: dialect.limit,
    fail,
    read: (operation, effect) => Effect.mapError(effect, fail(operation)),
    write: (operation, body) => {
      const transaction = Effect.gen(function*() {
        const change = brought()
        const rows = yield* sql`select version, minimum_writer, token, generation from ${t.meta}`.values
        const [version = 0, minimumWriter = 0, token = 0, generation = 0] = (rows[0] ?? []).map(Number)
        if (minimumWriter > schemaVersion) {
          return yield* newerSchema(store, operation, { version, minimumWriter })
        }
        const lines = new Marks()
        const result = yield* body({
          brought: change,
          lines,
          hasKeys: minimumWriter >= keyedSchema,
          keyed: minimumWriter >= keyedSchema
            ? Effect.void
            : sql`update ${t.meta} set minimum_writer = ${keyedSchema} where minimum_writer < ${keyedSchema}`,
          tokens: next("token", token),
          generations: next("generation", generation)
        })
        if ((yield* mark({ dialect, source, sql, t }, lines.take())) > 0) change.ready = true
        // inside somebody's transaction this waits for theirs, and is forgotten if that rolls back
        if (change.due !== Infinity || change.ready || change.cancel) yield* sql.afterCommit(wakes.tell(change))
        return result
      })
      const once = Effect.provideService(withTransaction(transaction), SqlClient.BeginTransaction, dialect.begin)
      const whole = survivingRollback(once)
      return Effect.mapError(dialect.concurrent ? again(whole, 0) : whole, fail(operation))
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
