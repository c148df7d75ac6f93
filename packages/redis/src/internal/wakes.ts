/**
 * Who listens to a store, and what they are told.
 *
 * Changes of this instance are told as soon as the server answers, those of others when their message arrives. Each
 * wake-up has a number and names the one before it; the latest is kept in the store. One that is known of and was not
 * heard within a poll (a lost connection, a lost message, a store that was restored) tells everybody to look again.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Redis from "effect/persistence/Redis"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { Wake } from "punctual/TaskStore"
import { sleepUnref } from "./liveClock.ts"
import type { Told } from "./records.ts"
import * as Records from "./records.ts"

export interface Wakes {
  /** After a script of this instance. */
  readonly tell: (told: Told) => Effect.Effect<void>
  readonly listen: (onWake: (wake: Wake) => void) => Effect.Effect<void, never, Scope.Scope>
}

/** How many numbers of wake-ups are remembered: more than arrive while one is on its way. */
const remembered = 10_000

const everything: Wake = { due: 0, ready: true, cancel: true }

/** Subscribes, and polls, until the scope closes. */
export const make = Effect.fnUntraced(function*(options: {
  readonly redis: Redis.Redis["Service"]
  readonly channel: string
  /** How this instance signs its messages, so that it passes them over. */
  readonly sender: string
  readonly pollInterval: number
  /** The number of the store's latest wake-up. */
  readonly latest: Effect.Effect<number | null, unknown>
}) {
  const listeners = new Set<{ readonly onWake: (wake: Wake) => void }>()
  /** Numbers of the latest wake-ups, and those known of but not heard. */
  const heard = new Set<number>()
  const missing = new Map<number, "new" | "old">()

  let newest = 0

  /** Open when a subscription has not heard what was said: its connection may have died without being closed. */
  const stale = yield* Latch.make()

  const hear = (number: number): void => {
    missing.delete(number)
    newest = Math.max(newest, number)
    heard.add(number)
    if (heard.size > remembered) { for (const oldest of heard) return void heard.delete(oldest) }
  }

  const expect = (number: number | null): void => {
    if (number !== null && !heard.has(number) && !missing.has(number)) missing.set(number, "new")
  }

  const call = (wake: Wake): Effect.Effect<void> => {
    const thrown: Array<unknown> = []
    for (const listener of [...listeners]) {
      try {
        listener.onWake({ ...wake })
      } catch (error) {
        thrown.push(error)
      }
    }
    return thrown.length === 0 ? Effect.void : Effect.logError("A listener of a task store threw", ...thrown)
  }

  const tell = ({ number, previous, wake }: Told): Effect.Effect<void> =>
    Effect.suspend(() => {
      hear(number)
      expect(previous)
      return call(wake)
    })

  const received = (message: string): Effect.Effect<void> =>
    Effect.suspend(() => {
      const read = readMessage(message)
      if (read === undefined) return call(everything)
      return read.sender === options.sender ? Effect.void : tell(read)
    })

  /** One subscription, until it ends. What was said before it began is looked for. */
  const subscription = Effect.scoped(
    Effect.gen(function*() {
      const queue = yield* options.redis.subscribe(options.channel)
      yield* stale.close
      return Effect.raceFirst(
        Effect.forever(Effect.flatMap(Queue.take(queue), ({ message }) => received(message))),
        stale.await
      )
    }).pipe(Effect.flatten)
  )

  const subscribed = Effect.forever(
    Effect.catchCause(subscription, (cause) =>
      Cause.hasInterruptsOnly(cause)
        ? Effect.failCause(cause)
        : Effect.andThen(
          Effect.logWarning("The wake-ups of a task store stopped: subscribing again", cause),
          Effect.andThen(sleepUnref(options.pollInterval), call(everything))
        ))
  )

  const polled = Effect.forever(Effect.gen(function*() {
    yield* sleepUnref(options.pollInterval)
    if (listeners.size === 0) return
    const before = newest
    const latest = yield* Effect.option(options.latest)
    // a server that does not answer is asked again: its changes are noticed then
    if (latest._tag === "None") return
    // numbers only grow, unless the store has gone back to what was saved of it
    let lost = (latest.value ?? 0) < before
    if (lost) newest = latest.value ?? 0
    expect(latest.value)
    for (const [number, since] of missing) {
      if (since === "new") missing.set(number, "old")
      else {
        lost = true
        hear(number)
      }
    }
    if (lost) {
      yield* stale.open
      yield* call(everything)
    }
  }))

  const latest = yield* Effect.orElseSucceed(options.latest, () => null)
  if (latest !== null) hear(latest)
  yield* Effect.forkScoped(subscribed, { startImmediately: true })
  yield* Effect.forkScoped(polled)

  return {
    tell,
    listen: (onWake) =>
      Effect.asVoid(Effect.acquireRelease(
        Effect.sync(() => {
          const listener = { onWake }
          listeners.add(listener)
          return listener
        }),
        (listener) => Effect.sync(() => void listeners.delete(listener))
      ))
  } satisfies Wakes
})

const readMessage = (message: string): (Told & { readonly sender: string }) | undefined => {
  try {
    const [sender, wake] = Records.list(JSON.parse(message))
    return { ...Records.told(wake), sender: String(sender) }
  } catch {
    return undefined
  }
}
