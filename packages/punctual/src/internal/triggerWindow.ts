/**
 * Windows of local time: the days and hours in which `during` lets occurrences through.
 *
 * A window opens on a day that its weekdays and dates allow and is the half-open range [from, to) of the clock on the
 * wall. One that ends before it starts closes on the following day:
 *
 *     Fri 22:00 ───────── 24:00 ───────── 06:00 Sat        weekdays: fri, times: 22:00-06:00
 *
 * All times are whole milliseconds.
 */
import type { DateRange, Window } from "../Trigger.ts"
import { DAY, daysFromCivil, HORIZON_SECONDS, MAX_MILLIS, monthIndexOf, monthStart, weekdayOf } from "./cronDate.ts"
import { emptySegment, locate, lookup } from "./timeZone.ts"
import { weekdayNames } from "./triggerEncode.ts"
import { secondOfDay } from "./triggerInput.ts"

export interface Windows {
  readonly contains: (instant: number) => boolean
  /** The first instant inside, at or after `instant`. */
  readonly next: (instant: number) => number
  /** The last instant inside, at or before `instant`. */
  readonly previous: (instant: number) => number
}

const DAY_MILLIS = DAY * 1000

/** Whether dates are inside: by day number with a year, by month and day without. */
const dateTest = (ranges: ReadonlyArray<DateRange>): (day: number) => boolean => {
  const absolute: Array<readonly [number, number]> = []
  const yearly: Array<readonly [number, number]> = []
  for (const { from, to } of ranges) {
    if (from.length === 5) {
      yearly.push([
        Number(from.slice(0, 2)) * 100 + Number(from.slice(3)),
        Number(to.slice(0, 2)) * 100 + Number(to.slice(3))
      ])
    } else {
      const day = (text: string) =>
        daysFromCivil(Number(text.slice(0, 4)), Number(text.slice(5, 7)), Number(text.slice(8)))
      absolute.push([day(from), day(to)])
    }
  }
  return (day) => {
    for (const [from, to] of absolute) if (day >= from && day <= to) return true
    if (yearly.length > 0) {
      const index = monthIndexOf(day)
      const ofYear = (index - Math.floor(index / 12) * 12 + 1) * 100 + day - monthStart(index) + 1
      for (const [from, to] of yearly) {
        if (from <= to ? ofYear >= from && ofYear <= to : ofYear >= from || ofYear <= to) return true
      }
    }
    return false
  }
}

export const makeWindows = (window: Window): Windows => {
  const zone = lookup(window.timeZone)!
  const segment = emptySegment()
  let weekdays = 0
  for (const name of window.weekdays ?? weekdayNames) weekdays |= 1 << weekdayNames.indexOf(name)
  const inDates = window.dates === undefined ? undefined : dateTest(window.dates)
  const times = (window.times ?? [{ from: "00:00", to: "24:00" }]).map((range) => ({
    from: secondOfDay(range.from) * 1000,
    to: secondOfDay(range.to) * 1000
  }))

  const opens = (day: number): boolean =>
    (weekdays >> weekdayOf(day) & 1) === 1 && (inDates === undefined || inDates(day))

  const inside = (day: number, time: number): boolean => {
    const today = opens(day)
    const yesterday = opens(day - 1)
    for (const { from, to } of times) {
      if (from < to ? today && time >= from && time < to : today && time >= from || yesterday && time < to) return true
    }
    return false
  }

  /** The first local time inside, at or after `local` and before `limit`. */
  const nextLocal = (local: number, limit: number): number => {
    let day = Math.floor(local / DAY_MILLIS)
    let time = local - day * DAY_MILLIS
    while (day * DAY_MILLIS < limit) {
      let best = Infinity
      const today = opens(day)
      const yesterday = opens(day - 1)
      for (const { from, to } of times) {
        if (today) {
          const open = Math.max(from, time)
          if (open < (from < to ? to : DAY_MILLIS) && open < best) best = open
        }
        if (yesterday && from > to && time < to && time < best) best = time
      }
      if (best !== Infinity) return day * DAY_MILLIS + best
      day++
      time = 0
    }
    return Infinity
  }

  /** The last local time inside, at or before `local` and not before `limit`. */
  const previousLocal = (local: number, limit: number): number => {
    let day = Math.floor(local / DAY_MILLIS)
    let time = local - day * DAY_MILLIS
    while ((day + 1) * DAY_MILLIS > limit) {
      let best = -1
      const today = opens(day)
      const yesterday = opens(day - 1)
      for (const { from, to } of times) {
        if (today && time >= from) best = Math.max(best, Math.min(time, (from < to ? to : DAY_MILLIS) - 1))
        if (yesterday && from > to) best = Math.max(best, Math.min(time, to - 1))
      }
      if (best !== -1) return day * DAY_MILLIS + best
      day--
      time = DAY_MILLIS - 1
    }
    return -Infinity
  }

  const find = (instant: number): void => {
    const second = Math.floor(instant / 1000)
    if (second < segment.start || second >= segment.end) locate(zone, second, segment)
  }

  return {
    contains(instant) {
      find(instant)
      const local = instant + segment.offset * 1000
      const day = Math.floor(local / DAY_MILLIS)
      return inside(day, local - day * DAY_MILLIS)
    },
    next(instant) {
      const horizon = Math.min(instant + HORIZON_SECONDS * 1000, MAX_MILLIS)
      let time = instant
      while (time <= horizon) {
        find(time)
        const offset = segment.offset * 1000
        const end = Math.min(segment.end * 1000, horizon + 1)
        const found = nextLocal(time + offset, end + offset) - offset
        if (found < end) return found
        time = end
      }
      return Infinity
    },
    previous(instant) {
      const horizon = Math.max(instant - HORIZON_SECONDS * 1000, -MAX_MILLIS)
      let time = instant
      while (time >= horizon) {
        find(time)
        const offset = segment.offset * 1000
        const start = Math.max(segment.start * 1000, horizon)
        const found = previousLocal(time + offset, start + offset) - offset
        if (found >= start) return found
        time = start - 1
      }
      return -Infinity
    }
  }
}
