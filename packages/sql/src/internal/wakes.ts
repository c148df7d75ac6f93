/**
 * Who listens to a store, and what they are told.
 *
 * Changes of this instance are told after their commit. Those of other processes are noticed by asking the database, a
 * few times a second while somebody listens, whether another connection committed.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { Wake } from "punctual/TaskStore"
import { sleepUnref } from "./liveClock.ts"

/** What a change brought, collected while it is made. */
export interface Brought {
  due: number
  ready: boolean
  cancel: boolean
}

export const brought = (): Brought => ({ due: Infinity, ready: false, cancel: false })

export const bringsDue = (self: Brought, due: number | null | undefined): void => {
  if (due !== null && due !== undefined && due < self.due) self.due = due
}

export interface Wakes {
  /** A reader was told that nothing is due before this. */
  readonly learned: (next: number | null) => void
  /** After the commit. */
  readonly tell: (brought: Brought) => Effect.Effect<void>
  readonly listen: (onWake: (wake: Wake) => void) => Effect.Effect<void, never, Scope.Scope>
}

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
}): Wakes => {
  const { poll, scope } = options
  const listeners = new Set<{ readonly onWake: (wake: Wake) => void }>()
  // What readers know: the `next` of their last read, moved back by what they were told since. Comparing with the
  // earliest row instead would go silent as soon as one row stays due.
  let known = Infinity
  let poller: Fiber.Fiber<void> | undefined

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

  const tell = (brought: Brought): Effect.Effect<void> =>
    Effect.suspend(() => {
      const due = brought.due < known ? brought.due : null
      if (due !== null) known = due
      if (due === null && !brought.ready && !brought.cancel) return Effect.void
      return call({ due, ready: brought.ready, cancel: brought.cancel })
    })

  const watch = (poll: NonNullable<typeof options.poll>) =>
    Effect.gen(function*() {
      let last = yield* Effect.option(poll.changed)
      while (true) {
        yield* sleepUnref(poll.interval)
        // a database that does not answer is asked again: its changes are noticed then
        const current = yield* Effect.option(poll.changed)
        if (current._tag === "None") continue
        if (last._tag === "Some" && last.value === current.value) continue
        last = current
        const earliest = yield* Effect.orElseSucceed(poll.earliest, () => null)
        if (earliest !== null && earliest < known) known = earliest
        yield* call({ due: earliest, ready: true, cancel: true })
      }
    }).pipe(
      Effect.catchCause((cause) =>
        Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logError("Watching a task store failed", cause)
      )
    )

  return {
    tell,
    learned: (next) => {
      const due = next ?? Infinity
      if (due > known) known = due
    },
    listen: (onWake) =>
      Effect.asVoid(Effect.acquireRelease(
        Effect.gen(function*() {
          const listener = { onWake }
          listeners.add(listener)
          if (poll !== undefined && poller === undefined) {
            // started at once, so that what changes after this line is noticed
            poller = yield* Effect.forkIn(watch(poll), scope, { startImmediately: true })
          }
          return listener
        }),
        (listener) =>
          Effect.suspend(() => {
            listeners.delete(listener)
            if (listeners.size > 0 || poller === undefined) return Effect.void
            const stopped = poller
            poller = undefined
            return Fiber.interrupt(stopped)
          })
      ))
  }
}
