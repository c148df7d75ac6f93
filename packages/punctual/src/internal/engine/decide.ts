/**
 * What each command makes of a task: pure functions over its row, its open runs and an instant.
 *
 * Every one is an advance: it settles `(cursor, now]` under the rules as they were, then changes the row.
 */
import * as Result from "effect/Result"
import * as Policy from "../../Policy.ts"
import { DuplicateTask, TaskBusy, TaskFinished, TaskUnreadable } from "../../SchedulerError.ts"
import { runId } from "../../TaskInfo.ts"
import { noCounters, type RunRow, type TaskDefinition, type TaskPosition, type TaskRow } from "../../TaskRecord.ts"
import type { Change, RunChange, TaskWithRuns } from "../../TaskStore.ts"
import * as Trigger from "../../Trigger.ts"
import type { TriggerDefinitions } from "../triggerDefinitions.ts"
import * as TriggerText from "../triggerText.ts"
import {
  advance,
  attempt,
  dueAt,
  forgetRules,
  newRun,
  openRun,
  rebind,
  restingState,
  type Rules,
  rulesOf
} from "./advance.ts"
import { declarationOf, declare, declaredFields, mergePolicies, type Prepared } from "./prepare.ts"

/** What to commit, and what to answer. Without `set` and `runs` nothing is written. */
export interface Decision<A> {
  readonly value: A
  readonly set?: Change["set"]
  readonly runs?: ReadonlyArray<RunChange>
  /** What it settles, to be told. */
  readonly plan?: Policy.Plan | undefined
  /** Readers that set the row aside look at it again. */
  readonly repairs?: boolean
}

/** Asks a row's rules. */
export const asking = <A>(
  row: TaskRow,
  definitions: TriggerDefinitions,
  ask: (rules: Rules) => A
): Result.Result<A, TaskUnreadable> =>
  Result.mapError(
    Result.flatMap(rulesOf(row, definitions), (rules) => attempt(() => ask(rules))),
    (reason) => new TaskUnreadable({ id: row.id, reason })
  )

/** Applies what differs between the stored declaration and this one. */
export const redeclare = (
  task: TaskWithRuns,
  prepared: Prepared,
  definitions: TriggerDefinitions,
  at: number
): Result.Result<Decision<"updated" | "unchanged">, TaskUnreadable | DuplicateTask> => {
  const { row } = task
  // Another owner's task is not ours to change, whatever its id.
  if (prepared.row.owner !== null && row.owner !== null && row.owner !== prepared.row.owner) {
    return Result.fail(new DuplicateTask({ id: row.id, store: prepared.store }))
  }
  const before = declarationOf(row)
  if (before.revision > prepared.revision) return Result.succeed({ value: "unchanged" })
  const set: { -readonly [K in keyof TaskDefinition]?: TaskDefinition[K] } = {}
  let trigger: Trigger.Trigger | undefined
  for (const field of declaredFields) {
    const wanted = field === "policy"
      ? mergePolicies(before.policy, prepared.row.policy, row.policy)
      : prepared.row[field]
    // What an operator has changed to the same already is no change: `every` keeps its phase.
    if (before[field] === prepared.row[field] || row[field] === wanted) continue
    if (field === "trigger") trigger = prepared.trigger
    else Object.assign(set, { [field]: wanted })
  }
  if (set.payload !== undefined) set.display = prepared.row.display
  if (row.tag !== prepared.row.tag) set.tag = prepared.row.tag
  const declared = declare(prepared.row, prepared.revision)
  const owner = prepared.row.owner ?? row.owner
  if (Object.keys(set).length === 0 && trigger === undefined) {
    return Result.succeed(
      row.declared === declared && row.owner === owner
        ? { value: "unchanged" }
        : { value: "unchanged", set: { declared, owner }, runs: [] }
    )
  }
  return Result.map(redefine(task, { ...set, declared, owner }, trigger, undefined, definitions, at), (decision) => ({
    ...decision,
    value: "updated" as const
  }))
}

/** Settles what is due under the rules as they were, then changes definition, trigger or next run time. */
export const redefine = (
  task: TaskWithRuns,
  set: Partial<TaskDefinition & TaskPosition>,
  trigger: Trigger.Trigger | undefined,
  nextRunTime: number | undefined,
  definitions: TriggerDefinitions,
  at: number
): Result.Result<Decision<void>, TaskUnreadable> => {
  const { row } = task
  const rules = asking(row, definitions, (rules) => ({ ...rules, settled: advance(task, rules, at) }))
  // What cannot be read can still be given another trigger or policy: that is how it is repaired.
  if (Result.isFailure(rules) && trigger === undefined && set.policy === undefined) {
    return Result.fail(rules.failure)
  }
  const settled = Result.isSuccess(rules) ? rules.success.settled : undefined
  const before: TaskRow = settled === undefined ? row : { ...row, ...settled.set }
  let position: Partial<TaskPosition> = settled === undefined ? {} : settled.set
  let definition: Partial<TaskDefinition> = {}
  let current = Result.isSuccess(rules) ? rules.success.trigger : undefined
  if (trigger !== undefined) {
    const events = Trigger.events(trigger)
    const bound = rebind(before, trigger, at)
    current = trigger
    definition = {
      trigger: TriggerText.encode(trigger),
      anchor: bound.anchor,
      onStartup: events.startup,
      onShutdown: events.shutdown
    }
    position = { ...position, ...bound.position, ranges: before.ranges }
  }
  const policy = Policy.decode(set.policy ?? row.policy)
  const after: TaskRow = { ...before, ...set, ...definition, ...position }
  if (nextRunTime !== undefined) {
    // Until then the trigger is silent, so its counting begins anew.
    const due = Math.max(nextRunTime, after.cursor + 1)
    position = {
      ...position,
      override: due,
      due,
      nominal: due,
      zoneRules: null,
      state: "scheduled",
      epoch: after.cursor,
      counters: { ...noCounters, extra: after.counters.extra }
    }
  } else if (
    current !== undefined && Result.isSuccess(policy) && (trigger !== undefined || set.policy !== undefined)
  ) {
    // A new policy may finish a task or go on with a finished one (`maxRuns`).
    const bound = rulesOf(after, definitions)
    const next = Result.isSuccess(bound)
      ? Policy.nextAfter({
        policy: policy.success,
        trigger: bound.success.bound,
        ran: after.counters.ran,
        after: after.cursor
      })
      : undefined
    position = {
      ...position,
      ...dueAt(next, Result.isSuccess(bound) ? bound.success.zoneRules : null, after.override),
      state: next !== undefined ? "scheduled" : restingState(after)
    }
  }
  // Pausing is an operator's: only `resume` ends it.
  if (row.state === "paused") position = { ...position, state: "paused", ...dueAt(undefined, null, null) }
  return Result.succeed({
    value: undefined,
    set: { ...set, ...definition, ...position, updatedAt: at },
    runs: [
      ...settled?.runs ?? [],
      ...set.policy !== undefined && Result.isSuccess(policy) && row.state !== "paused"
        ? promotions(policy.success, task.open, settled?.runs ?? [])
        : []
    ],
    plan: settled?.plan,
    repairs: Result.isFailure(rules) || set.payload !== undefined
  })
}

/** Keeps the task and stops it from firing; what waits is held. */
export const pause = (
  task: TaskWithRuns,
  note: string | undefined,
  definitions: TriggerDefinitions,
  at: number
): Result.Result<Decision<boolean>, TaskUnreadable> =>
  asking(task.row, definitions, (rules): Decision<boolean> => {
    if (task.row.state === "paused") {
      return note === undefined || note === task.row.pauseNote
        ? { value: false }
        : { value: true, set: { pauseNote: note, updatedAt: at } }
    }
    const settled = advance(task, rules, at)
    const held: Array<RunChange> = []
    for (const run of task.open) {
      // Running ones too: one that fails before this commits goes back to ready, and must not begin again.
      if (!settled.plan.drop.includes(run.key)) {
        held.push({ _tag: "Hold", key: run.key })
      }
    }
    for (const run of settled.plan.runs) {
      held.push({ _tag: "Hold", key: String(run.due) })
    }
    return {
      value: true,
      set: {
        ...settled.set,
        state: "paused",
        ...dueAt(undefined, null, null),
        pausedAt: at,
        pauseNote: note ?? null,
        updatedAt: at
      },
      runs: [...settled.runs, ...held],
      plan: settled.plan
    }
  })

/** Goes on with the first occurrence after now; those in between are counted as paused. */
export const resume = (
  task: TaskWithRuns,
  definitions: TriggerDefinitions,
  at: number
): Result.Result<Decision<boolean>, TaskUnreadable | TaskFinished> => {
  const { row } = task
  if (row.state === "finished") return Result.fail(new TaskFinished({ id: row.id }))
  if (row.state !== "paused") return Result.succeed({ value: false })
  // Counted as paused, up to now.
  const rules = asking(row, definitions, (rules) => ({ ...rules, settled: advance(task, rules, at) }))
  return Result.flatMap(rules, ({ policy, settled, zoneRules }): Result.Result<Decision<boolean>, TaskFinished> => {
    const next = settled.plan.next
    const held = task.open.filter((run) => run.held)
    if (next === undefined && !row.onStartup && !row.onShutdown && held.length === 0) {
      return Result.fail(new TaskFinished({ id: row.id }))
    }
    return Result.succeed({
      value: true,
      set: {
        ...settled.set,
        state: next !== undefined ? "scheduled" : restingState(row),
        ...dueAt(next, zoneRules, settled.set.override),
        pausedAt: null,
        pauseNote: null,
        failures: 0,
        updatedAt: at
      },
      runs: [
        ...held.map((run): RunChange => ({ _tag: "Unhold", key: run.key })),
        ...promotions(policy, task.open, [])
      ],
      plan: settled.plan
    })
  })
}

export const removal = (task: TaskWithRuns, at: number, interrupt: boolean): Change => {
  // Nobody asks for them again, unless another has changed the task meanwhile.
  forgetRules(task.row)
  return {
    id: task.row.id,
    generation: task.row.generation,
    revision: task.row.revision,
    set: "remove",
    now: at,
    runs: interrupt
      // Ready ones too: one that is claimed before this commits must be asked to stop.
      ? task.open.map((run) => ({
        _tag: "Cancel",
        key: run.key,
        reason: "its task was removed"
      }))
      : []
  }
}

/** Waiting runs for which there is room once these changes are made: a policy with more room, a run that was ended. */
export const promotions = (
  policy: Policy.Policy,
  open: ReadonlyArray<RunRow>,
  changes: ReadonlyArray<RunChange>
): ReadonlyArray<RunChange> => {
  const left = new Map(open.map((run) => [run.key, openRun(run)]))
  for (const change of changes) {
    if (change._tag === "Create") {
      const { due, key, state } = change.run
      left.set(key, { key, due, state, cancelRequested: false })
      continue
    }
    const run = left.get(change.key)
    if (run === undefined) continue
    // What is cancelled may have gone back to ready since it was read as running, and nothing else then promotes what
    // waits for it. Where it runs, the store lets that wait on.
    if (change._tag === "Drop" || change._tag === "Cancel") left.delete(change.key)
    else if (change._tag === "Promote") left.set(change.key, { ...run, state: "ready" })
  }
  return Policy.promotable(policy, [...left.values()]).map((key) => ({ _tag: "Promote", key }))
}

export type RunRef = Pick<RunRow, "taskId" | "generation" | "key" | "state">

/** One run outside the schedule, as the task's policy and what is open allow. */
export const extraRun = (
  { open, row }: TaskWithRuns,
  key: string,
  whenBusy: Policy.Policy["whenBusy"] | undefined,
  definitions: TriggerDefinitions,
  at: number
): Result.Result<Decision<RunRef>, TaskBusy | TaskUnreadable> =>
  Result.flatMap(asking(row, definitions, (rules) => rules), ({ policy }) => {
    const admitted = Policy.admitExtra(whenBusy === undefined ? policy : { ...policy, whenBusy }, open.map(openRun))
    if (admitted.state === "skipped") {
      const by = admitted.reason.startsWith("busy:") ? admitted.reason.slice("busy:".length) : undefined
      return Result.fail(
        new TaskBusy({
          id: row.id,
          by: runId({ generation: row.generation, key: by ?? open[0]!.key }),
          waiting: by === undefined ? open.filter((run) => run.state === "waiting").length : 0
        })
      )
    }
    const run = newRun(policy, row, true, { key, due: at, nominal: at, state: admitted.state, readyAt: at })
    const runs: Array<RunChange> = admitted.cancel.map((key) => ({
      _tag: "Cancel",
      key,
      reason: "replaced by a run asked for"
    }))
    runs.push({ _tag: "Create", run })
    return Result.succeed<Decision<RunRef>>({
      value: { taskId: row.id, generation: row.generation, key, state: admitted.state },
      set: { counters: { ...row.counters, extra: row.counters.extra + 1 } },
      runs
    })
  })

export const neverFires = (trigger: Trigger.Trigger, id: string, at: number): boolean => {
  const events = Trigger.events(trigger)
  return !events.startup && !events.shutdown &&
    Trigger.bind(trigger, { anchor: at, seed: id }).next(at - 1) === undefined
}
