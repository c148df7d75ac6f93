/**
 * Real time, whatever clock the fiber has: what waits here waits for a server and for other processes, which virtual
 * time cannot bring about.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { clearTimeout, setTimeout } from "node:timers"

/** The default of the `Clock` reference: the system's clock. */
export const liveClock: Clock.Clock = Context.get(Context.empty(), Clock.Clock)

/** Sleeps without keeping the process alive: a program whose only pending work is a poll has nothing left to do. */
export const sleepUnref = (millis: number): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const timer = setTimeout(() => resume(Effect.void), millis)
    timer.unref()
    return Effect.sync(() => clearTimeout(timer))
  })
