/**
 * The official MongoDB driver as a service: connected when the layer is built, closed with it.
 *
 * ```ts
 * const Client = MongoClient.layer({ url: "mongodb://127.0.0.1:27017/?replicaSet=rs0" })
 * ```
 *
 * **When to use**
 *
 * When the program uses MongoDB itself: the store takes part in the same pool of connections
 * (`MongoTaskStore.layerClient`). For a store alone, `MongoTaskStore.layer` connects by itself.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Mongo from "mongodb"
import { TaskStoreError } from "punctual/TaskStore"
import { databaseError } from "./internal/driver.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** A connection string, `mongodb://…` or `mongodb+srv://…`. `Redacted` where it holds a password. */
  readonly url: string | Redacted.Redacted<string>
  /**
   * What the driver takes beside it. Default: `serverSelectionTimeoutMS: 5000`, so that a wrong host is told in five
   * seconds.
   */
  readonly driver?: Mongo.MongoClientOptions | undefined
}

/**
 * @category services
 * @since 0.1.0
 */
export class MongoClient extends Context.Service<MongoClient, Mongo.MongoClient>()("@punctual/mongo/MongoClient") {}

/**
 * The hosts of a client, without user and password.
 *
 * @category accessors
 * @since 0.1.0
 */
export const hosts = (client: Mongo.MongoClient): string =>
  client.options.srvHost ?? client.options.hosts.map(String).join(",")

/**
 * Connects, and closes with the scope. Fails with `Unavailable` where no server answers, `Invalid` where the url is none,
 * `Unknown` where it refuses the credentials.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = ({ driver, url }: Options): Effect.Effect<Mongo.MongoClient, TaskStoreError, Scope.Scope> => {
  let name = "mongodb"
  const refuse = (cause: unknown): TaskStoreError => {
    const { message, reason } = databaseError(cause)
    return new TaskStoreError({ store: name, operation: "open", reason, message: `${name}: ${message}`, cause })
  }
  return Effect.acquireRelease(
    Effect.flatMap(
      Effect.try({
        try: () => {
          const client = new Mongo.MongoClient(Redacted.isRedacted(url) ? Redacted.value(url) : url, {
            serverSelectionTimeoutMS: 5000,
            appName: "punctual",
            ...driver
          })
          name = `mongodb:${hosts(client)}`
          return client
        },
        catch: refuse
      }),
      (client) =>
        Effect.tryPromise({ try: () => client.connect(), catch: refuse }).pipe(
          Effect.onError(() => Effect.promise(() => client.close()))
        )
    ),
    (client) => Effect.promise(() => client.close())
  )
}

/**
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<MongoClient, TaskStoreError> =>
  Layer.effect(MongoClient, make(options))
