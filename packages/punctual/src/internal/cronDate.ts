/**
 * Civil dates as integers: days since 1970-01-01 in the proleptic Gregorian calendar.
 *
 * No `Date` and no allocation, so that a search over days costs additions and shifts. The two conversions are the
 * well-known ones that count years from March, which puts the leap day at the end
 * (https://howardhinnant.github.io/date_algorithms.html).
 */

/** Seconds in a civil day. */
export const DAY = 86_400

/** Instants outside ±8.64e15 ms cannot be written as an ECMAScript time value. */
export const MAX_MILLIS = 8_640_000_000_000_000

/** How far ahead a search looks before it answers "none": longer than the eight-year gap around 2100, and finite. */
export const HORIZON_YEARS = 100

/** The same horizon in seconds. */
export const HORIZON_SECONDS = HORIZON_YEARS * 366 * DAY

/** Days since the epoch of a civil date; `month` is 1-12. */
export const daysFromCivil = (year: number, month: number, day: number): number => {
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const yearOfEra = y - era * 400
  const dayOfYear = ((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 | 0) + day - 1
  const dayOfEra = yearOfEra * 365 + (yearOfEra / 4 | 0) - (yearOfEra / 100 | 0) + dayOfYear
  return era * 146_097 + dayOfEra - 719_468
}

/** The month that contains a day, as `year * 12 + (month - 1)`: one integer that can be stepped. */
export const monthIndexOf = (days: number): number => {
  const z = days + 719_468
  const era = Math.floor(z / 146_097)
  const dayOfEra = z - era * 146_097
  const yearOfEra = (dayOfEra - (dayOfEra / 1_460 | 0) + (dayOfEra / 36_524 | 0) - (dayOfEra / 146_096 | 0)) / 365 | 0
  const dayOfYear = dayOfEra - (365 * yearOfEra + (yearOfEra / 4 | 0) - (yearOfEra / 100 | 0))
  const shifted = (5 * dayOfYear + 2) / 153 | 0
  const month = shifted < 10 ? shifted + 3 : shifted - 9
  return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0)) * 12 + month - 1
}

/** First day of a month given by its index. */
export const monthStart = (index: number): number => {
  const year = Math.floor(index / 12)
  return daysFromCivil(year, index - year * 12 + 1, 1)
}

export const isLeapYear = (year: number): boolean => year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)

const lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/** Number of days of a month; `month` is 1-12. */
export const monthLength = (year: number, month: number): number =>
  month === 2 && isLeapYear(year) ? 29 : lengths[month - 1]!

/** Day of the week, 0 = Sunday. */
export const weekdayOf = (days: number): number => (((days + 4) % 7) + 7) % 7

/** Whether a text like `2026-02-30` names a date that exists. */
export const isCivilDate = (year: number, month: number, day: number): boolean =>
  month >= 1 && month <= 12 && day >= 1 && day <= monthLength(year, month)
