/**
 * Locks in a table of a SQL database, over the program's own `SqlClient`: SQLite, Postgres, PGlite, MySQL and MariaDB.
 *
 * ```ts
 * const Locks = SqlLock.layer().pipe(Layer.provide(MysqlClient.layer({ url })))
 * ```
 *
 * A lock is a row with a lease, which its holder extends. It outlives lost connections, poolers and restarts of the server
 * that are shorter than the lease. Where the database is Postgres, `PostgresLock` is had in order, and free at once when its
 * holder ends.
 *
 *     name       pk
 *     token      of the latest holder; only grows, so rows stay
 *     owner      who has or had it; nobody, when it was given back
 *     holder     the same for people, as JSON
 *     until_at   the end of the lease, on the database's own clock
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { hostname } from "node:os"
import process from "node:process"
import * as Lock from "punctual/Lock"
import * as LockLease from "punctual/LockLease"
import { InvalidOption, refuseOptions } from "punctual/SchedulerError"
import { liveClock } from "./internal/liveClock.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** For messages. Default: `sql`. */
  readonly name?: string | undefined
  /** What the name of its table begins with: letters, digits and `_`. Default: `punctual`. */
  readonly prefix?: string | undefined
  /** What `holder` calls this program. Default: a random one. */
  readonly identity?: string | undefined
  /** How long a holder that is not heard of keeps a lock: at least 100 ms. Default: 10 seconds. */
  readonly lease?: Duration.Input | undefined
  /** The longest pause between two attempts of who waits. Default: 100 ms. */
  readonly pollInterval?: Duration.Input | undefined
}

const known: Readonly<Record<keyof Options, true>> = {
  name: true,
  prefix: true,
  identity: true,
  lease: true,
  pollInterval: true
}

/**
 * Creates its table, `<prefix>_lock`, where that is not there yet.
 *
 * **Details**
 *
 * Leases are compared on the database's clock; a holder counts its own on the monotonic clock. Within a program a lock is
 * had in the order of asking, among programs it is chance. A released lock is noticed within `pollInterval`.
 *
 * **Gotchas**
 *
 * Names stay in the table, since their tokens must not begin anew: use names that are few, not one for each order or user.
 * A lock that is asked for inside a transaction of the same client is refused (`LockUnavailable`): nobody else would see
 * it. Take the lock around the transaction.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options = {}
): Layer.Layer<Lock.Lock, InvalidOption | Lock.LockUnavailable, SqlClient.SqlClient> =>
  Layer.effect(Lock.Lock)(Effect.gen(function*() {
    const refused = refuseOptions(options, Object.keys(known), "SqlLock.layer")
    if (refused !== undefined) return yield* refused
    const prefix = options.prefix ?? "punctual"
    if (!/^[A-Za-z_][A-Za-z0-9_]{0,39}$/.test(prefix)) {
      return yield* new InvalidOption({
        option: "prefix",
        value: prefix,
        message: `prefix: ${
          JSON.stringify(prefix)
        } cannot begin the name of a table: use at most 40 letters, digits and _`
      })
    }
    const lease = yield* LockLease.leaseMillis(options.lease)
    const lock = options.name ?? "sql"
    const sql = yield* SqlClient.SqlClient
    const leases = makeLeases(sql, { lock, lease, table: `${prefix}_lock` })
    yield* leases.create
    return Lock.make(LockLease.make({
      name: lock,
      capabilities: { spans: "network", fair: false, fenced: true, leased: true },
      identity: options.identity ?? crypto.randomUUID(),
      host: hostname(),
      pid: process.pid,
      lease,
      pollInterval: Duration.toMillis(Duration.fromInputUnsafe(options.pollInterval ?? "100 millis")),
      clock: liveClock,
      newOwner: () => crypto.randomUUID(),
      leases
    }))
  }))

const HolderText = Schema.fromJsonString(Schema.toCodecJson(Lock.Holder))
const decodeHolder = Schema.decodeUnknownOption(HolderText)
const encodeHolder = Schema.encodeSync(HolderText)

const makeLeases = (
  sql: SqlClient.SqlClient,
  { lease, lock, table }: { readonly lock: string; readonly lease: number; readonly table: string }
): LockLease.Leases & { readonly create: Effect.Effect<void, Lock.LockUnavailable> } => {
  const locks = sql.literal(table)
  /** Milliseconds since 1970, in the statement that asks. */
  const now = sql.literal(
    sql.onDialectOrElse({
      pg: () => "(extract(epoch from clock_timestamp()) * 1000)::bigint",
      mysql: () => "(timestampdiff(microsecond, '1970-01-01', utc_timestamp(6)) div 1000)",
      orElse: () => "cast((julianday('now') - 2440587.5) * 86400000 as integer)"
    })
  )
  const columns = sql.onDialectOrElse({
    // Bytes: a collation might take two names for one.
    mysql: () =>
      "name varbinary(800) primary key, token bigint not null, owner varchar(64), holder text, until_at bigint not null",
    orElse: () => "name text primary key, token bigint not null, owner text, holder text, until_at bigint not null"
  })
  const insert = sql.onDialectOrElse({ mysql: () => "insert ignore into", orElse: () => "insert into" })
  const unless = sql.onDialectOrElse({ mysql: () => "", orElse: () => "on conflict do nothing" })

  const unavailable = (operation: string, message: string, cause?: SqlError) =>
    new Lock.LockUnavailable({
      lock,
      operation,
      message: `${lock}: ${operation} failed: ${message}`,
      ...(cause === undefined ? {} : { cause })
    })
  const failed = (operation: string) => (error: SqlError) =>
    unavailable(
      operation,
      error.reason.cause instanceof Error ? `${error.message}: ${error.reason.cause.message}` : error.message,
      error
    )

  /** Outside of every transaction: what others cannot see holds nobody off. */
  const step = <A>(operation: string, effect: Effect.Effect<A, SqlError>): Effect.Effect<A, Lock.LockUnavailable> =>
    Effect.withFiber((fiber) =>
      Context.getOrUndefined(fiber.context, sql.transactionService) === undefined
        ? Effect.mapError(effect, failed(operation))
        : Effect.fail(unavailable(operation, "it was asked for inside a transaction; take the lock around that"))
    )

  const take = ({ holder, name, owner }: Parameters<LockLease.Leases["acquire"]>[0]) =>
    Effect.gen(function*() {
      // Most look at a lock that is held: a read, which is in nobody's way.
      const [row] = yield* sql<{ readonly free: number | boolean }>`
        select case when until_at <= ${now} then 1 else 0 end as free from ${locks} where name = ${name}`
      if (row === undefined) {
        yield* sql`${sql.literal(insert)} ${locks} (name, token, until_at) values (${name}, 0, 0) ${
          sql.literal(unless)
        }`
      } else if (Number(row.free) === 0) return Option.none()
      yield* sql`update ${locks} set token = token + 1, owner = ${owner}, holder = ${encodeHolder(holder)},
        until_at = ${now} + ${lease} where name = ${name} and until_at <= ${now}`
      const [mine] = yield* sql<{ readonly token: number | string }>`
        select token from ${locks} where name = ${name} and owner = ${owner}`
      return mine === undefined ? Option.none() : Option.some(Number(mine.token))
    })

  const isMine = (name: string, owner: string) =>
    Effect.map(sql`select 1 as mine from ${locks} where name = ${name} and owner = ${owner}`, (rows) => rows.length > 0)

  const free = (name: string, owner: string) =>
    sql`update ${locks} set owner = null, holder = null, until_at = 0 where name = ${name} and owner = ${owner}`

  return {
    // Several that start together may each find no table, and one of them then finds it made.
    create: step(
      "create",
      Effect.retry(sql`create table if not exists ${locks} (${sql.literal(columns)})`, { times: 5 })
    ),
    acquire: (request) => step("acquire", take(request)),
    forget: (name, owner) => step("forget", free(name, owner)),
    extend: (name, owner) =>
      step(
        "extend",
        Effect.andThen(
          sql`update ${locks} set until_at = ${now} + ${lease} where name = ${name} and owner = ${owner}`,
          isMine(name, owner)
        )
      ),
    // Between the two nobody can take it but after the lease, and then it was held until the question.
    release: (name, owner) =>
      step("release", Effect.tap(isMine(name, owner), (mine) => Effect.when(free(name, owner), Effect.succeed(mine)))),
    holder: (name) =>
      step(
        "holder",
        Effect.map(
          sql<{ readonly holder: string }>`select holder from ${locks} where name = ${name} and until_at > ${now}`,
          ([row]) => row === undefined ? Option.none() : decodeHolder(row.holder)
        )
      )
  }
}
