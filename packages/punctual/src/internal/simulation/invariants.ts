/**
 * What must hold of every ledger, whatever went wrong: pure functions from a ledger to what is wrong with it.
 *
 * | name | it holds that |
 * |---|---|
 * | `one outcome` (I2) | an occurrence is decided once: created once, never run after it was dropped or had ended |
 * | `fencing` (I3, I4) | what the store accepted presented the token of the latest claim; nobody lost a lease before its end |
 * | `conservation` (I6) | the outcomes of an epoch are as many as the trigger has occurrences in it, and runs as counted |
 * | `overlap` (I7) | no more of a task are ready or running, or have handlers with valid leases, than `maxInstances` |
 * | `keys` (I14) | no more runs of a tag and concurrency key are claimed at once than each of them allows when it is claimed |
 * | `one handler` | no second handler of a run begins before the first was asked to stop |
 * | `at most once` | a run that may begin once began once, marked before |
 * | `own claim` | each handler began under a claim of its process, once |
 * | `truth` | what is recorded as succeeded has succeeded |
 * | `stopped` | nothing of a task that is paused or removed is claimed |
 * | `clocks` | a cursor goes back only where it was far ahead, or for a scheduler that started under a wrong clock; none of that over a store with a clock |
 * | `liveness` | left alone, everything that is due, ready, waiting or lost has gone on |
 *
 * Occurrences are recomputed from the trigger, never taken from the store's own history.
 */
import * as Result from "effect/Result"
import * as Policy from "../../Policy.ts"
import type { RunRow, TaskRow } from "../../TaskRecord.ts"
import type { RunRef, TaskWithRuns } from "../../TaskStore.ts"
import * as Trigger from "../../Trigger.ts"
import * as TriggerText from "../triggerText.ts"
import { type Entry, formatInstant, formatRun, type Ledger } from "./ledger.ts"
import { clocksAgree, clocksStep, type Script } from "./script.ts"

export interface Problem {
  readonly invariant: string
  readonly message: string
  /** The entry of the ledger that shows it; of what is wrong in the end, none. */
  readonly entry?: number | undefined
}

export interface Conditions {
  readonly script: Script
  /** When the simulation began, in milliseconds since 1970. */
  readonly start: number
  /** How far clocks may differ while leases still exclude each other. */
  readonly tolerance: number
  /** How late anything may be in the end. */
  readonly slack: number
}

type Invariant = (ledger: Ledger, conditions: Conditions, wrong: (message: string, entry?: Entry) => void) => void

/** Checks all of them; in the order of the table. */
export const check = (ledger: Ledger, conditions: Conditions): ReadonlyArray<Problem> =>
  Object.entries(invariants).flatMap(([invariant, holds]) => {
    const problems: Array<Problem> = []
    holds(ledger, conditions, (message, entry) => {
      problems.push({ invariant, message, entry: entry === undefined ? undefined : ledger.entries.indexOf(entry) })
    })
    return problems
  })

const nameOf = (run: { readonly generation: number; readonly key: string }): string => `${run.generation}:${run.key}`

/** Runs outside the schedule have keys that begin with a letter. */
const isExtra = (key: string): boolean => key.startsWith("x:") || key.startsWith("e:")

// -----------------------------------------------------------------------------
// what happens to rows and runs
// -----------------------------------------------------------------------------

/** The tasks an entry shows as they are after it. */
const tasksOf = (entry: Entry): ReadonlyArray<TaskWithRuns> => {
  switch (entry._tag) {
    case "Stored":
      return entry.tasks
    case "Changed":
    case "Settled":
      return entry.after === undefined ? [] : [entry.after]
    default:
      return []
  }
}

const claimsOf = (entry: Entry): ReadonlyArray<RunRow> =>
  entry._tag === "Claimed"
    ? [entry.run]
    : entry._tag === "Changed" && entry.answer._tag === "Committed"
    ? entry.answer.claimed
    : []

/**
 * Generations whose cursor was moved back, as it is after a clock was far ahead: what had been decided may be decided
 * again, and is counted twice.
 */
const movedBack = ({ entries }: Ledger): ReadonlySet<number> => {
  const cursors = new Map<number, number>()
  const moved = new Set<number>()
  for (const entry of entries) {
    for (const { row } of tasksOf(entry)) {
      if (row.cursor < (cursors.get(row.generation) ?? -Infinity)) moved.add(row.generation)
      cursors.set(row.generation, row.cursor)
    }
  }
  return moved
}

// -----------------------------------------------------------------------------
// invariants
// -----------------------------------------------------------------------------

const oneOutcome: Invariant = (ledger, { start }, wrong) => {
  const again = movedBack(ledger)
  const fates = new Map<string, "created" | "dropped" | "ended">()
  const show = (run: { readonly taskId?: string; readonly generation: number; readonly key: string }) =>
    formatRun(run, start)
  for (const entry of ledger.entries) {
    if (entry._tag === "Stored") {
      for (const { open } of entry.tasks) for (const run of open) fates.set(nameOf(run), "created")
    } else if (entry._tag === "Changed" && entry.answer._tag === "Committed") {
      const { change } = entry
      for (const run of change.runs) {
        const ref = {
          taskId: change.id,
          generation: change.generation,
          key: run._tag === "Create" ? run.run.key : run.key
        }
        if (run._tag === "Create") {
          const fate = fates.get(nameOf(ref))
          if (fate !== undefined && !again.has(ref.generation) && !isExtra(ref.key)) {
            wrong(`${show(ref)} was decided twice: it had been ${fate} when it was created again`, entry)
          }
          fates.set(nameOf(ref), "created")
        } else if (run._tag === "Drop") {
          fates.set(nameOf(ref), "dropped")
        } else if (run._tag === "Cancel" && !(entry.after?.open.some((open) => open.key === run.key) ?? true)) {
          fates.set(nameOf(ref), "ended")
        }
      }
    } else if (entry._tag === "Settled" && entry.answer !== "Stale") {
      if (entry.answer === "Cancelled" || entry.settlement.result._tag === "End") {
        fates.set(nameOf(entry.settlement), "ended")
      }
    } else if (entry._tag === "TakenOver" && entry.taken.became !== "ready") {
      fates.set(nameOf(entry.taken.run), "ended")
    }
    for (const run of claimsOf(entry)) {
      const fate = fates.get(nameOf(run))
      if (fate === "dropped") wrong(`${show(run)} was skipped, and then it was claimed`, entry)
      if (fate === "ended") wrong(`${show(run)} had ended when it was claimed again`, entry)
    }
  }
}

const fencing: Invariant = (ledger, { start }, wrong) => {
  /** The token of the latest claim, `null` once it was taken over. */
  const latest = new Map<string, number | null>()
  const leases = new Map<string, number>()
  let greatest = 0
  const presents = (entry: Entry, what: string, ref: RunRef) => {
    const token = latest.get(nameOf(ref))
    if (token !== ref.token) {
      wrong(
        `${what} of ${formatRun(ref, start)} was accepted with token ${ref.token}; the latest claim ${
          token === null ? "was taken over" : token === undefined ? "is unknown" : `has token ${token}`
        }`,
        entry
      )
    }
  }
  for (const entry of ledger.entries) {
    for (const run of claimsOf(entry)) {
      if (run.token === null || run.token <= greatest) {
        wrong(`${formatRun(run, start)} was claimed with token ${run.token} after ${greatest}`, entry)
      }
      greatest = Math.max(greatest, run.token ?? 0)
      latest.set(nameOf(run), run.token)
      leases.set(nameOf(run), run.leaseUntil ?? -Infinity)
    }
    switch (entry._tag) {
      case "Settled":
        if (entry.answer !== "Stale") presents(entry, "A settlement", entry.settlement)
        break
      case "Marked":
        if (entry.answer) presents(entry, "A mark", entry.ref)
        break
      case "Extended":
        if (!entry.answer.alive) break
        presents(entry, "A heartbeat", entry.ref)
        leases.set(nameOf(entry.ref), entry.until)
        break
      case "TakenOver": {
        const { run } = entry.taken
        const until = leases.get(nameOf(run)) ?? -Infinity
        if (until > entry.now) {
          wrong(
            `${formatRun(run, start)} was taken over at ${formatInstant(entry.now, start)}, before its lease ended at ${
              formatInstant(until, start)
            }`,
            entry
          )
        }
        latest.set(nameOf(run), null)
      }
    }
  }
}

const conservation: Invariant = (ledger, { start }, wrong) => {
  const again = movedBack(ledger)
  /** The next run time set by hand in this epoch: the trigger is silent until then. */
  const moved = new Map<number, { readonly epoch: number; readonly due: number }>()
  const bounds = new Map<string, Trigger.Bound>()
  const boundOf = (row: TaskRow): Trigger.Bound | undefined => {
    const name = `${row.generation}/${row.anchor}/${row.trigger}`
    const known = bounds.get(name)
    if (known !== undefined) return known
    const trigger = TriggerText.decode(row.trigger)
    if (Result.isFailure(trigger)) return undefined
    const bound = Trigger.bind(trigger.success, { anchor: row.anchor, seed: row.id })
    bounds.set(name, bound)
    return bound
  }
  /** Runs of scheduled occurrences, with what they are due at, that were created and neither dropped nor missed. */
  const ran = new Map<number, Map<string, number>>()
  const ranOf = (generation: number) => {
    const known = ran.get(generation)
    if (known !== undefined) return known
    const made = new Map<string, number>()
    ran.set(generation, made)
    return made
  }
  const told = new Set<number>()
  for (const entry of ledger.entries) {
    if (entry._tag === "Stored") {
      for (const { open, row } of entry.tasks) {
        for (const run of open) if (!isExtra(run.key)) ranOf(row.generation).set(run.key, run.due)
      }
    } else if (entry._tag === "Changed" && entry.answer._tag === "Committed") {
      const { change } = entry
      const mine = ranOf(change.generation)
      // Another trigger, perhaps at the very cursor at which the one before began.
      if (change.set !== "remove" && change.set.epoch !== undefined) moved.delete(change.generation)
      for (const run of change.runs) {
        if (run._tag === "Create" && !isExtra(run.run.key)) mine.set(run.run.key, run.run.due)
        else if (run._tag === "Drop") mine.delete(run.key)
      }
    } else if (entry._tag === "Settled" && entry.answer !== "Stale") {
      const { result } = entry.settlement
      if (result._tag === "End" && result.state === "missed") {
        ranOf(entry.settlement.generation).delete(entry.settlement.key)
      }
    }
    for (const { row } of tasksOf(entry)) {
      const { generation } = row
      if (row.override !== null) moved.set(generation, { epoch: row.epoch, due: row.override })
      const { coalesced, exact, missed, paused, ran: counted, skipped } = row.counters
      if (!exact || again.has(generation) || told.has(generation)) continue
      const bound = boundOf(row)
      if (bound === undefined) continue
      const byHand = moved.get(generation)
      const expected = byHand?.epoch !== row.epoch
        ? bound.countBetween(row.epoch, row.cursor, countLimit)
        : row.cursor < byHand.due
        ? { count: 0, exact: true }
        : bound.countBetween(byHand.due, row.cursor, countLimit)
      const occurrences = expected.count + (byHand?.epoch === row.epoch && row.cursor >= byHand.due ? 1 : 0)
      const outcomes = counted + missed + coalesced + skipped + paused
      const where = `up to ${formatInstant(row.cursor, start)}, as of ${formatInstant(start + entry.at, start)}`
      if (expected.exact && outcomes !== occurrences) {
        told.add(generation)
        wrong(`${row.id}:${generation} counts ${outcomes} outcomes of ${occurrences} occurrences ${where}`, entry)
      }
      let created = 0
      for (const due of ranOf(generation).values()) if (due > row.epoch) created++
      if (counted !== created) {
        told.add(generation)
        wrong(`${row.id}:${generation} counts ${counted} runs, and ${created} were created, ${where}`, entry)
      }
    }
  }
}

/** Enough for every occurrence of a simulation. */
const countLimit = 1_000_000

const overlap: Invariant = (ledger, { start }, wrong) => {
  /** Generations that may overlap, by policy, at some time. */
  const allowed = new Set<number>()
  const told = new Set<number>()
  const latest = new Map<string, number | null>()
  const active = new Set<RunRow & { readonly node: number }>()
  /** By the present policy; a run keeps the room it was created with where that was more. */
  const room = new Map<number, number>()
  for (const entry of ledger.entries) {
    for (const { open, row } of tasksOf(entry)) {
      if (allowed.has(row.generation) || told.has(row.generation)) continue
      const policy = Policy.decode(row.policy)
      if (Result.isFailure(policy) || policy.success.whenBusy === "allow") {
        allowed.add(row.generation)
        continue
      }
      const busy = open.filter((run) => run.state !== "waiting" && !isExtra(run.key))
      const slots = Math.max(policy.success.maxInstances, ...busy.map((run) => run.slots))
      room.set(row.generation, policy.success.maxInstances)
      if (busy.length > slots) {
        told.add(row.generation)
        wrong(
          `${busy.length} runs of ${row.id}:${row.generation} are ready or running at ${
            formatInstant(start + entry.at, start)
          }, not ${slots}`,
          entry
        )
      }
    }
    for (const run of claimsOf(entry)) latest.set(nameOf(run), run.token)
    if (entry._tag === "TakenOver") latest.set(nameOf(entry.taken.run), null)
    // A handler that does not stop is left behind, and its lease with it.
    if (entry._tag === "Settled" && entry.answer !== "Stale") latest.set(nameOf(entry.settlement), null)
    follow(active, entry)
    if (entry._tag !== "Began" || isExtra(entry.run.key) || allowed.has(entry.run.generation)) continue
    const { generation } = entry.run
    const valid = [...active].filter((run) =>
      run.generation === generation && !isExtra(run.key) && latest.get(nameOf(run)) === run.token
    )
    if (valid.length > Math.max(room.get(generation) ?? 0, ...valid.map((run) => run.slots)) && !told.has(generation)) {
      told.add(generation)
      wrong(
        `${valid.length} handlers of ${entry.run.taskId} with valid leases at ${
          formatInstant(start + entry.at, start)
        }`,
        entry
      )
    }
  }
}

/** Keeps handlers at work: one ends, and all of a process that is gone. */
const follow = (active: Set<RunRow & { readonly node: number }>, entry: Entry): void => {
  if (entry._tag === "Began") active.add({ ...entry.run, node: entry.node })
  else if (entry._tag === "Ended") {
    for (const run of active) if (run.token === entry.run.token) active.delete(run)
  } else if (isGone(entry)) {
    for (const run of active) if (run.node === entry.node) active.delete(run)
  }
}

const isGone = (entry: Entry): boolean =>
  entry._tag === "Process" && (entry.what === "crashes" || entry.what === "closed" || entry.what === "fails to start")

const keys: Invariant = (ledger, { start }, wrong) => {
  /** Claimed runs that have a key, by name. */
  const claimed = new Map<string, RunRow>()
  for (const entry of ledger.entries) {
    for (const run of claimsOf(entry)) {
      if (run.concurrencyKey === null) continue
      let running = 0
      for (const other of claimed.values()) {
        if (other.tag === run.tag && other.concurrencyKey === run.concurrencyKey) running++
      }
      if (running >= run.concurrencyLimit) {
        wrong(
          `${formatRun(run, start)} was claimed beside ${running} of its key ${run.concurrencyKey}, not fewer than ` +
            run.concurrencyLimit,
          entry
        )
      }
      claimed.set(nameOf(run), run)
    }
    if (entry._tag === "TakenOver") claimed.delete(nameOf(entry.taken.run))
    else if (entry._tag === "Settled" && entry.answer !== "Stale") {
      const { settlement } = entry
      if (claimed.get(nameOf(settlement))?.token === settlement.token) claimed.delete(nameOf(settlement))
    }
  }
}

const oneHandler: Invariant = (ledger, { script, start, tolerance }, wrong) => {
  const agree = ledger.final.clock
    ? script.steps.every((step) => !("fault" in step) || step.fault !== "suspend")
    : clocksAgree(script, tolerance)
  if (!agree) return
  const active = new Set<RunRow & { readonly node: number }>()
  const interrupted = new Set<number>()
  /** Claims of processes that stood still since then: their leases may have ended unseen. */
  const claims = new Map<number, number>()
  const excused = new Set<number>()
  for (const entry of ledger.entries) {
    for (const run of claimsOf(entry)) claims.set(run.token ?? 0, entry.node)
    if (entry._tag === "Interrupted") interrupted.add(entry.run.token ?? 0)
    if (entry._tag === "Process" && entry.what === "stands still") {
      for (const [token, node] of claims) if (node === entry.node) excused.add(token)
    }
    if (entry._tag === "Began") {
      for (const other of active) {
        if (nameOf(other) !== nameOf(entry.run)) continue
        const token = other.token ?? 0
        if (interrupted.has(token) || excused.has(token)) continue
        wrong(
          `a handler of ${formatRun(entry.run, start)} with token ${entry.run.token} began at ${
            formatInstant(start + entry.at, start)
          } beside the one with token ${token}, which nobody had asked to stop`,
          entry
        )
      }
    }
    follow(active, entry)
  }
}

const atMostOnce: Invariant = (ledger, { start }, wrong) => {
  const again = movedBack(ledger)
  const begun = new Map<string, number>()
  const marked = new Set<number>()
  for (const entry of ledger.entries) {
    if (entry._tag === "Marked" && entry.answer) marked.add(entry.ref.token)
    // What is asked for under a key that is known no longer is another run.
    if (entry._tag === "Changed" && entry.answer._tag === "Committed") {
      for (const run of entry.change.runs) {
        if (run._tag !== "Create" || !isExtra(run.run.key)) continue
        begun.delete(nameOf({ generation: entry.change.generation, key: run.run.key }))
      }
    }
    if (entry._tag !== "Began" || !entry.run.atMostOnce || again.has(entry.run.generation)) continue
    const times = (begun.get(nameOf(entry.run)) ?? 0) + 1
    begun.set(nameOf(entry.run), times)
    if (times > 1) wrong(`${formatRun(entry.run, start)}, at most once, began ${times} times`, entry)
    if (!marked.has(entry.run.token ?? 0)) {
      wrong(`${formatRun(entry.run, start)}, at most once, began without a mark`, entry)
    }
  }
}

const ownClaim: Invariant = (ledger, { start }, wrong) => {
  const claims = new Map<number, number>()
  const begun = new Set<number>()
  for (const entry of ledger.entries) {
    for (const run of claimsOf(entry)) claims.set(run.token ?? 0, entry.node)
    if (entry._tag !== "Began") continue
    const token = entry.run.token ?? 0
    if (claims.get(token) !== entry.node) {
      wrong(
        `${formatRun(entry.run, start)} began on node ${entry.node} without a claim of its own (token ${token})`,
        entry
      )
    }
    if (begun.has(token)) wrong(`${formatRun(entry.run, start)} began twice under token ${token}`, entry)
    begun.add(token)
  }
}

const truth: Invariant = (ledger, { start }, wrong) => {
  const succeeded = new Set<number>()
  for (const entry of ledger.entries) {
    if (entry._tag === "Ended" && entry.how === "Succeeded") succeeded.add(entry.run.token ?? 0)
    if (entry._tag !== "Settled" || entry.answer === "Stale") continue
    const { settlement } = entry
    if (settlement.result._tag !== "End" || settlement.result.state !== "succeeded") continue
    if (!succeeded.has(settlement.token)) {
      wrong(
        `${formatRun(settlement, start)} is recorded as succeeded under token ${settlement.token}, and was not`,
        entry
      )
    }
  }
}

const stopped: Invariant = (ledger, { start }, wrong) => {
  const states = new Map<number, "paused" | "removed">()
  for (const entry of ledger.entries) {
    for (const run of claimsOf(entry)) {
      const state = states.get(run.generation)
      // A run that is asked for does not ask whether its task is paused.
      if (state === "removed" || (state === "paused" && !isExtra(run.key))) {
        wrong(`${formatRun(run, start)} was claimed, and its task is ${state}`, entry)
      }
    }
    for (const { row } of tasksOf(entry)) {
      if (row.state === "paused") states.set(row.generation, "paused")
      else states.delete(row.generation)
    }
    if (entry._tag === "Changed" && entry.change.set === "remove" && entry.answer._tag === "Committed") {
      states.set(entry.change.generation, "removed")
    }
  }
}

const clocks: Invariant = (ledger, { start }, wrong) => {
  if (ledger.final.clock) return storesClock(ledger, start, wrong)
  const cursors = new Map<number, number>()
  /** Nodes of which a process started while its clock was wrong. */
  const misled = new Set<number>()
  for (const entry of ledger.entries) {
    if (entry._tag === "Process" && Math.abs(entry.ahead ?? 0) > farAhead) misled.add(entry.node)
    for (const { row } of tasksOf(entry)) {
      const before = cursors.get(row.generation) ?? -Infinity
      cursors.set(row.generation, row.cursor)
      if (row.cursor >= before || before > start + entry.at + farAhead || misled.has(entry.node)) continue
      wrong(
        `${row.id}:${row.generation} was decided up to ${formatInstant(before, start)}, and goes on from ${
          formatInstant(row.cursor, start)
        }`,
        entry
      )
    }
  }
}

/** Nothing is written of a time that the store's own clock does not show, whatever the clocks of the processes do. */
const storesClock = (ledger: Ledger, start: number, wrong: Parameters<Invariant>[2]): void => {
  const cursors = new Map<number, number>()
  for (const entry of ledger.entries) {
    const latest = start + entry.at + plausible
    for (const { row } of tasksOf(entry)) {
      const task = `${row.id}:${row.generation}`
      const before = cursors.get(row.generation) ?? -Infinity
      cursors.set(row.generation, row.cursor)
      if (row.cursor > latest) wrong(`${task} was decided up to ${formatInstant(row.cursor, start)}`, entry)
      if (row.cursor < before) wrong(`${task} goes on from ${formatInstant(row.cursor, start)} again`, entry)
    }
    for (const run of claimsOf(entry)) {
      const until = run.leaseUntil ?? 0
      if (until > latest || until < start + entry.at - plausible) {
        wrong(`the lease of ${formatRun(run, start)} ends at ${formatInstant(until, start)}`, entry)
      }
    }
  }
}

/** No lease, and no error of a clock that nobody corrects, is longer; calls may be late by it. */
const plausible = 120_000

/** A cursor, lease or retry further ahead than this belongs to a clock that was wrong. */
const farAhead = 3_600_000

const liveness: Invariant = (ledger, { script, slack, start }, wrong) => {
  // `docs/guarantees.md`, Clocks: what was timed by a clock that showed another year keeps its instant.
  const excused = clocksStep(script) && !ledger.final.clock
  const { now, owners, tasks } = ledger.final
  const when = (instant: number) => formatInstant(instant, start)
  for (const { open, row } of tasks) {
    const task = `${row.id}:${row.generation}`
    if (row.state === "scheduled") {
      if (row.due === null) wrong(`${task} is scheduled, and due at no time`)
      else if (row.due < now - slack) wrong(`${task} is due since ${when(row.due)}, and nobody looks`)
      if (row.cursor > now + farAhead) wrong(`${task} is silent until ${when(row.cursor)}: a clock was ahead`)
    }
    const busy = open.some((run) => run.state !== "waiting")
    for (const run of open) {
      const name = formatRun(run, start)
      if (run.held && row.state !== "paused") wrong(`${name} is held, and ${task} is not paused`)
      if (run.held) continue
      switch (run.state) {
        case "waiting":
          if (!busy) wrong(`${name} waits for ever: nothing of its task is ready or running`)
          break
        case "ready":
          if (run.readyAt > now + farAhead && !excused) wrong(`${name} is ready at ${when(run.readyAt)} only`)
          else if (run.readyAt < now - slack) wrong(`${name} is ready since ${when(run.readyAt)}, and nobody claims it`)
          break
        case "running": {
          const until = run.leaseUntil ?? -Infinity
          const alive = owners.some((owner) => run.owner?.startsWith(`${owner}#`))
          if (until < now - slack) wrong(`the lease of ${name} ended at ${when(until)}, and nobody took it over`)
          else if (!alive && until > now + farAhead) {
            wrong(`the lease of ${name} ends at ${when(until)}, and its owner ${run.owner} is gone`)
          }
        }
      }
    }
  }
}

const invariants: Readonly<Record<string, Invariant>> = {
  "one outcome": oneOutcome,
  fencing,
  conservation,
  overlap,
  keys,
  "one handler": oneHandler,
  "at most once": atMostOnce,
  "own claim": ownClaim,
  truth,
  stopped,
  clocks,
  liveness
}
