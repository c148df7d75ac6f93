/**
 * The task store on a Redis server, from a URL.
 *
 * ```ts
 * TaskScheduler.layer(App).pipe(
 *   Layer.provide(NodeRedisTaskStore.layer({ url: "redis://127.0.0.1:6379", prefix: "billing" }))
 * )
 * ```
 *
 * **When to use**
 *
 * In a program that uses Redis for nothing else. One that has a `Redis` service gives it to `RedisTaskStore.layer`.
 *
 * @since 0.1.0
 */
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redis from "effect/persistence/Redis"
import * as Redacted from "effect/Redacted"
import { TaskStore, TaskStoreError } from "punctual/TaskStore"
import { refuseUnknown } from "punctual/TaskStoreKit"
import { keepAlive } from "./internal/alive.ts"
import { storeError } from "./internal/errors.ts"
import * as RedisTaskStore from "./RedisTaskStore.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options extends RedisTaskStore.Options {
  /** `redis://user:password@host:6379/0`, or `rediss://` with TLS. */
  readonly url: string | Redacted.Redacted
}

/**
 * Connects with the layer, and closes with it.
 *
 * **Details**
 *
 * Two connections, one for commands and one for wake-ups. Both come back by themselves when the server does, also where
 * they died without being closed; a command that is called meanwhile fails with `Unavailable`, at once or within ten
 * seconds, for its caller to try again.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<TaskStore, TaskStoreError> => {
  const { url, ...rest } = options
  const text = Redacted.isRedacted(url) ? Redacted.value(url) : url
  const name = rest.name ?? `redis:${rest.prefix ?? "punctual"}`
  const unknown = refuseUnknown(name, "NodeRedisTaskStore.layer", options, {
    ...RedisTaskStore.optionNames,
    url: true
  })
  if (unknown !== undefined) return Layer.effect(TaskStore, unknown)
  const parsed = URL.parse(text)
  if (parsed === null || !/^rediss?:$/.test(parsed.protocol)) {
    return Layer.effect(
      TaskStore,
      new TaskStoreError({
        store: name,
        operation: "open",
        reason: "Invalid",
        message: `${name}: the url is not one of Redis: write redis://user:password@host:6379, or rediss:// with TLS`
      })
    )
  }
  const watched = Layer.provideMerge(
    Layer.effectDiscard(NodeRedis.NodeRedis.use(({ client }) => keepAlive(client))),
    NodeRedis.layer({ url: text, disableOfflineQueue: true })
  )
  const client: Layer.Layer<Redis.Redis, TaskStoreError> = Layer.catchTag(
    watched,
    "RedisError",
    (error) => Layer.effect(Redis.Redis, Effect.fail(storeError(name, "open", error.cause)))
  )
  return Layer.provide(RedisTaskStore.layer({ ...rest, name }), client)
}
