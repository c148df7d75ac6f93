/**
 * Committing what a command decides about a task, and telling what came of it.
 *
 * Each command is one compare-and-set: read the row, decide, commit; read again when somebody was faster.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Result from "effect/Result"
import type { Executors } from "../../Executors.ts"
import type * as Policy from "../../Policy.ts"
import { TaskNotFound, TooMuchContention } from "../../SchedulerError.ts"
import type { SchedulerEvent } from "../../SchedulerEvent.ts"
import type { Change, TaskStore, TaskStoreError, TaskWithRuns } from "../../TaskStore.ts"
import type { TaskStores } from "../../TaskStores.ts"
import type { TriggerDefinitions } from "../triggerDefinitions.ts"
import { standAside } from "./contention.ts"
import type { Decision } from "./decide.ts"
import * as Metrics from "./metrics.ts"
import type { StoreClock } from "./storeClock.ts"
import { cancelledRuns, outcomes, rangeEvent, tellCancelled, type Waiters } from "./telling.ts"

/** What the commands of one scheduler, or client, share. */
export interface Commanding {
  readonly stores: TaskStores["Service"]
  /** A client knows none and accepts any. */
  readonly executors: Executors["Service"] | undefined
  readonly defaults: Policy.Policy
  /** What stored triggers are decoded with. */
  readonly definitions: TriggerDefinitions
  /** What time it is in each store, by alias, whoever asks. */
  readonly clocks: ReadonlyMap<string, StoreClock>
  /** Zone of instants written without an offset. */
  readonly timeZone: string
  /** How often another process's end of a run is looked for. */
  readonly pollInterval: number
  /** Whether a started scheduler of this program evaluates its stores. */
  readonly seen: () => boolean
  readonly emit: (event: SchedulerEvent) => void
  readonly heard: () => boolean
  readonly waiters: Waiters
}

/** What time it is in a store. */
export const nowIn = ({ clocks }: Commanding, alias: string): Effect.Effect<number, TaskStoreError> => {
  const { checked, clock } = clocks.get(alias)!
  return Effect.map(checked, () => clock.currentTimeMillisUnsafe())
}

/** Losing this often in a row, some two seconds, means that something else is wrong. */
export const maxConflicts = 50

/** Reads a task, decides, commits; again when somebody was faster. */
export const change = <A, E>(
  commanding: Commanding,
  alias: string,
  store: TaskStore["Service"],
  id: string,
  decide: (
    task: TaskWithRuns,
    now: number
  ) => Result.Result<Decision<A>, E> | Effect.Effect<Decision<A>, E | TaskStoreError>
): Effect.Effect<A, E | TaskNotFound | TooMuchContention | TaskStoreError> =>
  Effect.gen(function*() {
    for (let i = 0; i < maxConflicts; i++) {
      const now = yield* nowIn(commanding, alias)
      const [task] = yield* store.get([id])
      if (task === undefined) return yield* new TaskNotFound({ id, store: alias })
      const decided = decide(task, now)
      const decision = yield* Effect.isEffect(decided) ? decided : Effect.fromResult(decided)
      if (decision.set === undefined && decision.runs === undefined) return decision.value
      const change: Change = {
        id,
        generation: task.row.generation,
        revision: task.row.revision,
        seen: task.row,
        set: decision.set ?? {},
        runs: decision.runs ?? [],
        now
      }
      const [answer] = yield* store.commit([change])
      if (answer?._tag !== "Committed") {
        yield* standAside(store, i + 1)
        continue
      }
      if (decision.repairs === true) yield* store.clear([task.row.generation])
      if (decision.plan !== undefined) yield* tellPlan(commanding, alias, id, decision.plan, now)
      yield* tellChange(commanding, alias, store, task, change)
      return decision.value
    }
    return yield* new TooMuchContention({ id })
  })

/** Tells what became of occurrences that a command settled. */
const tellPlan = (
  commanding: Commanding,
  alias: string,
  id: string,
  plan: Policy.Plan,
  now: number
): Effect.Effect<void> =>
  plan.ranges.length === 0 ? Effect.void : Effect.contextWith((context: Context.Context<never>) => {
    for (const outcome of outcomes) Metrics.outcome(outcome, plan.counts[outcome], context)
    if (commanding.heard()) {
      for (const range of plan.ranges) commanding.emit(rangeEvent(alias, id, range, now))
    }
    return Effect.void
  })

/** Tells of runs that a change ended. */
export const tellChange = (
  commanding: Commanding,
  alias: string,
  store: TaskStore["Service"],
  task: TaskWithRuns,
  change: Change
): Effect.Effect<void> =>
  tellCancelled(
    store,
    alias,
    change,
    cancelledRuns(task.open, change),
    commanding.heard() ? commanding.emit : undefined,
    commanding.waiters
  )
