/**
 * Why an instant of a task's past has the outcome it has.
 */
import * as DateTime from "effect/DateTime"
import * as Policy from "../../Policy.ts"
import type { Explanation } from "../../TaskHandle.ts"
import { fromRun, runId } from "../../TaskInfo.ts"
import type { RunRow, TaskRow } from "../../TaskRecord.ts"
import type { Rules } from "./advance.ts"
import { instant } from "./host.ts"

export const explain = (row: TaskRow, rules: Rules, at: number, run: RunRow | undefined): Explanation => {
  const answer = (outcome: Explanation["outcome"], reason: string): Explanation => ({ outcome, reason, run: undefined })
  if (run !== undefined) {
    const info = fromRun(run)
    return run.state === "missed"
      ? { outcome: "missed", reason: "it waited longer than its grace allows", run: info }
      : { outcome: "ran", reason: `run ${info.id}: ${info.state}`, run: info }
  }
  const isOccurrence = rules.bound.next(at - 1)?.due === at
  const notAnOccurrence = answer("notAnOccurrence", "the trigger does not name this instant")
  if (at > row.cursor) {
    if (!isOccurrence) return notAnOccurrence
    if (row.state === "paused") return answer("paused", "the task is paused")
    return Policy.isFinished(rules.policy, row.counters.ran)
      ? answer("skipped", reasonInWords("maxRuns", row))
      : answer("due", "it has not been evaluated yet")
  }
  const range = Policy.outcomeAt(Policy.decodeRanges(row.ranges), at)
  if (range !== undefined) {
    // The ends of a range are occurrences; between them the present trigger knows, and an earlier one is forgotten.
    const named = at === range.from || at === range.to || at <= row.epoch || isOccurrence
    return named ? answer(range.outcome, reasonInWords(range.reason, row)) : notAnOccurrence
  }
  if (at <= row.epoch) return answer("unknown", "it is from before the present trigger, and older than what is kept")
  return isOccurrence ? answer("unknown", "it is older than the history that is kept") : notAnOccurrence
}

/** What a range's reason says to people; see `Policy.Range`. */
const reasonInWords = (reason: string, row: TaskRow): string => {
  const separator = reason.indexOf(":")
  const word = separator === -1 ? reason : reason.slice(0, separator)
  const key = reason.slice(separator + 1)
  switch (word) {
    case "grace":
      return "it was later than its grace allows"
    case "limit":
      return "more of them were late together than may be caught up"
    case "busy":
      return `the task was busy with run ${runId({ generation: row.generation, key })}`
    case "full":
      return "as many runs waited already as its queue may hold"
    case "replaced":
      return "a newer occurrence took its place"
    case "into":
      return `it became one run with the occurrence of ${DateTime.formatIso(instant(Number(key)))}`
    case "paused":
      return "the task was paused"
    case "maxRuns":
      return "the task had had all its runs"
    default:
      return reason
  }
}
