/**
 * Real time, whatever clock the fiber has: other threads and processes have no other.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"

const clock: Clock.Clock = Context.get(Context.empty(), Clock.Clock)

/** Milliseconds of a clock that nobody sets. @internal */
export const now = (): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6

/** @internal */
export const sleep = (millis: number): Effect.Effect<void> => clock.sleep(Duration.millis(millis))
