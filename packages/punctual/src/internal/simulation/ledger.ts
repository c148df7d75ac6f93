/**
 * What happened in one simulation, in order: recorded where the store was called and where handlers began and ended.
 *
 * It holds what the store answered, never what it says of its own past, so that a store which loses or repeats something
 * contradicts it.
 */
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import type { RunRow } from "../../TaskRecord.ts"
import type {
  Change,
  Committed,
  Heartbeat,
  Lease,
  RunRef,
  Settled,
  Settlement,
  TakenOver,
  TaskWithRuns
} from "../../TaskStore.ts"
import { formatTime } from "./script.ts"

/** A reference as the store was given it, and the task it is of, as far as that was seen. */
export type NamedRef = RunRef & { readonly taskId: string | undefined }

/** One thing that happened. `at` is the true time, in milliseconds since the start; `node` is where, -1: nowhere. */
export type Entry = { readonly at: number; readonly node: number } & What

export type What =
  /** Tasks as they are after `insert`, or after a replacement. */
  | { readonly _tag: "Stored"; readonly tasks: ReadonlyArray<TaskWithRuns> }
  /** One change, what it was answered, and the task after it; `undefined` where it is gone. */
  | {
    readonly _tag: "Changed"
    readonly change: Change
    readonly answer: Committed
    readonly after: TaskWithRuns | undefined
  }
  | { readonly _tag: "Claimed"; readonly run: RunRow; readonly lease: Lease }
  /** A mark that an attempt begins. */
  | { readonly _tag: "Marked"; readonly ref: NamedRef; readonly answer: boolean }
  | {
    readonly _tag: "Settled"
    readonly settlement: Settlement & NamedRef
    readonly answer: Settled
    readonly after: TaskWithRuns | undefined
  }
  | { readonly _tag: "Extended"; readonly ref: NamedRef; readonly until: number; readonly answer: Heartbeat }
  | { readonly _tag: "TakenOver"; readonly taken: TakenOver; readonly now: number }
  /** A handler began, under the claim with this token. */
  | { readonly _tag: "Began"; readonly run: RunRow }
  /** It was asked to stop. */
  | { readonly _tag: "Interrupted"; readonly run: RunRow }
  | {
    readonly _tag: "Ended"
    readonly run: RunRow
    readonly how: "Succeeded" | "Failed" | "TimedOut" | "WorkerLost" | "Postponed" | "Unreadable" | "Interrupted"
  }
  | {
    readonly _tag: "Process"
    readonly what: "starts" | "stands still" | "closes" | "closed" | "crashes" | "fails to start"
    /** How far its clock is ahead when it starts. */
    readonly ahead?: number
  }
  | { readonly _tag: "Fault"; readonly text: string }
  | { readonly _tag: "Operation"; readonly name: string; readonly text: string }

/** What one simulation leaves behind. */
export interface Ledger {
  readonly entries: ReadonlyArray<Entry>
  /** The store at the end, after everything had time to heal. */
  readonly final: {
    /** Whether the store has a clock of its own: then it shows the true time. */
    readonly clock: boolean
    /** True time, as milliseconds since 1970. */
    readonly now: number
    readonly tasks: ReadonlyArray<TaskWithRuns>
    /** Names by which the processes alive at the end own leases. */
    readonly owners: ReadonlyArray<string>
  }
}

// -----------------------------------------------------------------------------
// in words
// -----------------------------------------------------------------------------

/** An instant of the store: seconds since the start where it is near, else a date. */
export const formatInstant = (instant: number, start: number): string =>
  Math.abs(instant - start) < 86_400_000
    ? `${((instant - start) / 1000).toFixed(3)}s`
    : Option.match(DateTime.make(instant), { onNone: () => String(instant), onSome: DateTime.formatIso })

/** A run, by task and what it is due at. */
export const formatRun = (
  run: { readonly taskId?: string | undefined; readonly generation: number; readonly key: string },
  start: number
): string =>
  `${run.taskId ?? "?"}:${run.generation}/${/^-?\d+$/.test(run.key) ? formatInstant(Number(run.key), start) : run.key}`

/** One entry on a line. `start` is the instant at which the simulation began. */
export const formatEntry = (entry: Entry, start: number): string => {
  const where = entry.node < 0 ? "store " : `node ${entry.node}`
  return `${formatTime(entry.at)} ${where}  ${inWords(entry, start)}`
}

const inWords = (entry: Entry, start: number): string => {
  const what: What = entry
  const run = (of: RunRow) => `${formatRun(of, start)} attempt ${of.attempt} token ${of.token}`
  const when = (instant: number) => formatInstant(instant, start)
  switch (what._tag) {
    case "Stored":
      return what.tasks.map((task) => `stored ${formatTask(task, start)}`).join("; ")
    case "Changed": {
      const { answer, change } = what
      const runs = change.runs.map((run) =>
        `${run._tag} ${
          formatRun({
            taskId: change.id,
            generation: change.generation,
            key: run._tag === "Create" ? run.run.key : run.key
          }, start)
        }${run._tag === "Create" ? ` ${run.claim === undefined ? run.run.state : "claimed"}` : ""}`
      )
      return [
        `commit ${change.id}:${change.generation} from revision ${change.revision} at ${
          when(change.now)
        }: ${answer._tag}`,
        ...runs,
        what.after === undefined ? "gone" : formatTask(what.after, start)
      ].join(", ")
    }
    case "Claimed":
      return `claimed ${run(what.run)} until ${when(what.lease.until)}`
    case "Marked":
      return `mark ${formatRun(what.ref, start)} token ${what.ref.token}: ${what.answer ? "begun" : "stale"}`
    case "Settled": {
      const { answer, settlement } = what
      const result = settlement.result
      return `settle ${formatRun(settlement, start)} token ${settlement.token} ${
        result._tag === "End" ? result.state : result._tag === "Retry" ? `retry at ${when(result.readyAt)}` : "release"
      }: ${answer}`
    }
    case "Extended":
      return `heartbeat ${formatRun(what.ref, start)} token ${what.ref.token} until ${when(what.until)}: ${
        what.answer.alive ? what.answer.cancel ?? "alive" : "lost"
      }`
    case "TakenOver":
      return `takes over ${formatRun(what.taken.run, start)} from ${what.taken.owner} at ${
        when(what.now)
      }: ${what.taken.became}`
    case "Began":
      return `handler of ${run(what.run)} begins`
    case "Interrupted":
      return `handler of ${run(what.run)} is interrupted`
    case "Ended":
      return `handler of ${run(what.run)} ends: ${what.how}`
    case "Process":
      return `process ${what.what}${
        what.ahead === undefined ? "" : `, its clock at ${when(start + entry.at + what.ahead)}`
      }`
    case "Fault":
      return `FAULT ${what.text}`
    case "Operation":
      return `asks for ${what.name}: ${what.text}`
  }
}

const formatTask = ({ open, row }: TaskWithRuns, start: number): string => {
  const { coalesced, extra, missed, paused, ran, skipped } = row.counters
  const counts = Object.entries({ ran, missed, coalesced, skipped, paused, extra }).filter(([, count]) => count !== 0)
  return `${row.id}:${row.generation} is ${row.state}, revision ${row.revision}, cursor ${
    formatInstant(row.cursor, start)
  }${row.due === null ? "" : `, due ${formatInstant(row.due, start)}`}${
    counts.length === 0 ? "" : `, ${counts.map(([name, count]) => `${name} ${count}`).join(" ")}`
  }${
    open.length === 0 ? "" : `, open: ${open.map((run) => `${formatInstant(run.due, start)} ${run.state}`).join(" ")}`
  }`
}
