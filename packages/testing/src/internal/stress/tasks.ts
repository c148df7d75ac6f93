/**
 * The tasks of a stress test, and what becomes of them: what an engine decides, over `Policy.plan`.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Policy from "punctual/Policy"
import type { Counters, NewRun, TaskDefinition, TaskPosition, TaskRow } from "punctual/TaskRecord"
import { noCounters } from "punctual/TaskRecord"
import type { Change, NewTask, RunChange, TaskWithRuns } from "punctual/TaskStore"
import * as Trigger from "punctual/Trigger"
import * as Records from "../../TaskStoreRecords.ts"
import type { Random } from "./random.ts"

/** The instant at which every stress test begins. */
export const begin = Date.UTC(2026, 2, 27)

const second = 1000

const whenBusy = ["skip", "queue", "skip", "queueAll", "cancelPrevious"] as const

/** One of two concurrency keys, which may have one and two runs at once. */
const concurrency = (key: number) => ({ concurrencyKey: `key-${key}`, concurrencyLimit: key + 1 })

/**
 * Every kind of overlap with one to three slots; the triggers of neighbours are due together. With `keyed`, some share
 * concurrency keys.
 */
export const newTask = (id: string, index: number, tag: string, now: number, keyed: boolean): NewTask => {
  const trigger = Trigger.every(second * (1 + index % 2))
  const atMostOnce = index % 7 === 6
  const policy = Policy.makeUnsafe({
    maxInstances: 1 + index % 3,
    whenBusy: whenBusy[index % whenBusy.length],
    queueLimit: 3,
    lateAfter: 0,
    coalesce: index % 11 === 10 ? "none" : "latest",
    catchUpLimit: 3,
    delivery: atMostOnce ? "atMostOnce" : "atLeastOnce"
  })
  const next = Trigger.bind(trigger, { anchor: now, seed: id }).next(now - 1)
  return Records.newTask(id, now, {
    tag,
    name: tag,
    ...keyed && index % 3 === 2 ? concurrency(index % 2) : {},
    policy: Policy.encode(policy),
    labels: JSON.stringify({ index: String(index) }),
    due: next?.due ?? null,
    nominal: next?.nominal ?? null
  })
}

export const boundOf = (row: TaskRow): Trigger.Bound =>
  Trigger.bind(Trigger.every(second * (1 + Number(indexOf(row)) % 2)), { anchor: row.anchor, seed: row.id })

export const policyOf = (row: TaskRow): Policy.Policy => Result.getOrThrow(Policy.decode(row.policy))

const indexOf = (row: TaskRow): string => (JSON.parse(row.labels) as { readonly index: string }).index

/** Whose ends count failures: a settlement that changes its task's row. */
export const countsFailures = (run: { readonly taskId: string }): boolean =>
  Number(run.taskId.slice(run.taskId.lastIndexOf("/") + 1)) % 4 === 1

/** A change, and what it is to do to the counters. */
export interface Planned {
  readonly change: Change
  readonly counts: Counters
}

interface Settled {
  readonly set: Partial<TaskPosition>
  readonly runs: ReadonlyArray<RunChange>
  readonly plan: Policy.Plan
}

/** Settles `(cursor, now]`. */
const settle = ({ open, row }: TaskWithRuns, now: number): Settled => {
  const policy = policyOf(row)
  const paused = row.state === "paused"
  const plan = Policy.plan({
    policy,
    trigger: boundOf(row),
    cursor: row.cursor,
    now,
    open: open.map(openRun),
    ran: row.counters.ran,
    paused
  })
  const created = plan.runs.map((run) =>
    create(row, policy, {
      key: String(run.due),
      due: run.due,
      nominal: run.nominal,
      state: run.state,
      queues: plan.queues
    })
  )
  return {
    plan,
    runs: [
      ...plan.drop.map((key): RunChange => ({ _tag: "Drop", key })),
      ...plan.cancel.map((key): RunChange => ({ _tag: "Cancel", key, reason: "replaced" })),
      ...plan.promote.map((key): RunChange => ({ _tag: "Promote", key })),
      ...created
    ],
    set: {
      cursor: plan.cursor,
      due: paused ? null : plan.next?.due ?? null,
      nominal: paused ? null : plan.next?.nominal ?? null,
      counters: {
        ...row.counters,
        ran: row.counters.ran + plan.counts.ran,
        missed: row.counters.missed + plan.counts.missed,
        coalesced: row.counters.coalesced + plan.counts.coalesced,
        skipped: row.counters.skipped + plan.counts.skipped,
        paused: row.counters.paused + plan.counts.paused
      },
      ranges: plan.ranges.length === 0
        ? row.ranges
        : Policy.encodeRanges(Policy.appendRanges(Policy.decodeRanges(row.ranges), plan.ranges))
    }
  }
}

const openRun = (run: TaskWithRuns["open"][number]): Policy.OpenRun => ({
  key: run.key,
  due: run.due,
  state: run.state as Policy.OpenRun["state"],
  cancelRequested: run.cancel !== null
})

const create = (
  row: TaskRow,
  policy: Policy.Policy,
  run: Pick<NewRun, "key" | "due" | "nominal" | "state" | "queues">
): RunChange => ({
  _tag: "Create",
  run: {
    ...run,
    readyAt: run.due,
    slots: policy.maxInstances,
    atMostOnce: policy.delivery === "atMostOnce",
    keyed: row.concurrencyKey !== null
  }
})

const changeOf = (
  { row }: TaskWithRuns,
  now: number,
  set: Change["set"],
  runs: ReadonlyArray<RunChange>
): Change => ({ id: row.id, generation: row.generation, revision: row.revision, seen: row, set, runs, now })

/** What an engine makes of a task that is due. */
export const evaluation = (task: TaskWithRuns, now: number): Planned => {
  const { plan, runs, set } = settle(task, now)
  return { change: changeOf(task, now, set, runs), counts: { ...plan.counts, extra: 0 } }
}

/** What a person asks of a task, at random; `undefined` where that changes nothing. */
export const command = (task: TaskWithRuns, now: number, random: Random): Planned | undefined => {
  const { open, row } = task
  const policy = policyOf(row)
  const choice = random.below(100)
  if (choice < 25) return row.state === "paused" ? resume(task, now) : pause(task, now)
  if (choice < 45) {
    const { plan, runs, set } = settle(task, now)
    const definition: Partial<TaskDefinition> = {
      payload: JSON.stringify({ at: now }),
      priority: random.below(3),
      version: 1 + random.below(2),
      ...row.concurrencyKey === null ? {} : concurrency(random.below(2)),
      updatedAt: now
    }
    return { change: changeOf(task, now, { ...set, ...definition }, runs), counts: { ...plan.counts, extra: 0 } }
  }
  if (choice < 70) {
    const admitted = Policy.admitExtra(policy, open.map(openRun))
    if (admitted.state === "skipped") return undefined
    return {
      change: changeOf(task, now, { counters: { ...row.counters, extra: row.counters.extra + 1 } }, [
        ...admitted.cancel.map((key): RunChange => ({ _tag: "Cancel", key, reason: "replaced by hand" })),
        create(row, policy, { key: `x:${random.id()}`, due: now, nominal: now, state: admitted.state, queues: true })
      ]),
      counts: { ...noCounters, extra: 1 }
    }
  }
  if (choice < 85) {
    const run = open[random.below(open.length)]
    if (run === undefined) return undefined
    // also where it is running: it may have gone back to ready since, and then nothing else promotes what waits for it
    const left = open.filter((other) => other !== run).map(openRun)
    return {
      change: changeOf(task, now, {}, [
        { _tag: "Cancel", key: run.key, reason: "by hand" },
        ...Policy.promotable(policy, left).map((key): RunChange => ({ _tag: "Promote", key }))
      ]),
      counts: noCounters
    }
  }
  const cancels = choice < 92
    ? open.map((run): RunChange => ({ _tag: "Cancel", key: run.key, reason: "removed" }))
    : []
  const removal = changeOf(task, now, "remove", cancels)
  if (choice < 96) return { change: removal, counts: noCounters }
  const { id: _, ...replacement } = newTask(row.id, Number(indexOf(row)), row.tag, now, row.concurrencyKey !== null)
  return { change: { ...removal, replacement }, counts: noCounters }
}

const pause = (task: TaskWithRuns, now: number): Planned => {
  const { plan, runs, set } = settle(task, now)
  const held = [
    ...task.open.flatMap(({ key }) => plan.drop.includes(key) ? [] : [key]),
    ...plan.runs.map((run) => String(run.due))
  ]
  return {
    change: changeOf(task, now, { ...set, state: "paused", due: null, nominal: null, pausedAt: now }, [
      ...runs,
      ...held.map((key): RunChange => ({ _tag: "Hold", key }))
    ]),
    counts: { ...plan.counts, extra: 0 }
  }
}

/** Also how a test that ends sets free what is held. */
export const resume = (task: TaskWithRuns, now: number): Planned => {
  const { plan, set } = settle(task, now)
  return {
    change: changeOf(
      task,
      now,
      {
        ...set,
        state: "scheduled",
        due: plan.next?.due ?? null,
        nominal: plan.next?.nominal ?? null,
        pausedAt: null
      },
      [
        ...task.open.filter((run) => run.held).map((run): RunChange => ({ _tag: "Unhold", key: run.key })),
        ...Policy.promotable(policyOf(task.row), task.open.map(openRun)).map((key): RunChange => ({
          _tag: "Promote",
          key
        }))
      ]
    ),
    counts: { ...plan.counts, extra: 0 }
  }
}
