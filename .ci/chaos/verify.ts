/**
 * What must be true after a chaos run, of what the workers wrote down and what the store remembers.
 */
import type { RunRow, TaskRow } from "punctual/TaskRecord"
import * as Trigger from "punctual/Trigger"
import { instances, type Line } from "./tasks.ts"

/** A process, from its start to its end, and when it was frozen. */
export interface Life {
  readonly lines: ReadonlyArray<Line>
  /** When it was killed; it did nothing after that. */
  readonly killedAt: number | undefined
  readonly frozen: ReadonlyArray<{ readonly from: number; readonly to: number }>
}

interface Attempt {
  readonly task: string
  readonly run: string
  readonly token: number
  readonly from: number
  readonly to: number
  readonly ended: "end" | "stop" | "killed"
  readonly frozen: boolean
}

const attemptsOf = ({ frozen, killedAt, lines }: Life): ReadonlyArray<Attempt> => {
  const begun = new Map<string, Line & { readonly what: "begin" }>()
  const attempts: Array<Attempt> = []
  const close = (begin: Line & { readonly what: "begin" }, to: number, ended: Attempt["ended"]) => {
    const { at: from, run, task, token } = begin
    attempts.push({ task, run, token, from, to, ended, frozen: frozen.some((f) => f.from < to && f.to > from) })
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

/** All that is wrong, in words; and the sums. */
export const verify = (
  lives: ReadonlyArray<Life>,
  tasks: ReadonlyArray<{ readonly row: TaskRow; readonly trigger: Trigger.Trigger }>,
  runs: ReadonlyArray<RunRow>
): { readonly wrong: Array<string>; readonly sums: Readonly<Record<string, number>> } => {
  const wrong: Array<string> = []
  const attempts = lives.flatMap(attemptsOf).sort((a, b) => a.from - b.from)
  const added = lives.flatMap(({ lines }) => lines.flatMap((line) => line.what === "added" ? [line.task] : []))
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
  for (const id of added) {
    const of = byTask.get(id) ?? []
    if (of.length !== 1 || of[0]!.state !== "succeeded") {
      wrong.push(`${id} was added and has ${of.map((run) => run.state).join() || "no run"}`)
    }
  }
  for (const run of byRun.keys()) if (!row.has(run)) wrong.push(`run ${run} has begun and is not remembered`)
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

  // no more handlers at once than `maxInstances`, but for those of a frozen process
  for (const [task, of] of Map.groupBy(attempts.filter((attempt) => !attempt.frozen), (attempt) => attempt.task)) {
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

  // at most once
  for (const [run, of] of byRun) {
    if (of.length > 1 && of[0]!.task.startsWith("mark-")) {
      wrong.push(`atMostOnce run ${run} has begun ${of.length} times`)
    }
  }

  const count = (state: RunRow["state"]) => runs.filter((run) => run.state === state).length
  const sumOf = (name: "missed" | "coalesced" | "skipped") =>
    tasks.reduce((sum, { row }) => sum + row.counters[name], 0)
  const gaps = [...byRun.values()].flatMap((of) =>
    of.flatMap((attempt, i) => attempt.ended === "killed" && i + 1 < of.length ? [of[i + 1]!.from - attempt.to] : [])
  )
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
      "longest wait for a killed run, ms": Math.max(0, ...gaps)
    }
  }
}
