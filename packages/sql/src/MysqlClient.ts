/**
 * `SqlClient` over the `mysql2` driver, for MySQL and MariaDB.
 *
 * A pool of connections whose sessions are alike, whatever the server's defaults are: READ COMMITTED, strict, UTF-8, no
 * wait for a lock longer than ten seconds. Statements go as text, their parameters quoted by the driver: numbers stay
 * integers that way, which they do not in a prepared statement.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import {
  AuthenticationError,
  AuthorizationError,
  ConnectionError,
  ConstraintError,
  DeadlockError,
  LockTimeoutError,
  SqlError,
  SqlSyntaxError,
  StatementTimeoutError,
  UniqueViolation,
  UnknownError
} from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import * as Stream from "effect/Stream"
import * as Mysql from "mysql2"
import { bounded } from "./internal/bounded.ts"

// -----------------------------------------------------------------------------
// models
// -----------------------------------------------------------------------------

const TypeId = "~@punctual/sql/MysqlClient"

/**
 * @category models
 * @since 0.1.0
 */
export interface MysqlClient extends SqlClient.SqlClient {
  readonly [TypeId]: typeof TypeId
  readonly config: Config
}

/**
 * @category services
 * @since 0.1.0
 */
export const MysqlClient = Context.Service<MysqlClient>("@punctual/sql/MysqlClient")

/**
 * @category models
 * @since 0.1.0
 */
export interface Config {
  /** `mysql://user:password@host:3306/database`. No message shows it. */
  readonly url: Redacted.Redacted | string
  /** How many connections at most. Default: 10. */
  readonly maxConnections?: number | undefined
  /**
   * For how many seconds the server keeps the transaction of a client that says nothing, and what it has locked. MySQL,
   * which knows no such limit, closes any connection on which nothing is said for six times as long. Default: the server's.
   */
  readonly idleTransactionTimeout?: number | undefined
  readonly spanAttributes?: Readonly<Record<string, unknown>> | undefined
  readonly transformResultNames?: ((name: string) => string) | undefined
  readonly transformQueryNames?: ((name: string) => string) | undefined
}

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

const toSqlError = (cause: unknown, operation: string): SqlError => {
  // the statement with its parameters, which nobody should find in a log
  if (typeof cause === "object" && cause !== null) Reflect.deleteProperty(cause, "sql")
  return new SqlError({ reason: reasonOf(cause, { cause, message: `MySQL refused to ${operation}`, operation }) })
}

const reasonOf = (cause: unknown, options: { cause: unknown; message: string; operation: string }) => {
  const errno = property(cause, "errno")
  switch (errno) {
    case 1040:
    case 1042:
    case 1043:
    case 1053:
    case 1129:
    case 1130:
    case 1203:
    case 1927:
      return new ConnectionError(options)
    case 1045:
      return new AuthenticationError(options)
    case 1044:
    case 1142:
    case 1143:
    case 1227:
      return new AuthorizationError(options)
    case 1054:
    case 1064:
    case 1146:
      return new SqlSyntaxError(options)
    case 1062:
      return new UniqueViolation({
        ...options,
        constraint: /for key '([^']*)'/.exec(String(property(cause, "sqlMessage")))?.[1] ?? "unknown"
      })
    case 1022:
    case 1048:
    case 1169:
    case 1216:
    case 1217:
    case 1451:
    case 1452:
    case 1557:
    case 3819:
    case 4025:
      return new ConstraintError(options)
    case 1213:
      return new DeadlockError(options)
    case 1205:
      return new LockTimeoutError(options)
    case 1969:
    case 3024:
      return new StatementTimeoutError(options)
  }
  // what the server has not said comes from the connection
  return typeof errno === "number" && errno >= 1000 ? new UnknownError(options) : new ConnectionError(options)
}

const property = (cause: unknown, name: "errno" | "sqlMessage"): unknown =>
  typeof cause === "object" && cause !== null ? Reflect.get(cause, name) : undefined

// -----------------------------------------------------------------------------
// connections
// -----------------------------------------------------------------------------

/** Objects would be quoted as more than one value. */
const isPlain = (value: unknown): boolean =>
  value === null || typeof value !== "object" || value instanceof Date || value instanceof Uint8Array

type Run = (sql: string, params: ReadonlyArray<unknown>, rowsAsArray: boolean) => Effect.Effect<unknown, SqlError>

/** A statement that is interrupted takes its connection with it: its answer may never come, and nothing else before that. */
const runOn = (connection: Mysql.PoolConnection): Run => (sql, params, rowsAsArray) =>
  params.every(isPlain)
    ? Effect.callback((resume) => {
      connection.query({ sql, values: [...params], rowsAsArray }, (cause, results) => {
        resume(cause === null ? Effect.succeed(results) : Effect.fail(toSqlError(cause, "execute a statement")))
      })
      return Effect.sync(() => connection.destroy())
    })
    : Effect.fail(toSqlError(new Error("a parameter is an object: pass its text"), "execute a statement"))

const makeConnection = (run: Run): Connection => {
  const rows = (sql: string, params: ReadonlyArray<unknown>, rowsAsArray: boolean) =>
    Effect.map(run(sql, params, rowsAsArray), (results) => Array.isArray(results) ? results : [])
  const execute: Connection["execute"] = (sql, params, transformRows) =>
    transformRows === undefined
      ? rows(sql, params, false)
      : Effect.map(rows(sql, params, false), transformRows)
  return {
    execute,
    executeUnprepared: execute,
    executeRaw: (sql, params) => run(sql, params, false),
    executeValues: (sql, params) => rows(sql, params, true),
    executeValuesUnprepared: (sql, params) => rows(sql, params, true),
    executeStream: (sql, params, transformRows) => Stream.fromIterableEffect(execute(sql, params, transformRows))
  }
}

const rollback = "ROLLBACK"

/** What begins and ends a transaction: it cannot be interrupted, and must have an end itself. */
const controls = /^(start transaction|begin|commit|rollback|savepoint)\b/i

/**
 * A connection for one transaction. A deadlock undoes the whole of it, savepoints and all, and what came after it would be
 * committed alone: so nothing comes after it but its end.
 */
const forTransaction = (connection: Mysql.PoolConnection): Connection => {
  let undone: SqlError | undefined
  const made = makeConnection(runOn(connection))
  const watched = <A>(effect: Effect.Effect<A, SqlError>): Effect.Effect<A, SqlError> =>
    Effect.suspend(() =>
      undone !== undefined ? Effect.fail(undone) : Effect.tapError(effect, (error) =>
        Effect.sync(() => {
          if (error.reason._tag === "DeadlockError") undone = error
        }))
    )
  return {
    execute: (...args) => watched(made.execute(...args)),
    executeRaw: (...args) => watched(made.executeRaw(...args)),
    executeValues: (...args) => watched(made.executeValues(...args)),
    executeValuesUnprepared: (...args) => watched(made.executeValuesUnprepared(...args)),
    executeStream: (sql, params, transformRows) =>
      Stream.fromIterableEffect(watched(made.execute(sql, params, transformRows))),
    executeUnprepared: (sql, params, transformRows) => {
      const execute = made.executeUnprepared(sql, params, transformRows)
      const answered = controls.test(sql) ? bounded(execute) : execute
      if (sql !== rollback) {
        return Effect.suspend(() =>
          undone !== undefined && sql.startsWith(rollback)
            ? Effect.succeed([])
            : watched(answered)
        )
      }
      // a server that is no longer connected has rolled back
      return Effect.catch(answered, () => {
        connection.destroy()
        return Effect.succeed([])
      })
    }
  }
}

/** What every session begins with. */
const session = [
  "set session transaction isolation level read committed",
  "set session sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', innodb_lock_wait_timeout = 10"
]

/** The first is for MariaDB alone, the second for MySQL alone. */
const idling = (seconds: number): string =>
  `set session net_write_timeout = 60 /*M!100300 , idle_transaction_timeout = ${seconds} */ ` +
  `/*!80000 , wait_timeout = ${seconds * 6} */`

// -----------------------------------------------------------------------------
// constructors
// -----------------------------------------------------------------------------

/**
 * Opens a pool, makes sure that the server answers, and closes the pool with the scope.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: (config: Config) => Effect.Effect<
  MysqlClient,
  SqlError,
  Scope.Scope | Reactivity.Reactivity
> = Effect.fnUntraced(function*(config: Config) {
  const url = new URL(typeof config.url === "string" ? config.url : Redacted.value(config.url))
  const pool = yield* Effect.acquireRelease(
    Effect.try({
      try: () =>
        Mysql.createPool({
          uri: url.href,
          connectionLimit: config.maxConnections ?? 10,
          charset: "utf8mb4_general_ci",
          supportBigNumbers: true,
          flags: ["-FOUND_ROWS"]
        }),
      catch: (cause) => toSqlError(cause, "connect")
    }),
    (pool) => Effect.callback<void>((resume) => pool.end(() => resume(Effect.void)))
  )
  const statements = config.idleTransactionTimeout === undefined
    ? session
    : [...session, idling(config.idleTransactionTimeout)]
  pool.on("connection", (connection) => {
    for (const sql of statements) connection.query(sql, (error) => error === null || connection.destroy())
  })

  /** Whoever no longer waits for a connection gives it back when it comes. */
  const take = Effect.callback<Mysql.PoolConnection, SqlError>((resume) => {
    let waits = true
    pool.getConnection((cause, connection) => {
      if (cause !== null) resume(Effect.fail(toSqlError(cause, "connect")))
      else if (waits) resume(Effect.succeed(connection))
      else connection.release()
    })
    return Effect.sync(() => {
      waits = false
    })
  })
  const giveBack = (connection: Mysql.PoolConnection) => Effect.sync(() => connection.release())
  const lease = Effect.acquireRelease(take, giveBack, { interruptible: true })
  const shared = makeConnection((sql, params, rowsAsArray) =>
    Effect.scoped(Effect.flatMap(lease, (connection) => runOn(connection)(sql, params, rowsAsArray)))
  )
  yield* shared.execute("select 1", [], undefined)

  const client = yield* SqlClient.make({
    acquirer: Effect.succeed(shared),
    transactionAcquirer: Effect.map(lease, forTransaction),
    rollback,
    compiler: makeCompiler(config.transformQueryNames),
    driver: "mysql2",
    spanAttributes: [
      ...Object.entries(config.spanAttributes ?? {}),
      ["db.system.name", "mysql"],
      ["db.namespace", url.pathname.slice(1)],
      ["server.address", url.hostname],
      ["server.port", url.port === "" ? 3306 : Number(url.port)]
    ],
    transformRows: config.transformResultNames === undefined
      ? undefined
      : Statement.defaultTransforms(config.transformResultNames).array
  })
  return Object.assign(client, { [TypeId]: TypeId, config } as const)
})

const escape = Statement.defaultEscape("`")

/**
 * @category constructors
 * @since 0.1.0
 */
export const makeCompiler = (transform?: (name: string) => string): Statement.Compiler =>
  Statement.makeCompiler({
    dialect: "mysql",
    placeholder: () => "?",
    onIdentifier: (value, withoutTransform) =>
      escape(transform === undefined || withoutTransform ? value : transform(value)),
    onCustom: () => ["", []],
    onRecordUpdate: () => ["", []]
  })

// -----------------------------------------------------------------------------
// layers
// -----------------------------------------------------------------------------

/**
 * Provides the database as `MysqlClient` and as `SqlClient`, and disconnects with the layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (config: Config): Layer.Layer<MysqlClient | SqlClient.SqlClient, SqlError> =>
  Layer.effectContext(
    Effect.map(
      make(config),
      (client) => Context.make(MysqlClient, client).pipe(Context.add(SqlClient.SqlClient, client))
    )
  ).pipe(Layer.provide(Reactivity.layer))
