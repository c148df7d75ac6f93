/**
 * The task store on a MySQL or MariaDB server, over a connection pool of its own.
 *
 * ```ts
 * TaskScheduler.layer(App).pipe(
 *   Layer.provide(MysqlTaskStore.layer({ url: process.env.DATABASE_URL }))
 * )
 * ```
 *
 * Any number of processes may share it; a change of one wakes the others within `pollInterval`. Needs MariaDB 10.11 or
 * MySQL 8.0.19, or newer, and `mysql2`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as SqlClient from "effect/sql/SqlClient"
import { TaskStore, TaskStoreError } from "punctual/TaskStore"
import { type OptionNames, refuseUnknown } from "punctual/TaskStoreKit"
import { patience } from "./internal/bounded.ts"
import { storeError } from "./internal/database.ts"
import { mysql } from "./internal/mysql.ts"
import * as MysqlClient from "./MysqlClient.ts"
import * as SqlTaskStore from "./SqlTaskStore.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options extends Omit<SqlTaskStore.Options, "maxTransactions"> {
  /** `mysql://user:password@host:3306/database`. No message shows it. */
  readonly url: Redacted.Redacted | string
  /** How many connections at most. Default: 10. */
  readonly maxConnections?: number | undefined
}

const { maxTransactions: _, ...inherited } = SqlTaskStore.optionNames
const optionNames: OptionNames<Options> = { ...inherited, url: true, maxConnections: true }

/** Here and not by the driver, whose error would hold the text, and with it the password. */
const refuse = (name: string, url: unknown): TaskStoreError | undefined =>
  typeof url === "string" && /^(mysql|mariadb):\/\/[^/]*\/./.test(url) && URL.canParse(url)
    ? undefined
    : new TaskStoreError({
      store: name,
      operation: "open",
      reason: "Invalid",
      message: `${name}: \`url\` is not the URL of a database: mysql://user:password@host:3306/database`
    })

/**
 * Connects when the layer is built, migrates, and disconnects with the layer.
 *
 * **Details**
 *
 * Ids, tags, owners, keys and labels have at most 255 characters, names of executors 128: what is longer is refused as
 * `Invalid`. A payload must fit into `max_allowed_packet` of the server some times over.
 *
 * **Gotchas**
 *
 * The client is its own: a command inside a transaction of another client fails with `TransactionNotShared`. Use
 * `SqlTaskStore.layer` on `MysqlClient.layer` where tasks are to be added in transactions of the program. A deadlock
 * there undoes the program's whole transaction, which fails as `Busy` and is the program's to make again.
 *
 * Several servers that are written to at once (Galera, group replication with several primaries) give fencing tokens out
 * of order: let all schedulers write to one.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<TaskStore, TaskStoreError> => {
  const { maxConnections, name = "mysql", url, ...rest } = options
  const refused = refuseUnknown(name, "MysqlTaskStore.layer", options, optionNames) ??
    refuse(name, Redacted.isRedacted(url) ? Redacted.value(url) : url)
  if (refused !== undefined) return Layer.effect(TaskStore, refused)
  const client = MysqlClient.layer({ url, maxConnections, idleTransactionTimeout: patience / 1_000 }).pipe(
    Layer.catchTag(
      "SqlError",
      (error) =>
        Layer.effect(SqlClient.SqlClient, Effect.fail(storeError(name, mysql("utf8mb4_nopad_bin"), "open", error)))
    )
  )
  return SqlTaskStore.layerOnOwnClient({ ...rest, name }).pipe(Layer.provide(client))
}
