/**
 * The task store on a Postgres server, over a connection pool of its own.
 *
 * ```ts
 * TaskScheduler.layer(App).pipe(
 *   Layer.provide(PostgresTaskStore.layer({ url: process.env.DATABASE_URL }))
 * )
 * ```
 *
 * Any number of processes may share it; a change of one wakes the others at once. Needs Postgres 14 or newer, and
 * `@effect/sql-pg`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as Redacted from "effect/Redacted"
import * as SqlClient from "effect/sql/SqlClient"
import { TaskStore, TaskStoreError } from "punctual/TaskStore"
import { type OptionNames, refuseUnknown } from "punctual/TaskStoreKit"
import { storeError } from "./internal/database.ts"
import { postgres } from "./internal/postgres.ts"
import { make as postgresClient } from "./internal/postgresClient.ts"
import * as SqlTaskStore from "./SqlTaskStore.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options extends Omit<SqlTaskStore.Options, "pollInterval" | "maxTransactions"> {
  /** `postgres://user:password@host:5432/database`. No message shows it. */
  readonly url: Redacted.Redacted | string
  /** How many connections at most; one of them listens. Default: 10. */
  readonly maxConnections?: number | undefined
}

const { maxTransactions: _maxTransactions, pollInterval: _pollInterval, ...inherited } = SqlTaskStore.optionNames
const optionNames: OptionNames<Options> = { ...inherited, url: true, maxConnections: true }

/** Here and not by the driver, whose error would hold the text, and with it the password. */
const refuse = (name: string, url: unknown): TaskStoreError | undefined =>
  typeof url === "string" && /^postgres(ql)?:\/\//.test(url) && URL.canParse(url) ? undefined : new TaskStoreError({
    store: name,
    operation: "open",
    reason: "Invalid",
    message: `${name}: \`url\` is not the URL of a Postgres server: postgres://user:password@host:5432/database`
  })

/** More than there are statements, so that each is planned once a connection. */
const preparedStatements = 500

/**
 * Connects when the layer is built, migrates, and disconnects with the layer.
 *
 * **Gotchas**
 *
 * The client is its own: a command inside a transaction of another client fails with `TransactionNotShared`, and
 * `delivery: "transactional"` is refused. Use `SqlTaskStore.layer` on `PgClient.layer` where tasks are to be added in
 * transactions of the program, or handlers to run in some.
 *
 * Behind a pooler that lends a connection for one transaction (PgBouncer in transaction mode) nobody can listen: say
 * `crossProcess: false`, and others notice a change at their next poll.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<TaskStore, TaskStoreError> => {
  const { maxConnections = 10, name = "postgres", url, ...rest } = options
  const refused = refuseUnknown(name, "PostgresTaskStore.layer", options, optionNames) ??
    refuse(name, Redacted.isRedacted(url) ? Redacted.value(url) : url)
  if (refused !== undefined) return Layer.effect(TaskStore, refused)
  const client = Layer.effect(
    SqlClient.SqlClient,
    postgresClient({
      url: typeof url === "string" ? Redacted.make(url) : url,
      maxConnections,
      listens: options.crossProcess !== false,
      applicationName: "punctual",
      preparedStatementCacheSize: preparedStatements
    })
  ).pipe(
    Layer.provide(Reactivity.layer),
    Layer.catchTag(
      "SqlError",
      (error) => Layer.effect(SqlClient.SqlClient, Effect.fail(storeError(name, postgres, "open", error)))
    )
  )
  return SqlTaskStore.layerOnOwnClient({ ...rest, name }).pipe(Layer.provide(client))
}
