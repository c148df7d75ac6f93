/**
 * Closes a scope so that no finalizer stands in the way of the others: each has a budget, the last one is first.
 *
 *     finalizer ──▶ ended | failed: told, and on to the next | too slow: interrupted, told, and on to the next
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Activity from "../../Activity.ts"

type Finalizer = (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<unknown>

/** Ends when every finalizer has ended or was given up; `what` names them in the log. */
export const closeWithin = (
  scope: Scope.Closeable,
  exit: Exit.Exit<unknown, unknown>,
  budget: Duration.Duration,
  what: string
): Effect.Effect<void> =>
  Effect.withFiber((self) => {
    const finalizers = take(scope, exit)
    // They have the label that they were added under, which is ours, and are counted beside us, who wait for a time.
    const label = self.getRef(Activity.Label) ?? what
    return Effect.forEach(finalizers, (finalizer, i) => {
      const name = `Cleanup ${i + 1} of ${finalizers.length} of ${what}`
      return Effect.gen(function*() {
        const fiber = yield* Effect.forkDetach(Activity.during(Effect.suspend(() => finalizer(exit)), label), {
          startImmediately: true
        })
        const ended = yield* Effect.timeoutOption(Fiber.await(fiber), budget)
        if (Option.isNone(ended)) {
          fiber.interruptUnsafe()
          yield* Effect.logWarning(`${name} did not end within ${Duration.format(budget)} and was interrupted.`)
        } else if (Exit.isFailure(ended.value)) {
          yield* Effect.logError(`${name} failed.`, ended.value.cause)
        }
      })
    }, { discard: true })
  })

/** Closes the scope and answers what it would have run, the last added first. */
const take = (scope: Scope.Closeable, exit: Exit.Exit<unknown, unknown>): ReadonlyArray<Finalizer> => {
  const { state } = scope
  if (state._tag === "Closed") return []
  scope.state = { _tag: "Closed", exit }
  if (state._tag === "Empty") return []
  return state.finalizer !== undefined ? [state.finalizer] : [...state.finalizers!.values()].toReversed()
}
