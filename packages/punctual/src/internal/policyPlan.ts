/**
 * The decision behind `Policy.plan`.
 *
 *     occurrences of (cursor, now], by how late they are:
 *
 *     cursor          graceEdge             lateEdge               now
 *       ├── too old ──────┼────── late ─────────┼────── on time ─────┤
 *         missed (grace)    coalesced down        kept, each of them
 *                           to one, or caught up
 *                                └──────── the group ────────┘
 *                                 admitted by whenBusy, as one
 *
 * Each zone is described by its ends and a count, never by a list of its occurrences; only the group is a list, and
 * its length is bounded by `onTimeLimit` and `catchUpLimit`.
 */
import type { OpenRun, Plan, PlanInput, Policy, Range } from "../Policy.ts"
import type * as Trigger from "../Trigger.ts"

/**
 * Counting stops here where it is not arithmetic: about ten milliseconds of a slow trigger, a week of every minute.
 * What was not counted further is marked `exact: false`.
 */
export const countLimit = 10_000

/**
 * On-time occurrences of one window that become runs. `lateAfter` bounds them for sane triggers (5 at one a second);
 * this bounds a trigger of every millisecond, whose runs are rows in one commit.
 */
export const onTimeLimit = 1_000

/** Whether the task has had its runs. */
export const isFinished = (policy: Policy, ran: number): boolean => policy.maxRuns !== null && ran >= policy.maxRuns

const noKeys: ReadonlyArray<string> = []
const noRanges: Plan["ranges"] = []
const noCounts: Plan["counts"] = { ran: 0, missed: 0, coalesced: 0, skipped: 0, paused: 0, exact: true }
const oneRan: Plan["counts"] = { ...noCounts, ran: 1 }

export const plan = (input: PlanInput): Plan => {
  const { cursor, now, policy, ran, trigger } = input
  const first = trigger.next(cursor)
  // also when the clock was set back: what is after the cursor is after `now`
  if (first === undefined || first.due > now) {
    return {
      cursor: Math.max(cursor, now),
      runs: [],
      cancel: noKeys,
      drop: noKeys,
      promote: input.paused ? noKeys : promotable(policy, input.open),
      counts: noCounts,
      ranges: [],
      queues: false,
      next: isFinished(policy, ran) ? undefined : first
    }
  }
  if (input.paused) return wholeWindow(input, first, "paused", "paused")
  if (isFinished(policy, ran)) return wholeWindow(input, first, "skipped", "maxRuns")

  // Nearly always one occurrence is due, and nothing is open: in time or late, it is kept. The rest of this function comes to
  // the same, at four times the cost.
  if (input.open.length === 0 && first.due >= now - (policy.misfireGrace ?? Infinity)) {
    const next = trigger.next(first.due)
    if (next === undefined || next.due > now) {
      return {
        cursor: now,
        runs: [{ due: first.due, nominal: first.nominal, state: "ready" }],
        cancel: noKeys,
        drop: noKeys,
        promote: noKeys,
        counts: oneRan,
        ranges: noRanges,
        queues: alwaysQueues(policy),
        next: isFinished(policy, ran + 1) ? undefined : next
      }
    }
  }

  const { items, next } = survey(input, first)
  const group = items.filter(isPoint)
  const admission = admit(policy, input.open, group, policy.maxRuns === null ? Infinity : policy.maxRuns - ran)

  const ledger = makeLedger(trigger)
  const runs: Array<Plan["runs"][number]> = []
  for (const run of admission.drop) ledger.add(single(run.due, "replaced"))
  // From here on in order of due, with nothing left out between two items.
  let before: number | undefined
  let index = 0
  let waits = false
  for (const item of items) {
    if (!isPoint(item)) {
      ledger.add(item, before)
      before = item.to
      continue
    }
    const fate = admission.fates[index++]!
    if (fate === "ready" || fate === "waiting") {
      waits ||= fate === "waiting"
      runs.push({ due: item.due, nominal: item.nominal, state: fate })
    } else {
      ledger.add(single(item.due, fate.reason), before)
    }
    before = item.due
  }
  const counts = { ...ledger.counts, ran: runs.length - admission.drop.length }
  return {
    cursor: now,
    runs,
    cancel: admission.cancel,
    drop: admission.drop.map((run) => run.key),
    promote: promotable(policy, input.open, admission),
    counts,
    ranges: ledger.ranges,
    queues: waits || alwaysQueues(policy),
    next: isFinished(policy, ran + counts.ran) ? undefined : next
  }
}

/** Under these a run may come to wait long after the one it waits for was created. */
const alwaysQueues = (policy: Policy): boolean =>
  policy.whenBusy === "queue" || policy.whenBusy === "queueAll" || policy.whenBusy === "cancelPrevious"

const wholeWindow = (
  { cursor, now, policy, ran, trigger }: PlanInput,
  first: Trigger.Point,
  outcome: "paused" | "skipped",
  reason: string
): Plan => {
  const ledger = makeLedger(trigger)
  ledger.add(stretch(trigger, first, cursor, now, outcome, reason))
  return {
    cursor: now,
    runs: [],
    cancel: noKeys,
    drop: noKeys,
    promote: noKeys,
    counts: ledger.counts,
    ranges: ledger.ranges,
    queues: false,
    next: isFinished(policy, ran) ? undefined : trigger.next(now)
  }
}

// -----------------------------------------------------------------------------
// ledger
// -----------------------------------------------------------------------------

type Block = Omit<Range, "follows">

/** Collects outcomes. */
const makeLedger = (trigger: Trigger.Bound) => {
  const counts = { ...noCounts }
  const ranges: Array<Range> = []
  return {
    counts,
    ranges,
    /** `before` is the occurrence just before it, where it is known. */
    add: (block: Block, before = trigger.previous(block.from)?.due): void => {
      counts[block.outcome] += block.count
      counts.exact &&= block.exact
      pushRange(ranges, { ...block, follows: before ?? null })
    }
  }
}

/** Adds a range, into the last one where it is its continuation. */
export const pushRange = (ranges: Array<Range>, range: Range): void => {
  const last = ranges[ranges.length - 1]
  if (
    last !== undefined && last.outcome === range.outcome && last.reason === range.reason && last.to === range.follows
  ) {
    ranges[ranges.length - 1] = {
      ...last,
      to: range.to,
      count: last.count + range.count,
      exact: last.exact && range.exact
    }
  } else {
    ranges.push(range)
  }
}

const single = (due: number, reason: string): Block => ({
  from: due,
  to: due,
  count: 1,
  exact: true,
  outcome: "skipped",
  reason
})

/** The occurrences of `(after, until]`, whose first is `first`, as one block. */
const stretch = (
  trigger: Trigger.Bound,
  first: Trigger.Point,
  after: number,
  until: number,
  outcome: Range["outcome"],
  reason: string
): Block => {
  const last = trigger.previous(until + 1)
  // The usual window holds one or two: no need to count.
  if (last === undefined || last.due <= first.due) {
    return { from: first.due, to: first.due, count: 1, exact: true, outcome, reason }
  }
  const counted = trigger.countBetween(after, until, countLimit)
  return { from: first.due, to: last.due, count: counted.count, exact: counted.exact, outcome, reason }
}

// -----------------------------------------------------------------------------
// survey: which occurrences are kept
// -----------------------------------------------------------------------------

type Item = Block | Trigger.Point

const isPoint = (item: Item): item is Trigger.Point => "nominal" in item

/** The window in order of due: blocks whose outcome is known, and the points of the group. */
const survey = (
  { cursor, now, policy, trigger }: PlanInput,
  first: Trigger.Point
): { readonly items: ReadonlyArray<Item>; readonly next: Trigger.Point | undefined } => {
  const graceEdge = policy.misfireGrace === null ? -Infinity : now - policy.misfireGrace
  const lateEdge = now - policy.lateAfter
  const items: Array<Item> = []

  let inGrace: Trigger.Point | undefined = first
  if (first.due < graceEdge) {
    items.push(stretch(trigger, first, cursor, graceEdge - 1, "missed", "grace"))
    inGrace = trigger.next(graceEdge - 1)
  }
  const isLate = inGrace !== undefined && inGrace.due < lateEdge
  const firstOnTime = isLate ? trigger.next(lateEdge - 1) : inGrace
  // Someone who catches up on more than the limit gets the newest of those, late or not.
  const limit = policy.coalesce === "none" ? Math.max(onTimeLimit, policy.catchUpLimit) : onTimeLimit
  const onTime = newest(trigger, firstOnTime, now, limit)
  const firstKept = onTime.points[0]

  if (inGrace !== undefined && isLate) {
    const after = Math.max(cursor, graceEdge - 1)
    const late = { first: inGrace, after, until: lateEdge - 1 }
    items.push(...keptOfLate(policy, trigger, late, onTime.points))
  }
  if (firstOnTime !== undefined && firstKept !== undefined && firstOnTime.due < firstKept.due) {
    items.push(stretch(trigger, firstOnTime, firstOnTime.due - 1, firstKept.due - 1, "missed", "limit"))
  }
  for (const point of onTime.points) items.push(point)
  return { items, next: onTime.next }
}

/** The points from `first` up to `now`, the newest `limit` of them, and the point after `now`. */
const newest = (trigger: Trigger.Bound, first: Trigger.Point | undefined, now: number, limit: number) => {
  const points: Array<Trigger.Point> = []
  let point = first
  while (point !== undefined && point.due <= now) {
    if (points.length === limit) return { points: backwards(trigger, now + 1, limit), next: trigger.next(now) }
    points.push(point)
    point = trigger.next(point.due)
  }
  return { points, next: point }
}

/** The last `limit` points before an instant, of those after another; in order of due. */
const backwards = (trigger: Trigger.Bound, before: number, limit: number, after = -Infinity) => {
  const points: Array<Trigger.Point> = []
  let point = limit > 0 ? trigger.previous(before) : undefined
  while (point !== undefined && point.due > after) {
    points.push(point)
    if (points.length === limit) break
    point = trigger.previous(point.due)
  }
  return points.reverse()
}

const keptOfLate = (
  policy: Policy,
  trigger: Trigger.Bound,
  late: { readonly first: Trigger.Point; readonly after: number; readonly until: number },
  onTime: ReadonlyArray<Trigger.Point>
): ReadonlyArray<Item> => {
  switch (policy.coalesce) {
    case "none": {
      const kept = backwards(trigger, late.until + 1, Math.max(0, policy.catchUpLimit - onTime.length), late.after)
      const oldest = kept[0]?.due ?? late.until + 1
      return oldest <= late.first.due
        ? kept
        : [stretch(trigger, late.first, late.after, oldest - 1, "missed", "limit"), ...kept]
    }
    case "earliest": {
      const second = trigger.next(late.first.due)
      return second === undefined || second.due > late.until
        ? [late.first]
        : [late.first, stretch(trigger, second, late.first.due, late.until, "coalesced", `into:${late.first.due}`)]
    }
    case "latest": {
      // What is due right now is later than all of them: it is the one that is kept.
      const kept = onTime[0]
      if (kept !== undefined) {
        return [stretch(trigger, late.first, late.after, late.until, "coalesced", `into:${kept.due}`)]
      }
      const last = trigger.previous(late.until + 1) ?? late.first
      return last.due <= late.first.due
        ? [late.first]
        : [stretch(trigger, late.first, late.after, last.due - 1, "coalesced", `into:${last.due}`), last]
    }
  }
}

// -----------------------------------------------------------------------------
// admission: which of the group become runs
// -----------------------------------------------------------------------------

type Fate = "ready" | "waiting" | { readonly reason: string }

interface Admission {
  /** One for each of the group. */
  readonly fates: ReadonlyArray<Fate>
  readonly cancel: ReadonlyArray<string>
  readonly drop: ReadonlyArray<OpenRun>
}

const noAdmission: Admission = { fates: [], cancel: [], drop: [] }

/** `budget` is the number of runs that `maxRuns` leaves. */
const admit = (
  policy: Policy,
  open: ReadonlyArray<OpenRun>,
  group: ReadonlyArray<Trigger.Point>,
  budget: number
): Admission => {
  if (open.length === 0) return admitAll(policy, open, group, budget)

  // An occurrence whose run is open already (its task's cursor was set back) is skipped by that very run.
  const keys = new Set(open.map((run) => run.key))
  const fresh = group.filter((point) => !keys.has(String(point.due)))
  const admission = decide(policy, open, fresh, budget)
  if (fresh.length === group.length) return admission
  let index = 0
  return {
    ...admission,
    fates: group.map((point) =>
      keys.has(String(point.due)) ? { reason: `busy:${point.due}` } : admission.fates[index++]!
    )
  }
}

const decide = (
  policy: Policy,
  open: ReadonlyArray<OpenRun>,
  group: ReadonlyArray<Trigger.Point>,
  budget: number
): Admission => {
  if (group.length === 0) return noAdmission
  if (open.length < slots(policy)) return admitAll(policy, open, group, budget)
  switch (policy.whenBusy) {
    case "skip": {
      const fate: Fate = { reason: `busy:${blocker(open).key}` }
      return { ...noAdmission, fates: group.map(() => fate) }
    }
    case "queue":
      return admitLatest(open, group)
    case "cancelPrevious":
      return admitInstead(policy, open, group, budget)
    default:
      return admitAll(policy, open, group, budget)
  }
}

/** `allow` is never busy. */
const slots = (policy: Policy): number => policy.whenBusy === "allow" ? Infinity : policy.maxInstances

const replaced: Fate = { reason: "replaced" }
const full: Fate = { reason: "full" }
const enough: Fate = { reason: "maxRuns" }

/** The group runs as far as there is room, the rest of it waits its turn: one window's occurrences are no overlap. */
const admitAll = (
  policy: Policy,
  open: ReadonlyArray<OpenRun>,
  group: ReadonlyArray<Trigger.Point>,
  budget: number
): Admission => {
  let room = Math.max(0, slots(policy) - open.length)
  let queue = policy.whenBusy === "queueAll" ? policy.queueLimit - countWaiting(open) : Infinity
  const fates = group.map((): Fate => {
    if (budget <= 0) return enough
    if (room > 0) {
      room--
      budget--
      return "ready"
    }
    if (queue <= 0) return full
    queue--
    budget--
    return "waiting"
  })
  return { ...noAdmission, fates }
}

/** The latest of the group waits, in the place of the latest that waits already. */
const admitLatest = (open: ReadonlyArray<OpenRun>, group: ReadonlyArray<Trigger.Point>): Admission => {
  let waiting: OpenRun | undefined
  for (const run of open) {
    if (run.state !== "waiting" || run.cancelRequested || !isScheduled(run)) continue
    if (waiting === undefined || run.due > waiting.due) waiting = run
  }
  const latest = group.length - 1
  const keeps = waiting === undefined || waiting.due < group[latest]!.due
  return {
    fates: group.map((_, index) => keeps && index === latest ? "waiting" : replaced),
    cancel: [],
    drop: keeps && waiting !== undefined ? [waiting] : []
  }
}

/** The latest `maxInstances` of the group take the places of the oldest open runs. */
const admitInstead = (
  policy: Policy,
  open: ReadonlyArray<OpenRun>,
  group: ReadonlyArray<Trigger.Point>,
  budget: number
): Admission => {
  const cancel: Array<string> = []
  const drop: Array<OpenRun> = []
  const staying = open.filter((run) => !run.cancelRequested).sort(byAge)
  // What has been asked to stop holds its slot until it has stopped. A waiting run holds none.
  let held = open.filter((run) => run.cancelRequested && run.state !== "waiting").length
  let accepted = 0
  const superseded = Math.max(0, group.length - policy.maxInstances)
  const taken = group.map((_, index): Fate => {
    if (index < superseded) return replaced
    if (budget <= 0) return enough
    while (staying.length > 0 && staying.length + accepted >= policy.maxInstances) {
      const run = staying.shift() as OpenRun
      if (run.state === "waiting" && isScheduled(run)) {
        drop.push(run)
        budget++
      } else {
        cancel.push(run.key)
        // A ready or waiting one ends in this very commit.
        if (run.state === "running") held++
      }
    }
    budget--
    accepted++
    return "waiting"
  })
  let room = policy.maxInstances - held - staying.length
  const fates = taken.map((fate): Fate => fate === "waiting" && room-- > 0 ? "ready" : fate)
  return { fates, cancel, drop }
}

/** Extra runs (`x:…`) and runs of events (`e:…`) are somebody's: they may be cancelled, but are never dropped in silence. */
const isScheduled = (run: OpenRun): boolean => run.key === String(run.due)

const countWaiting = (open: ReadonlyArray<OpenRun>): number => {
  let count = 0
  for (const run of open) if (run.state === "waiting") count++
  return count
}

/** Oldest first; the key decides between an extra run and an occurrence of the same millisecond. */
const byAge = (a: OpenRun, b: OpenRun): number => a.due - b.due || (a.key < b.key ? -1 : 1)

const rank = { running: 0, ready: 1, waiting: 2 }

/** The run that stands in the way: the oldest running one, or else ready, or else waiting. */
const blocker = (open: ReadonlyArray<OpenRun>): OpenRun =>
  open.reduce((a, b) => (rank[b.state] - rank[a.state] || byAge(b, a)) < 0 ? b : a)

/** Waiting runs with room to run, oldest first. A settlement promotes as well; this heals what it could not see. */
export const promotable = (
  policy: Policy,
  open: ReadonlyArray<OpenRun>,
  admission: Admission = noAdmission
): ReadonlyArray<string> => {
  if (countWaiting(open) === 0) return noKeys
  const gone = new Set([...admission.cancel, ...admission.drop.map((run) => run.key)])
  // New runs are ready only where there is room beside all that stay: those that wait come first.
  let room = slots(policy)
  for (const run of open) if (run.state === "running" || (run.state === "ready" && !gone.has(run.key))) room--
  if (room <= 0) return noKeys
  return open
    .filter((run) => run.state === "waiting" && !run.cancelRequested && !gone.has(run.key))
    .sort(byAge)
    .slice(0, room)
    .map((run) => run.key)
}

/** What becomes of one run outside the schedule; see `Policy.admitExtra`. */
export const admitExtra = (
  policy: Policy,
  open: ReadonlyArray<OpenRun>
):
  | { readonly state: "ready" | "waiting"; readonly cancel: ReadonlyArray<string> }
  | { readonly state: "skipped"; readonly reason: string } =>
{
  if (open.length < slots(policy)) return { state: "ready", cancel: noKeys }
  switch (policy.whenBusy) {
    case "skip":
      return { state: "skipped", reason: `busy:${blocker(open).key}` }
    case "cancelPrevious": {
      const staying = open.filter((run) => !run.cancelRequested).sort(byAge)
      const cancel = staying.slice(0, Math.max(0, staying.length + 1 - policy.maxInstances))
      const ends = cancel.filter((run) => run.state !== "running").length +
        open.filter((run) => run.cancelRequested && run.state === "waiting").length
      return {
        state: open.length - ends < policy.maxInstances ? "ready" : "waiting",
        cancel: cancel.map((run) => run.key)
      }
    }
    default:
      return countWaiting(open) >= policy.queueLimit
        ? { state: "skipped", reason: "full" }
        : { state: "waiting", cancel: noKeys }
  }
}
