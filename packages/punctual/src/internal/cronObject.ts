/**
 * The form of a cron expression with names of fields, as APScheduler has it, and its text.
 *
 *     { dayOfWeek: "mon,tue", hour: 8, minute: 1 }   =   1 8 * * MON,TUE
 *
 * A field that is not given is its least value when it is less significant than all that are given, else every value:
 *
 *     year  month  day  week  dayOfWeek  hour  minute  second
 *      *      *     *     *      given     given  given    0
 *
 * The week and the day of week are never taken to be their least value: the first of a month need not be a Sunday.
 */
import * as Result from "effect/Result"
import { CronParseError, FieldReader, only, specs, star } from "./cronField.ts"
import type { Parsed } from "./cronModel.ts"
import { assemble, everything, type FieldsByKey, type Key, keys } from "./cronParse.ts"
import { closest } from "./timeZone.ts"

export type Value = number | string | ReadonlyArray<number | string>

const fail = (problem: string, value: string, allowed: string, suggestion?: string, key?: string) =>
  Result.fail(
    new CronParseError({
      input: value,
      field: 0,
      ...(key === undefined ? {} : { key }),
      position: 1,
      value,
      problem,
      allowed,
      ...(suggestion === undefined ? {} : { suggestion })
    })
  )

const isKey = (text: string): text is Key => (keys as ReadonlyArray<string>).includes(text)

/** One text without blanks: `2nd mon` is `2ND-MON`, and a list may have blanks after its commas. */
const textOf = (value: unknown): string | undefined => {
  const items: ReadonlyArray<unknown> = Array.isArray(value) ? value : [value]
  if (!items.every((item) => typeof item === "number" || typeof item === "string")) return undefined
  return items.map((item) =>
    String(item).trim().replace(/\s*,\s*/g, ",").replace(/\b(1st|2nd|3rd|4th|5th|last)\s+/gi, "$1-").toUpperCase()
  ).join(",")
}

export const make = (
  input: { readonly [K in Key]?: Value | undefined },
  dayMatch: "or" | "and"
): Result.Result<Parsed, CronParseError> => {
  const fields: { -readonly [K in Key]?: FieldsByKey[K] } = {}
  const texts: { [K in Key]?: string } = {}
  let least = -1
  for (const key of Object.keys(input)) {
    if (!isKey(key)) return fail("is not a field", key, keys.join(", "), closest(key, keys))
    if (input[key] === undefined) continue
    const text = textOf(input[key])
    if (text === undefined) {
      return fail(
        "is not a value",
        String(input[key]),
        "a number, text, or a list of them",
        undefined,
        key
      )
    }
    const reader = new FieldReader(text, key)
    const field = reader.read(specs[key], 0, 0, text.length)
    if (field === undefined) return Result.fail(reader.error!)
    fields[key] = field
    texts[key] = text
    least = Math.max(least, keys.indexOf(key))
  }
  if (least === -1) return fail("names no field", "{}", keys.join(", "))
  const complete: { -readonly [K in Key]: FieldsByKey[K] } = { ...everything }
  for (const key of keys) {
    const smallest = keys.indexOf(key) > least && key !== "week" && key !== "dayOfWeek"
    complete[key] = fields[key] ?? (smallest ? only(specs[key].min) : star(specs[key]))
    texts[key] ??= smallest ? String(specs[key].min) : "*"
  }
  const both = dayMatch === "and" && !complete.day.star && !complete.dayOfWeek.star
  const text = [
    ...(texts.year === "*" && texts.second === "0" ? [] : [texts.second]),
    texts.minute,
    texts.hour,
    texts.day,
    texts.month,
    `${both ? "+" : ""}${texts.dayOfWeek}`,
    ...(texts.year === "*" ? [] : [texts.year]),
    ...(texts.week === "*" ? [] : [`WEEK=${texts.week}`])
  ].join(" ")
  return assemble(complete, text, dayMatch === "and", text, (key) => ({
    field: 0,
    key,
    position: 1,
    value: texts[key]!
  }))
}
