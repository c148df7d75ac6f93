/**
 * Locks of a Postgres server: session-level advisory locks, each on a connection of its own.
 *
 * ```ts
 * const Locks = PostgresLock.layer({ url: process.env.DATABASE_URL, prefix: "billing" })
 * ```
 *
 * No table, no lease, no polling: the server keeps the line, hands the lock to the next in it at once, and frees it when its
 * holder's connection ends. Needs Postgres 14 or newer, and `@effect/sql-pg`.
 *
 *     name ──▶ hash of prefix and name (64 bits) ──▶ pg_advisory_lock
 *     token ◀── number of a transaction that was begun once the lock was held
 *     holder ◀── application_name of the connection
 *
 * @since 0.1.0
 */
import { PgClient, PgConnection } from "@effect/sql-pg"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import { hostname } from "node:os"
import process from "node:process"
import * as Lock from "punctual/Lock"
import { InvalidOption, refuseOptions } from "punctual/SchedulerError"
import { liveClock } from "./internal/liveClock.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** `postgres://user:password@host:5432/database`: of the server, not of a pooler before it. No message shows it. */
  readonly url: Redacted.Redacted | string
  /** For messages. Default: `postgres`. */
  readonly name?: string | undefined
  /** What names of this program are told apart by from those of others on the database. Default: `punctual`. */
  readonly prefix?: string | undefined
  /** What `holder` calls this program, at most 16 letters, digits, `-` and `_`. Default: a random one. */
  readonly identity?: string | undefined
  /** A holder asks the server so often whether it is there, and takes a lock for lost when no answer comes in as long. Default: 5 seconds. */
  readonly keepAlive?: Duration.Input | undefined
}

const known: Readonly<Record<keyof Options, true>> = {
  url: true,
  name: true,
  prefix: true,
  identity: true,
  keepAlive: true
}

/**
 * Connects once when the layer is built, for questions, and once more for each lock that is held or waited for.
 *
 * **Details**
 *
 * A lock is lost when its connection is: the server restarted or ended it (`pg_terminate_backend`), or does not answer. The
 * server notices a holder that is gone at once where its process ended, and within `keepAlive` times four or so where its
 * machine or the network did. A frozen holder keeps its lock.
 *
 * **Gotchas**
 *
 * A pooler (PgBouncer) lends a session to others, and with it the locks: it is noticed and refused. On a standby that was
 * promoted, locks begin anew, and with asynchronous replication tokens may repeat.
 *
 * Two names whose hashes are equal, one pair in 2^64, exclude each other as if they were one.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Lock.Lock, InvalidOption | Lock.LockUnavailable> =>
  Layer.effect(Lock.Lock)(Effect.gen(function*() {
    const refused = refuseOptions(options, Object.keys(known), "PostgresLock.layer") ?? refuse(options)
    if (refused !== undefined) return yield* refused
    return Lock.make(yield* makeBackend(options))
  })).pipe(Layer.provide(Reactivity.layer))

const refuse = ({ identity, url }: Options): InvalidOption | undefined => {
  const text: unknown = Redacted.isRedacted(url) ? Redacted.value(url) : url
  if (!(typeof text === "string" && /^postgres(ql)?:\/\//.test(text) && URL.canParse(text))) {
    return new InvalidOption({
      option: "url",
      value: "<redacted>",
      message: "url is not the URL of a Postgres server: postgres://user:password@host:5432/database"
    })
  }
  return identity === undefined || /^[\w-]{1,16}$/.test(identity) ? undefined : new InvalidOption({
    option: "identity",
    value: identity,
    message: `identity: ${JSON.stringify(identity)} is not of 1 to 16 letters, digits, - and _`
  })
}

const makeBackend = Effect.fnUntraced(function*(options: Options) {
  const lock = options.name ?? "postgres"
  const prefix = options.prefix ?? "punctual"
  const identity = options.identity ?? crypto.randomUUID().slice(0, 8)
  const keepAlive = Duration.toMillis(Duration.fromInputUnsafe(options.keepAlive ?? "5 seconds"))
  const url = typeof options.url === "string" ? Redacted.make(options.url) : options.url
  /** A name as it is hashed. */
  const keyOf = (name: string) => `${prefix}:${name}`

  const unavailable = (operation: string, message: string, cause?: unknown) =>
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

  const questions = yield* Effect.mapError(
    PgClient.make({ url, maxConnections: 1, applicationName: "punctual-lock" }),
    failed("open")
  )
  yield* Effect.mapError(questions`select 1`, failed("open"))

  /** A session that nobody else has, until the scope closes. */
  const connect = (holder: Lock.Holder) =>
    Effect.gen(function*() {
      const connection = yield* PgConnection.make({
        url,
        keepAlive,
        prepare: false,
        applicationName: encodeHolder(holder),
        startupParameters: {
          statement_timeout: "0",
          lock_timeout: "0",
          idle_session_timeout: "0"
        }
      })
      const session = yield* connection.pin
      const [row] = (yield* session.query("select pg_backend_pid() as pid")).rows
      if (row?.["pid"] !== connection.processId) {
        return yield* unavailable(
          "acquire",
          "the url is that of a pooler, which lends a session, and its locks, to others: connect to the server itself"
        )
      }
      // Of a machine or network that is gone, the server must not believe for hours that it is there.
      const seconds = Math.max(1, Math.round(keepAlive / 1_000))
      yield* Effect.ignore(session.query(
        `select set_config('tcp_keepalives_idle', '${seconds}', false),
          set_config('tcp_keepalives_interval', '${seconds}', false),
          set_config('tcp_keepalives_count', '3', false),
          set_config('tcp_user_timeout', '${seconds * 4_000}', false),
          set_config('client_connection_check_interval', '${seconds * 1_000}', false)`
      ))
      return session
    })

  const lockOn = (session: PgConnection.PgConnection, { name, wait }: Lock.Request) =>
    Effect.gen(function*() {
      const call = wait
        ? "select true as got from pg_advisory_lock(hashtextextended($1, 0))"
        : "select pg_try_advisory_lock(hashtextextended($1, 0)) as got"
      const [row] = (yield* session.query(call, [keyOf(name)])).rows
      if (row?.["got"] !== true) return Option.none()
      const [transaction] = (yield* session.query("select pg_current_xact_id()::text as token")).rows
      return Option.some(Number(transaction?.["token"]))
    })

  const grip = (session: PgConnection.PgConnection, scope: Scope.Closeable, name: string, token: number) =>
    Effect.gen(function*() {
      const lost = yield* Deferred.make<string>()
      const lose = (reason: string) => Deferred.succeed(lost, reason)
      // Nobody speaks there: it ends when the connection does.
      const ended = yield* Scope.provide(session.listen("punctual_lock"), scope)
      const watching = yield* Effect.forkDetach(Effect.interruptible(
        Effect.raceFirst(
          Effect.exit(Effect.forever(Queue.take(ended))),
          Effect.forever(Effect.gen(function*() {
            yield* liveClock.sleep(Duration.millis(keepAlive))
            const answered = yield* Effect.raceFirst(
              Effect.isSuccess(session.query("select 1")),
              Effect.as(liveClock.sleep(Duration.millis(keepAlive)), false)
            )
            if (!answered) yield* lose(`the server did not answer within ${keepAlive} ms`)
          }))
        ).pipe(Effect.andThen(lose("its connection ended")))
      ))
      const release = session.query("select pg_advisory_unlock(hashtextextended($1, 0)) as held", [keyOf(name)]).pipe(
        Effect.map(({ rows: [row] }) => row?.["held"] === true),
        Effect.raceFirst(Effect.as(liveClock.sleep(Duration.millis(keepAlive)), false)),
        Effect.orElseSucceed(() => false)
      )
      return {
        token,
        lost: Deferred.await(lost),
        release: Fiber.interrupt(watching).pipe(
          Effect.andThen(release),
          Effect.ensuring(Scope.close(scope, Exit.void))
        )
      } satisfies Lock.Grip
    })

  const acquire = (request: Lock.Request): Effect.Effect<Option.Option<Lock.Grip>, Lock.LockUnavailable> =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const taking = Effect.gen(function*() {
        const session = yield* Effect.interruptible(Scope.provide(connect(request.holder), scope))
        const token = yield* Effect.interruptible(lockOn(session, request)).pipe(
          // It may have been given at the instant at which the wait was given up.
          Effect.onError(() => Effect.ignore(session.query("select pg_advisory_unlock_all()")))
        )
        if (Option.isNone(token)) {
          yield* Scope.close(scope, Exit.void)
          return Option.none()
        }
        return Option.some(yield* grip(session, scope, request.name, token.value))
      })
      return yield* taking.pipe(
        Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause))),
        Effect.mapError((error) => error._tag === "SqlError" ? failed("acquire")(error) : error)
      )
    })

  return {
    name: lock,
    capabilities: { spans: "network", fair: true, fenced: true, leased: false },
    identity,
    host: hostname(),
    pid: process.pid,
    acquire,
    isHeld: (name) =>
      Effect.map(
        Effect.mapError(
          questions`select 1 from pg_locks l where ${questions.literal(heldBy)} = hashtextextended(${keyOf(name)}, 0)`,
          failed("isHeld")
        ),
        (rows) => rows.length > 0
      ),
    holder: (name) =>
      Effect.mapError(
        questions<{ readonly told: string | null; readonly pid: number }>`
          select a.application_name as told, l.pid from pg_locks l left join pg_stat_activity a on a.pid = l.pid
          where ${questions.literal(heldBy)} = hashtextextended(${keyOf(name)}, 0)`,
        failed("holder")
      ).pipe(
        Effect.map(([row]) => row === undefined ? Option.none() : Option.some(decodeHolder(row.told ?? "", row.pid)))
      )
  } satisfies Lock.Backend
})

/** The key of a lock `l` that somebody has, in this database. */
const heldBy = `case when l.locktype = 'advisory' and l.granted and l.objsubid = 1
  and l.database = (select oid from pg_database where datname = current_database())
  then l.classid::bigint << 32 | l.objid::bigint end`

// -----------------------------------------------------------------------------
// who holds it, in the 63 characters that a session may be named with
// -----------------------------------------------------------------------------

const encodeHolder = ({ host, identity, pid, since }: Lock.Holder): string =>
  ["punctual", identity, pid, DateTime.toEpochMillis(since).toString(36), host?.replace(/[^\x20-\x7e]/g, "?")]
    .join(" ").slice(0, 63)

const decodeHolder = (told: string, backend: number): Lock.Holder => {
  const [, identity, pid, since, host] = /^punctual (\S+) (\d+) ([0-9a-z]+) (.+)$/.exec(told) ?? []
  return identity === undefined
    // Another program that locks the same number, or a name that this user may not see.
    ? { identity: `backend ${backend}`, host: null, pid: null, since: DateTime.makeUnsafe(0) }
    : { identity, host: host ?? null, pid: Number(pid), since: DateTime.makeUnsafe(parseInt(since ?? "0", 36)) }
}
