/**
 * The task store on MongoDB 6 or later.
 *
 * ```ts
 * TaskScheduler.layer(App).pipe(
 *   Layer.provide(MongoTaskStore.layer({ url: "mongodb://127.0.0.1:27017/?replicaSet=rs0" }))
 * )
 * ```
 *
 * **Details**
 *
 * A task and its open runs are one document, and every change of it is one filtered write: no transactions, so a single
 * server will do, and a replica set keeps what a majority has. History is a collection of its own, written after the run
 * has ended in its task's document; what a crash leaves between the two is filed by whoever comes next.
 *
 * | | |
 * |---|---|
 * | written | with `w: "majority"` and in the journal |
 * | read | from the primary |
 * | wakes others | through a change stream on a replica set, else within `pollInterval` |
 * | a task with its open runs | at most 12 MiB; more is refused with `Invalid` |
 *
 * **Gotchas**
 *
 * A token is larger than that of every claim that ended before its own began, and than those of earlier claims of its task.
 * Of two claims at the same time, of different tasks, either may have the larger one.
 *
 * A claim walks the keys of its own slot (executor and tag): runs that wait for a retry in that slot are passed over one by
 * one, in the index.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import type { MongoClientOptions } from "mongodb"
import { randomUUID } from "node:crypto"
import type { Capabilities } from "punctual/TaskStore"
import { TaskStore, TaskStoreError } from "punctual/TaskStore"
import { type OptionNames, refuseUnknown } from "punctual/TaskStoreKit"
import { makeClaims } from "./internal/claims.ts"
import type { Database, DatabaseError } from "./internal/collections.ts"
import { schemaVersion } from "./internal/documents.ts"
import * as Driver from "./internal/driver.ts"
import { makeInstances } from "./internal/instances.ts"
import { makeLists } from "./internal/lists.ts"
import * as Schema from "./internal/schema.ts"
import { makeTasks } from "./internal/tasks.ts"
import * as Wakes from "./internal/wakes.ts"
import * as Writes from "./internal/writes.ts"
import * as MongoClient from "./MongoClient.ts"

// -----------------------------------------------------------------------------
// models
// -----------------------------------------------------------------------------

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default: the one the url names, else `punctual`. */
  readonly database?: string | undefined
  /** What the names of its collections begin with: letters, digits, `_` and `-`. Default: `punctual`. */
  readonly prefix?: string | undefined
  /** For messages. Default: hosts and database. */
  readonly name?: string | undefined
  /** Whether changes of other processes wake this one's listeners, and its own wake theirs. Default: `true`. */
  readonly crossProcess?: boolean | undefined
  /** How often it is asked, while somebody listens, whether another process changed something. Default: 100 ms. */
  readonly pollInterval?: Duration.Input | undefined
  /** What to claim instead of the defaults: durable, shared, and notifying when `crossProcess` is. */
  readonly capabilities?: Partial<Capabilities> | undefined
}

/**
 * @category models
 * @since 0.1.0
 */
export interface ConnectOptions extends Options {
  /** A connection string. `Redacted` where it holds a password. */
  readonly url: string | Redacted.Redacted<string>
  /** What the driver takes beside it. */
  readonly driver?: MongoClientOptions | undefined
}

const optionNames: OptionNames<Options> = {
  database: true,
  prefix: true,
  name: true,
  crossProcess: true,
  pollInterval: true,
  capabilities: true
}

// -----------------------------------------------------------------------------
// constructors
// -----------------------------------------------------------------------------

const refusal = (name: string, reason: TaskStoreError["reason"], message: string): TaskStoreError =>
  new TaskStoreError({ store: name, operation: "open", reason, message: `${name}: ${message}` })

/** What is wrong with their values, before anything is connected. */
const check = (options: Options): string | undefined => {
  const { database, pollInterval, prefix } = options
  // `.` and `$` mean something in these names
  if (prefix !== undefined && !/^[A-Za-z_][A-Za-z0-9_-]{0,63}$/.test(prefix)) {
    return `${
      JSON.stringify(prefix)
    } cannot begin names of collections: use at most 64 letters, digits, _ and -, a letter first`
  }
  if (database !== undefined && !/^[^/\\. "$*<>:|?\0]{1,63}$/.test(database)) {
    return `${JSON.stringify(database)} cannot be the name of a database: use at most 63 letters, digits, _ and -`
  }
  if (pollInterval !== undefined && Option.isNone(Duration.fromInput(pollInterval))) {
    return `\`pollInterval\` is no duration: ${JSON.stringify(pollInterval)}; write "100 millis"`
  }
  return undefined
}

const checked = (options: Options, name: string): Effect.Effect<void, TaskStoreError> =>
  Effect.suspend(() => {
    const unknown = refuseUnknown(name, "MongoTaskStore", options, optionNames)
    if (unknown !== undefined) return unknown
    const wrong = check(options)
    return wrong === undefined ? Effect.void : refusal(name, "Invalid", wrong)
  })

/**
 * The store over a database that answers its calls, which need not be a server.
 *
 * @internal
 */
export const makeOver = (
  open: Effect.Effect<Database, DatabaseError>,
  options: Options & { readonly name: string }
): Effect.Effect<TaskStore["Service"], TaskStoreError, Scope.Scope> =>
  Effect.gen(function*() {
    const { crossProcess = true, name, prefix = "punctual" } = options
    const scope = yield* Scope.Scope
    const opening = <A>(effect: Effect.Effect<A, DatabaseError>) =>
      Effect.mapError(effect, (error) => Writes.storeError(name, "open", error))
    const database = yield* opening(open)
    if (Number.parseInt(database.version, 10) < Number.parseInt(Driver.minimumServer, 10)) {
      return yield* refusal(
        name,
        "Unknown",
        `the server is MongoDB ${database.version}; ${Driver.minimumServer} or later is needed`
      )
    }
    const collections = Schema.collections(database, prefix)
    const versions = yield* opening(Schema.migrate(collections))
    if (versions.minimumWriter > schemaVersion) return yield* Writes.newerSchema(name, "open", versions)

    const wakes = Wakes.make({
      scope,
      signals: crossProcess ? yield* signals(database, prefix, collections, options) : undefined
    })
    const writes = Writes.make({ database, prefix, store: name, collections, wakes })
    return TaskStore.of({
      name,
      capabilities: {
        durable: true,
        shared: true,
        notifies: crossProcess,
        concurrencyKeys: false,
        ...options.capabilities
      },
      ...makeTasks(writes),
      ...makeClaims(writes),
      ...makeLists(writes),
      ...makeInstances(writes),
      listen: wakes.listen,
      time: database.time && writes.read("time", database.time)
    })
  })

const signals = (
  database: Database,
  prefix: string,
  { meta, tasks }: Schema.Collections,
  { pollInterval = "100 millis" }: Options
): Effect.Effect<Wakes.Signals> =>
  Effect.sync((): Wakes.Signals => {
    const me = randomUUID()
    const { watch } = database
    const name = Schema.metaName(prefix)
    const signal = (
      { by = "", cancel = false, due = null, n = 0, ready = false }: Schema.SignalFields
    ): Wakes.Signal => ({
      n,
      by,
      due: due ?? Infinity,
      ready,
      cancel
    })
    return {
      me,
      interval: Duration.toMillis(Duration.fromInputUnsafe(pollInterval)),
      send: ({ cancel, due, ready }) =>
        database.increment(name, "signal", 1, { by: me, due: due === Infinity ? null : due, ready, cancel }),
      read: Effect.map(meta.find({ _id: "signal" }), ([doc]) => doc && signal(doc)),
      watch: watch && ((onSignal) => watch(name, "signal", (doc) => onSignal(signal(doc)))),
      earliest: Effect.map(
        tasks.find({ due: { $exists: true } }, { sort: { due: 1 }, limit: 1, projection: { due: 1 } }),
        ([doc]) => doc?.due ?? null
      )
    }
  })

/**
 * The store on a client: creates its collections and indexes where they do not exist.
 *
 * Fails with `NewerSchema` when a newer version of this package has changed the database in a way that this one must not
 * write to, with `Invalid` for names that collections or databases cannot have, with `Unknown` for a server older than
 * MongoDB 6 or without rights, with `Unavailable` where it does not answer.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: (options?: Options) => Effect.Effect<
  TaskStore["Service"],
  TaskStoreError,
  MongoClient.MongoClient | Scope.Scope
> = Effect.fnUntraced(function*(options: Options = {}) {
  const client = yield* MongoClient.MongoClient
  const database = options.database ?? (client.options.dbName === "test" ? "punctual" : client.options.dbName)
  const name = options.name ?? `mongodb:${MongoClient.hosts(client)}/${database}`
  yield* checked(options, name)
  return yield* makeOver(Driver.database(client.db(database)), { ...options, name })
})

// -----------------------------------------------------------------------------
// layers
// -----------------------------------------------------------------------------

/**
 * The store on the program's own client.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerClient = (options?: Options): Layer.Layer<TaskStore, TaskStoreError, MongoClient.MongoClient> =>
  Layer.effect(TaskStore, make(options))

/**
 * Connects, and closes the connection with the layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = ({ driver, url, ...options }: ConnectOptions): Layer.Layer<TaskStore, TaskStoreError> =>
  Layer.unwrap(Effect.as(
    checked(options, options.name ?? "mongodb"),
    Layer.provide(layerClient(options), MongoClient.layer({ url, driver }))
  ))
