/**
 * Events and ends of runs, told alike by commands and by the engine.
 */
import * as Effect from "effect/Effect"
import type * as Policy from "../../Policy.ts"
import type { SchedulerEvent } from "../../SchedulerEvent.ts"
import { fromRun } from "../../TaskInfo.ts"
import type { RunRow } from "../../TaskRecord.ts"
import type { Change, TaskStore } from "../../TaskStore.ts"
import { instant } from "./host.ts"

/** Ends of runs somebody of this program waits for, by store and run. */
export type Waiters = Map<string, Set<(run: RunRow) => void>>

export const waiterKey = (store: string, run: { readonly generation: number; readonly key: string }): string =>
  `${store}/${run.generation}:${run.key}`

export const outcomes = ["missed", "coalesced", "skipped", "paused"] as const

const eventOf = {
  missed: "OccurrencesMissed",
  coalesced: "OccurrencesCoalesced",
  skipped: "OccurrencesSkipped",
  paused: "OccurrencesPaused"
} as const

export const rangeEvent = (store: string, id: string, range: Policy.Range, now: number): SchedulerEvent => ({
  _tag: eventOf[range.outcome],
  at: instant(now),
  store,
  id,
  from: instant(range.from),
  to: instant(range.to),
  count: range.count,
  exact: range.exact,
  reason: range.reason
})

export const endEvent = (store: string, run: RunRow): SchedulerEvent => ({
  _tag: "RunEnded",
  at: instant(run.endedAt ?? run.due),
  store,
  run: fromRun(run)
})

/** Keys of runs that a change ends by itself: those that waited or were ready. */
export const cancelledRuns = (open: ReadonlyArray<RunRow>, { runs, set }: Change): ReadonlySet<string> => {
  if (open.length === 0) return none
  const cancelled = new Set(runs.flatMap((run) => run._tag === "Cancel" ? [run.key] : []))
  return new Set(
    open.flatMap((run) => run.state !== "running" && (set === "remove" || cancelled.has(run.key)) ? [run.key] : [])
  )
}

const none: ReadonlySet<string> = new Set()

/**
 * Tells of runs that a change ended. They are read again, since one may have been claimed meanwhile; then it ends by
 * itself, perhaps already, and whoever ends it tells. What the change ended has its instant, and no token.
 */
export const tellCancelled = (
  store: TaskStore["Service"],
  alias: string,
  { generation, id, now }: Change,
  keys: ReadonlySet<string>,
  emit: ((event: SchedulerEvent) => void) | undefined,
  waiters: Waiters
): Effect.Effect<void> =>
  keys.size === 0 || (emit === undefined && waiters.size === 0)
    ? Effect.void
    : store.runs({ taskId: id, generation, state: "cancelled", limit: 1_000 }).pipe(
      Effect.map(({ items }) => {
        for (const run of items) {
          if (!keys.has(run.key) || run.token !== null || run.endedAt !== now) continue
          emit?.(endEvent(alias, run))
          tellWaiters(waiters, alias, run)
        }
      }),
      // The change is committed; whoever waits also looks by itself.
      Effect.ignore
    )

export const tellWaiters = (waiters: Waiters, store: string, run: RunRow): void => {
  if (waiters.size === 0) return
  waiters.get(waiterKey(store, run))?.forEach((waiter) => waiter(run))
}
