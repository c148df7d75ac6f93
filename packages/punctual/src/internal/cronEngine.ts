/**
 * The search behind a cron expression.
 *
 * Two layers. A **calendar** knows nothing of zones: it finds the matching local second at or after (or before) a given
 * one, with a table per time field and one 31-bit mask per month. A **zoned** search maps those local seconds to
 * instants, one stretch of constant offset at a time, and applies the policy where the clocks change:
 *
 *     local time   01:00 ───────── 02:00 ┄┄ skipped ┄┄ 03:00 ──────
 *     instant      ──────────────────────┼───────────────────────────   gap     (offset grows at ┼)
 *
 *     local time   02:00 ── first ── 03:00│02:00 ── second ── 03:00
 *     instant      ───────────────────────┼──────────────────────────   overlap (offset shrinks at ┼)
 *
 * All times are whole seconds; `Infinity` and `-Infinity` stand for "none".
 */
import {
  DAY,
  HORIZON_SECONDS,
  HORIZON_YEARS,
  MAX_MILLIS,
  monthIndexOf,
  monthLength,
  monthStart,
  weekdayOf
} from "./cronDate.ts"
import { kindOf, monthMasks, weeksMask } from "./cronDays.ts"
import type { Fields } from "./cronModel.ts"
import { emptySegment, locate, type TimeZone } from "./timeZone.ts"

/** Matching local seconds. */
export interface Calendar {
  /** The first at or after `local`. */
  readonly next: (local: number) => number
  /** The last at or before `local`. */
  readonly previous: (local: number) => number
  /** How many in [from, until). */
  readonly count: (from: number, until: number) => number
}

/** Larger than any field value. */
const NONE = 99

/** `table[v]` is the smallest allowed value at or after `v`. */
const ascending = (values: ReadonlyArray<number>, size: number): Uint8Array => {
  const table = new Uint8Array(size + 1).fill(NONE)
  for (let v = size - 1, i = values.length - 1; v >= 0; v--) table[v] = values[i] === v ? values[i--]! : table[v + 1]!
  return table
}

/** `table[v + 1]` is the largest allowed value at or before `v`. */
const descending = (values: ReadonlyArray<number>, size: number): Uint8Array => {
  const table = new Uint8Array(size + 1).fill(NONE)
  for (let v = 0, i = 0; v < size; v++) table[v + 1] = values[i] === v ? values[i++]! : table[v]!
  return table
}

/** `table[v]` is the number of allowed values below `v`. */
const below = (values: ReadonlyArray<number>, size: number): Uint8Array => {
  const table = new Uint8Array(size + 1)
  for (let v = 0, i = 0; v < size; v++) table[v + 1] = values[i] === v ? ++i : i
  return table
}

const lowest = (mask: number): number => 31 - Math.clz32(mask & -mask)
const highest = (mask: number): number => 31 - Math.clz32(mask)
const popcount = (mask: number): number => {
  let n = 0
  for (let m = mask; m !== 0; m &= m - 1) n++
  return n
}

export const makeCalendar = (fields: Fields): Calendar => {
  const nextSecond = ascending(fields.seconds, 60)
  const nextMinute = ascending(fields.minutes, 60)
  const nextHour = ascending(fields.hours, 24)
  const previousSecond = descending(fields.seconds, 60)
  const previousMinute = descending(fields.minutes, 60)
  const previousHour = descending(fields.hours, 24)
  const nextMonth = ascending(fields.months.map((m) => m - 1), 12)
  const previousMonth = descending(fields.months.map((m) => m - 1), 12)
  const firstSecond = fields.seconds[0]!
  const firstMinute = fields.minutes[0]!
  const lastSecond = fields.seconds[fields.seconds.length - 1]!
  const lastMinute = fields.minutes[fields.minutes.length - 1]!
  const firstTime = fields.hours[0]! * 3600 + firstMinute * 60 + firstSecond
  const lastTime = fields.hours[fields.hours.length - 1]! * 3600 + lastMinute * 60 + lastSecond

  const masks = monthMasks(fields)
  const { weeks, years } = fields
  const yearSet = years === undefined ? undefined : new Set(years)

  // The month looked at last: consecutive searches rarely leave it.
  let index = 0
  let start = 0
  let length = 0
  let mask = 0

  const load = (month: number): void => {
    const year = Math.floor(month / 12)
    const ofYear = month - year * 12
    index = month
    start = monthStart(month)
    length = monthLength(year, ofYear + 1)
    if (nextMonth[ofYear] !== ofYear || (yearSet !== undefined && !yearSet.has(year))) {
      mask = 0
      return
    }
    mask = masks[kindOf(length, weekdayOf(start))]!
    if (weeks !== undefined) mask &= weeksMask(weeks, start, length)
  }

  const matches = (day: number): boolean => {
    if (day < start || day >= start + length) load(monthIndexOf(day))
    return ((mask >>> (day - start)) & 1) === 1
  }

  /** The first allowed year after one that is not, or `Infinity`. */
  const yearFrom = (year: number): number => years!.find((allowed) => allowed > year) ?? Infinity

  /** The last allowed year before one that is not, or `-Infinity`. */
  const yearUntil = (year: number): number => years!.findLast((allowed) => allowed < year) ?? -Infinity

  const nextDay = (day: number): number => {
    if (day < start || day >= start + length) load(monthIndexOf(day))
    const rest = mask >>> (day - start)
    if (rest !== 0) return day + lowest(rest)
    const last = index + HORIZON_YEARS * 12
    while (index < last) {
      const month = index + 1
      let year = Math.floor(month / 12)
      let allowed = nextMonth[month - year * 12]!
      if (allowed === NONE) {
        year++
        allowed = nextMonth[0]!
      }
      if (yearSet !== undefined && !yearSet.has(year)) {
        year = yearFrom(year)
        allowed = nextMonth[0]!
        if (year * 12 + allowed > last) return Infinity
      }
      load(year * 12 + allowed)
      if (mask !== 0) return start + lowest(mask)
    }
    return Infinity
  }

  const previousDay = (day: number): number => {
    if (day < start || day >= start + length) load(monthIndexOf(day))
    const rest = mask & (0x7fffffff >>> (30 - (day - start)))
    if (rest !== 0) return start + highest(rest)
    const last = index - HORIZON_YEARS * 12
    while (index > last) {
      const month = index - 1
      let year = Math.floor(month / 12)
      let allowed = previousMonth[month - year * 12 + 1]!
      if (allowed === NONE) {
        year--
        allowed = previousMonth[12]!
      }
      if (yearSet !== undefined && !yearSet.has(year)) {
        year = yearUntil(year)
        allowed = previousMonth[12]!
        if (year * 12 + allowed < last) return -Infinity
      }
      load(year * 12 + allowed)
      if (mask !== 0) return start + highest(mask)
    }
    return -Infinity
  }

  /** The first allowed time of day at or after `time`, or -1. */
  const nextTime = (time: number): number => {
    const hour = time / 3600 | 0
    if (nextHour[hour] === hour) {
      let minute = (time - hour * 3600) / 60 | 0
      if (nextMinute[minute] === minute) {
        const second = nextSecond[time - hour * 3600 - minute * 60]!
        if (second !== NONE) return hour * 3600 + minute * 60 + second
      }
      minute = nextMinute[nextMinute[minute] === minute ? minute + 1 : minute]!
      if (minute !== NONE) return hour * 3600 + minute * 60 + firstSecond
    }
    const following = nextHour[nextHour[hour] === hour ? hour + 1 : hour]!
    return following === NONE ? -1 : following * 3600 + firstMinute * 60 + firstSecond
  }

  /** The last allowed time of day at or before `time`, or -1. */
  const previousTime = (time: number): number => {
    const hour = time / 3600 | 0
    if (nextHour[hour] === hour) {
      const minute = (time - hour * 3600) / 60 | 0
      if (nextMinute[minute] === minute) {
        const second = previousSecond[time - hour * 3600 - minute * 60 + 1]!
        if (second !== NONE) return hour * 3600 + minute * 60 + second
      }
      const earlier = previousMinute[minute]!
      if (earlier !== NONE) return hour * 3600 + earlier * 60 + lastSecond
    }
    const earlier = previousHour[hour]!
    return earlier === NONE ? -1 : earlier * 3600 + lastMinute * 60 + lastSecond
  }

  const secondsBelow = below(fields.seconds, 60)
  const minutesBelow = below(fields.minutes, 60)
  const hoursBelow = below(fields.hours, 24)
  const perMinute = fields.seconds.length
  const perHour = perMinute * fields.minutes.length
  const perDay = perHour * fields.hours.length

  /** The number of allowed times of day before `time`. */
  const timesBefore = (time: number): number => {
    const hour = time / 3600 | 0
    let n = hoursBelow[hour]! * perHour
    if (nextHour[hour] === hour) {
      const minute = (time - hour * 3600) / 60 | 0
      n += minutesBelow[minute]! * perMinute
      if (nextMinute[minute] === minute) n += secondsBelow[time - hour * 3600 - minute * 60]!
    }
    return n
  }

  const countDays = (from: number, until: number): number => {
    let n = 0
    let day = from
    while (day < until) {
      if (day < start || day >= start + length) load(monthIndexOf(day))
      let bits = mask >>> (day - start)
      const end = start + length
      if (until < end) bits &= (1 << (until - day)) - 1
      n += popcount(bits)
      day = end
    }
    return n
  }

  return {
    next(local) {
      const day = Math.floor(local / DAY)
      if (matches(day)) {
        const time = nextTime(local - day * DAY)
        if (time >= 0) return day * DAY + time
      }
      return nextDay(day + 1) * DAY + firstTime
    },
    previous(local) {
      const day = Math.floor(local / DAY)
      if (matches(day)) {
        const time = previousTime(local - day * DAY)
        if (time >= 0) return day * DAY + time
      }
      return previousDay(day - 1) * DAY + lastTime
    },
    count(from, until) {
      if (until <= from) return 0
      const first = Math.floor(from / DAY)
      const last = Math.floor(until / DAY)
      let n = countDays(first, last) * perDay
      if (matches(first)) n -= timesBefore(from - first * DAY)
      if (matches(last)) n += timesBefore(until - last * DAY)
      return n
    }
  }
}

/** What happens to a local time that is skipped. `end`: once, at the first instant after the gap. */
export type GapMode = "end" | "skip" | "shift"

/** Which pass of a repeated local time counts. */
export type OverlapMode = "first" | "second" | "both"

/** Matching instants, in seconds. */
export interface Engine {
  /** The first at or after `from`. */
  readonly next: (from: number) => number
  /** The last at or before `until`. */
  readonly previous: (until: number) => number
  /** How many in [from, until); `undefined` for a stretch longer than the horizon. */
  readonly count: (from: number, until: number) => number | undefined
}

/** Offsets of two zones differ by at most 26 hours, so no local time is further than this from its instant. */
const SLACK = 2 * DAY

const LAST = MAX_MILLIS / 1000

export const makeEngine = (calendar: Calendar, zone: TimeZone, gap: GapMode, overlap: OverlapMode): Engine => {
  const segment = emptySegment()

  /** Whether a local time inside the gap at the start of the segment matches. */
  const gapMatches = (): boolean => calendar.next(segment.start + segment.before) < segment.start + segment.offset

  const next = (from: number): number => {
    const horizon = Math.min(from + HORIZON_SECONDS, LAST)
    let time = from
    while (time <= horizon) {
      if (time < segment.start || time >= segment.end) locate(zone, time, segment)
      const { after, before, end, offset, start } = segment
      let image = Infinity
      let low = time
      if (offset > before) {
        if (gap === "end" && time === start && gapMatches()) return start
        if (gap === "shift" && time < start + offset - before) {
          const local = calendar.next(time + before)
          if (local < start + offset) image = local - before
        }
      } else if (offset < before && overlap === "first" && time < start + before - offset) {
        low = start + before - offset
      }
      const limit = overlap === "second" && after < offset ? end - (offset - after) : end
      const local = low < end ? calendar.next(low + offset) : low + offset
      let found = local - offset
      if (found >= limit) found = Infinity
      if (image < found && image < end) found = image
      if (found !== Infinity) return found <= LAST ? found : Infinity
      // Nothing matches between `low` and `local`, so segments that end well before it need no search of their own.
      const far = local - offset - SLACK
      time = far > end && low + offset + SLACK <= end + after ? far : end
    }
    return Infinity
  }

  const previous = (until: number): number => {
    const horizon = Math.max(until - HORIZON_SECONDS, -LAST)
    let time = until
    while (time >= horizon) {
      if (time < segment.start || time >= segment.end) locate(zone, time, segment)
      const { after, before, end, offset, start } = segment
      let high = time
      if (overlap === "second" && after < offset) high = Math.min(high, end - (offset - after) - 1)
      const low = overlap === "first" && offset < before ? start + before - offset : start
      const local = high >= start ? calendar.previous(high + offset) : high + offset
      let found = local - offset
      if (high < start || found < low) found = -Infinity
      if (offset > before) {
        if (gap === "end" && found < start && gapMatches()) found = start
        if (gap === "shift") {
          const shifted = calendar.previous(Math.min(time, start + offset - before - 1) + before)
          if (shifted >= start + before) found = Math.max(found, shifted - before)
        }
      }
      if (found !== -Infinity) return found >= -LAST ? found : -Infinity
      const near = local - offset + SLACK
      time = near < start && high + offset - SLACK >= start + before ? near : start - 1
    }
    return -Infinity
  }

  const count = (from: number, until: number): number | undefined => {
    if (until - from > HORIZON_SECONDS) return undefined
    let n = 0
    let time = from
    while (time < until) {
      if (time < segment.start || time >= segment.end) locate(zone, time, segment)
      const { after, before, end, offset, start } = segment
      let low = time
      let high = Math.min(end, until)
      if (offset > before && time < start + offset - before) {
        if (gap === "end" && time === start && calendar.next(start + offset) !== start + offset && gapMatches()) n++
        if (gap === "shift") {
          // Shifted and real matches may coincide here: walk this short stretch.
          const edge = Math.min(high, start + offset - before)
          for (let t = next(low); t < edge; t = next(t + 1)) n++
          low = edge
        }
      } else if (offset < before && overlap === "first") {
        low = Math.max(low, start + before - offset)
      }
      if (overlap === "second" && after < offset) high = Math.min(high, end - (offset - after))
      n += calendar.count(low + offset, high + offset)
      time = end
    }
    return n
  }

  return { next, previous, count }
}
