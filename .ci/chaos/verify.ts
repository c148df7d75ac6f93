/**
 * What must be true after a chaos run, of what the workers wrote down and what the store remembers.
 */
import type { RunRow, TaskRow } from "punctual/TaskRecord"
import * as Trigger from "punctual/Trigger"
import type { Forgotten } from "./servers.ts"
import { instances, lease, type Line } from "./tasks.ts"

/** A process, from its start to its end, and when it was frozen. */
export interface Life {
  /** Which of the schedulers it was. */
  readonly place: number
  readonly lines: ReadonlyArray<Line>
  /** When it was killed; it did nothing after that. */
  readonly killedAt: number | undefined
  readonly frozen: ReadonlyArray<{ readonly from: number; readonly to: number }>
}

/** When a scheduler, or all of them, may not have got through to the store. */
export interface Trouble {
  readonly place: number | undefined
  readonly from: number
  readonly to: number
}

export interface Span {
  readonly from: number
  readonly to: number
}

const overlap = (a: Span, b: Span): boolean => a.from < b.to && a.to > b.from

interface Attempt {
  readonly task: string
  readonly run: string
  readonly token: number
  readonly from: number
  readonly to: number
  readonly ended: "end" | "stop" | "killed"
  readonly frozen: boolean
  /** What the store knew of it may have been forgotten while it went on. */
  readonly forgotten: boolean
}

/** What was claimed before a server was killed may begin this much later. */
const beginning = 500

const attemptsOf = (
  { frozen, killedAt, lines }: Life,
  forgotten: ReadonlyArray<Forgotten>
): ReadonlyArray<Attempt> => {
  const begun = new Map<string, Line & { readonly what: "begin" }>()
  const attempts: Array<Attempt> = []
  const close = (begin: Line & { readonly what: "begin" }, to: number, ended: Attempt["ended"]) => {
    const { at: from, run, task, token } = begin
    const span = { from: Math.min(from, to), to }
    attempts.push({
      task,
      run,
      token,
      from,
      to,
      ended,
      frozen: frozen.some((other) => overlap(span, other)),
      forgotten: forgotten.some((other) => overlap(span, { from: other.from, to: other.to + beginning }))
    })
  }
  for (const line of lines) {
    if (line.what === "begin") begun.set(`${line.run} ${line.token}`, line)
    else if (line.what === "end" || line.what === "stop") {
      const key = `${line.run} ${line.token}`
      const begin = begun.get(key)
      if (begin !== undefined) close(begin, line.at, line.what)
      begun.delete(key)
    }
  }
  for (const begin of begun.values()) close(begin, killedAt ?? Infinity, "killed")
  return attempts
}

/** From the end of a lease to the next beginning: some polls, and turns of processes that wait for a core. */
const slack = 1_500
const handing = 10

/** Who works on a full disk for so long says so: there is something to write every moment. */
const noticing = 1_000

/**
 * Of a span, for how long nobody could do anything, in milliseconds: nobody was alive, thawed and in reach of the store. Where
 * there is one writer at a time, one that is frozen may be it.
 */
const nobody = (
  { lives, oneWriter, troubles }: Pick<Seen, "lives" | "oneWriter" | "troubles">,
  span: Span
): number => {
  const step = 50
  let missing = 0
  for (let at = span.from; at < span.to; at += step) {
    if (oneWriter && lives.some(({ frozen }) => frozen.some(({ from, to }) => from <= at && at < to))) {
      missing += step
      continue
    }
    const well = lives.some(({ frozen, killedAt = Infinity, lines, place }) => {
      const started = lines.find(({ what }) => what === "started")?.at ?? Infinity
      return started <= at && killedAt > at && !frozen.some(({ from, to }) => from <= at && at < to) &&
        !troubles.some((other) =>
          (other.place === undefined || other.place === place) && other.from <= at && at < other.to
        )
    })
    if (!well) missing += step
  }
  return missing
}

export interface Seen {
  readonly lives: ReadonlyArray<Life>
  readonly tasks: ReadonlyArray<{ readonly row: TaskRow; readonly trigger: Trigger.Trigger }>
  readonly runs: ReadonlyArray<RunRow>
  readonly troubles: ReadonlyArray<Trouble>
  readonly forgotten: ReadonlyArray<Forgotten>
  /** When no space was left. */
  readonly full: ReadonlyArray<Span>
  readonly oneWriter: boolean
  /** How late processes come to their turns at most: milliseconds. */
  readonly late: number
}

/** All that is wrong, in words; and the sums. */
export const verify = (
  seen: Seen
): { readonly wrong: Array<string>; readonly sums: Readonly<Record<string, number>> } => {
  const { forgotten, full, late, lives, runs, tasks } = seen
  const wrong: Array<string> = []
  const attempts = lives.flatMap((life) => attemptsOf(life, forgotten)).sort((a, b) => a.from - b.from)
  const added = lives.flatMap(({ lines }) => lines.flatMap((line) => line.what === "added" ? [line] : []))
  const idOf = (run: RunRow) => `${run.generation}:${run.key}`
  const byTask = Map.groupBy(runs, (run) => run.taskId)
  const byRun = Map.groupBy(attempts, (attempt) => attempt.run)
  const row = new Map(runs.map((run) => [idOf(run), run]))

  // one run for each key, and all of them have ended
  if (row.size !== runs.length) wrong.push(`${runs.length - row.size} keys have two runs`)
  for (const run of runs) {
    // those of the tasks that were paused in the end are held
    if (run.endedAt === null && !run.held) wrong.push(`run ${idOf(run)} of ${run.taskId} has not ended: ${run.state}`)
  }

  // nothing lost: what the store has taken has run, and what has run is remembered
  let lost = 0
  for (const { at, task: id } of added) {
    const of = byTask.get(id) ?? []
    if (of.length === 0 && forgotten.some(({ from, to }) => from <= at && at <= to + beginning)) {
      lost++
      continue
    }
    if (of.length !== 1 || of[0]!.state !== "succeeded") {
      wrong.push(`${id} was added and has ${of.map((run) => run.state).join() || "no run"}`)
    }
  }
  for (const [run, of] of byRun) {
    if (row.has(run)) continue
    if (of.every((attempt) => attempt.forgotten)) lost++
    else wrong.push(`run ${run} has begun and is not remembered`)
  }
  for (const run of runs) {
    if (run.state === "succeeded" && !byRun.get(idOf(run))?.some((attempt) => attempt.ended === "end")) {
      wrong.push(`run ${idOf(run)} of ${run.taskId} succeeded, and no handler came to its end`)
    }
  }

  // one outcome for every occurrence
  for (const { row: task, trigger } of tasks) {
    if (task.id.startsWith("once-")) continue
    const { coalesced, exact, missed, paused, ran, skipped } = task.counters
    const bound = Trigger.bind(trigger, { anchor: task.anchor, seed: task.id })
    const expected = bound.countBetween(task.epoch, task.cursor, 10_000_000).count
    const sum = ran + missed + coalesced + skipped + paused
    if (!exact || sum !== expected) wrong.push(`${task.id}: ${expected} occurrences, ${sum} outcomes`)
    const created = (byTask.get(task.id) ?? []).filter((run) => run.state !== "missed").length
    if (created !== ran) wrong.push(`${task.id}: ${ran} occurrences ran, ${created} runs are remembered`)
  }

  // a token is one claim's
  const tokens = new Map<number, Attempt>()
  for (const attempt of attempts) {
    const other = tokens.get(attempt.token)
    if (other !== undefined) wrong.push(`token ${attempt.token} was given to ${other.run} and to ${attempt.run}`)
    tokens.set(attempt.token, attempt)
  }

  // fencing: each attempt of a run has a greater token than the one before, and the run's is the last that could end it
  for (const [run, of] of byRun) {
    for (let i = 1; i < of.length; i++) {
      if (of[i]!.token <= of[i - 1]!.token && !of[i - 1]!.frozen && !of[i]!.frozen) {
        wrong.push(`run ${run}: token ${of[i]!.token} after ${of[i - 1]!.token}`)
      }
    }
    const ended = row.get(run)
    if (
      ended?.state === "succeeded" && !of.some((attempt) => attempt.token === ended.token && attempt.ended === "end")
    ) {
      wrong.push(`run ${run} was ended by token ${ended.token}, with which no handler came to its end`)
    }
  }

  // no more handlers at once than `maxInstances`, but for those of a frozen process, or whose claim was forgotten
  const counted = attempts.filter((attempt) => !attempt.frozen && !attempt.forgotten)
  for (const [task, of] of Map.groupBy(counted, (attempt) => attempt.task)) {
    const limit = instances[runs.find((run) => run.taskId === task)?.tag ?? ""] ?? 1
    const points = of.flatMap(({ from, to }) => [[from, 1], [to, -1]] as const)
      .sort(([a, up], [b, down]) => a - b || up - down)
    let open = 0
    for (const [at, by] of points) {
      open += by
      if (open > limit) {
        wrong.push(`${task}: ${open} handlers at ${at}`)
        break
      }
    }
  }

  // at most once, but for what the store has forgotten
  let twice = 0
  for (const [run, of] of byRun) {
    if (of.length < 2 || !of[0]!.task.startsWith("mark-")) continue
    if (of.slice(0, -1).every((attempt) => attempt.forgotten)) twice++
    else wrong.push(`atMostOnce run ${run} has begun ${of.length} times`)
  }

  // who is killed is followed within the lease and a heartbeat, while there is anybody
  const bound = lease + lease / 3 + slack + handing * late
  let longest = 0
  let gap = 0
  for (const [run, of] of byRun) {
    of.forEach((attempt, i) => {
      const next = of[i + 1]
      if (attempt.ended !== "killed" || next === undefined) return
      const waited = next.from - attempt.to
      const alone = waited - nobody(seen, { from: attempt.to, to: next.from })
      longest = Math.max(longest, waited)
      gap = Math.max(gap, alone)
      if (alone > bound) wrong.push(`run ${run} was killed, and begun again ${alone} ms later with somebody there`)
    })
  }

  // a disk that is full is told
  const told = lives.flatMap(({ lines }) => lines.flatMap((line) => line.what === "away" ? [line] : []))
  let tellable = 0
  for (const span of full) {
    const open = span.to - span.from - nobody({ ...seen, troubles: [] }, span)
    if (open < noticing + handing * late) continue
    tellable++
    if (!told.some(({ at, message }) => at >= span.from && at <= span.to + 1_000 && /full/i.test(message))) {
      wrong.push(`the disk was full for ${open} ms with a scheduler there, and none said so`)
    }
  }

  const count = (state: RunRow["state"]) => runs.filter((run) => run.state === state).length
  const sumOf = (name: "missed" | "coalesced" | "skipped") =>
    tasks.reduce((sum, { row }) => sum + row.counters[name], 0)
  return {
    wrong,
    sums: {
      "tasks added": added.length,
      "runs succeeded": count("succeeded"),
      "runs abandoned": count("abandoned"),
      "handlers begun": attempts.length,
      "handlers killed": attempts.filter((attempt) => attempt.ended === "killed").length,
      "runs begun again": [...byRun.values()].filter((of) => of.length > 1).length,
      "handlers that came to their end twice for one run": [...byRun.values()]
        .filter((of) => of.filter((attempt) => attempt.ended === "end").length > 1).length,
      "occurrences missed": sumOf("missed"),
      "occurrences coalesced": sumOf("coalesced"),
      "occurrences skipped": sumOf("skipped"),
      "times the store was said to be away": told.length,
      ...full.length === 0 ? {} : { "times a full disk was to be told, and was": tellable },
      ...forgotten.length === 0 ? {} : {
        "tasks and runs forgotten": lost,
        "atMostOnce runs begun twice, since the first time was forgotten": twice
      },
      "longest wait for a killed run, ms": longest,
      "of that with a scheduler there, ms": gap
    }
  }
}
