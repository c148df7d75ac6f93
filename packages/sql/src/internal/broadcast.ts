/**
 * What Postgres carries between those who share a store.
 *
 *     calls    on the channel of the wake-ups, which every scheduler hears anyway, on the one connection it listens with
 *     events   on a channel of their own: a connection more for whoever listens to them
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { Scope } from "effect/Scope"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Broadcast, TaskStoreError } from "punctual/TaskStore"
import { audience } from "punctual/TaskStoreKit"
import { sleepUnref } from "./liveClock.ts"
import { callText, type Channel, type Wakes } from "./wakes.ts"

/** A notification is shorter than 8,000 bytes. */
const limit = 7_999

/** Between two attempts to listen again, in milliseconds. */
const wait = 500

export const makeBroadcast = (options: {
  readonly sql: SqlClient
  readonly scope: Scope
  /** That of the wake-ups; the one of events is named after it. */
  readonly channel: string
  readonly hear: (channel: string) => Channel["hear"]
  readonly wakes: Wakes
  readonly failed: (error: SqlError) => TaskStoreError
}): Broadcast => {
  const { channel, failed, hear, scope, sql, wakes } = options
  const channels = { calls: channel, events: `${channel}_events` }

  /** Hears events, on one connection after another, until interrupted. */
  const attend = (ready: Effect.Effect<void>): Effect.Effect<never> => {
    const once = Effect.scoped(Effect.gen(function*() {
      const heard = yield* hear(channels.events)
      yield* ready
      while (true) yield* listeners.tell((yield* Queue.take(heard)).payload)
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
    // many in one statement; each channel gets each text once
    say: (topic, texts) =>
      texts.length === 0 ?
        Effect.void :
        sql`select count(pg_notify(${channels[topic]}, e.text)) from json_array_elements_text(${
          JSON.stringify(topic === "calls" ? texts.map(callText) : texts)
        }::json) with ordinality e(text, i)`.pipe(
          Effect.withTracerEnabled(false),
          Effect.mapBoth({ onSuccess: () => undefined, onFailure: failed })
        ),
    hear: (topic, onText) => topic === "calls" ? wakes.hearCalls(onText) : listeners.join(onText)
  }
}
