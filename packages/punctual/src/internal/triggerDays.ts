/**
 * The open days of a calendar as windows of local time, and occurrences on days off moved to them.
 *
 *              Fri      Sat off   Sun off    Mon
 *               17:00     17:00     17:00     17:00
 *     next        •         └─────────┴────────▶•        as one, when they land on one instant
 *     previous    •◀────────┴─────────┘          •
 *     nearest     •◀────────┘         └────────▶•        halfway between: the next one
 *
 * The names of the conventions elsewhere: `next` is Following, `previous` Preceding, `nextInMonth` Modified Following,
 * `previousInMonth` Modified Preceding, `nearest` Nearest (ISDA 2006 definitions, section 4.12, and QuantLib's
 * `BusinessDayConvention`, which has all five; halfway between it takes the following day too).
 *
 * All times are whole milliseconds, days are days since 1970-01-01.
 */
import type { Calendar } from "../Calendar.ts"
import type { RollDirection } from "../Trigger.ts"
import { daysOf } from "./calendarDays.ts"
import { DAY, HORIZON_YEARS, MAX_MILLIS, monthIndexOf } from "./cronDate.ts"
import { emptySegment, instantOf, locate, lookup } from "./timeZone.ts"
import { gated } from "./triggerCombine.ts"
import { HORIZON, MAX_CANDIDATES, type Source, type Work } from "./triggerSearch.ts"
import type { Windows } from "./triggerWindow.ts"

const DAY_MILLIS = DAY * 1000

/** The open days of a calendar, or its days off, as windows. */
export const makeDayWindows = (calendar: Calendar, open: boolean): Windows => {
  const days = daysOf(calendar)
  const zone = lookup(calendar.timeZone)!
  const segment = emptySegment()
  const find = (instant: number): void => {
    const second = Math.floor(instant / 1000)
    if (second < segment.start || second >= segment.end) locate(zone, second, segment)
  }
  return {
    contains(instant) {
      find(instant)
      return days.isOpen(Math.floor((instant + segment.offset * 1000) / DAY_MILLIS)) === open
    },
    next(instant) {
      const horizon = Math.min(instant + HORIZON, MAX_MILLIS)
      for (let time = instant; time <= horizon;) {
        find(time)
        const offset = segment.offset * 1000
        const end = Math.min(segment.end * 1000, horizon + 1)
        const day = days.next(
          Math.floor((time + offset) / DAY_MILLIS),
          Math.floor((end - 1 + offset) / DAY_MILLIS),
          open
        )
        const found = Math.max(time, day * DAY_MILLIS - offset)
        if (found < end) return found
        time = end
      }
      return Infinity
    },
    previous(instant) {
      const horizon = Math.max(instant - HORIZON, -MAX_MILLIS)
      for (let time = instant; time >= horizon;) {
        find(time)
        const offset = segment.offset * 1000
        const start = Math.max(segment.start * 1000, horizon)
        const day = days.previous(
          Math.floor((time + offset) / DAY_MILLIS),
          Math.floor((start + offset) / DAY_MILLIS),
          open
        )
        const found = Math.min(time, (day + 1) * DAY_MILLIS - 1 - offset)
        if (found >= start) return found
        time = start - 1
      }
      return -Infinity
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// rolled
// ---------------------------------------------------------------------------------------------------------------------

/** How far an occurrence is moved, in days: on days off longer than this it is not due at all. */
const MAX_ROLL = 366

const HORIZON_DAYS = HORIZON_YEARS * 366

/** A repeated local time can come this much later than the midnight after it. */
const SLACK = 3 * 3_600_000

/**
 * How far one search goes before it asks for what stays and what moves again: either alone may be years away, or nowhere,
 * when the other is near.
 */
const SPANS = [40 * DAY_MILLIS, 320 * DAY_MILLIS, 2_560 * DAY_MILLIS, Infinity]

/** Instants [from, to] of one day off that share an offset, on their way to an open day. */
interface Stretch {
  readonly from: number
  readonly to: number
  /** Adds up to the local time on the open day. */
  readonly by: number
}

/**
 * Moves what is due on a day off to an open day, at the same local time.
 *
 * Occurrences on open days stay as they are; the others are searched by the day they land on. On one such day the moved
 * instant grows with the local time it came from, so of each day off only the first one that lands late enough is looked
 * at, however many there are.
 */
export const rolled = (inner: Source, calendar: Calendar, direction: RollDirection, work: Work): Source => {
  const days = daysOf(calendar)
  const zone = lookup(calendar.timeZone)!
  const segment = emptySegment()
  // What is searched now: a part of the inner trigger.
  let low = -Infinity
  let high = Infinity
  const near: Source = {
    next(after) {
      const due = inner.next(after)
      return due <= high ? due : Infinity
    },
    previous(before) {
      const due = inner.previous(before)
      return due >= low ? due : -Infinity
    },
    count: () => undefined
  }
  const staying = gated(near, makeDayWindows(calendar, true), work)
  const moving = gated(near, makeDayWindows(calendar, false), work)

  const dayAt = (instant: number): number => {
    locate(zone, Math.floor(instant / 1000), segment)
    return Math.floor((instant + segment.offset * 1000) / DAY_MILLIS)
  }

  /** The instant of a local time: the first pass of a repeated one, the end of the gap for a skipped one. */
  const instantAt = (local: number): number => {
    const second = Math.floor(local / 1000)
    const time = instantOf(zone, second)
    locate(zone, time, segment)
    return time + segment.offset === second ? time * 1000 + local - second * 1000 : segment.start * 1000
  }

  const begin = (day: number): number => instantAt(day * DAY_MILLIS)

  // A zone that crosses the date line leaves out a day, which cannot be landed on.
  const exists = (day: number): boolean => begin(day + 1) > begin(day)

  const nextOpen = (day: number, limit: number): number => {
    let found = days.next(day, limit, true)
    while (found !== Infinity && !exists(found)) found = days.next(found + 1, limit, true)
    return found
  }

  const previousOpen = (day: number, limit: number): number => {
    let found = days.previous(day, limit, true)
    while (found !== -Infinity && !exists(found)) found = days.previous(found - 1, limit, true)
    return found
  }

  /** Where a day off between two open days is moved to; not finite when that is nowhere. */
  const target = (day: number, preceding: number, following: number): number => {
    const before = day - preceding <= MAX_ROLL ? preceding : -Infinity
    const after = following - day <= MAX_ROLL ? following : Infinity
    switch (direction) {
      case "next":
        return after
      case "previous":
        return before
      case "nextInMonth":
        return after !== Infinity && monthIndexOf(after) === monthIndexOf(day) ? after : before
      case "previousInMonth":
        return before !== -Infinity && monthIndexOf(before) === monthIndexOf(day) ? before : after
      case "nearest":
        return after - day <= day - before ? after : before
    }
  }

  const stretches = (source: number, day: number, found: Array<Stretch>): void => {
    const last = (source + 3) * DAY
    for (let time = (source - 2) * DAY; time < last; time = segment.end) {
      locate(zone, time, segment)
      const from = Math.max(segment.start, source * DAY - segment.offset)
      const until = Math.min(segment.end, (source + 1) * DAY - segment.offset)
      if (from >= until) continue
      found.push({ from: from * 1000, to: until * 1000 - 1, by: segment.offset * 1000 + (day - source) * DAY_MILLIS })
    }
  }

  // The day that was looked at last: consecutive answers rarely leave it.
  let landed = NaN
  let moved: ReadonlyArray<Stretch> = []
  let end = 0

  /** What is moved to an open day, from the earliest. */
  const load = (day: number): void => {
    if (day === landed) return
    const found: Array<Stretch> = []
    // The days off before it are between this day and the open one before, those after it up to the next.
    const preceding = previousOpen(day - 1, day - 2 * MAX_ROLL)
    const following = nextOpen(day + 1, day + 2 * MAX_ROLL)
    for (let at = Math.max(preceding + 1, day - MAX_ROLL); at < day; at++) {
      if (target(at, preceding, day) === day) stretches(at, day, found)
    }
    for (let at = day + 1; at < Math.min(following, day + MAX_ROLL + 1); at++) {
      if (target(at, day, following) === day) stretches(at, day, found)
    }
    landed = day
    // Where a repeated hour crosses midnight, the stretches of two days take turns.
    moved = found.sort((a, b) => a.from - b.from)
    end = begin(day + 1) - 1
  }

  /** Where an instant lands. What would land in a gap over midnight stays on its day. */
  const land = (instant: number, by: number): number => Math.min(instantAt(instant + by), end)

  /** The first instant of a stretch that lands at or after `due`, which the last one does. */
  const firstAt = ({ by, from, to }: Stretch, due: number): number => {
    if (land(from, by) >= due) return from
    locate(zone, Math.floor(due / 1000), segment)
    const guess = due + segment.offset * 1000 - by
    if (guess > from && guess <= to && land(guess, by) >= due && land(guess - 1, by) < due) return guess
    let before = from
    let found = to
    while (found - before > 1) {
      const middle = Math.floor((before + found) / 2)
      if (land(middle, by) >= due) found = middle
      else before = middle
    }
    return found
  }

  /** The first due instant on a day from `due` on, of those that are moved there. */
  const firstOn = (day: number, due: number): number => {
    load(day)
    let best = Infinity
    // No occurrence of the inner trigger is between the stretches seen and this one.
    let instant = moved.length === 0 ? Infinity : inner.next(moved[0]!.from - 1)
    for (const stretch of moved) {
      const { by, to } = stretch
      if (instant > to || land(to, by) < due) continue
      work.spent++
      instant = inner.next(firstAt(stretch, due) - 1)
      if (instant <= to && land(instant, by) <= MAX_MILLIS) best = Math.min(best, land(instant, by))
    }
    return best
  }

  /** The last due instant on a day up to `due`, of those that are moved there. */
  const lastOn = (day: number, due: number): number => {
    load(day)
    let best = -Infinity
    let instant = moved.length === 0 ? -Infinity : inner.previous(moved[moved.length - 1]!.to + 1)
    for (let i = moved.length - 1; i >= 0; i--) {
      const stretch = moved[i]!
      const { by, from, to } = stretch
      if (instant < from || land(from, by) > due) continue
      work.spent++
      instant = inner.previous(land(to, by) <= due ? to + 1 : firstAt(stretch, due + 1))
      if (instant >= from && land(instant, by) >= -MAX_MILLIS) best = Math.max(best, land(instant, by))
    }
    return best
  }

  /**
   * The first due instant after `after` that comes from the part that is searched. What comes from beyond that part is
   * not due earlier, but on the day on which something stays.
   */
  const nextOf = (after: number): number => {
    const stays = staying.next(after)
    let horizon = Infinity
    let day = dayAt(after)
    for (let i = 0; i < MAX_CANDIDATES && work.spent < work.limit; i++) {
      work.spent++
      day = nextOpen(day, day + HORIZON_DAYS)
      if (day === Infinity) break
      const start = begin(day)
      if (start > stays || start > horizon) break
      const found = firstOn(day, after + 1)
      if (found !== Infinity) return Math.min(stays, found)
      // On to the open days around the next one that has to move.
      const moves = moving.next(begin(day + 1) - 1)
      if (moves === Infinity) break
      if (horizon === Infinity) horizon = moves + HORIZON
      const off = dayAt(moves)
      day = Math.max(day + 1, previousOpen(off, off - MAX_ROLL))
    }
    return stays === Infinity ? Infinity : Math.min(stays, firstOn(dayAt(stays), after + 1))
  }

  const previousOf = (before: number): number => {
    const stays = staying.previous(before)
    let horizon = -Infinity
    // The day after may have begun before a repeated time of this one.
    let day = dayAt(before) + 1
    for (let i = 0; i < MAX_CANDIDATES && work.spent < work.limit; i++) {
      work.spent++
      day = previousOpen(day, day - HORIZON_DAYS)
      if (day === -Infinity) break
      const last = begin(day + 1) - 1
      if (last < stays || last < horizon) break
      const found = lastOn(day, before - 1)
      if (found !== -Infinity) return Math.max(stays, found)
      const moves = moving.previous(begin(day) + SLACK)
      if (moves === -Infinity) break
      if (horizon === -Infinity) horizon = moves - HORIZON
      const off = dayAt(moves)
      day = Math.min(day - 1, nextOpen(off, off + MAX_ROLL))
    }
    return stays === -Infinity ? -Infinity : Math.max(stays, lastOn(dayAt(stays), before - 1))
  }

  return {
    next(after) {
      for (const span of SPANS) {
        high = after + span
        const found = nextOf(after)
        if (found <= high) return found
      }
      return Infinity
    },
    previous(before) {
      for (const span of SPANS) {
        low = before - span
        const found = previousOf(before)
        if (found >= low) return found
      }
      return -Infinity
    },
    nominal(due) {
      const named = (instant: number): number => inner.nominal === undefined ? instant : inner.nominal(instant)
      let nominal = inner.next(due - 1) === due ? named(due) : Infinity
      load(dayAt(due))
      for (const stretch of moved) {
        const { by, to } = stretch
        if (land(to, by) < due) continue
        const instant = inner.next(firstAt(stretch, due) - 1)
        if (instant <= to && land(instant, by) === due) nominal = Math.min(nominal, named(instant))
      }
      return nominal
    },
    count: () => undefined
  }
}
