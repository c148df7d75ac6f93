/**
 * Deciding what a task's row becomes: pure functions over a row, its open runs and an instant.
 *
 * Every command is an advance: it settles `(cursor, now]` under the rules as they were, then changes the row.
 */
import * as Result from "effect/Result"
import * as Policy from "../../Policy.ts"
import type { Counters, NewRun, RunRow, StoredState, TaskPosition, TaskRow } from "../../TaskRecord.ts"
import { noCounters } from "../../TaskRecord.ts"
import type { RunChange, TaskWithRuns } from "../../TaskStore.ts"
import * as Trigger from "../../Trigger.ts"
import { Cache } from "../cache.ts"
import { rulesVersion } from "../timeZone.ts"
import type { TriggerDefinitions } from "../triggerDefinitions.ts"
import * as TriggerText from "../triggerText.ts"

/** A row's trigger and policy, decoded. */
export interface Rules {
  readonly trigger: Trigger.Trigger
  /** The version of the time zone rules that its instants depend on, if they do. */
  readonly zoneRules: string | null
  readonly bound: Trigger.Bound
  readonly policy: Policy.Policy
}

/** Triggers that recur are bound once per row and definition; the bound forms of the newest rows are kept. */
const bounds = new Cache<
  string,
  {
    readonly text: string
    readonly definitions: TriggerDefinitions
    readonly anchor: number
    readonly trigger: Trigger.Trigger
    readonly zoneRules: string | null
    readonly bound: Trigger.Bound
  }
>(16_384)

/** Decodes a row's rules; the failure is the reason a person reads. */
export const rulesOf = (row: TaskRow, definitions: TriggerDefinitions): Result.Result<Rules, string> => {
  const policy = Policy.decode(row.policy)
  if (Result.isFailure(policy)) return Result.fail(policy.failure.message)
  let cached = bounds.get(row.id)
  if (
    cached === undefined || cached.text !== row.trigger || cached.anchor !== row.anchor ||
    cached.definitions !== definitions
  ) {
    const trigger = TriggerText.decode(row.trigger, definitions)
    if (Result.isFailure(trigger)) return Result.fail(trigger.failure)
    cached = {
      text: row.trigger,
      definitions,
      anchor: row.anchor,
      trigger: trigger.success,
      zoneRules: zoneRulesOf(trigger.success),
      bound: Trigger.bind(trigger.success, { anchor: row.anchor, seed: row.id })
    }
    // What fires once is bound in no time, and mostly asked once.
    if (Trigger.isRecurring(cached.trigger)) bounds.set(row.id, cached)
  }
  return Result.succeed({
    trigger: cached.trigger,
    zoneRules: cached.zoneRules,
    policy: policy.success,
    bound: row.override === null ? cached.bound : overridden(cached.bound, row.override)
  })
}

/** A task that is due no more is not looked at again: what is known of it makes room, and garbage while it is young. */
export const forgetRules = (row: Pick<TaskRow, "id">): void => bounds.delete(row.id)

export const zoneRulesOf = (trigger: Trigger.Trigger): string | null =>
  Trigger.usesTimeZone(trigger) ? rulesVersion() : null

/** When a task is due, and what that depends on: a next run time set by hand depends on no zone. */
export const dueAt = (
  next: Trigger.Point | undefined,
  zoneRules: string | null,
  override: number | null
): Pick<TaskPosition, "due" | "nominal" | "zoneRules"> =>
  next === undefined
    ? { due: null, nominal: null, zoneRules: null }
    : { due: next.due, nominal: next.nominal, zoneRules: next.due === override ? null : zoneRules }

/** What a trigger answers; one that misbehaves makes its row unreadable, with a reason a person reads. */
export const attempt = <A>(ask: () => A): Result.Result<A, string> => {
  try {
    return Result.succeed(ask())
  } catch (error) {
    if (error instanceof Trigger.TriggerMisbehaves) return Result.fail(error.message)
    throw error
  }
}

/** The trigger with a next run time set by hand: silent until then, one occurrence at it, then itself again. */
const overridden = (bound: Trigger.Bound, at: number): Trigger.Bound => ({
  next: (after) => after < at ? { due: at, nominal: at } : bound.next(after),
  previous: (before) => {
    if (before <= at) return undefined
    const point = bound.previous(before)
    return point === undefined || point.due <= at ? { due: at, nominal: at } : point
  },
  countBetween: (after, until, limit) => {
    if (after >= at) return bound.countBetween(after, until, limit)
    if (until < at) return { count: 0, exact: true }
    const rest = bound.countBetween(at, until, limit)
    return { count: rest.count + 1, exact: rest.exact }
  }
})

/** Where a task without a next time stands. */
export const restingState = (row: { readonly onStartup: boolean; readonly onShutdown: boolean }): StoredState =>
  row.onShutdown ? "onShutdown" : row.onStartup ? "onStartup" : "finished"

/** A run as policies see it. */
export const openRun = (run: RunRow): Policy.OpenRun => ({
  key: run.key,
  due: run.due,
  state: run.state as Policy.OpenRun["state"],
  cancelRequested: run.cancel !== null
})

/** What an advance changes. */
export interface Advance {
  readonly set: Pick<
    TaskPosition,
    "state" | "cursor" | "due" | "nominal" | "zoneRules" | "counters" | "ranges" | "override"
  >
  readonly runs: ReadonlyArray<RunChange>
  readonly plan: Policy.Plan
}

/** Settles `(cursor, now]`; a paused task's occurrences are counted as paused. */
export const advance = (task: TaskWithRuns, rules: Rules, now: number): Advance => {
  const { row } = task
  const paused = row.state === "paused"
  const plan = Policy.plan({
    policy: rules.policy,
    trigger: rules.bound,
    cursor: row.cursor,
    now,
    open: task.open.length === 0 ? noOpenRuns : task.open.map(openRun),
    ran: row.counters.ran,
    paused
  })
  // A run that waits since before the present trigger was counted under the one before.
  const earlier = plan.drop.length === 0
    ? 0
    : task.open.filter((run) => run.due <= row.epoch && plan.drop.includes(run.key)).length
  const override = row.override !== null && plan.cursor >= row.override ? null : row.override
  const at = dueAt(paused ? undefined : plan.next, rules.zoneRules, override)
  const created = plan.runs.map((run): RunChange => ({
    _tag: "Create",
    run: newRun(rules.policy, row, plan.queues, {
      key: String(run.due),
      due: run.due,
      nominal: run.nominal,
      state: run.state,
      readyAt: run.due
    })
  }))
  return {
    plan,
    // Most often nothing is open: then there is nothing else to change.
    runs: task.open.length === 0 ? created : [
      ...plan.drop.map((key): RunChange => ({ _tag: "Drop", key })),
      ...plan.cancel.map((key): RunChange => ({ _tag: "Cancel", key, reason: "replaced by a newer run" })),
      ...plan.promote.map((key): RunChange => ({ _tag: "Promote", key })),
      ...created
    ],
    set: {
      cursor: plan.cursor,
      state: paused ? "paused" : plan.next !== undefined ? "scheduled" : restingState(row),
      due: at.due,
      nominal: at.nominal,
      zoneRules: at.zoneRules,
      counters: addCounts(
        row.counters,
        earlier === 0 ? plan.counts : {
          ...plan.counts,
          ran: plan.counts.ran + earlier,
          skipped: plan.counts.skipped - earlier
        }
      ),
      ranges: plan.ranges.length === 0
        ? row.ranges
        : Policy.encodeRanges(Policy.appendRanges(Policy.decodeRanges(row.ranges), plan.ranges)),
      override
    }
  }
}

const noOpenRuns: ReadonlyArray<Policy.OpenRun> = []

const addCounts = (a: Counters, b: Policy.Plan["counts"]): Counters => ({
  ran: a.ran + b.ran,
  missed: a.missed + b.missed,
  coalesced: a.coalesced + b.coalesced,
  skipped: a.skipped + b.skipped,
  paused: a.paused + b.paused,
  extra: a.extra,
  exact: a.exact && b.exact
})

export const newRun = (
  policy: Policy.Policy,
  row: Pick<TaskRow, "concurrencyKey">,
  queues: boolean,
  run: Pick<NewRun, "key" | "due" | "nominal" | "state" | "readyAt">
): NewRun => ({
  key: run.key,
  due: run.due,
  nominal: run.nominal,
  state: run.state,
  readyAt: run.readyAt,
  slots: policy.maxInstances,
  queues,
  atMostOnce: policy.delivery === "atMostOnce",
  keyed: row.concurrencyKey !== null
})

/** Begins a new trigger epoch after the cursor; counting starts again. */
export const rebind = (
  row: Pick<TaskRow, "id" | "cursor" | "onStartup" | "onShutdown">,
  trigger: Trigger.Trigger,
  now: number
): {
  readonly position: Pick<
    TaskPosition,
    "cursor" | "epoch" | "due" | "nominal" | "zoneRules" | "counters" | "override" | "state"
  >
  readonly anchor: number
} => {
  const cursor = Math.max(row.cursor, now - 1)
  const at = Math.max(cursor, now)
  const atNow = Trigger.bind(trigger, { anchor: at, seed: row.id })
  // An instant that is decided is not decided again: what fires at its very anchor, such as `now`, is bound after it.
  const anchor = at === cursor && atNow.next(cursor - 1)?.due === cursor ? at + 1 : at
  const bound = anchor === at ? atNow : Trigger.bind(trigger, { anchor, seed: row.id })
  const next = bound.next(cursor)
  const events = Trigger.events(trigger)
  return {
    anchor,
    position: {
      cursor,
      epoch: cursor,
      ...dueAt(next, zoneRulesOf(trigger), null),
      counters: noCounters,
      override: null,
      state: next !== undefined ? "scheduled" : restingState({ onStartup: events.startup, onShutdown: events.shutdown })
    }
  }
}
