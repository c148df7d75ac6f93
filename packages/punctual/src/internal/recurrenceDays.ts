/**
 * The days of a recurrence rule.
 *
 * Every rule without BYSETPOS comes down to one 31-bit mask per month, whatever its frequency: a search is then a shift
 * and a count of zeros, and a month without a match costs one comparison.
 *
 *     FREQ      interval counts   days of a month mask
 *     ───────── ───────────────── ──────────────────────────────────────────────────────────────────────
 *     DAILY…    days              all                     ∩ BYMONTH ∩ BYYEARDAY ∩ BYMONTHDAY ∩ BYDAY
 *     WEEKLY    weeks from WKST   BYDAY or start's        ∩ BYMONTH
 *     MONTHLY   months            BYMONTHDAY ∩ BYDAY, or start's day              ∩ BYMONTH
 *     YEARLY    years             BYMONTH ∩ BYWEEKNO ∩ BYYEARDAY ∩ BYMONTHDAY ∩ BYDAY, or start's day
 *
 * "Expand" and "limit" of RFC 5545 §3.3.10 are the same intersection; what differs is only which part of the start stands
 * in for parts that are absent. A year of BYWEEKNO is the year of its weeks (ISO 8601, from WKST): the week that begins on
 * 29 December 2025 is week 1 of 2026, all of it.
 */
import {
  daysFromCivil,
  HORIZON_YEARS,
  isLeapYear,
  monthIndexOf,
  monthLength,
  monthStart,
  weekdayOf
} from "./cronDate.ts"
import { dayOfMonth, mod, type Rule } from "./recurrenceModel.ts"

/** Matching days, as days since the epoch. */
export interface Days {
  readonly has: (day: number) => boolean
  /** The first at or after `day`. */
  readonly next: (day: number) => number
  /** The last at or before `day`. */
  readonly previous: (day: number) => number
  /** How many in [from, until). */
  readonly count: (from: number, until: number) => number
}

/** Months remembered: a search forth and back over two years stays in memory. */
const REMEMBERED = 32

const lowest = (mask: number): number => 31 - Math.clz32(mask & -mask)
const highest = (mask: number): number => 31 - Math.clz32(mask)
const popcount = (mask: number): number => {
  let n = 0
  for (let m = mask; m !== 0; m &= m - 1) n++
  return n
}

const all = (length: number): number => 0x7fffffff >>> (31 - length)

/** First day of week 1: the week with four days in the year is the one that has 4 January. */
export const firstWeek = (year: number, weekStart: number): number => {
  const day = daysFromCivil(year, 1, 4)
  return day - mod(weekdayOf(day) - weekStart, 7)
}

/** First day of the week that has a day. */
export const weekOf = (day: number, weekStart: number): number => day - mod(weekdayOf(day) - weekStart, 7)

/** The year a week is counted in: that of its fourth day. */
export const weekYear = (week: number): number => Math.floor(monthIndexOf(week + 3) / 12)

export const makeDays = (rule: Rule, startDay: number): Days => {
  const { byDay, byMonth, byMonthDay, byWeekNo, byYearDay, frequency, interval, weekStart } = rule
  const yearly = frequency === "YEARLY"
  const startMonth = monthIndexOf(startDay)
  const startWeek = weekOf(startDay, weekStart)
  const startWeekYear = weekYear(startWeek)
  const bare = byDay.length === 0 && byMonthDay.length === 0 && byYearDay.length === 0
  const fromDay = bare && (frequency === "MONTHLY" || (yearly && byWeekNo.length === 0))
  const fromWeekday = bare && (frequency === "WEEKLY" || (yearly && byWeekNo.length > 0))
  const months = byMonth.length > 0 ? byMonth : fromDay && yearly ? [mod(startMonth, 12) + 1] : []
  const monthDays = fromDay ? [dayOfMonth(startDay)] : byMonthDay
  const weekdays = fromWeekday ? [{ ordinal: 0, weekday: weekdayOf(startDay) }] : byDay
  const everyWeekday = weekdays.filter((day) => day.ordinal === 0).map((day) => day.weekday)
  const ordinals = weekdays.filter((day) => day.ordinal !== 0)
  const ordinalsOfYear = yearly && byMonth.length === 0

  let monthBits = 0
  for (const month of months) monthBits |= 1 << (month - 1)
  if (months.length === 0) monthBits = 0xfff

  // One pattern per length of a month.
  const dayBits = Int32Array.from({ length: 32 }, (_, length) => {
    let bits = 0
    for (const day of monthDays) {
      const at = day > 0 ? day - 1 : length + day
      if (at >= 0 && at < length) bits |= 1 << at
    }
    return bits
  })

  // One pattern per weekday of the first of the month.
  const weekdayBits = Int32Array.from({ length: 7 }, (_, first) => {
    let bits = 0
    for (let day = 0; day < 31; day++) if (everyWeekday.includes((first + day) % 7)) bits |= 1 << day
    return bits
  })

  // The month looked at: its index, first day, length, and the mask of its days.
  let index = NaN
  let start = 0
  let length = 0
  let mask = 0

  /** Days that BYDAY names with an ordinal, counted within [from, from + size) of which the month is a part. */
  const ordinalBits = (from: number, size: number): number => {
    const first = weekdayOf(from)
    let bits = 0
    for (let i = 0; i < ordinals.length; i++) {
      const { ordinal, weekday } = ordinals[i]!
      const lead = (weekday - first + 7) % 7
      const of = Math.floor((size - lead + 6) / 7)
      const n = ordinal > 0 ? ordinal - 1 : of + ordinal
      const at = from + lead + n * 7 - start
      if (n >= 0 && n < of && at >= 0 && at < length) bits |= 1 << at
    }
    return bits
  }

  /** Days of the month that are in one of the weeks of BYWEEKNO, in a year of the interval. */
  const weekBits = (): number => {
    let bits = 0
    for (let week = weekOf(start, weekStart); week < start + length; week += 7) {
      const year = weekYear(week)
      if (mod(year - startWeekYear, interval) !== 0) continue
      const first = firstWeek(year, weekStart)
      const number = (week - first) / 7 + 1
      if (!byWeekNo.includes(number)) {
        const weeks = (firstWeek(year + 1, weekStart) - first) / 7
        if (!byWeekNo.includes(number - weeks - 1)) continue
      }
      for (let day = Math.max(week, start); day < week + 7 && day < start + length; day++) bits |= 1 << (day - start)
    }
    return bits
  }

  const yearDayBits = (year: number): number => {
    const before = start - daysFromCivil(year, 1, 1)
    const size = isLeapYear(year) ? 366 : 365
    let bits = 0
    for (let i = 0; i < byYearDay.length; i++) {
      const day = byYearDay[i]!
      const at = (day > 0 ? day - 1 : size + day) - before
      if (at >= 0 && at < length) bits |= 1 << at
    }
    return bits
  }

  /** Days of the month that the interval reaches, for the frequencies that step by weeks or days. */
  const stepBits = (): number => {
    let bits = 0
    if (frequency === "DAILY") {
      for (let at = mod(startDay - start, interval); at < length; at += interval) bits |= 1 << at
    } else {
      const weeks = interval * 7
      const first = start + mod(startWeek - start, weeks)
      for (let week = first - weeks; week < start + length; week += weeks) {
        for (let at = Math.max(week - start, 0); at < week + 7 - start && at < length; at++) bits |= 1 << at
      }
    }
    return bits
  }
  const steps = interval > 1 && (frequency === "DAILY" || frequency === "WEEKLY")

  const compute = (year: number, ofYear: number): number => {
    if (((monthBits >>> ofYear) & 1) === 0) return 0
    if (interval > 1) {
      if (yearly && byWeekNo.length === 0 && mod(year - Math.floor(startMonth / 12), interval) !== 0) return 0
      if (frequency === "MONTHLY" && mod(index - startMonth, interval) !== 0) return 0
    }
    let bits = all(length)
    if (monthDays.length > 0) bits &= dayBits[length]!
    if (bits !== 0 && weekdays.length > 0) {
      let named = everyWeekday.length > 0 ? weekdayBits[weekdayOf(start)]! : 0
      if (ordinals.length > 0) {
        named |= ordinalsOfYear
          ? ordinalBits(daysFromCivil(year, 1, 1), isLeapYear(year) ? 366 : 365)
          : ordinalBits(start, length)
      }
      bits &= named
    }
    if (bits !== 0 && byYearDay.length > 0) bits &= yearDayBits(year)
    if (bits !== 0 && byWeekNo.length > 0) bits &= weekBits()
    if (bits !== 0 && steps) bits &= stepBits()
    return bits
  }

  const known = new Float64Array(REMEMBERED).fill(NaN)
  const masks = new Int32Array(REMEMBERED)
  const starts = new Float64Array(REMEMBERED)
  const lengths = new Int32Array(REMEMBERED)

  const load = (month: number): void => {
    const slot = month & (REMEMBERED - 1)
    index = month
    if (known[slot] === month) {
      start = starts[slot]!
      length = lengths[slot]!
      mask = masks[slot]!
      return
    }
    const year = Math.floor(month / 12)
    const ofYear = month - year * 12
    start = monthStart(month)
    length = monthLength(year, ofYear + 1)
    mask = compute(year, ofYear)
    known[slot] = month
    starts[slot] = start
    lengths[slot] = length
    masks[slot] = mask
  }

  const seek = (day: number): void => {
    if (day < start || day >= start + length) load(monthIndexOf(day))
  }

  return {
    has(day) {
      seek(day)
      return ((mask >>> (day - start)) & 1) === 1
    },
    next(day) {
      seek(day)
      const rest = mask >>> (day - start)
      if (rest !== 0) return day + lowest(rest)
      const last = index + HORIZON_YEARS * 12
      while (index < last) {
        load(index + 1)
        if (mask !== 0) return start + lowest(mask)
      }
      return Infinity
    },
    previous(day) {
      seek(day)
      const rest = mask & (0x7fffffff >>> (30 - (day - start)))
      if (rest !== 0) return start + highest(rest)
      const last = index - HORIZON_YEARS * 12
      while (index > last) {
        load(index - 1)
        if (mask !== 0) return start + highest(mask)
      }
      return -Infinity
    },
    count(from, until) {
      let n = 0
      let day = from
      while (day < until) {
        seek(day)
        let bits = mask >>> (day - start)
        const end = start + length
        if (until < end) bits &= (1 << (until - day)) - 1
        n += popcount(bits)
        day = end
      }
      return n
    }
  }
}
