/**
 * The task store in a SQLite file of its own: nothing to install, nothing to run.
 *
 * ```ts
 * TaskScheduler.layer(App).pipe(
 *   Layer.provide(SqliteTaskStore.layer({ filename: "punctual.db" }))
 * )
 * ```
 *
 * Several processes of one machine may share the file; a change of one wakes the others within a tenth of a second.
 * The file belongs on a local disk: SQLite's locks do not hold on network file systems.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import { TaskStore, type TaskStoreError } from "punctual/TaskStore"
import { type OptionNames, refuseUnknown } from "punctual/TaskStoreKit"
import { storeError } from "./internal/database.ts"
import { sqlite } from "./internal/dialect.ts"
import * as SqliteClient from "./SqliteClient.ts"
import * as SqlTaskStore from "./SqlTaskStore.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options
  extends
    Omit<SqlTaskStore.Options, "name" | "maxTransactions">,
    Pick<SqliteClient.Config, "busyTimeout" | "synchronous" | "cacheSize" | "readonly">
{
  /** A path, or `:memory:` for a store that ends with its layer. */
  readonly filename: string
}

const { maxTransactions: _maxTransactions, name: _name, ...inherited } = SqlTaskStore.optionNames
const optionNames: OptionNames<Options> = {
  ...inherited,
  filename: true,
  busyTimeout: true,
  synchronous: true,
  cacheSize: true,
  readonly: true
}

/**
 * Opens the file, creating it where it does not exist, and closes it with the layer.
 *
 * **Details**
 *
 * `synchronous` is `"normal"` by default: a crash of the process loses nothing, a power cut may lose the last
 * transactions and with them the memory of what ran. Where `delivery: "atMostOnce"` must hold through a power cut, say
 * `"full"`.
 *
 * **Gotchas**
 *
 * The client is its own: a command inside a transaction of another client fails with `TransactionNotShared`. Use
 * `SqlTaskStore.layer` on `SqliteClient.layer` where tasks are to be added in transactions of the program.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<TaskStore, TaskStoreError> => {
  const { busyTimeout, cacheSize, capabilities, filename, readonly, synchronous, ...rest } = options
  const name = `sqlite:${filename}`
  const refused = refuseUnknown(name, "SqliteTaskStore.layer", options, optionNames)
  if (refused !== undefined) return Layer.effect(TaskStore, refused)
  const memory = filename === ":memory:" || filename === ""
  const client = SqliteClient.layer({ filename, busyTimeout, cacheSize, readonly, synchronous }).pipe(
    Layer.catchTag(
      "SqlError",
      (error) => Layer.effect(SqlClient.SqlClient, Effect.fail(storeError(name, sqlite(), "open", error)))
    )
  )
  return SqlTaskStore.layer({
    ...rest,
    name,
    crossProcess: rest.crossProcess ?? !memory,
    capabilities: { ...memory ? { durable: false, shared: false, notifies: true } : undefined, ...capabilities }
  }).pipe(Layer.provide(client))
}
