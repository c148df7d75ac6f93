/**
 * What is in flight, so that virtual time moves only when nothing is.
 *
 * In production this is a no-op. Under `TestScheduler` it counts: store calls, loops that are awake, runs that are not
 * asleep on the virtual clock. That is why real IO gives the same runs at the same times as memory.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import type { SchedulerEvent } from "./SchedulerEvent.ts"

/**
 * Counts what is in flight. `begin` and `end` are synchronous and balanced.
 *
 * @category models
 * @since 0.1.0
 */
export interface Activity {
  /** Whether anybody looks: `false` in production, where engines also poll and cap their sleeps. */
  readonly virtual: boolean
  readonly begin: (what: string) => void
  readonly end: (what: string) => void
  /** Runs an effect on the real clock: stores are called so, whatever time the program has. */
  readonly live: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Sees every event of every scheduler, in order and at once. */
  readonly observe?: ((event: SchedulerEvent) => void) | undefined
}

/**
 * The activity counter of the program; does nothing unless a test provides one.
 *
 * @category references
 * @since 0.1.0
 */
export const Activity: Context.Reference<Activity> = Context.Reference<Activity>("punctual/Activity", {
  defaultValue: () => ({ virtual: false, begin: () => {}, end: () => {}, live: identity })
})

/**
 * What the current fiber's work is counted as, if it is. Sleeping on the virtual clock suspends the count.
 *
 * @category references
 * @since 0.1.0
 */
export const Label: Context.Reference<string | undefined> = Context.Reference<string | undefined>(
  "punctual/Activity/Label",
  {
    defaultValue: () => undefined
  }
)

/**
 * Lets virtual time move while this effect waits for something other than time.
 *
 * **When to use**
 *
 * Use in a handler under test that waits for a latch, a deferred or a queue: unlike a sleep, such a wait looks like
 * work in progress, and time would stand still until it ends.
 *
 * @category combinators
 * @since 0.1.0
 */
export const idle = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const label = fiber.getRef(Label)
    if (label === undefined) return effect
    const activity = fiber.getRef(Activity)
    activity.end(label)
    return Effect.ensuring(effect, Effect.sync(() => activity.begin(label)))
  })

/**
 * Takes work that was begun under a label out of the count while it sleeps.
 *
 * @internal
 */
export const asleep = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  activity: Activity,
  label: string | undefined
): Effect.Effect<A, E, R> => {
  if (!activity.virtual || label === undefined) return effect
  return Effect.suspend(() => {
    activity.end(label)
    return Effect.ensuring(effect, Effect.sync(() => activity.begin(label)))
  })
}

/**
 * Holds virtual time while this effect runs.
 *
 * **When to use**
 *
 * Use around real IO in code that a scheduler under test does not run itself.
 *
 * @category combinators
 * @since 0.1.0
 */
export const during = <A, E, R>(effect: Effect.Effect<A, E, R>, what: string): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const activity = fiber.getRef(Activity)
    if (!activity.virtual) return effect
    activity.begin(what)
    return Effect.ensuring(effect, Effect.sync(() => activity.end(what)))
  })

/**
 * Counts an effect under a label of its own, apart from whoever forked it.
 *
 * @internal
 */
export const counted = <A, E, R>(effect: Effect.Effect<A, E, R>, label: string): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const activity = fiber.getRef(Activity)
    if (!activity.virtual) return effect
    activity.begin(label)
    return Effect.ensuring(
      Effect.provideService(effect, Label, label),
      Effect.sync(() => activity.end(label))
    )
  })
