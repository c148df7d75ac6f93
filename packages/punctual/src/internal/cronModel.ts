/**
 * What a cron expression allows, as data: the meeting point of the reader, the search and the words.
 *
 * | field | holds | absent means |
 * |---|---|---|
 * | `seconds` … `weekdays` | sorted values that are the same in every month | |
 * | `dayRules`, `weekdayRules` | days that a month decides: `L`, `15W`, `MON#2` | empty: none |
 * | `weeks`, `years` | sorted values | `undefined`: all of them |
 * | `hashes` | `H`: values that the id of the task decides | empty: none |
 */
import { monthMasks } from "./cronDays.ts"

/**
 * A day that has a different number in each month.
 *
 * **Details**
 *
 * | rule | text | |
 * |---|---|---|
 * | `FromEnd` | `L`, `L-3`, `LW`, `L-3W` | `back` days before the last day; with `workday` the working day nearest to that |
 * | `Workday` | `15W` | the working day (Monday to Friday) nearest to a day, in the same month |
 * | `Nth` | `MON#2`, `FRI#L` | the n-th, or the last, such weekday of the month |
 *
 * @category models
 * @since 0.1.0
 */
export type DayRule =
  | { readonly _tag: "FromEnd"; readonly back: number; readonly workday: boolean }
  | { readonly _tag: "Workday"; readonly day: number }
  | { readonly _tag: "Nth"; readonly weekday: number; readonly nth: number | "last" }

/**
 * `H`: one value from `low` to `high`, or every `step`-th beginning with one of the first `step`. Which, is decided by the
 * id of the task.
 *
 * @category models
 * @since 0.1.0
 */
export interface HashRange {
  readonly field: "seconds" | "minutes" | "hours" | "days" | "months" | "weekdays"
  readonly low: number
  readonly high: number
  readonly step: number | undefined
}

/** The fields that decide about a day of a month. */
export interface DayFields {
  readonly days: ReadonlyArray<number>
  /** 0 = Sunday */
  readonly weekdays: ReadonlyArray<number>
  readonly dayRules: ReadonlyArray<DayRule>
  readonly weekdayRules: ReadonlyArray<DayRule>
  /** A day matches when either of the day of month and the day of week has it, instead of both. */
  readonly either: boolean
}

/** What an expression allows. */
export interface Fields extends DayFields {
  readonly seconds: ReadonlyArray<number>
  readonly minutes: ReadonlyArray<number>
  readonly hours: ReadonlyArray<number>
  readonly months: ReadonlyArray<number>
  /** ISO weeks. */
  readonly weeks: ReadonlyArray<number> | undefined
  readonly years: ReadonlyArray<number> | undefined
}

/** An expression that was read. */
export interface Parsed extends Fields {
  readonly text: string
  readonly dayMatch: "or" | "and"
  readonly hashes: ReadonlyArray<HashRange>
  /** The minute or the hour is a wildcard, so it follows real time when the clocks change. */
  readonly wild: boolean
}

/** Sorted numbers as short text, the same for the same numbers: `1-5`, `0-58/2`, `1,15`. */
export const compress = (values: ReadonlyArray<number>): string => {
  const parts: Array<string> = []
  for (let i = 0; i < values.length;) {
    const first = values[i]!
    const step = (values[i + 1] ?? first) - first
    let j = i
    while (step > 0 && values[j + 1] === values[j]! + step) j++
    if (j - i >= 2) {
      parts.push(step === 1 ? `${first}-${values[j]}` : `${first}-${values[j]}/${step}`)
      i = j + 1
    } else {
      parts.push(String(first))
      i++
    }
  }
  return parts.join(",")
}

/** What the day fields mean: plain lists, or the days of each of the 28 kinds of months where rules add to those. */
const meaningOfDays = (self: DayFields): string => {
  // Either is enough, and one of them is every day.
  if (self.either && (self.days.length === 31 || self.weekdays.length === 7)) return "1-31;0-6;false"
  const plain = `${compress(self.days)};${compress(self.weekdays)};${self.either}`
  if (self.dayRules.length === 0 && self.weekdayRules.length === 0) return plain
  const masks = monthMasks(self).join()
  return masks === monthMasks({ ...self, dayRules: [], weekdayRules: [] }).join() ? plain : masks
}

/** What an expression means, as text: equal for different spellings of the same times. */
export const meaning = (self: Parsed): string =>
  [
    compress(self.seconds),
    compress(self.minutes),
    compress(self.hours),
    compress(self.months),
    meaningOfDays(self),
    self.years === undefined ? "*" : compress(self.years),
    self.weeks === undefined ? "*" : compress(self.weeks),
    self.wild ? "wild" : "fixed",
    // What `H` adds to a day field is not in the masks, so neither is how the two combine.
    ...(self.hashes.length === 0 ? [] : [
      String(self.either),
      ...self.hashes.map(({ field, high, low, step }) => `${field}:${low}-${high}/${step ?? ""}`).sort()
    ])
  ].join(";")
