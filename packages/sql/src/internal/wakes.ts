/**
 * Who listens to a store, and what they are told.
 *
 * Changes of this instance are told after their commit. Those of other processes are noticed in one of two ways:
 *
 * - by asking the database, a few times a second while somebody listens, whether another connection committed (SQLite), or
 *   whether another instance has said in a table that it has changed something (MySQL),
 * - on a channel of the database, where each instance says what its changes brought (Postgres). A connection that was
 *   lost is made again, and then everybody reads again: what was said meanwhile nobody has heard.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { Wake } from "punctual/TaskStore"
import { audience } from "punctual/TaskStoreKit"
import { bounded, briefly } from "./bounded.ts"
import { sleepUnref } from "./liveClock.ts"

/** What a change brought, collected while it is made. */
export interface Brought {
  due: number
  ready: boolean
  cancel: boolean
}

/** Between two attempts to listen again, in milliseconds. */
const minimumWait = 50
const maximumWait = 5_000

export const brought = (): Brought => ({ due: Infinity, ready: false, cancel: false })

export const bringsDue = (self: Brought, due: number | null | undefined): void => {
  if (due !== null && due !== undefined && due < self.due) self.due = due
}

/** Where instances tell each other. */
export interface Channel {
  readonly say: (text: string) => Effect.Effect<unknown, unknown>
  /** What is said from now on, until the connection is lost, which fails the queue. */
  readonly hear: Effect.Effect<Queue.Dequeue<{ readonly payload: string }, unknown>, unknown, Scope.Scope>
  readonly earliest: Effect.Effect<number | null, unknown>
}

/** One that others poll: that something was said is all they hear. */
export type Mailbox = Pick<Channel, "say">

export interface Wakes {
  /** A reader was told that nothing is due before this. */
  readonly learned: (next: number | null) => void
  /** After the commit. */
  readonly tell: (brought: Brought) => Effect.Effect<void>
  /** Says on the channel what has not been said yet. */
  readonly flush: Effect.Effect<void>
  readonly listen: (onWake: (wake: Wake) => void) => Effect.Effect<void, never, Scope.Scope>
  /** What is said on the channel beside wake-ups: see `callText`. */
  readonly hearCalls: (onCall: (call: string) => void) => Effect.Effect<void, never, Scope.Scope>
}

/** What those who listen hear. */
type Heard = { readonly wake: Wake } | { readonly call: string }

/** What is said on the channel for a call. */
export const callText = (call: string): string => JSON.stringify({ call })

/**
 * `changed` answers another value after each commit of another connection; `earliest` the first due instant. The fiber
 * that asks lives in `scope`, on real time, and does not keep the process alive.
 */
export const make = (options: {
  readonly scope: Scope.Scope
  readonly poll:
    | {
      readonly interval: number
      readonly changed: Effect.Effect<unknown, unknown>
      readonly earliest: Effect.Effect<number | null, unknown>
    }
    | undefined
  readonly channel?: Channel | Mailbox | undefined
}): Wakes => {
  const { channel, poll, scope } = options
  // What readers know: the `next` of their last read, moved back by what they were told since. Comparing with the
  // earliest row instead would go silent as soon as one row stays due.
  let known = Infinity

  const call = (wake: Wake): Effect.Effect<void> => listeners.tell({ wake })

  const tell = (brought: Brought): Effect.Effect<void> =>
    Effect.suspend(() => {
      const due = brought.due < known ? brought.due : null
      if (channel !== undefined) {
        // what others know is not known here: they may have read since
        const others = brought.due === Infinity ? null : brought.due
        if (others !== null || brought.ready || brought.cancel) {
          unsaid ??= { due: null, ready: false, cancel: false }
          unsaid = {
            due: others === null ? unsaid.due : Math.min(others, unsaid.due ?? Infinity),
            ready: unsaid.ready || brought.ready,
            cancel: unsaid.cancel || brought.cancel
          }
        }
      }
      if (due !== null) known = due
      const told = due === null && !brought.ready && !brought.cancel
        ? Effect.void
        : call({ due, ready: brought.ready, cancel: brought.cancel })
      return unsaid === undefined || saying ? told : Effect.andThen(told, Effect.forkIn(sayAll, scope))
    })

  // ---------------------------------------------------------------------------
  // the channel
  // ---------------------------------------------------------------------------

  const me = crypto.randomUUID()
  /** What came while something was being said is said together. */
  let unsaid: Wake | undefined
  let saying = false

  const say = Effect.suspend(() => {
    const wake = unsaid
    if (wake === undefined || channel === undefined) return Effect.void
    unsaid = undefined
    // what cannot be said costs the others one interval of their polls
    return Effect.ignore(bounded(channel.say(JSON.stringify([me, wake.due, wake.ready, wake.cancel]))))
  })

  const sayAll: Effect.Effect<void> = Effect.suspend(() => {
    saying = true
    return Effect.ensuring(
      Effect.whileLoop({ while: () => unsaid !== undefined, body: () => say, step: () => {} }),
      Effect.sync(() => saying = false)
    )
  })

  /** Hears until it is interrupted. It is `ready` when the others are heard, or cannot be for now. */
  const attend = (channel: Channel, ready: Effect.Effect<void>): Effect.Effect<never> => {
    let lost = false
    let wait = minimumWait
    const once = Effect.scoped(Effect.gen(function*() {
      const heard = yield* channel.hear
      wait = minimumWait
      if (lost) {
        const due = yield* Effect.orElseSucceed(bounded(channel.earliest, briefly), () => null)
        if (due !== null && due < known) known = due
        yield* call({ due, ready: true, cancel: true })
      }
      yield* ready
      while (true) {
        const said = saidOf((yield* Queue.take(heard)).payload)
        if (said === undefined) continue
        if ("call" in said) {
          yield* listeners.tell(said)
          continue
        }
        const { wake } = said
        const due = wake.due !== null && wake.due < known ? wake.due : null
        if (due !== null) known = due
        if (due !== null || wake.ready || wake.cancel) yield* call({ ...wake, due })
      }
    }))
    return Effect.forever(Effect.catchCause(once, (cause) =>
      Cause.hasInterruptsOnly(cause)
        ? Effect.interrupt
        : Effect.gen(function*() {
          lost = true
          yield* ready
          yield* sleepUnref(wait)
          wait = Math.min(wait * 2, maximumWait)
        })))
  }

  const saidOf = (payload: string): Heard | undefined => {
    try {
      const value: unknown = JSON.parse(payload)
      if (typeof value === "object" && value !== null && "call" in value) return { call: String(value.call) }
      if (!Array.isArray(value) || value[0] === me) return undefined
      const wake = {
        due: typeof value[1] === "number" ? value[1] : null,
        ready: value[2] === true,
        cancel: value[3] === true
      }
      return { wake }
    } catch {
      return undefined
    }
  }

  const watch = (poll: NonNullable<typeof options.poll>) =>
    Effect.gen(function*() {
      let last = yield* Effect.option(bounded(poll.changed, briefly))
      while (true) {
        yield* sleepUnref(poll.interval)
        // a database that does not answer is asked again: its changes are noticed then
        const current = yield* Effect.option(bounded(poll.changed, briefly))
        if (current._tag === "None") continue
        if (last._tag === "Some" && last.value === current.value) continue
        last = current
        const earliest = yield* Effect.orElseSucceed(bounded(poll.earliest, briefly), () => null)
        if (earliest !== null && earliest < known) known = earliest
        yield* call({ due: earliest, ready: true, cancel: true })
      }
    }).pipe(
      Effect.catchCause((cause) =>
        Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logError("Watching a task store failed", cause)
      )
    )

  /** Of this program. While there are any, the changes of others are noticed. */
  const listeners = audience<Heard>(
    poll !== undefined
      ? { scope, hear: (ready) => Effect.andThen(ready, watch(poll)) }
      : channel !== undefined && "hear" in channel
      ? { scope, hear: (ready) => attend(channel, ready) }
      : undefined
  )

  return {
    tell,
    flush: say,
    learned: (next) => {
      const due = next ?? Infinity
      if (due > known) known = due
    },
    listen: (onWake) => listeners.join((heard) => "wake" in heard ? onWake({ ...heard.wake }) : undefined),
    hearCalls: (onCall) => listeners.join((heard) => "call" in heard ? onCall(heard.call) : undefined)
  }
}
