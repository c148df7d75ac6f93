/**
 * What Redis carries between those who share a store.
 *
 *     calls    on the channel of the wake-ups, which every store hears anyway
 *     events   on a channel of their own: a connection more for whoever listens to them
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { Redis, RedisError } from "effect/persistence/Redis"
import * as Queue from "effect/Queue"
import type { Scope } from "effect/Scope"
import type { Broadcast, TaskStoreError } from "punctual/TaskStore"
import { audience } from "punctual/TaskStoreKit"
import { sleepUnref } from "./liveClock.ts"
import { callText, type Wakes } from "./wakes.ts"

/** Redis carries far more; a listener that is slow has a thousand of them. */
const limit = 65_536

/** Between two attempts to listen again, in milliseconds: a client that reconnects by itself needs none. */
const wait = 500

export const makeBroadcast = (options: {
  readonly redis: Redis["Service"]
  readonly scope: Scope
  readonly channels: { readonly calls: string; readonly events: string }
  readonly wakes: Wakes
  readonly failed: (error: RedisError) => TaskStoreError
}): Broadcast => {
  const { channels, failed, redis, scope, wakes } = options

  /** Hears events, on one subscription after another, until interrupted. */
  const attend = (ready: Effect.Effect<void>): Effect.Effect<never> => {
    const once = Effect.scoped(Effect.gen(function*() {
      const heard = yield* redis.subscribe(channels.events)
      yield* ready
      while (true) yield* listeners.tell((yield* Queue.take(heard)).message)
    }))
    return Effect.forever(
      Effect.catchCause(
        once,
        (cause) => Cause.hasInterruptsOnly(cause) ? Effect.interrupt : Effect.andThen(ready, sleepUnref(wait))
      )
    )
  }
  const listeners = audience<string>({ scope, hear: attend })

  return {
    limit,
    say: (topic, texts) =>
      Effect.forEach(
        texts,
        (text) => redis.send("PUBLISH", channels[topic], topic === "calls" ? callText(text) : text),
        {
          discard: true
        }
      ).pipe(Effect.mapError(failed)),
    hear: (topic, onText) => topic === "calls" ? wakes.hearCalls(onText) : listeners.join(onText)
  }
}
