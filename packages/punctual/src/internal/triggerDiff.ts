/**
 * What a change of a trigger changes: both are walked together, occurrence by occurrence.
 */
import * as DateTime from "effect/DateTime"
import type { Bound, Difference, Occurrence, Point } from "../Trigger.ts"
import { MAX_MILLIS } from "./cronDate.ts"
import { MAX_CANDIDATES } from "./triggerSearch.ts"

interface Side {
  count: number
  readonly occurrences: Array<Occurrence>
}

export const diff = (
  before: Bound,
  now: Bound,
  after: number,
  until: number,
  limit: number,
  toOccurrence: (point: Point) => Occurrence
): Difference => {
  const removed: Side = { count: 0, occurrences: [] }
  const added: Side = { count: 0, occurrences: [] }
  const tell = (side: Side, point: Point): void => {
    if (side.count++ < limit) side.occurrences.push(toOccurrence(point))
  }
  let kept = 0
  let reached = after
  let a = before.next(after)
  let b = now.next(after)
  for (let walked = 0;; walked++) {
    const due = Math.min(a?.due ?? Infinity, b?.due ?? Infinity)
    if (due > until || due === Infinity) {
      reached = until
      break
    }
    if (walked >= MAX_CANDIDATES) break
    const isOld = a?.due === due
    const isNew = b?.due === due
    if (isOld && isNew) kept++
    else if (isOld) tell(removed, a!)
    else tell(added, b!)
    if (isOld) a = before.next(due)
    if (isNew) b = now.next(due)
    reached = due
  }
  return {
    removed,
    added,
    kept,
    exact: reached >= until,
    comparedUntil: DateTime.makeUnsafe(Math.max(-MAX_MILLIS, Math.min(MAX_MILLIS, Math.floor(reached))))
  }
}
