/**
 * The search behind a recurrence: a rule between its start and its end, with dates added and left out.
 *
 *     rule        ──┬──┬──┬──┬──┬──┬──▶           local times (recurrenceCalendar), mapped to instants (cronEngine)
 *     start, end    [──┬──┬──┬──┬──]              DTSTART; UNTIL, or the instant of occurrence number COUNT
 *     RDATE         [──┬──┬─+┬──┬──]   +          each instant once
 *     EXDATE        [──┬────+┬──┬──]   +          takes away after all that, and is no part of COUNT
 *
 * Clocks that change. A rule names local times, and each is an instant by RFC 5545 §3.3.5 (which §3.3.10 refers to; the
 * sentence there that says otherwise is corrected by the verified erratum 4271): a skipped time is as far from midnight
 * as it would have been, so 02:30 happens at 03:30, and a repeated time happens at its first pass. The exception are
 * rules that just run on: an HOURLY, MINUTELY or SECONDLY rule whose step is at most an hour and that names no hour
 * follows real time. It is neither silent while an hour is repeated, nor crowded after one was skipped.
 *
 * All instants are whole seconds; `Infinity` and `-Infinity` stand for "none".
 */
import { DAY, HORIZON_SECONDS } from "./cronDate.ts"
import { type Engine, makeEngine } from "./cronEngine.ts"
import { makeRecurrenceCalendar } from "./recurrenceCalendar.ts"
import {
  isSubDaily,
  lowerBound,
  type Recurrence,
  type RecurrenceDate,
  type Rule,
  unitSeconds
} from "./recurrenceModel.ts"
import { instantOf, lookup, offsetAt, type TimeZone } from "./timeZone.ts"

/** How far after the start occurrence number COUNT is looked for; a rule that is rarer has no end in sight. */
const COUNT_HORIZON = 4 * HORIZON_SECONDS

/** Whether a rule follows real time where clocks change. */
export const runsOn = (rule: Rule): boolean =>
  isSubDaily(rule) && rule.byHour.length === 0 && rule.interval * unitSeconds(rule.frequency) <= 3600

/** The zone a date stands for, where it does not float. */
const zoneOf = (date: RecurrenceDate | undefined, otherwise: TimeZone): TimeZone =>
  date?.timeZone === undefined ? otherwise : lookup(date.timeZone)!

/** The last second that UNTIL allows: a date allows all of its day. */
const untilOf = (date: RecurrenceDate, zone: TimeZone): number =>
  date.date ? instantOf(zone, date.local + DAY) - 1 : instantOf(zoneOf(date, zone), date.local)

/** The n-th occurrence from `start` on. */
const nth = (engine: Engine, n: number, start: number): number => {
  let rest = n
  let low = start
  let span = DAY
  // Double the stretch until it holds the one that is looked for, then halve it.
  while (true) {
    const count = engine.count(low, low + span) ?? 0
    if (count >= rest) break
    rest -= count
    low += span
    if (low - start > COUNT_HORIZON) return Infinity
    span = Math.min(span * 2, HORIZON_SECONDS)
  }
  while (span > 1) {
    const half = Math.floor(span / 2)
    const count = engine.count(low, low + half) ?? 0
    if (count >= rest) span = half
    else {
      rest -= count
      low += half
      span -= half
    }
  }
  return low
}

/** The part of an engine's instants that lie in [low, end()]. */
const bounded = (inner: Engine, low: number, end: () => number): Engine => ({
  next(from) {
    const found = inner.next(Math.max(from, low))
    return found <= end() ? found : Infinity
  },
  previous(until) {
    const last = Math.min(until, end())
    const found = last < low ? -Infinity : inner.previous(last)
    return found >= low ? found : -Infinity
  },
  count(from, until) {
    const first = Math.max(from, low)
    const last = Math.min(until, end() + 1)
    return last <= first ? 0 : inner.count(first, last)
  }
})

/** Adds instants; each is there once. */
const including = (inner: Engine, instants: ReadonlyArray<number>): Engine => {
  const added = Array.from(new Set(instants)).sort((a, b) => a - b)
  let alone: ReadonlyArray<number> | undefined
  return {
    next: (from) => Math.min(inner.next(from), added[lowerBound(added, from)] ?? Infinity),
    previous: (until) => Math.max(inner.previous(until), added[lowerBound(added, until + 1) - 1] ?? -Infinity),
    count(from, until) {
      const n = inner.count(from, until)
      if (n === undefined) return undefined
      alone ??= added.filter((instant) => inner.next(instant) !== instant)
      return n + lowerBound(alone, until) - lowerBound(alone, from)
    }
  }
}

/** A stretch of time that is left out: [start, end). */
interface Hole {
  readonly start: number
  readonly end: number
}

const excluding = (inner: Engine, list: ReadonlyArray<Hole>): Engine => {
  const holes: Array<Hole> = []
  for (const hole of Array.from(list).sort((a, b) => a.start - b.start)) {
    const last = holes[holes.length - 1]
    if (last !== undefined && hole.start <= last.end) {
      holes[holes.length - 1] = { start: last.start, end: Math.max(last.end, hole.end) }
    } else holes.push(hole)
  }
  const ends = holes.map((hole) => hole.end)
  /** The hole an instant is in. */
  const holeAt = (instant: number): Hole | undefined => {
    const hole = holes[lowerBound(ends, instant + 1)]
    return hole !== undefined && hole.start <= instant ? hole : undefined
  }
  return {
    next(from) {
      let found = inner.next(from)
      for (let hole = holeAt(found); hole !== undefined; hole = holeAt(found)) found = inner.next(hole.end)
      return found
    },
    previous(until) {
      let found = inner.previous(until)
      for (let hole = holeAt(found); hole !== undefined; hole = holeAt(found)) found = inner.previous(hole.start - 1)
      return found
    },
    count(from, until) {
      let n = inner.count(from, until)
      for (let i = 0; i < holes.length && n !== undefined; i++) {
        const low = Math.max(from, holes[i]!.start)
        const high = Math.min(until, holes[i]!.end)
        if (low < high) n -= inner.count(low, high) ?? 0
      }
      return n
    }
  }
}

/**
 * The occurrences of a recurrence.
 *
 * `zone` is where floating times are read, and `start` the instant that stands for DTSTART where the text has none. A
 * start that does not fit the rule is not an occurrence.
 */
export const makeRecurrence = (recurrence: Recurrence, zone: TimeZone, start: number): Engine => {
  const { count, excluded, included, until } = recurrence
  const home = zoneOf(recurrence.start, zone)
  const local = recurrence.start?.local ?? start + offsetAt(home, start)
  const first = recurrence.start === undefined ? start : instantOf(home, local)
  const calendar = makeRecurrenceCalendar(recurrence, local)
  const real = runsOn(recurrence)
  const rule = makeEngine(calendar, home, real ? "skip" : "shift", real ? "both" : "first")

  let end = until === undefined ? Infinity : untilOf(until, home)
  let counted = count === undefined
  let engine = bounded(rule, first, () => {
    if (!counted) {
      counted = true
      end = nth(rule, count!, first)
    }
    return end
  })
  if (included.length > 0) {
    engine = including(engine, included.map((date) => instantOf(zoneOf(date, home), date.local)))
  }
  if (excluded.length > 0) {
    engine = excluding(
      engine,
      excluded.map((date) => {
        const at = instantOf(zoneOf(date, home), date.local)
        return { start: at, end: date.date ? instantOf(home, date.local + DAY) : at + 1 }
      })
    )
  }
  return engine
}

/**
 * The days of a recurrence, for calendars of whole days: a day is in it when the recurrence has a time on it, as told by
 * the clocks of its own zone. `startDay` stands for DTSTART where the text has none. Days are days since 1970-01-01.
 */
export const makeRecurrenceDays = (
  recurrence: Recurrence,
  startDay: number
): { readonly contains: (day: number) => boolean } => {
  const home = zoneOf(recurrence.start, utc)
  // Local times stand for themselves, so no clock changes.
  const floating = (date: RecurrenceDate): RecurrenceDate => {
    const zone = zoneOf(date, home)
    if (zone === home) return { ...date, timeZone: undefined }
    const instant = instantOf(zone, date.local)
    return { date: date.date, local: instant + offsetAt(home, instant), timeZone: undefined }
  }
  const engine = makeRecurrence(
    {
      ...recurrence,
      start: floating(recurrence.start ?? { date: true, local: startDay * DAY, timeZone: undefined }),
      until: recurrence.until === undefined ? undefined : floating(recurrence.until),
      included: recurrence.included.map(floating),
      excluded: recurrence.excluded.map(floating)
    },
    utc,
    0
  )
  // Counted, since the next one may be far away.
  return { contains: (day) => engine.count(day * DAY, (day + 1) * DAY) !== 0 }
}

const utc = lookup("UTC")!
