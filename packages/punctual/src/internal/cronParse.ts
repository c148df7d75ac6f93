/**
 * From the text of a cron expression to what it allows.
 *
 *     expression := "@" macro | fields (blank "WEEK=" field)?
 *     fields     := (second)? minute hour day-of-month month ("+")? day-of-week          five or six
 *                 | second minute hour day-of-month month ("+")? day-of-week year        seven
 *
 * `WEEK=` is how the ISO weeks of the form with names of fields are written.
 */
import * as Result from "effect/Result"
import { monthLength } from "./cronDate.ts"
import { firstYear } from "./cronDays.ts"
import { CronParseError, type Field, FieldReader, monthNames, only, specs, star } from "./cronField.ts"
import type { Fields, Parsed } from "./cronModel.ts"
import { closest } from "./timeZone.ts"

// ---------------------------------------------------------------------------------------------------------------------
// fields
// ---------------------------------------------------------------------------------------------------------------------

/** The fields in the order of their significance. */
export const keys = ["year", "month", "day", "week", "dayOfWeek", "hour", "minute", "second"] as const

export type Key = typeof keys[number]

/** In the order in which they are written. */
const order = ["second", "minute", "hour", "day", "month", "dayOfWeek", "year"] as const

export type FieldsByKey = { readonly [K in Key]: Field }

/** Where a field was written, for messages. */
export interface Place {
  readonly field: number
  readonly key?: string
  readonly position: number
  readonly value: string
}

export const everything: FieldsByKey = {
  year: star(specs.year),
  month: star(specs.month),
  day: star(specs.day),
  week: star(specs.week),
  dayOfWeek: star(specs.dayOfWeek),
  hour: star(specs.hour),
  minute: star(specs.minute),
  second: only(0)
}

const all = (field: Field, size: number): ReadonlyArray<number> | undefined =>
  (field.star && field.values.length === 0) || field.values.length === size ? undefined : field.values

/** Puts fields together, unless no date can match them. */
export const assemble = (
  fields: FieldsByKey,
  text: string,
  and: boolean,
  input: string,
  placeOf: (key: Key) => Place
): Result.Result<Parsed, CronParseError> => {
  const { day, dayOfWeek, hour, minute, month, second, week, year } = fields
  const parsed: Parsed = {
    text,
    dayMatch: and ? "and" : "or",
    seconds: second.values,
    minutes: minute.values,
    hours: hour.values,
    days: day.values,
    months: month.values,
    weekdays: dayOfWeek.values,
    dayRules: day.rules,
    weekdayRules: dayOfWeek.rules,
    weeks: all(week, specs.week.size),
    years: all(year, specs.year.size),
    hashes: hashesOf(fields),
    // Vixie's rule: a field that begins with a star is no restriction of its own, so the two must both hold.
    either: !and && !day.star && !dayOfWeek.star,
    wild: minute.star || hour.star
  }
  const problem = parsed.hashes.length === 0 ? neverIn(parsed) : neverIn(atMost(parsed))
  if (problem === undefined) return Result.succeed(parsed)
  const { key, ...said } = problem
  return Result.fail(new CronParseError({ input, ...placeOf(key), ...said }))
}

const noHashes: Parsed["hashes"] = []

const hashesOf = (fields: FieldsByKey): Parsed["hashes"] => {
  let hashes = noHashes
  for (const key of order) {
    if (fields[key].hashes.length > 0) hashes = [...hashes, ...fields[key].hashes]
  }
  return hashes
}

/** Everything that `H` can choose, so that what not even that makes possible is refused. */
const atMost = (parsed: Parsed): Fields => {
  const fields: { -readonly [K in keyof Fields]: Fields[K] } = { ...parsed }
  for (const { field, high, low } of parsed.hashes) {
    const values = new Set(fields[field])
    for (let value = low; value <= high; value++) values.add(value)
    fields[field] = Array.from(values).sort((a, b) => a - b)
  }
  return fields
}

// ---------------------------------------------------------------------------------------------------------------------
// dates that never come
// ---------------------------------------------------------------------------------------------------------------------

interface Impossible {
  readonly key: Key
  readonly problem: string
  readonly allowed: string
  readonly suggestion?: string
}

/** Why no date can ever match, and which field is to blame. */
const neverIn = (fields: Fields): Impossible | undefined => {
  const plain = fields.dayRules.length === 0 && fields.weekdayRules.length === 0
  if (plain && fields.weeks === undefined && fields.years === undefined && daysExist(fields)) return undefined
  if (firstYear(fields, fields.years) !== undefined) return undefined
  const { weeks: _, years: __, ...dates } = fields
  const names = fields.months.map((month) => monthNames[month - 1]).join(", ")
  if (
    firstYear({ ...dates, weeks: undefined, weekdays: [0, 1, 2, 3, 4, 5, 6], weekdayRules: [], either: false }) ===
      undefined
  ) {
    const longest = Math.max(...fields.months.map((month) => monthLength(2024, month)))
    return { key: "day", problem: `is a day that ${names} never has`, allowed: `1-${longest} with this month` }
  }
  if (firstYear({ ...dates, weeks: undefined }) === undefined) {
    return {
      key: "dayOfWeek",
      problem: "never falls on the day of month that must match too",
      allowed: "one of the two fields"
    }
  }
  if (firstYear({ ...dates, weeks: fields.weeks }) === undefined) {
    return { key: "week", problem: `has no such day in ${names}`, allowed: "a week of these months" }
  }
  const possible = firstYear(
    { ...dates, weeks: fields.weeks },
    Array.from({ length: 56 }, (_, i) => Math.min(fields.years![0]!, specs.year.max - 55) + i)
  )
  return {
    key: "year",
    problem: "has no such date",
    allowed: "years that have it",
    ...(possible === undefined ? {} : { suggestion: String(possible) })
  }
}

/** Whether a plain day exists in one of the months. */
const daysExist = (fields: Fields): boolean =>
  fields.days[0]! <= 28 || fields.months.some((month) => fields.days[0]! <= monthLength(2024, month))

// ---------------------------------------------------------------------------------------------------------------------
// text
// ---------------------------------------------------------------------------------------------------------------------

const macros: Record<string, string> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *"
}

/** Characters [from, to) of each piece between blanks. */
interface Pieces {
  readonly count: number
  readonly bounds: ReadonlyArray<number>
  /** It has no small letters and single blanks only, so it is its own canonical form. */
  readonly canonical: boolean
}

const split = (input: string): Pieces => {
  const bounds: Array<number> = []
  let canonical = true
  let inside = false
  for (let i = 0; i < input.length; i++) {
    const code = input.charCodeAt(i)
    const blank = code === 32 || (code >= 9 && code <= 13)
    if (blank === inside) {
      bounds.push(i)
      inside = !blank
    } else if (blank) {
      canonical = false
    }
    if (code > 96 || (blank && code !== 32)) canonical = false
  }
  if (inside) bounds.push(input.length)
  else canonical = false
  return { count: bounds.length / 2, bounds, canonical }
}

export const parse = (
  input: string,
  dayMatch: "or" | "and" | undefined
): Result.Result<Parsed, CronParseError> => {
  const pieces = split(input)
  const { bounds } = pieces
  if (pieces.count > 0 && input.charCodeAt(bounds[0]!) === 64) return macro(input.trim(), input)
  let count = pieces.count
  const reader = new FieldReader(input)
  const fields: { -readonly [K in Key]: Field } = { ...everything }
  const place = (index: number): Place => ({
    field: index + 1,
    position: bounds[2 * index]! + 1,
    value: input.slice(bounds[2 * index], bounds[2 * index + 1])
  })
  if (count > 1 && /^week=/i.test(place(count - 1).value)) {
    count--
    const week = reader.read(specs.week, count + 1, bounds[2 * count]! + 5, bounds[2 * count + 1]!)
    if (week === undefined) return Result.fail(reader.error!)
    fields.week = week
  }
  if (count < 5 || count > 7) return Result.fail(wrongCount(input, count))
  const first = count === 5 ? 1 : 0
  let plus = false
  for (let i = 0; i < count; i++) {
    const key = order[first + i]!
    let from = bounds[2 * i]!
    const to = bounds[2 * i + 1]!
    if (key === "dayOfWeek" && to - from > 1 && input.charCodeAt(from) === 43) {
      plus = true
      from++
    }
    const field = reader.read(specs[key], i + 1, from, to)
    if (field === undefined) return Result.fail(reader.error!)
    fields[key] = field
  }
  const and = dayMatch === undefined ? plus : dayMatch === "and"
  // An expression is its text alone, so "and" is written into it where it matters.
  const mark = and && (plus || (!fields.day.star && !fields.dayOfWeek.star))
  let text = input
  if (!pieces.canonical || mark !== plus) {
    const texts = Array.from({ length: pieces.count }, (_, i) => place(i).value.toUpperCase())
    const week = 5 - first
    texts[week] = `${mark ? "+" : ""}${texts[week]!.replace("+", "")}`
    text = texts.join(" ")
  }
  return assemble(fields, text, and, input, (key) => place(key === "week" ? count : order.indexOf(key) - first))
}

const macro = (text: string, input: string): Result.Result<Parsed, CronParseError> => {
  const name = text.toLowerCase()
  const expansion = Object.hasOwn(macros, name) ? macros[name] : undefined
  if (expansion !== undefined) return Result.map(parse(expansion, undefined), (parsed) => ({ ...parsed, text: name }))
  const every = /^@every\b\s*(\d+)?\s*(\S*)/.exec(name)
  const [problem, allowed] = every !== null
    ? ["is an interval, not times of a calendar", `Trigger.every("${durationInWords(every[1], every[2])}")`]
    : name === "@reboot"
    ? ["is an event, not a time", "Trigger.startup"]
    : ["is not a macro", Object.keys(macros).join(", ")]
  const suggestion = every === null && name !== "@reboot" ? closest(name, Object.keys(macros)) : undefined
  return Result.fail(
    new CronParseError({
      input,
      field: 0,
      position: 1,
      value: text,
      problem,
      allowed,
      ...(suggestion === undefined ? {} : { suggestion })
    })
  )
}

const durationUnits: Record<string, string> = {
  ms: "millis",
  s: "seconds",
  m: "minutes",
  h: "hours",
  d: "days",
  w: "weeks"
}

const durationInWords = (count: string | undefined, unit: string | undefined): string =>
  count === undefined || unit === undefined || !Object.hasOwn(durationUnits, unit)
    ? "5 minutes"
    : `${count} ${durationUnits[unit]}`

const wrongCount = (input: string, count: number): CronParseError =>
  new CronParseError({
    input,
    field: 0,
    position: 1,
    value: input,
    problem: `has ${count} field${count === 1 ? "" : "s"}`,
    allowed:
      "5 fields (minute hour day-of-month month day-of-week), 6 with seconds first, 7 with the year last, or a macro " +
      "such as @daily"
  })

/** Reads a list of weekdays as the last field of an expression would be read, without what a month decides. */
export const parseWeekdays = (input: string): Result.Result<ReadonlyArray<number>, CronParseError> => {
  const reader = new FieldReader(input)
  const field = reader.read(specs.dayOfWeek, 1, 0, input.length)
  if (field === undefined) return Result.fail(reader.error!)
  if (field.rules.length === 0 && field.hashes.length === 0) return Result.succeed(field.values)
  return Result.fail(
    new CronParseError({
      input,
      field: 1,
      position: 1,
      value: input,
      problem: "is not a list of weekdays",
      allowed: specs.dayOfWeek.allowed
    })
  )
}
