/**
 * Waiting for others who change the same task.
 *
 * A conflict says that somebody was faster, or is not done: a transaction of a program may hold a task for seconds. Who
 * asks again at once keeps a processor and the store busy until then.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Activity from "../../Activity.ts"
import type { TaskStore } from "../../TaskStore.ts"

/** In milliseconds. */
const longestWait = 100

/**
 * Waits after the `conflicts`th conflict in a row: a random part of 1 ms, 2 ms, 4 ms … 100 ms.
 *
 * On real time, whatever time the program has, since that is what other processes live in. A store that nobody else has
 * changes only when other fibers of this process turn.
 */
export const standAside = (store: TaskStore["Service"], conflicts: number): Effect.Effect<void> =>
  !store.capabilities.shared
    ? Effect.yieldNow
    : Effect.flatMap(Activity.Activity, (activity) =>
      Activity.during(
        Effect.flatMap(Random.next, (share) =>
          activity.live(Effect.sleep(Duration.millis(share * Math.min(2 ** (conflicts - 1), longestWait))))),
        "conflict"
      ))
