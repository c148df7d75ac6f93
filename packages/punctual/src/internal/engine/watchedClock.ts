/**
 * A clock that tells the latest instant it has shown: what was decided then is decided up to there.
 *
 * Looking at it now and then does not tell that it was set to another year and back in between.
 */
import type * as Clock from "effect/Clock"

export interface WatchedClock {
  readonly clock: Clock.Clock
  /** Answers the latest instant shown since it was asked before, to each watcher. */
  readonly watch: () => () => number
}

export const watched = (clock: Clock.Clock): WatchedClock => {
  const watchers: Array<{ latest: number }> = []
  const show = (millis: number): number => {
    for (const watcher of watchers) if (millis > watcher.latest) watcher.latest = millis
    return millis
  }
  return {
    clock: {
      currentTimeMillisUnsafe: () => show(clock.currentTimeMillisUnsafe()),
      currentTimeMillis: clock.currentTimeMillis,
      currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
      currentTimeNanos: clock.currentTimeNanos,
      monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
      monotonicTimeNanos: clock.monotonicTimeNanos,
      sleep: (duration) => clock.sleep(duration)
    },
    watch: () => {
      const watcher = { latest: -Infinity }
      watchers.push(watcher)
      return () => {
        const { latest } = watcher
        watcher.latest = -Infinity
        return latest
      }
    }
  }
}
