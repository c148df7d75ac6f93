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
import { audience } from "punctual/TaskStoreKit"
import { sleepUnref } from "./liveClock.ts"
import type { Told } from "./records.ts"
import * as Records from "./records.ts"

export interface Wakes {
  /** After a script of this instance. */
  readonly tell: (told: Told) => Effect.Effect<void>
  readonly listen: (onWake: (wake: Wake) => void) => Effect.Effect<void, never, Scope.Scope>
  /** What is said on the channel beside wake-ups: see `callText`. */
  readonly hearCalls: (onCall: (call: string) => void) => Effect.Effect<void, never, Scope.Scope>
}

/** What is said on the channel for a call. */
export const callText = (call: string): string => JSON.stringify({ call })

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
  const listeners = audience<Wake>()
  const callers = audience<string>()
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

  const tell = ({ number, previous, wake }: Told): Effect.Effect<void> =>
    Effect.suspend(() => {
      hear(number)
      expect(previous)
      return listeners.tell(wake)
    })

  const received = (message: string): Effect.Effect<void> =>
    Effect.suspend(() => {
      const read = readMessage(message)
      if (read === undefined) return listeners.tell(everything)
      if ("call" in read) return callers.tell(read.call)
      return read.sender === options.sender ? Effect.void : tell(read)
    })

  /** Open once what is said is heard, or cannot be for now. */
  const attended = yield* Latch.make()

  /** One subscription, until it ends. What was said before it began is looked for. */
  const subscription = Effect.scoped(
    Effect.gen(function*() {
      const queue = yield* options.redis.subscribe(options.channel)
      yield* stale.close
      yield* attended.open
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
        : Effect.logWarning("The wake-ups of a task store stopped: subscribing again", cause).pipe(
          Effect.andThen(attended.open),
          Effect.andThen(sleepUnref(options.pollInterval)),
          Effect.andThen(listeners.tell(everything))
        ))
  )

  const polled = Effect.forever(Effect.gen(function*() {
    yield* sleepUnref(options.pollInterval)
    if (listeners.isEmpty()) return
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
      yield* listeners.tell(everything)
    }
  }))

  const latest = yield* Effect.orElseSucceed(options.latest, () => null)
  if (latest !== null) hear(latest)
  yield* Effect.forkScoped(subscribed, { startImmediately: true })
  yield* Effect.forkScoped(polled)

  return {
    tell,
    listen: (onWake) => listeners.join((wake) => onWake({ ...wake })),
    hearCalls: (onCall) => Effect.andThen(callers.join(onCall), attended.await)
  } satisfies Wakes
})

type Message = (Told & { readonly sender: string }) | { readonly call: string }

const readMessage = (message: string): Message | undefined => {
  try {
    const value: unknown = JSON.parse(message)
    if (typeof value === "object" && value !== null && "call" in value) return { call: String(value.call) }
    const [sender, wake] = Records.list(value)
    return { ...Records.told(wake), sender: String(sender) }
  } catch {
    return undefined
  }
}
