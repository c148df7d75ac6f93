/**
 * The task store on a SQL database, over the program's own `SqlClient`.
 *
 * **When to use**
 *
 * When the program has a database already: `insert` inside `sql.withTransaction` joins that transaction, so that a task
 * and the data it is about are there together or not at all. For a schedule in a file of its own see `SqliteTaskStore`.
 *
 * **Details**
 *
 * Every operation is one transaction, made of statements over whole batches. Its tables are created and migrated when
 * the layer is built, once, however many processes start together. Databases differ in `internal/dialect` alone.
 *
 * A wake-up is told after the commit: to this program's listeners at once, to those of other processes within
 * `pollInterval`. That poll, like the wait for a busy database, runs on real time under a `TestClock` too, since it is
 * other processes that end it.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as SqlClient from "effect/sql/SqlClient"
import { SqlError } from "effect/sql/SqlError"
import * as Activity from "punctual/Activity"
import type { Capabilities } from "punctual/TaskStore"
import { TaskStore, TaskStoreError } from "punctual/TaskStore"
import { type OptionNames, refuseUnknown } from "punctual/TaskStoreKit"
import { makeBroadcast } from "./internal/broadcast.ts"
import { makeClaims } from "./internal/claims.ts"
import { makeCommits } from "./internal/commits.ts"
import { makeCreations } from "./internal/creations.ts"
import * as Database from "./internal/database.ts"
import type { Dialect } from "./internal/dialect.ts"
import { probeJsonbEach, sqlite } from "./internal/dialect.ts"
import { makeEnds } from "./internal/ends.ts"
import { makeFused } from "./internal/fused.ts"
import { makeInstances } from "./internal/instances.ts"
import { makeLists } from "./internal/lists.ts"
import { collationOf, mysql, wakesOf } from "./internal/mysql.ts"
import { channelOf, minimumServer, postgres } from "./internal/postgres.ts"
import { int, orNull, readable, text, Unreadable } from "./internal/records.ts"
import * as Schema from "./internal/schema.ts"
import { makeSettlements } from "./internal/settlements.ts"
import { makeTasks } from "./internal/tasks.ts"
import * as Wakes from "./internal/wakes.ts"

// -----------------------------------------------------------------------------
// models
// -----------------------------------------------------------------------------

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** For messages. Default: the driver's name, and the file's where it has one. */
  readonly name?: string | undefined
  /** What the names of its tables begin with: letters, digits and `_`. Default: `punctual`. */
  readonly prefix?: string | undefined
  /** Whether the layer brings the database to this version's schema. Default: `true`; see `migrate`. */
  readonly migrate?: boolean | undefined
  /** Whether changes of other processes wake this one's listeners. Default: `true`. */
  readonly crossProcess?: boolean | undefined
  /** How often it is asked, while somebody listens, whether another process changed something. Default: 100 ms. */
  readonly pollInterval?: Duration.Input | undefined
  /**
   * How many handlers of tasks with `delivery: "transactional"` may hold a transaction at once, so that connections are left
   * for everything else; more wait their turn. Default: 5, half of what a `PgClient` has unless told otherwise.
   */
  readonly maxTransactions?: number | undefined
  /** What to claim instead of the defaults: durable, shared (not PGlite), and notifying when `crossProcess` is. */
  readonly capabilities?: Partial<Capabilities> | undefined
}

/** @internal */
export const optionNames: OptionNames<Options> = {
  name: true,
  prefix: true,
  migrate: true,
  crossProcess: true,
  pollInterval: true,
  maxTransactions: true,
  capabilities: true
}

// -----------------------------------------------------------------------------
// constructors
// -----------------------------------------------------------------------------

/**
 * Migrates the database and answers its store, until the scope closes.
 *
 * Fails with `NewerSchema` when a newer version of this package has changed the database in a way that this one must not
 * write to; with `Corrupt`, `ReadOnly`, `Busy`, `Full` or `Unavailable` as the database says.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: (options?: Options) => Effect.Effect<
  TaskStore["Service"],
  TaskStoreError,
  SqlClient.SqlClient | Scope.Scope
> = Effect.fnUntraced(function*(options: Options = {}) {
  const unknown = refuseUnknown(options.name ?? "sql", "SqlTaskStore.layer", options, optionNames)
  if (unknown !== undefined) return yield* unknown
  const connected = yield* connect(options)
  const { dialect, failed, name, prefix, refuse, sql } = connected
  const scope = yield* Scope.Scope
  const crossProcess = options.crossProcess ?? true
  const maxTransactions = options.maxTransactions ?? 5
  if (!(Number.isSafeInteger(maxTransactions) && maxTransactions >= 1)) {
    return yield* refuse(`maxTransactions must be an integer of at least 1, not ${maxTransactions}`)
  }

  yield* options.migrate === false ? requireCurrent(connected) : bringUpToDate(connected)

  const others = crossProcess && dialect.name === "mysql" ? wakesOf(sql, prefix) : undefined
  if (others !== undefined) {
    yield* Effect.mapError(others.forget, failed)
  }
  const changed = dialect.changed === undefined
    ? others === undefined ? undefined : untraced(others.changed)
    : Effect.map(untraced(dialect.changed(sql).values), (rows) => rows[0]?.[0])
  const clock = sql.literal(`${prefix}_clock`)
  const channel = crossProcess && hears(sql)
    ? yield* Effect.mapError(channelOf(sql, prefix), failed)
    : undefined
  const earliest = Effect.map(
    untraced(dialect.values(sql`select min(c.due) from ${clock} c where c.due > ${Number.MIN_SAFE_INTEGER}`)),
    (rows) => orNull(rows[0]?.[0])
  )
  const wakes = Wakes.make({
    scope,
    channel: channel !== undefined && hears(sql)
      ? {
        say: (text) => untraced(sql`select pg_notify(${channel}, ${text})`),
        hear: sql.listen(channel),
        earliest
      }
      : others === undefined
      ? undefined
      : { say: () => untraced(others.say) },
    poll: crossProcess && changed !== undefined
      ? {
        interval: Duration.toMillis(Duration.fromInputUnsafe(options.pollInterval ?? "100 millis")),
        changed,
        earliest
      }
      : undefined
  })
  yield* Effect.addFinalizer(() => wakes.flush)
  const db = Database.make({ sql, dialect, prefix, store: name, wakes })
  const { source, t, values } = db
  const ends = makeEnds(db)
  const creations = makeCreations(db, ends)
  const fused = dialect.fuses ? makeFused(db, ends) : undefined
  const known = dialect.concurrent ? undefined : new Map()
  const tasks = makeTasks(db, ends, creations, fused, known)
  const commits = makeCommits(db, ends, creations, fused, known)
  const claims = makeClaims(db, ends)
  const settlements = makeSettlements(db, ends, fused)
  const lists = makeLists(db)

  /** What a command changes here would survive the rollback of a transaction that is not this client's. */
  const shared = <A>(operation: string, effect: Effect.Effect<A, TaskStoreError>) =>
    Effect.withFiber<A, TaskStoreError>((fiber) => {
      const transaction = fiber.getRef(CurrentTransaction)
      if (transaction === undefined || Context.getOrUndefined(fiber.context, sql.transactionService) !== undefined) {
        return effect
      }
      return new TaskStoreError({
        store: name,
        operation,
        reason: "TransactionNotShared",
        message: `${name}: ${operation} was called inside a transaction of another client, whose rollback it would ` +
          "survive. Build SqlTaskStore.layer on the client of that transaction, or call it after the commit."
      })
    })

  const turns = Semaphore.makeUnsafe(maxTransactions)
  /** A turn may come only when time has passed: under virtual time who waits for it is idle. */
  const turn = Effect.flatMap(
    turns.takeIfAvailable(1),
    (taken) => taken ? Effect.void : Effect.asVoid(Activity.idle(turns.take(1)))
  )
  /** A transaction of a handler holds a connection until it ends. */
  const transact = <A, E>(effect: (within: Context.Context<never>) => Effect.Effect<A, E>) => {
    const transaction = sql.withTransaction(
      Effect.contextWith((context: Context.Context<never>) =>
        effect(Context.pick(sql.transactionService, CurrentTransaction)(context) as Context.Context<never>)
      )
    ).pipe(
      Effect.provideService(SqlClient.BeginTransaction, dialect.begin),
      Database.survivingRollback,
      Effect.mapError((error) => error instanceof SqlError ? db.fail("transact")(error) : error)
    )
    return Effect.uninterruptibleMask((restore) =>
      Effect.andThen(restore(turn), Effect.ensuring(restore(transaction), turns.release(1)))
    )
  }

  const byN = source([["n", "int"]])

  return TaskStore.of({
    name,
    capabilities: {
      durable: true,
      // one process at a time has a PGlite
      shared: sql.driver !== "pglite",
      notifies: crossProcess && (changed !== undefined || channel !== undefined),
      concurrencyKeys: true,
      ...options.capabilities
    },
    // one writes while another waits for its disk
    concurrency: dialect.fuses && sql.driver !== "pglite" ? 2 : undefined,
    insert: (added) => shared("insert", tasks.insert(added)),
    get: tasks.get,
    due: tasks.due,
    outdated: tasks.outdated,
    commit: (changes) => shared("commit", commits.commit(changes)),
    claim: claims.claim,
    start: claims.start,
    settle: settlements.settle,
    transact: dialect.concurrent && sql.driver !== "pglite" ? transact : undefined,
    heartbeat: claims.heartbeat,
    cancel: (runs) => shared("cancel", claims.cancel(runs)),
    takeover: settlements.takeover,
    list: lists.list,
    runs: lists.runs,
    prune: settlements.prune,
    quarantine: (verdicts) =>
      verdicts.length === 0 ? Effect.void : db.write("quarantine", () =>
        Effect.gen(function*() {
          const rows = yield* sql`select t.n, t.id from ${
            byN(verdicts.map(({ generation }) => [generation]))
          } u cross join ${t.task} t where t.n = u.n`.values
          const ids = new Map(rows.map(([n, id]) => [Number(n), id]))
          // the latest of each reader
          const latest = new Map<string, readonly [number, string, string, number]>()
          for (const { at, generation, id, reader, reason } of verdicts) {
            if (ids.get(generation) === id) latest.set(`${generation} ${reader}`, [generation, reader, reason, at])
          }
          yield* ends.quarantine([...latest.values()])
        })),
    verdicts: ({ limit }) =>
      db.read(
        "verdicts",
        Effect.map(
          values(sql`select v.n, t.id, v.reader, v.reason, v.at from ${t.verdict} v cross join ${t.task} t
where t.n = v.n order by v.n, v.reader ${db.limit(limit)}`),
          (rows) =>
            rows.flatMap(([n, id, reader, reason, at]) => {
              const verdict = readable(() => ({
                id: text(id, "id"),
                generation: int(n, "n"),
                reader: text(reader, "reader"),
                reason: text(reason, "reason"),
                at: int(at, "at")
              }))
              return verdict instanceof Unreadable ? [] : [verdict]
            })
        )
      ),
    clear: (generations) =>
      generations.length === 0 ? Effect.void : db.write("clear", (write) =>
        Effect.gen(function*() {
          const cells = generations.map((generation) => [generation])
          const rows = yield* values(
            sql`select c.due, exists (select 1 from ${t.run} r where r.n = c.n and r.state = 'ready' limit 1 offset 0)
from ${byN(cells)} u cross join ${t.clock} c
where c.n = u.n and exists (select 1 from ${t.verdict} v where v.n = u.n)`
          )
          yield* sql`${dialect.remove({ table: t.verdict, keys: ["n"], source: byN(cells) })}`
          // readers that passed it over must look again
          for (const [due, ready] of rows) {
            if (typeof due === "number") Wakes.bringsDue(write.brought, due)
            if (Number(ready) !== 0) write.brought.ready = true
          }
        })),
    ...makeInstances(db),
    listen: wakes.listen,
    time: dialect.time === undefined || sql.driver === "pglite" ? undefined : db.read(
      "time",
      Effect.map(sql`select ${dialect.time}`.values, (rows) => Number(rows[0]?.[0]))
    ),
    broadcast: channel !== undefined && hears(sql)
      ? makeBroadcast({ sql, scope, channel, hear: sql.listen, wakes, failed: db.fail("broadcast") })
      : undefined
  })
})

/** The database and how to speak to it. */
const connect = Effect.fnUntraced(function*(options: Pick<Options, "name" | "prefix">) {
  const sql = yield* SqlClient.SqlClient
  const name = options.name ?? (sql.driver as string | undefined) ?? "postgres"
  const prefix = options.prefix ?? "punctual"
  const refuse = (message: string) =>
    new TaskStoreError({ store: name, operation: "open", reason: "Invalid", message: `${name}: ${message}` })
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(prefix)) {
    return yield* refuse(`"${prefix}" cannot begin names of tables: use letters, digits and _, a letter first`)
  }
  const dialect = yield* sql.onDialectOrElse({
    sqlite: (): Effect.Effect<Dialect, TaskStoreError> =>
      Effect.match(probeJsonbEach(sql).values, {
        onSuccess: () => sqlite("jsonb_each"),
        onFailure: () => sqlite("json_each")
      }),
    pg: (): Effect.Effect<Dialect, TaskStoreError> => Effect.as(checkServer(sql, name), postgres),
    mysql: (): Effect.Effect<Dialect, TaskStoreError> => Effect.map(checkMysql(sql, name), mysql),
    orElse: (): Effect.Effect<Dialect, TaskStoreError> =>
      refuse("this version stores tasks in SQLite, Postgres, MySQL and MariaDB only")
  })
  if (prefix.length > dialect.longestPrefix) {
    return yield* refuse(
      `"${prefix}" has ${prefix.length} characters; names of tables may begin with ${dialect.longestPrefix} at most`
    )
  }
  return {
    sql,
    name,
    prefix,
    dialect,
    refuse,
    failed: (error: SqlError) => Database.storeError(name, dialect, "open", error)
  }
})

/** A `PgClient`: a `SqlClient` that can also listen. Its package is not imported, since most programs have no Postgres. */
const hears = (sql: SqlClient.SqlClient): sql is SqlClient.SqlClient & {
  readonly listen: (channel: string) => Wakes.Channel["hear"]
} => "listen" in sql && typeof sql.listen === "function"

const checkServer = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, name: string) {
  const rows = yield* Effect.mapError(
    sql`select current_setting('server_version_num')::int`.values,
    (error) => Database.storeError(name, postgres, "open", error)
  )
  const version = Math.floor(Number(rows[0]?.[0]) / 10_000)
  if (version < minimumServer) {
    return yield* new TaskStoreError({
      store: name,
      operation: "open",
      reason: "Invalid",
      message: `${name}: the server is Postgres ${version}; this needs ${minimumServer} or newer. Upgrade the server.`
    })
  }
})

const checkMysql = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, name: string) {
  const rows = yield* Effect.mapError(
    sql`select version()`.values,
    (error) => Database.storeError(name, mysql("utf8mb4_nopad_bin"), "open", error)
  )
  const found = collationOf(String(rows[0]?.[0]))
  if (typeof found === "string") return found
  return yield* new TaskStoreError({
    store: name,
    operation: "open",
    reason: "Invalid",
    message: `${name}: the server is ${found.tooOld}; this needs ${found.needs} or newer. Upgrade the server.`
  })
})

const untraced = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withTracerEnabled(effect, false)

/** Where `effect/sql` keeps the innermost open transaction, of whatever client: the reference itself is internal to it. */
const CurrentTransaction = Context.Reference<object | undefined>("effect/sql/CurrentTransactionService", {
  defaultValue: () => undefined
})

// -----------------------------------------------------------------------------
// migrations
// -----------------------------------------------------------------------------

/**
 * The schema of a database.
 *
 * @category models
 * @since 0.1.0
 */
export interface SchemaStatus {
  /** Of the database; 0 before its tables are there. */
  readonly version: number
  /** Of this version of the package. */
  readonly latest: number
  /** Programs that know an older schema than this are refused at every write. */
  readonly minimumWriter: number
  /** What was done to the database, in order. */
  readonly applied: ReadonlyArray<{ readonly version: number; readonly name: string; readonly at: DateTime.Utc }>
}

/**
 * Reads which schema the database has, and changes nothing.
 *
 * @category migrations
 * @since 0.1.0
 */
export const status: (
  options?: Pick<Options, "name" | "prefix">
) => Effect.Effect<SchemaStatus, TaskStoreError, SqlClient.SqlClient> = Effect.fnUntraced(function*(options = {}) {
  const { dialect, failed, prefix, sql } = yield* connect(options)
  return yield* Effect.gen(function*() {
    const { minimumWriter, version } = yield* Schema.readVersions(sql, dialect, prefix)
    const applied = version === 0 ? [] : yield* Schema.readMigrations(sql, prefix)
    return {
      version,
      latest: Schema.schemaVersion,
      minimumWriter,
      applied: applied.map(({ at, ...migration }) => ({ ...migration, at: DateTime.makeUnsafe(at) }))
    }
  }).pipe(Effect.mapError(failed))
})

/**
 * Brings the database to the schema of this version, once, however many processes do it together; nothing where it has
 * that already, or a newer one that this version may write to.
 *
 * **When to use**
 *
 * In a deployment whose programs may not create tables: run it there with a role that may, and give the programs' layers
 * `migrate: false`. Otherwise the layer does it.
 *
 * **Details**
 *
 * Fails with `NewerSchema` when a newer version has changed the database in a way that this one must not write to.
 *
 * @category migrations
 * @since 0.1.0
 */
export const migrate: (
  options?: Pick<Options, "name" | "prefix">
) => Effect.Effect<void, TaskStoreError, SqlClient.SqlClient> = (options = {}) =>
  Effect.flatMap(connect(options), bringUpToDate)

type Connected = Effect.Success<ReturnType<typeof connect>>

const bringUpToDate = Effect.fnUntraced(function*({ dialect, failed, name, prefix, sql }: Connected) {
  const newer = yield* Effect.mapError(Schema.migrate(sql, dialect, prefix), failed)
  if (newer !== undefined) return yield* Database.newerSchema(name, "open", newer)
})

const requireCurrent = Effect.fnUntraced(function*({ dialect, failed, name, prefix, refuse, sql }: Connected) {
  const found = yield* Effect.mapError(Schema.readVersions(sql, dialect, prefix), failed)
  if (found.minimumWriter > Schema.schemaVersion) return yield* Database.newerSchema(name, "open", found)
  if (found.version < Schema.schemaVersion) {
    return yield* refuse(
      `its schema has version ${found.version}, this program needs ${Schema.schemaVersion}, and \`migrate\` is false: ` +
        "run SqlTaskStore.migrate first, as somebody who may create tables"
    )
  }
})

// -----------------------------------------------------------------------------
// layers
// -----------------------------------------------------------------------------

/**
 * The store on the program's `SqlClient`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<TaskStore, TaskStoreError, SqlClient.SqlClient> =>
  Layer.effect(TaskStore, make(options))

/**
 * The store on a client that only it has: no handler writes with it, so none can be in its transactions.
 *
 * @internal
 */
export const layerOnOwnClient = (
  options: Omit<Options, "maxTransactions">
): Layer.Layer<TaskStore, TaskStoreError, SqlClient.SqlClient> =>
  Layer.effect(TaskStore, Effect.map(make(options), (store) => ({ ...store, transact: undefined })))
