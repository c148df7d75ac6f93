/**
 * A connection to Redis that notices when nobody is there any more.
 *
 * The driver waits for an answer for ever: on a connection that died without being closed every call would. So it is asked
 * now and then, and is made again when it does not answer; its calls then fail, for their callers to try again.
 *
 * @since 0.1.0
 */
import type { NodeRedis } from "@effect/platform-node/NodeRedis"
import * as Effect from "effect/Effect"
import { sleepUnref } from "./liveClock.ts"

type Client = NodeRedis["Service"]["client"]

/** Between two questions, and how long an answer may take, in milliseconds. */
const interval = 3_000
const patience = 7_000

/** Whether a promise is settled in time, however. */
const inTime = (promise: () => Promise<unknown>): Effect.Effect<boolean> =>
  Effect.raceFirst(
    Effect.as(Effect.ignore(Effect.tryPromise(promise)), true),
    Effect.as(sleepUnref(patience), false)
  )

/** Ends what never came, and begins again. */
const again = (client: Client): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (client.isOpen) client.destroy()
    return Effect.asVoid(inTime(() => client.connect()))
  })

/** Watches a client until the scope closes, and then sees to it that it can be closed. */
export const keepAlive = Effect.fnUntraced(function*(client: Client) {
  const asked = inTime(() => client.ping())
  yield* Effect.addFinalizer(() =>
    Effect.map(Effect.interruptible(asked), (answered) => {
      // the driver would wait for what has been asked before
      if (!answered && client.isOpen) client.destroy()
    })
  )
  let away = 0
  yield* Effect.forkScoped(Effect.forever(Effect.gen(function*() {
    yield* sleepUnref(interval)
    if (!client.isReady) {
      // it comes back by itself, unless whom it has reached does not answer either
      away += interval
      if (away > patience) yield* again(client)
      return
    }
    away = 0
    if (!(yield* asked)) yield* again(client)
  })))
})
