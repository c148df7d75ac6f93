/**
 * The time of one store, as this process knows it: what decides what is due in it, and what its leases are written in.
 *
 * It is the time of this machine, unless the store has a clock of its own (a server's) that it is not near. Then it is the
 * store's: the one clock that all who share it have in common, so that a machine whose clock is wrong by hours neither
 * decides for others what is not due, nor takes their leases, nor leaves one that ends in another year.
 *
 *     not asked yet         this machine's clock
 *     near                  this machine's clock
 *     off                   as far from this machine's clock as the store's was when it was asked
 *     set, or suspended     as the monotonic clock goes on from there, until the store has been asked again
 *
 * It is asked before anything is decided: at first, when a minute has passed, and when the wall clock and the monotonic
 * clock have parted. A suspended machine cannot tell that from a clock that was set; until the store has told, it is behind,
 * which harms nobody else.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Activity } from "../../Activity.ts"
import type { SchedulerEvent } from "../../SchedulerEvent.ts"
import { type TaskStore, TaskStoreError } from "../../TaskStore.ts"
import { instant, monotonic } from "./host.ts"
import { watched } from "./watchedClock.ts"

/** More than that is told of and mended. */
const tolerated = 5_000

/** Less than this part of a lease is no matter: it is extended when two thirds of it are left. */
const ofLease = 6

/** Clocks that are slewed part by milliseconds between two answers, those that are set by more than this. */
const parted = 1_000

const askedEvery = 60_000

export interface StoreClock {
  readonly clock: Clock.Clock
  /** Answers, each time, the latest instant that it has shown since the time before. */
  readonly watch: () => () => number
  /** Asks the store for its time, where that is to be known before something is decided. */
  readonly checked: Effect.Effect<void, TaskStoreError>
}

export interface Options {
  readonly store: TaskStore["Service"]
  readonly alias: string
  /** This machine's. */
  readonly clock: Clock.Clock
  readonly activity: Activity
  /** How long leases are, in milliseconds, where it writes any. */
  readonly lease: number | undefined
  /** Hears when this machine's clock is found to be off, once until it has been right again. */
  readonly tell: (event: Extract<SchedulerEvent, { readonly _tag: "ClockSkew" }>) => void
}

/** By how much a clock was ahead for sure, at least; less than zero where it was behind. */
export const aheadBy = (asked: number, theirs: number, answered: number): number =>
  asked > theirs ? asked - theirs : answered < theirs ? answered - theirs : 0

export const make = ({ activity, alias, clock, lease, store, tell }: Options): StoreClock => {
  const { time } = store
  const near = Math.min(tolerated, (lease ?? Infinity) / ofLease)
  // Of an answer that took longer too little is known: it was read at some moment in between.
  const longestAnswer = 2 * near
  // Time that a test moves has nothing to do with a server's.
  if (time === undefined || activity.virtual || "setTime" in clock) {
    const { clock: own, watch } = watched(clock)
    return { clock: own, watch, checked: Effect.void }
  }
  /** What was found when the store last answered. */
  let found: {
    /** Between this machine's wall clock and its monotonic one. */
    readonly apart: number
    /** From this machine's clock to the store's; zero where they are near. */
    readonly offset: number
    readonly at: number
  } | undefined
  let told = false

  const wall = () => clock.currentTimeMillisUnsafe()
  const ticks = () => monotonic(clock)

  /** The wall clock, had nobody set it since. */
  const steady = (): number => {
    const shown = wall()
    if (found === undefined) return shown
    const expected = ticks() + found.apart
    return Math.abs(shown - expected) > parted ? expected : shown
  }

  const now = (): number => Math.round(steady() + (found?.offset ?? 0))

  const ask: Effect.Effect<void, TaskStoreError> = Effect.gen(function*() {
    const asked = ticks()
    const apart = wall() - asked
    const answer = yield* Effect.result(activity.live(Effect.timeoutOrElse(time, {
      duration: Duration.millis(longestAnswer),
      orElse: () =>
        Effect.fail(
          new TaskStoreError({
            store: store.name,
            operation: "time",
            reason: "Unavailable",
            message: `Store \`${store.name}\` did not say within ${longestAnswer} ms what its clock shows.`
          })
        )
    })))
    const answered = ticks()
    const shown = wall()
    if (Result.isFailure(answer)) {
      if (answer.failure.retryable) return yield* Effect.fail(answer.failure)
      // One that may not tell is as one that has no clock, and is asked again in a minute.
      found = { apart: shown - answered, offset: 0, at: answered }
      return
    }
    const theirs = answer.success
    // Set, or suspended, meanwhile.
    if (Math.abs(shown - answered - apart) > parted) return yield* ask
    const took = answered - asked
    const ahead = Math.round(aheadBy(shown - took, theirs, shown))
    const off = Math.abs(ahead) > near
    found = { apart: shown - answered, offset: off ? theirs + took / 2 - shown : 0, at: answered }
    if (!off || told) {
      told = off
      return
    }
    told = true
    tell({ _tag: "ClockSkew", at: instant(now()), store: alias, ahead })
    yield* Effect.logWarning(
      `The clock of this machine is ${Math.abs(ahead)} ms ${ahead > 0 ? "ahead of" : "behind"} that of store ` +
        `\`${alias}\` (${store.name}), whose time is taken instead: set the one right that is wrong.`
    )
  })

  const shownByStore = watched({
    currentTimeMillisUnsafe: now,
    currentTimeMillis: Effect.sync(now),
    currentTimeNanosUnsafe: () => BigInt(now()) * nanosPerMilli,
    currentTimeNanos: Effect.sync(() => BigInt(now()) * nanosPerMilli),
    monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
    monotonicTimeNanos: clock.monotonicTimeNanos,
    sleep: (duration) => clock.sleep(duration)
  })

  return {
    clock: shownByStore.clock,
    watch: shownByStore.watch,
    checked: Effect.suspend(() => {
      if (found === undefined) return ask
      const at = ticks()
      return at - found.at >= askedEvery || Math.abs(wall() - at - found.apart) > parted ? ask : Effect.void
    })
  }
}

const nanosPerMilli = BigInt(1_000_000)

/** Those of all stores of a program, by alias. */
export const all = (
  stores: ReadonlyMap<string, TaskStore["Service"]>,
  options: Omit<Options, "alias" | "store">
): ReadonlyMap<string, StoreClock> =>
  new Map(Array.from(stores, ([alias, store]) => [alias, make({ ...options, alias, store })]))
