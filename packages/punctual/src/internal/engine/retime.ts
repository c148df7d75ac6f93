/**
 * Moving what is due to where the present rules of time zones put it.
 *
 * Governments change the rules of zones, and runtimes learn of it with an update. What a task is due at next was computed
 * before that, perhaps by another process; so whoever has newer rules computes it again, from the task's cursor:
 *
 *     rows with older rules ─▶ next(cursor) ─▶ compare-and-set ─▶ moved? told
 *
 * An occurrence that is decided stays decided: nothing before the cursor is looked at.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Policy from "../../Policy.ts"
import type { SchedulerEvent } from "../../SchedulerEvent.ts"
import type { TaskPosition, TaskRow } from "../../TaskRecord.ts"
import type { Change, Committed, TaskStoreError, TaskWithRuns } from "../../TaskStore.ts"
import { rulesVersion } from "../timeZone.ts"
import { dueAt, restingState, type Rules } from "./advance.ts"
import { batchSize, instant } from "./host.ts"

export type Retimed = Pick<TaskPosition, "due" | "nominal" | "zoneRules" | "state">

/** What a row becomes under the present rules. */
export const retimed = (row: TaskRow, rules: Rules): Retimed => {
  // What does not fire has no version of rules; somebody wrote one by hand.
  if (row.due === null) return { ...dueAt(undefined, null, null), state: row.state }
  const next = Policy.nextAfter({
    policy: rules.policy,
    trigger: rules.bound,
    ran: row.counters.ran,
    after: row.cursor
  })
  return {
    ...dueAt(next, rules.zoneRules, row.override),
    state: next !== undefined ? row.state : restingState(row)
  }
}

/** Whether a row's instants are of older rules than this process has. */
export const isOutdated = (row: TaskRow): boolean => row.zoneRules !== null && row.zoneRules < rulesVersion()

export const retimedEvent = (store: string, row: TaskRow, due: number | null, at: number): SchedulerEvent => ({
  _tag: "TaskRetimed",
  at: instant(at),
  store,
  id: row.id,
  from: instant(row.due!),
  to: due === null ? null : instant(due),
  zoneRules: rulesVersion()
})

/** Walks the tasks of one store whose rules are older; what others change meanwhile is left to them. */
export const retime = (options: {
  readonly alias: string
  readonly now: () => number
  readonly outdated: (query: {
    readonly now: number
    readonly limit: number
    readonly zoneRules: string
  }) => Effect.Effect<ReadonlyArray<TaskWithRuns>, TaskStoreError>
  /** What a row becomes, by `retimed`; the failure is why it cannot be read. */
  readonly decide: (row: TaskRow) => Result.Result<Retimed, string>
  readonly commit: (changes: ReadonlyArray<Change>) => Effect.Effect<ReadonlyArray<Committed>, TaskStoreError>
  readonly quarantine: (
    tasks: ReadonlyArray<{ readonly id: string; readonly generation: number; readonly reason: string }>
  ) => Effect.Effect<void, TaskStoreError>
  /** Told of each row that is due at another instant now. */
  readonly onMoved: (row: TaskRow, became: Retimed, at: number) => void
}): Effect.Effect<void, TaskStoreError> =>
  Effect.gen(function*() {
    const zoneRules = rulesVersion()
    let moved = 0
    while (true) {
      const at = options.now()
      const tasks = yield* options.outdated({ now: at, limit: batchSize, zoneRules })
      const changes: Array<Change> = []
      const planned: Array<readonly [TaskRow, Retimed]> = []
      const unreadable: Array<{ readonly id: string; readonly generation: number; readonly reason: string }> = []
      for (const { row } of tasks) {
        const { generation, id, revision } = row
        const decided = options.decide(row)
        if (Result.isFailure(decided)) {
          unreadable.push({ id, generation, reason: decided.failure })
          continue
        }
        planned.push([row, decided.success])
        changes.push({ id, generation, revision, seen: row, set: decided.success, runs: [], now: at })
      }
      const answers = yield* options.commit(changes)
      let committed = 0
      for (let i = 0; i < planned.length; i++) {
        if (answers[i]!._tag === "Conflict") continue
        committed++
        const [row, became] = planned[i]!
        if (became.due === row.due) continue
        moved++
        options.onMoved(row, became, at)
      }
      if (unreadable.length > 0) yield* options.quarantine(unreadable)
      if (committed + unreadable.length === 0) break
      yield* Effect.yieldNow
    }
    if (moved > 0) {
      yield* Effect.logInfo(
        `Time zone rules ${zoneRules} move the next time of ${moved} task(s) in store \`${options.alias}\`.`
      )
    }
  })
