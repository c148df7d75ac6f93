/**
 * Which days of a month, and of a year, an expression allows.
 *
 * The days of a month are one 31-bit mask. Leaving weeks aside it depends on two things only, the length of the month and
 * the weekday of its first day, so there are 28 kinds of months. ISO weeks depend on the year as well.
 */
import { daysFromCivil, isLeapYear, monthIndexOf, monthLength, monthStart, weekdayOf } from "./cronDate.ts"
import type { DayFields, DayRule, Fields } from "./cronModel.ts"

/** The working day nearest to a day, in the same month: Saturday goes back and Sunday on, unless the month ends there. */
const nearestWorkday = (day: number, length: number, first: number): number => {
  switch ((first + day - 1) % 7) {
    case 0:
      return day < length ? day + 1 : day - 2
    case 6:
      return day > 1 ? day - 1 : day + 2
    default:
      return day
  }
}

/** The day of a rule; one outside of the month when the month has none. */
const dayOf = (rule: DayRule, length: number, first: number): number => {
  switch (rule._tag) {
    case "FromEnd": {
      const day = length - rule.back
      return rule.workday && day >= 1 ? nearestWorkday(day, length, first) : day
    }
    case "Workday":
      return rule.day <= length ? nearestWorkday(rule.day, length, first) : 0
    case "Nth": {
      const earliest = (rule.weekday - first + 7) % 7 + 1
      return rule.nth === "last"
        ? earliest + 28 <= length ? earliest + 28 : earliest + 21
        : earliest + (rule.nth - 1) * 7
    }
  }
}

const rulesMask = (rules: ReadonlyArray<DayRule>, length: number, first: number): number => {
  let mask = 0
  for (const rule of rules) {
    const day = dayOf(rule, length, first)
    if (day >= 1 && day <= length) mask |= 1 << (day - 1)
  }
  return mask
}

const maskOf = (values: ReadonlyArray<number>, min: number): number => {
  let mask = 0
  for (let i = 0; i < values.length; i++) mask |= 1 << (values[i]! - min)
  return mask
}

/** The days of a month of `length` days that begins on weekday `first`: bit 0 is the first day. */
export const monthMask = (fields: DayFields, length: number, first: number): number => {
  // The weekdays, turned so that bit 0 is the first day, and repeated.
  const week = maskOf(fields.weekdays, 0)
  const turned = (week >>> first | week << (7 - first)) & 127
  const weekdays = turned | turned << 7 | turned << 14 | turned << 21 | turned << 28 |
    rulesMask(fields.weekdayRules, length, first)
  const days = maskOf(fields.days, 1) | rulesMask(fields.dayRules, length, first)
  return (fields.either ? days | weekdays : days & weekdays) & (0x7fffffff >>> (31 - length))
}

/** Where the mask of a month is in the table of all kinds of months. */
export const kindOf = (length: number, first: number): number => (length - 28) * 7 + first

/** The masks of all kinds of months. */
export const monthMasks = (fields: DayFields): Int32Array =>
  Int32Array.from({ length: 28 }, (_, kind) => monthMask(fields, 28 + Math.floor(kind / 7), kind % 7))

/** The ISO week of a day: the week of its Thursday, counted from the first Thursday of a year. */
export const isoWeek = (day: number): number => {
  const thursday = day + 3 - (weekdayOf(day) + 6) % 7
  const year = Math.floor(monthIndexOf(thursday) / 12)
  return Math.floor((thursday - daysFromCivil(year, 1, 1)) / 7) + 1
}

/** The days of a month, given by its first day, that are in certain ISO weeks. */
export const weeksMask = (weeks: ReadonlyArray<number>, start: number, length: number): number => {
  let mask = 0
  for (let day = 0; day < length;) {
    const rest = 7 - (weekdayOf(start + day) + 6) % 7
    if (weeks.includes(isoWeek(start + day))) mask |= ((1 << rest) - 1) << day
    day += rest
  }
  return mask & (0x7fffffff >>> (31 - length))
}

/** Whether a year has a day that matches. */
const yearHas = (fields: Omit<Fields, "years">, year: number): boolean =>
  fields.months.some((month) => {
    const start = monthStart(year * 12 + month - 1)
    const length = monthLength(year, month)
    const mask = monthMask(fields, length, weekdayOf(start))
    return (fields.weeks === undefined ? mask : mask & weeksMask(fields.weeks, start, length)) !== 0
  })

/** Every kind of year, by its weekdays and leap days, and those of the year before, comes within 28 years. */
const everyKindOfYear: ReadonlyArray<number> = Array.from({ length: 28 }, (_, i) => 2001 + i)

/**
 * The first year of `years` that has a day that matches. Years of the same kind have the same days, so no more than 28
 * are looked at, however many there are.
 */
export const firstYear = (
  fields: Omit<Fields, "years">,
  years: ReadonlyArray<number> = everyKindOfYear
): number | undefined => {
  let seen = 0
  for (const year of years) {
    const kind = 1 <<
      (weekdayOf(daysFromCivil(year, 1, 1)) * 4 + (isLeapYear(year) ? 2 : 0) + (isLeapYear(year - 1) ? 1 : 0))
    if ((seen & kind) !== 0) continue
    if (yearHas(fields, year)) return year
    seen |= kind
  }
  return undefined
}
