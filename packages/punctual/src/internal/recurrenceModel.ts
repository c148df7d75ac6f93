/**
 * A recurrence as data: the parts of RFC 5545 §3.3.10, and the dates that stand beside a rule.
 */
import type { Frequency, OrdinalWeekday, RecurrenceDate } from "../RecurrenceRule.ts"
import { DAY, monthIndexOf, monthStart } from "./cronDate.ts"

export type { Frequency, OrdinalWeekday, RecurrenceDate }

/** How often a rule repeats, from the rarest. */
export const frequencies: ReadonlyArray<Frequency> = [
  "YEARLY",
  "MONTHLY",
  "WEEKLY",
  "DAILY",
  "HOURLY",
  "MINUTELY",
  "SECONDLY"
]

/** An empty list is a part that is absent. */
export interface Rule {
  readonly frequency: Frequency
  readonly interval: number
  readonly count: number | undefined
  readonly until: RecurrenceDate | undefined
  readonly byMonth: ReadonlyArray<number>
  readonly byWeekNo: ReadonlyArray<number>
  readonly byYearDay: ReadonlyArray<number>
  readonly byMonthDay: ReadonlyArray<number>
  readonly byDay: ReadonlyArray<OrdinalWeekday>
  readonly byHour: ReadonlyArray<number>
  readonly byMinute: ReadonlyArray<number>
  readonly bySecond: ReadonlyArray<number>
  readonly bySetPos: ReadonlyArray<number>
  /** 0 = Sunday */
  readonly weekStart: number
}

/** A rule, where it starts, and the dates that are added to it and left out of it. */
export interface Recurrence extends Rule {
  readonly start: RecurrenceDate | undefined
  readonly included: ReadonlyArray<RecurrenceDate>
  readonly excluded: ReadonlyArray<RecurrenceDate>
}

/** Names of the days as the RFC writes them, from Sunday. */
export const weekdayCodes = ["SU", "MO", "TU", "WE", "TH", "FR", "SA"] as const

/** Whether a rule steps by hours, minutes or seconds. */
export const isSubDaily = ({ frequency }: Rule): boolean => frequencies.indexOf(frequency) > 3

/** Seconds in one step of a frequency below a day. */
export const unitSeconds = (frequency: Frequency): number =>
  frequency === "HOURLY" ? 3600 : frequency === "MINUTELY" ? 60 : frequency === "SECONDLY" ? 1 : DAY

/** The remainder that is never negative. */
export const mod = (a: number, n: number): number => ((a % n) + n) % n

/** Day of month, 1-31. */
export const dayOfMonth = (day: number): number => day - monthStart(monthIndexOf(day)) + 1

/** Index of the first element at or above `value` in a sorted list. */
export const lowerBound = (list: ArrayLike<number>, value: number): number => {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (list[middle]! < value) low = middle + 1
    else high = middle
  }
  return low
}
