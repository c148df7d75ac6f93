/**
 * `SqlClient` over Node's own SQLite (`node:sqlite`), without an addon to compile.
 *
 * One connection, one statement or transaction at a time, waits that never block the event loop:
 *
 *     statement ───▶ permit ─▶ run ─▶ release
 *     transaction ─▶ permit ─▶ BEGIN IMMEDIATE ─▶ … ─▶ COMMIT | ROLLBACK ─▶ release
 *                      ▲             │ busy (another process writes)
 *                      └── backoff ◀─┘
 *
 * `node:sqlite` is synchronous. SQLite's own `busy_timeout` would therefore stop every fiber of the process, so it is
 * zero: a busy database is asked again after a sleep, and the permit is given back meanwhile.
 *
 * @since 0.1.0
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Pull from "effect/Pull"
import * as Random from "effect/Random"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import { classifySqliteError, ConnectionError, LockTimeoutError, SqlError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import * as Stream from "effect/Stream"
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite"
import { liveClock } from "./internal/liveClock.ts"

const TypeId = "~@punctual/sql/SqliteClient"

// -----------------------------------------------------------------------------
// models
// -----------------------------------------------------------------------------

/**
 * A `SqlClient` on one SQLite database.
 *
 * @category models
 * @since 0.1.0
 */
export interface SqliteClient extends SqlClient.SqlClient {
  readonly [TypeId]: typeof TypeId
  readonly config: Config
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Config {
  /** A path, `:memory:` or a `file:` URI. */
  readonly filename: string
  /** Opens an existing database for reading only. */
  readonly readonly?: boolean | undefined
  /**
   * How long a statement or transaction waits while another process writes. Default: 5 seconds.
   *
   * The wait is measured in real time, under a `TestClock` too.
   */
  readonly busyTimeout?: Duration.Input | undefined
  /**
   * When SQLite waits for the disk. `normal` (default) survives a crash of the process and keeps the database intact
   * through a power cut, which may lose the last transactions; `full` loses none.
   */
  readonly synchronous?: "off" | "normal" | "full" | "extra" | undefined
  /** Page cache in KiB. Default: 16 MiB. */
  readonly cacheSize?: number | undefined
  /** Prepared statements kept. Default: 256. */
  readonly statementCache?: number | undefined
  readonly spanAttributes?: Readonly<Record<string, unknown>> | undefined
  readonly transformQueryNames?: ((name: string) => string) | undefined
  readonly transformResultNames?: ((name: string) => string) | undefined
}

// -----------------------------------------------------------------------------
// service
// -----------------------------------------------------------------------------

/**
 * @category services
 * @since 0.1.0
 */
export const SqliteClient = Context.Service<SqliteClient>("@punctual/sql/SqliteClient")

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

const SQLITE_BUSY = 5

/** SQLite's result code, as `node:sqlite` reports it: extended, so that the low byte is the primary one. */
const codeOf = (cause: unknown): number | undefined => {
  const code = typeof cause === "object" && cause !== null && "errcode" in cause ? cause.errcode : undefined
  return typeof code === "number" ? code : undefined
}

const toSqlError = (cause: unknown, operation: string): SqlError => {
  const code = codeOf(cause)
  // `classifySqliteError` reads the code from where other drivers put it
  if (code !== undefined) Object.assign(cause as object, { errno: code })
  const message = cause instanceof Error ? cause.message : String(cause)
  return new SqlError({ reason: classifySqliteError(cause, { message, operation }) })
}

const isBusy = (error: SqlError): boolean => {
  const code = codeOf(error.reason.cause)
  // the primary code, in the low byte: BUSY_RECOVERY and its like may be asked again too
  return code !== undefined && (code & 0xff) === SQLITE_BUSY
}

// -----------------------------------------------------------------------------
// connection
// -----------------------------------------------------------------------------

interface Prepared {
  readonly statement: StatementSync
  /** Whether it answers rows: `columns()` costs as much as a small query, so it is asked once. */
  readonly rows: boolean
  bigints: boolean
  arrays: boolean
}

const encode = (value: unknown): SQLInputValue => {
  switch (typeof value) {
    case "boolean":
      return value ? 1 : 0
    case "undefined":
      return null
    case "object":
      return value instanceof Date ? value.toISOString() : value as SQLInputValue
    default:
      return value as SQLInputValue
  }
}

const encodeAll = (params: ReadonlyArray<unknown>): Array<SQLInputValue> => {
  const encoded = new Array<SQLInputValue>(params.length)
  for (let i = 0; i < params.length; i++) encoded[i] = encode(params[i])
  return encoded
}

type Mode = "rows" | "values" | "raw"

type Row = Readonly<Record<string, unknown>>

const makeConnection = (db: DatabaseSync, cacheSize: number): Connection => {
  const cache = new Map<string, Prepared>()

  const prepare = (sql: string): Prepared => {
    const statement = db.prepare(sql)
    return { statement, rows: statement.columns().length > 0, bigints: false, arrays: false }
  }

  const prepared = (sql: string): Prepared => {
    let entry = cache.get(sql)
    if (entry !== undefined) {
      // a map keeps insertion order: whoever was used last goes to its end
      cache.delete(sql)
      cache.set(sql, entry)
      return entry
    }
    entry = prepare(sql)
    if (cache.size >= cacheSize) {
      const oldest = cache.keys().next()
      if (!oldest.done) cache.delete(oldest.value)
    }
    cache.set(sql, entry)
    return entry
  }

  const execute = (
    sql: string,
    params: ReadonlyArray<unknown>,
    mode: Mode,
    cached: boolean
  ): Effect.Effect<unknown, SqlError> =>
    Effect.withFiber<unknown, SqlError>((fiber) => {
      try {
        const entry = cached ? prepared(sql) : prepare(sql)
        const statement = entry.statement
        if (!entry.rows) {
          const changes = statement.run(...encodeAll(params))
          return Exit.succeed(mode === "raw" ? changes : [])
        }
        const bigints = fiber.getRef(SqlClient.SafeIntegers)
        if (entry.bigints !== bigints) {
          statement.setReadBigInts(bigints)
          entry.bigints = bigints
        }
        const arrays = mode === "values"
        if (entry.arrays !== arrays) {
          statement.setReturnArrays(arrays)
          entry.arrays = arrays
        }
        return Exit.succeed(statement.all(...encodeAll(params)))
      } catch (cause) {
        return Exit.fail(toSqlError(cause, "execute"))
      }
    })

  const rows = (
    sql: string,
    params: ReadonlyArray<unknown>,
    transform: (<A extends object>(rows: ReadonlyArray<A>) => ReadonlyArray<A>) | undefined,
    cached: boolean
  ): Effect.Effect<ReadonlyArray<Row>, SqlError> => {
    const effect = execute(sql, params, "rows", cached) as Effect.Effect<ReadonlyArray<Row>, SqlError>
    return transform === undefined ? effect : Effect.map(effect, transform)
  }

  const values = (sql: string, params: ReadonlyArray<unknown>, cached: boolean) =>
    execute(sql, params, "values", cached) as Effect.Effect<ReadonlyArray<ReadonlyArray<unknown>>, SqlError>

  return {
    execute: (sql, params, transform) => rows(sql, params, transform, true),
    executeUnprepared: (sql, params, transform) => rows(sql, params, transform, false),
    executeValues: (sql, params) => values(sql, params, true),
    executeValuesUnprepared: (sql, params) => values(sql, params, false),
    executeRaw: (sql, params) => execute(sql, params, "raw", true),
    executeStream: (sql, params, transform) =>
      Stream.fromPull(Effect.withFiber((fiber) => {
        try {
          // its own statement: a cached one would be reset by whoever runs the same text meanwhile
          const statement = db.prepare(sql)
          statement.setReadBigInts(fiber.getRef(SqlClient.SafeIntegers))
          const iterator = statement.iterate(...encodeAll(params))
          const pull = Effect.suspend((): Pull.Pull<NonEmptyReadonlyArray<object>, SqlError> => {
            try {
              const chunk: Array<object> = []
              while (chunk.length < streamChunk) {
                const next = iterator.next()
                if (next.done === true) break
                chunk.push(next.value)
              }
              if (chunk.length === 0) return Cause.done()
              const out = transform === undefined ? chunk : transform(chunk)
              return Exit.succeed(out as unknown as NonEmptyReadonlyArray<object>)
            } catch (cause) {
              return Exit.fail(toSqlError(cause, "stream"))
            }
          })
          return Exit.succeed(pull)
        } catch (cause) {
          return Exit.fail(toSqlError(cause, "stream"))
        }
      }))
  }
}

/** Rows read before the consumer of a stream gets them: long enough to be cheap, short enough not to stop the loop. */
const streamChunk = 256

// -----------------------------------------------------------------------------
// constructors
// -----------------------------------------------------------------------------

let clients = 0

/**
 * Opens a database, until the scope closes.
 *
 * **Details**
 *
 * The journal is a write-ahead log: readers and one writer of several processes do not block each other. A transaction
 * begins with `BEGIN IMMEDIATE`, so that two of them never both read and then both fail to write; provide
 * `SqlClient.BeginTransaction` with `"BEGIN"` for a transaction that only reads. Nested transactions are savepoints.
 * Other fibers wait for an open transaction; one that is interrupted is rolled back.
 *
 * **Gotchas**
 *
 * A result row has no prototype, as `node:sqlite` makes it. Integers beyond `Number.MAX_SAFE_INTEGER` fail the
 * statement unless `SqlClient.SafeIntegers` is provided; then every integer is a bigint.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: (config: Config) => Effect.Effect<
  SqliteClient,
  SqlError,
  Scope.Scope | Reactivity.Reactivity
> = Effect.fnUntraced(function*(config: Config) {
  const readonly = config.readonly ?? false
  const busyMillis = Duration.toMillis(Duration.fromInputUnsafe(config.busyTimeout ?? "5 seconds"))

  /** Asks again while another process holds the lock: at first at once, then after growing, jittered sleeps. */
  const whileBusy = <A, E, R>(effect: Effect.Effect<A, E | SqlError, R>): Effect.Effect<A, E | SqlError, R> =>
    Effect.catchIf(effect, isBusySqlError, (error) => {
      const started = liveClock.monotonicTimeNanosUnsafe()
      const again = (last: SqlError, attempt: number): Effect.Effect<A, E | SqlError, R> => {
        const waited = Number(liveClock.monotonicTimeNanosUnsafe() - started) / 1e6
        if (waited >= busyMillis) {
          return Effect.fail(
            new SqlError({
              reason: new LockTimeoutError({
                cause: last.reason.cause,
                operation: "busy",
                message: `${config.filename} is locked: another process has been writing for ${Math.round(waited)} ms`
              })
            })
          )
        }
        const ceiling = Math.min(maxBackoff, 2 ** attempt, busyMillis - waited)
        return Effect.flatMap(Random.next, (random) => liveClock.sleep(Duration.millis(Math.max(1, ceiling * random))))
          .pipe(
            Effect.andThen(effect),
            Effect.catchIf(isBusySqlError, (next) => again(next, attempt + 1))
          )
      }
      return again(error, 1)
    })

  const db = yield* Effect.acquireRelease(
    Effect.try({
      try: () =>
        new DatabaseSync(config.filename, { readOnly: readonly, timeout: 0, enableForeignKeyConstraints: true }),
      catch: (cause) => toSqlError(cause, "open")
    }),
    (db) =>
      Effect.sync(() => {
        if (db.isOpen) db.close()
      })
  )
  const pragma = (sql: string) =>
    whileBusy(Effect.try({ try: () => db.exec(`PRAGMA ${sql}`), catch: (cause) => toSqlError(cause, "open") }))
  yield* pragma(`cache_size=${-(config.cacheSize ?? 16 * 1024)}`)
  yield* pragma(`synchronous=${config.synchronous ?? "normal"}`)
  if (!readonly) yield* pragma("journal_mode=WAL")

  const connection = makeConnection(db, Math.max(1, config.statementCache ?? 256))
  const semaphore = Semaphore.makeUnsafe(1)

  // a transaction that could be neither committed nor rolled back: nobody may work inside it
  let poisoned = false
  const clean: Effect.Effect<void, SqlError> = Effect.suspend(() => {
    if (!poisoned) return Exit.void
    try {
      if (db.isTransaction) db.exec("ROLLBACK")
      poisoned = false
      return Exit.void
    } catch (cause) {
      return Exit.fail(
        new SqlError({
          reason: new ConnectionError({
            cause,
            operation: "rollback",
            message: "the connection is stuck in a transaction that could not be rolled back"
          })
        })
      )
    }
  })
  const rollbackIfOpen = Effect.suspend(() => {
    try {
      if (db.isOpen && db.isTransaction) db.exec("ROLLBACK")
      return Exit.void
    } catch (cause) {
      poisoned = true
      return Exit.fail(toSqlError(cause, "rollback"))
    }
  })

  const acquirer = Effect.uninterruptibleMask((restore) =>
    Effect.andThen(restore(semaphore.takeScoped(1)), Effect.as(clean, connection))
  )

  /** The permit together with an open transaction: while `BEGIN` is refused, others may have the permit. */
  const begun = (statement: string): Effect.Effect<Connection, SqlError, Scope.Scope> =>
    whileBusy(Effect.uninterruptibleMask((restore) =>
      Effect.withFiber<Connection, SqlError, Scope.Scope>((fiber) => {
        const scope = Context.get(fiber.context as Context.Context<Scope.Scope>, Scope.Scope)
        // in a scope of its own from the instant it is taken: an interruption may come between any two steps
        const permit = Scope.makeUnsafe()
        return restore(Scope.provide(semaphore.takeScoped(1), permit)).pipe(
          Effect.andThen(clean),
          Effect.andThen(connection.execute(statement, [], undefined)),
          Effect.onError((cause) => Scope.close(permit, Exit.failCause(cause))),
          Effect.andThen(
            Scope.addFinalizerExit(scope, (exit) =>
              Effect.andThen(Effect.ignore(rollbackIfOpen), Scope.close(permit, exit)))
          ),
          Effect.as(connection)
        )
      })
    ))

  const spanAttributes: ReadonlyArray<readonly [string, unknown]> = [
    ...Object.entries(config.spanAttributes ?? {}),
    ["db.system.name", "sqlite"],
    ["db.namespace", config.filename]
  ]
  const transactionService = Context.Service<SqlClient.TransactionConnection, SqlClient.TransactionConnection.Service>(
    `@punctual/sql/SqliteClient/TransactionConnection/${clients++}`
  )
  const control = (sql: string) => Effect.asVoid(connection.execute(sql, [], undefined))
  const inTransaction = (effect: Effect.Effect<void, SqlError>) =>
    Effect.suspend(() => db.isTransaction ? effect : Effect.void)

  const client = yield* SqlClient.make({
    acquirer,
    borrower: (f) => whileBusy(semaphore.withPermit(Effect.andThen(clean, Effect.suspend(() => f(connection))))),
    transactionService,
    driver: "sqlite-node",
    compiler: Statement.makeCompilerSqlite(config.transformQueryNames),
    spanAttributes,
    transformRows: config.transformResultNames === undefined
      ? undefined
      : Statement.defaultTransforms(config.transformResultNames).array
  })

  // The client's own `withTransaction` runs `BEGIN` uninterruptibly and with the permit in hand, which would make
  // a wait for another process both impossible to interrupt and a wait for everybody.
  const withTransaction = SqlClient.makeWithTransaction({
    transactionService,
    spanAttributes,
    acquireConnection: (restore) =>
      Effect.withFiber<Connection, SqlError, Scope.Scope>((fiber) =>
        // Nothing in a transaction need ever wait: whoever makes one after another would keep everybody else from their
        // turn. Others have it before this one begins, when there is nothing yet that an interruption could lose.
        restore(Effect.andThen(
          Effect.yieldNow,
          begun(fiber.getRef(SqlClient.BeginTransaction) ?? "BEGIN IMMEDIATE")
        ))
      ),
    begin: () => Effect.void,
    savepoint: (_, id) => control(`SAVEPOINT effect_sql_${id}`),
    releaseSavepoint: (_, id) => inTransaction(control(`RELEASE SAVEPOINT effect_sql_${id}`)),
    commit: () => whileBusy(control("COMMIT")),
    onCommitFailure: () => rollbackIfOpen,
    rollback: () => rollbackIfOpen,
    rollbackSavepoint: (_, id) => inTransaction(control(`ROLLBACK TO SAVEPOINT effect_sql_${id}`))
  })

  return Object.assign(client as SqliteClient, { [TypeId]: TypeId, config, withTransaction } as const)
})

const isBusySqlError = (error: unknown): error is SqlError => error instanceof SqlError && isBusy(error)

/** Longest pause between two attempts, in milliseconds: a lock is held for one transaction, not for seconds. */
const maxBackoff = 64

// -----------------------------------------------------------------------------
// layers
// -----------------------------------------------------------------------------

/**
 * Provides the database as `SqliteClient` and as `SqlClient`, and closes it with the layer.
 *
 * Fails with `SqlError` when the file cannot be opened or is not a database.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (config: Config): Layer.Layer<SqliteClient | SqlClient.SqlClient, SqlError> =>
  Layer.effectContext(
    Effect.map(make(config), (client) =>
      Context.make(SqliteClient, client).pipe(Context.add(SqlClient.SqlClient, client)))
  ).pipe(Layer.provide(Reactivity.layer))
