/**
 * Who listens to a store, and what they are told.
 *
 * Changes of this instance are told after they are written. Those of others come through one document, the signal: who
 * changes something that needs attention adds one to its number afterwards, at most every few milliseconds, and never
 * makes anybody wait for it. A replica set pushes its changes; elsewhere it is read a few times a second while somebody
 * listens. A signal that is lost (its writer died in between) costs its listeners the rest of their sleep.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Wake } from "punctual/TaskStore"
import { audience } from "punctual/TaskStoreKit"
import { sleepUnref } from "./liveClock.ts"

/** What a change brought, collected while it is made. */
export interface Brought {
  due: number
  ready: boolean
  cancel: boolean
}

export const brought = (): Brought => ({ due: Infinity, ready: false, cancel: false })

export const bringsDue = (self: Brought, due: number | null): void => {
  if (due !== null && due < self.due) self.due = due
}

export const merge = (self: Brought, that: Brought): void => {
  bringsDue(self, that.due)
  self.ready ||= that.ready
  self.cancel ||= that.cancel
}

const needsAttention = ({ cancel, due, ready }: Brought): boolean => due !== Infinity || ready || cancel

/** The signal as it is read. */
export interface Signal extends Brought {
  readonly n: number
  /** Whose the last one was. */
  readonly by: string
}

/** How the signal is sent and noticed. */
export interface Signals {
  /** Who this is. */
  readonly me: string
  /** Adds one; answers the number it has then. */
  readonly send: (brought: Brought) => Effect.Effect<number, unknown>
  readonly read: Effect.Effect<Signal | undefined, unknown>
  /** The signal as it is once the watching has begun, then as it becomes, until interrupted; where the server can. */
  readonly watch: ((onSignal: (signal: Signal) => Effect.Effect<void>) => Effect.Effect<never, unknown>) | undefined
  /** The first due instant. */
  readonly earliest: Effect.Effect<number | null, unknown>
  /** Milliseconds between two looks, and between two tries to watch. */
  readonly interval: number
}

export interface Wakes {
  /** A reader was told that nothing is due before this. */
  readonly learned: (next: number | null) => void
  /** After the write. */
  readonly tell: (brought: Brought) => Effect.Effect<void>
  readonly listen: (onWake: (wake: Wake) => void) => Effect.Effect<void, never, Scope.Scope>
}

/** Between two signals of one instance, in milliseconds: a busy one changes things more often than anybody can look. */
const signalGap = 5

/** The fibers that send and notice signals live in `scope`, on real time, and do not keep the process alive. */
export const make = (options: { readonly scope: Scope.Scope; readonly signals: Signals | undefined }): Wakes => {
  const { scope, signals } = options
  // What readers know: the `next` of their last read, moved back by what they were told since. Comparing with the
  // earliest row instead would go silent as soon as one row stays due.
  let known = Infinity

  const tellHere = (brought: Brought): Effect.Effect<void> =>
    Effect.suspend(() => {
      const due = brought.due < known ? brought.due : null
      if (due !== null) known = due
      if (due === null && !brought.ready && !brought.cancel) return Effect.void
      return listeners.tell({ due, ready: brought.ready, cancel: brought.cancel })
    })

  // -- sending

  let unsent = brought()
  let sending = false
  /** Numbers of our own signals that a look has not seen yet. */
  const ours = new Set<number>()

  const sendAll = ({ send }: Signals): Effect.Effect<void> =>
    Effect.gen(function*() {
      while (needsAttention(unsent)) {
        const signal = unsent
        unsent = brought()
        const number = yield* Effect.option(send(signal))
        if (number._tag === "Some" && !listeners.isEmpty()) ours.add(number.value)
        yield* sleepUnref(signalGap)
      }
    }).pipe(
      Effect.ensuring(Effect.sync(() => {
        sending = false
      })),
      Effect.uninterruptible
    )

  const tell = (brought: Brought): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (!needsAttention(brought)) return Effect.void
      if (signals === undefined) return tellHere(brought)
      merge(unsent, brought)
      if (sending) return tellHere(brought)
      sending = true
      return Effect.andThen(
        tellHere(brought),
        Effect.forkIn(Effect.withTracerEnabled(sendAll(signals), false), scope, { startImmediately: true })
      )
    })

  // -- noticing

  /** Tells what a signal says, if it is another's: `last` is the number of the one before. */
  const look = ({ earliest, me }: Signals, signal: Signal, last: number): Effect.Effect<void> =>
    Effect.gen(function*() {
      let foreign = 0
      for (let n = Math.max(last + 1, signal.n - 1000); n <= signal.n; n++) {
        if (!ours.has(n) && (n !== signal.n || signal.by !== me)) foreign++
      }
      ours.clear()
      if (foreign === 0) return
      if (foreign === 1 && signal.by !== me) return yield* tellHere(signal)
      // only the last one can be read
      const due = yield* Effect.orElseSucceed(earliest, () => null)
      yield* tellHere({ due: due ?? Infinity, ready: true, cancel: true })
    })

  const notice = (signals: Signals): Effect.Effect<void> =>
    Effect.gen(function*() {
      const read = Effect.orElseSucceed(signals.read, () => undefined)
      let seen = (yield* read)?.n ?? 0
      const notice = (signal: Signal): Effect.Effect<void> =>
        Effect.suspend(() => {
          const before = seen
          seen = signal.n
          return signal.n === before ? Effect.void : look(signals, signal, before)
        })
      for (let warned = false;;) {
        if (signals.watch !== undefined) {
          const error = yield* Effect.flip(signals.watch(notice))
          if (!warned) {
            yield* Effect.logWarning("Watching a task store failed; it is asked instead, and tried again", error)
          }
          warned = true
        }
        yield* sleepUnref(signals.interval)
        // what is being sent has no number yet by which we knew it for ours
        if (sending) {
          continue
        }
        // a server that does not answer is asked again: its changes are noticed then
        const signal = yield* read
        if (signal !== undefined && !sending) yield* notice(signal)
      }
    })

  /** While there are any, the signals of others are noticed. */
  const listeners = audience<Wake>(
    signals === undefined ? undefined : {
      scope,
      hear: (ready) =>
        Effect.andThen(ready, notice(signals)).pipe(
          Effect.withTracerEnabled(false),
          Effect.catchCause((cause) =>
            Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logError("Watching a task store failed", cause)
          ),
          Effect.ensuring(Effect.sync(() => ours.clear()))
        )
    }
  )

  return {
    tell,
    learned: (next) => {
      const due = next ?? Infinity
      if (due > known) known = due
    },
    listen: (onWake) => listeners.join((wake) => onWake({ ...wake }))
  }
}
