/**
 * What the program says, as pure text: the first screen, a line for each thing that happens, the last word.
 */
import { Cause, DateTime, Exit, Option, Schema } from "effect"
import type { SchedulerEvent, TaskInfo, TaskScheduler } from "punctual"
import { RunCommand } from "./command.ts"

// ---------------------------------------------------------------------------------------------------------------------
// words
// ---------------------------------------------------------------------------------------------------------------------

/** A length of time in its two largest units. */
export const span = (millis: number): string => {
  if (millis < 1_000) return `${Math.round(millis)} ms`
  if (millis < 10_000) return `${(millis / 1_000).toFixed(1)} s`
  const seconds = Math.round(millis / 1_000)
  const [d = 0, h = 0, m = 0, s = 0] = [seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60].map(
    Math.trunc
  )
  const parts = [[d, "d"], [h, "h"], [m, "min"], [s, "s"]] as const
  const first = parts.findIndex(([n]) => n > 0)
  return parts.slice(first, first + 2).filter(([n]) => n > 0).map(([n, unit]) => `${n} ${unit}`).join(" ")
}

/** The time of day, with the date when it is not today's. */
export const clock = (instant: DateTime.Utc, zone: DateTime.TimeZone, now: DateTime.Utc = instant): string => {
  const [date, time] = local(instant, zone)
  return date === local(now, zone)[0] ? time : `${date} ${time}`
}

const local = (instant: DateTime.Utc, zone: DateTime.TimeZone): readonly [date: string, time: string] => {
  const iso = DateTime.formatIsoOffset(DateTime.setZone(instant, zone))
  return [iso.slice(0, 10), iso.slice(11, 19)]
}

const plural = (count: number, word: string): string => `${count} ${word}${count === 1 ? "" : "s"}`

const between = (from: DateTime.Utc, to: DateTime.Utc): number => to.epochMilliseconds - from.epochMilliseconds

/** The last line of an output, shortened. */
const lastLine = (output: string): string => {
  const line = output.trimEnd().split("\n").at(-1) ?? ""
  return line.length > 60 ? `${line.slice(0, 59)}…` : line
}

// ---------------------------------------------------------------------------------------------------------------------
// the first screen
// ---------------------------------------------------------------------------------------------------------------------

export interface Opening {
  readonly file: string
  readonly db: string
  readonly folder: string
  readonly url: string
  readonly zone: DateTime.TimeZone
  readonly now: DateTime.Utc
  readonly tasks: ReadonlyArray<TaskInfo.TaskInfo>
  readonly changes: TaskScheduler.Reconciled
  /** The end of the newest run in the database. */
  readonly last: DateTime.Utc | undefined
}

export const opening = (given: Opening): ReadonlyArray<string> => {
  const { changes, last, now, tasks, zone } = given
  const width = widest([...tasks.map((task) => task.id), ...changes.removed])
  const when = Math.min(60, widest(tasks.map((task) => task.when)))
  const added = new Set(changes.added)
  const updated = new Set(changes.updated)
  return [
    `schedule  ${given.file} (${plural(tasks.length, "task")})`,
    `database  ${given.db}`,
    `commands  run in ${given.folder}, with $OPS_URL ${given.url}`,
    `times     ${DateTime.zoneToString(zone)}, and it is ${clock(now, zone)}`,
    last === undefined
      ? "before    nothing ran yet"
      : `before    the last run ended at ${clock(last, zone, now)}, ${span(between(last, now))} ago`,
    "",
    ...tasks.toSorted(bySoonest).map((task) => {
      const sign = added.has(task.id) ? "+" : updated.has(task.id) ? "~" : " "
      return `${sign} ${task.id.padEnd(width)}  ${task.when.padEnd(when)}  ${next(task, zone, now)}`
    }),
    ...changes.removed.map((id) => `- ${id.padEnd(width)}  removed`),
    ""
  ]
}

const widest = (words: ReadonlyArray<string>): number => Math.max(0, ...words.map((word) => word.length))

const bySoonest = (a: TaskInfo.TaskInfo, b: TaskInfo.TaskInfo): number => dueOf(a) - dueOf(b) || (a.id < b.id ? -1 : 1)

const dueOf = (task: TaskInfo.TaskInfo): number =>
  Option.match(task.nextRunTime, { onNone: () => Infinity, onSome: (at) => at.epochMilliseconds })

const next = (task: TaskInfo.TaskInfo, zone: DateTime.TimeZone, now: DateTime.Utc): string => {
  if (task.state === "paused") {
    const since = Option.match(task.pausedSince, { onNone: () => "", onSome: (at) => ` since ${clock(at, zone, now)}` })
    return `paused${since}${Option.match(task.pauseNote, { onNone: () => "", onSome: (note) => `: ${note}` })}`
  }
  if (Option.isNone(task.nextRunTime)) return task.state === "onStartup" ? "now" : task.state
  const at = task.nextRunTime.value
  const late = between(at, now)
  return late > 0 ? `was due at ${clock(at, zone, now)}, ${span(late)} ago` : `next at ${clock(at, zone, now)}`
}

// ---------------------------------------------------------------------------------------------------------------------
// a line for each thing that happens
// ---------------------------------------------------------------------------------------------------------------------

export interface Happening {
  readonly event: SchedulerEvent.SchedulerEvent
  readonly zone: DateTime.TimeZone
  /** When this program started: what was due before is being made up for. */
  readonly startedAt: DateTime.Utc
  /** When the attempt that ended had begun. */
  readonly begunAt: DateTime.Utc | undefined
}

/** Nothing for what is of no interest to somebody who watches. */
export const line = ({ begunAt, event, startedAt, zone }: Happening): string | undefined => {
  const say = (what: string, id: string, detail: string): string =>
    `${clock(event.at, zone)}  ${what.padEnd(9)}  ${id.padEnd(16)}  ${detail}`.trimEnd()
  switch (event._tag) {
    case "RunEnded": {
      const { dueAt, exit, state, taskId } = event.run
      const late = span(Math.max(0, between(dueAt, begunAt ?? event.at)))
      const took = begunAt === undefined ? "" : `, took ${span(between(begunAt, event.at))}`
      const caughtUp = DateTime.isLessThan(dueAt, startedAt) ? " (made up for)" : ""
      const result = resultOf(exit)
      return say(words[state] ?? state, taskId, `${late} late${caughtUp}${took}${result === "" ? "" : `  ${result}`}`)
    }
    case "RunRetrying":
      return say("retrying", event.run.taskId, `again at ${clock(event.nextAttemptAt, zone, event.at)}`)
    case "RunReleased":
      return say("given back", event.run.taskId, released[event.reason])
    case "OccurrencesMissed":
    case "OccurrencesCoalesced":
    case "OccurrencesSkipped":
    case "OccurrencesPaused": {
      const meanwhile = DateTime.isLessThan(event.to, startedAt) ? " while this was not running" : ""
      const from = clock(event.from, zone, event.at)
      const to = event.count === 1 ? "" : ` to ${clock(event.to, zone, event.at)}`
      const count = `${event.exact ? "" : "at least "}${plural(event.count, "time")}`
      return say(outcomes[event._tag], event.id, `${count}${meanwhile}, ${from}${to}: ${why(event.reason)}`)
    }
    case "TaskRetimed": {
      const to = event.to === null ? "never" : `at ${clock(event.to, zone, event.at)}`
      return say("moved", event.id, `next ${to}, by time zone rules ${event.zoneRules}`)
    }
    case "TaskPaused":
      return say("paused", event.id, event.note ?? "")
    case "TaskResumed":
      return say("resumed", event.id, "")
    case "TaskQuarantined":
      return say("unreadable", event.id, event.reason)
    case "StoreUnavailable":
      return say("no store", event.store, event.message)
    case "StoreRecovered":
      return say("store", event.store, "is there again")
    case "SchedulerStopping":
      return say("stopping", "", "no new runs; waits for those at work")
    default:
      return undefined
  }
}

const words: Readonly<Record<string, string>> = { succeeded: "ok", failed: "FAILED", timedOut: "TIMED OUT" }

const outcomes = {
  OccurrencesMissed: "missed",
  OccurrencesCoalesced: "coalesced",
  OccurrencesSkipped: "skipped",
  OccurrencesPaused: "left out"
}

const released: Readonly<Record<Extract<SchedulerEvent.SchedulerEvent, { _tag: "RunReleased" }>["reason"], string>> = {
  shutdown: "interrupted; it runs again at the next start",
  leaseEnded: "whoever ran it was not heard of again; it runs again",
  unreadable: "cannot be read here; another program may run it",
  unhandled: "nobody here runs it any more; another program may",
  workerLost: "another run ended the worker it ran in; it runs again",
  lateClaim: "the database answered too late to begin it; it runs again",
  rateLimited: "others have used up its rate limit; it runs later",
  limiterAway: "what counts its rate limit does not answer; it runs later"
}

const why = (reason: string): string => {
  switch (reason.split(":")[0]) {
    case "grace":
      return "later than its misfireGrace"
    case "limit":
      return "more than it makes up for"
    case "into":
      return "one run for all of them"
    case "busy":
      return "the run before is still at work"
    case "replaced":
      return "a later one took its place"
    case "paused":
      return "the task is paused"
    default:
      return reason
  }
}

/** What a handler answered, from what the store keeps of it. */
const decodeExit = Schema.decodeUnknownOption(
  Schema.toCodecJson(Schema.Exit(RunCommand.success, RunCommand.error, Schema.Defect()))
)

const resultOf = (exit: Option.Option<unknown>): string =>
  Option.match(Option.flatMap(exit, decodeExit), {
    onNone: () => "",
    onSome: Exit.match({
      onSuccess: ({ output }) => lastLine(output),
      onFailure: (cause) => {
        const failure = Cause.findErrorOption(cause)
        if (Option.isNone(failure)) return lastLine(Cause.prettyErrors(cause)[0]?.message ?? "")
        const { output, reason } = failure.value
        return output.trim() === "" ? reason : `${reason}: ${lastLine(output)}`
      }
    })
  })

// ---------------------------------------------------------------------------------------------------------------------
// the last word
// ---------------------------------------------------------------------------------------------------------------------

export type Tally = Readonly<Record<string, number>>

/** Counts what happened, by the words of `closing`. */
export const count = (tally: Tally, event: SchedulerEvent.SchedulerEvent): Tally => {
  const add = (key: string, by: number): Tally => ({ ...tally, [key]: (tally[key] ?? 0) + by })
  switch (event._tag) {
    case "RunEnded":
      return add(event.run.state, 1)
    case "RunReleased":
      return add("given back", 1)
    case "OccurrencesMissed":
    case "OccurrencesCoalesced":
    case "OccurrencesSkipped":
    case "OccurrencesPaused":
      return add(outcomes[event._tag], event.count)
    default:
      return tally
  }
}

export const closing = (tally: Tally, startedAt: DateTime.Utc, now: DateTime.Utc): string => {
  const { succeeded = 0, ...rest } = tally
  const others = Object.entries(rest).filter(([, n]) => n > 0)
  const parts = [["succeeded", succeeded] as const, ...others].map(([what, n]) => `${n} ${spelled[what] ?? what}`)
  return `done after ${span(between(startedAt, now))}: ${parts.join(", ")}`
}

const spelled: Readonly<Record<string, string>> = { timedOut: "timed out" }
