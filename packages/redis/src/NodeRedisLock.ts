/**
 * Locks on a Redis server, from a URL.
 *
 * ```ts
 * const Locks = NodeRedisLock.layer({ url: "redis://127.0.0.1:6379", prefix: "billing" })
 * ```
 *
 * **When to use**
 *
 * In a program that uses Redis for nothing else. One that has a `Redis` service gives it to `RedisLock.layer`.
 *
 * @since 0.1.0
 */
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redis from "effect/persistence/Redis"
import * as Redacted from "effect/Redacted"
import { type Lock, LockUnavailable } from "punctual/Lock"
import { InvalidOption } from "punctual/SchedulerError"
import { storeError } from "./internal/errors.ts"
import * as RedisLock from "./RedisLock.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options extends RedisLock.Options {
  /** `redis://user:password@host:6379/0`, or `rediss://` with TLS. */
  readonly url: string | Redacted.Redacted
}

/**
 * Connects with the layer, and closes with it.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Lock, InvalidOption | LockUnavailable> => {
  const { url, ...rest } = options
  const text = Redacted.isRedacted(url) ? Redacted.value(url) : url
  const name = rest.name ?? `redis:${rest.prefix ?? "punctual"}`
  const parsed = URL.parse(text)
  if (parsed === null || !/^rediss?:$/.test(parsed.protocol)) {
    return Layer.effectContext(Effect.fail(
      new InvalidOption({
        option: "url",
        value: "<redacted>",
        message: "the url is not one of Redis: write redis://user:password@host:6379, or rediss:// with TLS"
      })
    ))
  }
  const client: Layer.Layer<Redis.Redis, LockUnavailable> = Layer.catchTag(
    NodeRedis.layer({ url: text, disableOfflineQueue: true }),
    "RedisError",
    ({ cause }) =>
      Layer.effect(
        Redis.Redis,
        Effect.fail(
          new LockUnavailable({
            lock: name,
            operation: "open",
            message: storeError(name, "open", cause).message,
            cause
          })
        )
      )
  )
  return Layer.provide(RedisLock.layer({ ...rest, name }), client)
}
