/**
 * Reads the text of a recurrence and says exactly what is wrong with a bad one.
 *
 *     recurrence := rule | line (newline line)*
 *     line       := "DTSTART" … | "RRULE:" rule | "RDATE" … | "EXDATE" …
 *     rule       := part (";" part)*           part := name "=" value ("," value)*
 *
 * Refused beside bad values, since it would mean nothing or something else: what §3.3.10 marks "MUST NOT" or "N/A", parts
 * that are there twice, a second RRULE, EXRULE (RFC 2445) and RSCALE (RFC 7529).
 */
import * as Result from "effect/Result"
import { DAY, monthLength } from "./cronDate.ts"
import type { RecurrenceParseError } from "./recurrenceError.ts"
import {
  cut,
  type Fail,
  failIn,
  guessDate,
  type Line,
  type Piece,
  printDate,
  readDate,
  readDates,
  readLines,
  split,
  toUtc,
  toZone,
  trim
} from "./recurrenceLines.ts"
import {
  frequencies,
  type Frequency,
  isSubDaily,
  type OrdinalWeekday,
  type Recurrence,
  type RecurrenceDate,
  type Rule,
  weekdayCodes
} from "./recurrenceModel.ts"
import { closest } from "./timeZone.ts"

type Parsed<A> = Result.Result<A, RecurrenceParseError>

/** The largest integer of RFC 5545 (§3.3.8). */
const MAX_INTEGER = 2_147_483_647

interface NumberSpec {
  readonly what: string
  readonly min: number
  readonly max: number
  /** Whether numbers count from the end too. */
  readonly signed: boolean
  readonly names?: ReadonlyArray<string>
}

const months = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]

const numberSpecs = {
  BYMONTH: { what: "a month", min: 1, max: 12, signed: false, names: months },
  BYWEEKNO: { what: "a week of the year", min: 1, max: 53, signed: true },
  BYYEARDAY: { what: "a day of the year", min: 1, max: 366, signed: true },
  BYMONTHDAY: { what: "a day of the month", min: 1, max: 31, signed: true },
  BYHOUR: { what: "an hour", min: 0, max: 23, signed: false },
  BYMINUTE: { what: "a minute", min: 0, max: 59, signed: false },
  BYSECOND: { what: "a second", min: 0, max: 60, signed: false },
  BYSETPOS: { what: "a position", min: 1, max: 366, signed: true }
} as const satisfies Record<string, NumberSpec>

const partNames: ReadonlyArray<string> = [
  "FREQ",
  "INTERVAL",
  "COUNT",
  "UNTIL",
  "BYDAY",
  "WKST",
  ...Object.keys(numberSpecs)
]

const rangeOf = ({ max, min, signed }: NumberSpec): string =>
  `${min}-${max}${signed ? `, or -${max} to -${min} from the end` : ""}`

/** From the front, then from the back: 1, 2, −2, −1. */
const inOrder = (values: ReadonlyArray<number>): ReadonlyArray<number> =>
  Array.from(new Set(values)).sort((a, b) => Number(a < 0) - Number(b < 0) || a - b)

export const parse = (input: string): Parsed<Recurrence> => {
  const fail = failIn(input)
  const lines = readLines(input)
  const whole: Piece = { text: input.trim(), at: () => 0 }
  const seen = new Map<string, Line>()
  let start: RecurrenceDate | undefined
  const included: Array<RecurrenceDate> = []
  const excluded: Array<RecurrenceDate> = []
  for (const line of lines) {
    const { name } = line
    if ((name === "DTSTART" || name === "RRULE") && seen.has(name)) {
      return name === "RRULE"
        ? fail(name, line.start, "is a second rule", "one RRULE, and Trigger.union for two")
        : fail(name, line.start, "is a second start", "one DTSTART")
    }
    seen.set(name, line)
    switch (name) {
      case "RRULE":
        if (line.parameters.length > 0) {
          return fail(name, line.parameters[0]!, "is not a parameter of RRULE", "RRULE:FREQ=…")
        }
        break
      case "DTSTART":
      case "RDATE":
      case "EXDATE": {
        const dates = readDates(line, fail)
        if (Result.isFailure(dates)) return Result.fail(dates.failure)
        if (name === "RDATE") included.push(...dates.success)
        else if (name === "EXDATE") excluded.push(...dates.success)
        else if (dates.success.length === 1) start = dates.success[0]
        else return fail(name, line.value, "has several dates", "one date, and RDATE for others")
        break
      }
      case "EXRULE":
        return fail(name, line.start, "was dropped from iCalendar by RFC 5545", "EXDATE, or Trigger.except")
      default:
        return fail(
          name,
          line.start,
          "is not a line of a recurrence",
          "DTSTART, RRULE, RDATE and EXDATE",
          closest(name, ["DTSTART", "RRULE", "RDATE", "EXDATE"])
        )
    }
  }
  const line = seen.get("RRULE")
  if (line === undefined) return fail("", whole, "has no rule", "a rule such as FREQ=DAILY;BYHOUR=9")
  for (const [name, dates] of [["RDATE", included], ["EXDATE", excluded]] as const) {
    const problem = mixed(name, dates, start)
    if (problem !== undefined) return fail(name, seen.get(name)!.value, ...problem)
  }
  return Result.map(parseRule(line.value, start, fail), (rule) => ({
    ...rule,
    start,
    included: sorted(included),
    excluded: sorted(excluded)
  }))
}

const sorted = (dates: ReadonlyArray<RecurrenceDate>): ReadonlyArray<RecurrenceDate> => {
  const kind = ({ date, timeZone }: RecurrenceDate) => `${date ? 0 : 1}${timeZone ?? ""}`
  const byKey = new Map(dates.map((date) => [`${kind(date)} ${date.local}`, date]))
  return Array.from(byKey.values()).sort((a, b) => kind(a) < kind(b) ? -1 : kind(a) > kind(b) ? 1 : a.local - b.local)
}

/** Dates without a time go with a start without one; only EXDATE may leave out whole days of another recurrence. */
const mixed = (
  name: string,
  dates: ReadonlyArray<RecurrenceDate>,
  start: RecurrenceDate | undefined
): readonly [problem: string, allowed: string] | undefined =>
  start?.date === true && dates.some((date) => !date.date)
    ? ["has times, but DTSTART is a date", `${name};VALUE=DATE`]
    : start?.date !== true && name === "RDATE" && dates.some((date) => date.date)
    ? ["has dates without a time, but the recurrence has times", "date-times, or DTSTART;VALUE=DATE"]
    : undefined

interface Part {
  readonly name: Piece
  readonly value: Piece
}

const parseRule = (text: Piece, start: RecurrenceDate | undefined, fail: Fail): Parsed<Rule> => {
  const parts = readParts(text, fail)
  if (Result.isFailure(parts)) return Result.fail(parts.failure)
  const get = (name: string): Part | undefined => parts.success.get(name)

  const freq = get("FREQ")
  if (freq === undefined) return fail("FREQ", text, "does not say how often", `FREQ=${frequencies.join(", ")}`)
  const frequency = frequencies.find((name) => name === freq.value.text.toUpperCase())
  if (frequency === undefined) {
    return fail("FREQ", freq.value, "is not a frequency", frequencies.join(", "), guessFrequency(freq.value.text))
  }

  const numbers: { [name: string]: ReadonlyArray<number> } = {}
  for (const [name, spec] of Object.entries(numberSpecs)) {
    const part = get(name)
    const values = part === undefined ? Result.succeed([]) : readNumbers(name, part, spec, fail)
    if (Result.isFailure(values)) return Result.fail(values.failure)
    numbers[name] = values.success
  }
  const interval = readInteger("INTERVAL", get("INTERVAL"), fail)
  if (Result.isFailure(interval)) return Result.fail(interval.failure)
  const count = readInteger("COUNT", get("COUNT"), fail)
  if (Result.isFailure(count)) return Result.fail(count.failure)
  const until = readUntil(get("UNTIL"), start, fail)
  if (Result.isFailure(until)) return Result.fail(until.failure)
  const byDay = readDays(get("BYDAY"), fail)
  if (Result.isFailure(byDay)) return Result.fail(byDay.failure)
  const weekStart = readWeekStart(get("WKST"), fail)
  if (Result.isFailure(weekStart)) return Result.fail(weekStart.failure)

  const rule: Rule = {
    frequency,
    interval: interval.success ?? 1,
    count: count.success,
    until: until.success,
    byMonth: numbers["BYMONTH"]!,
    byWeekNo: numbers["BYWEEKNO"]!,
    byYearDay: numbers["BYYEARDAY"]!,
    byMonthDay: numbers["BYMONTHDAY"]!,
    byDay: byDay.success,
    byHour: numbers["BYHOUR"]!,
    byMinute: numbers["BYMINUTE"]!,
    // Without leap seconds, 60 is 59 (§3.3.5).
    bySecond: inOrder(numbers["BYSECOND"]!.map((second) => Math.min(second, 59))),
    bySetPos: numbers["BYSETPOS"]!,
    weekStart: weekStart.success
  }
  return checkRule(rule, parts.success, start, fail)
}

const readParts = (text: Piece, fail: Fail): Parsed<ReadonlyMap<string, Part>> => {
  const parts = new Map<string, Part>()
  for (const piece of split(text, ";").map(trim)) {
    // A semicolon at the end is common, and means nothing.
    if (piece.text === "" && parts.size > 0 && piece.at(0) >= text.at(text.text.length)) continue
    const [left, right] = cut(piece, "=")
    const name = trim(left)
    const key = name.text.toUpperCase()
    if (key === "RSCALE" || key === "SKIP") {
      return fail(
        key,
        piece,
        "is of RFC 7529, which is not supported",
        "the Gregorian calendar, in which days that a month has not are left out; BYMONTHDAY=-1 is the last day"
      )
    }
    if (!partNames.includes(key)) {
      return fail(key, piece, "is not a part of a rule", partNames.join(", "), closest(key, partNames))
    }
    if (right === undefined || right.text.trim() === "") return fail(key, piece, "has no value", `${key}=…`)
    if (parts.has(key)) return fail(key, piece, "is there twice", `one ${key}, with a list of values`)
    parts.set(key, { name, value: trim(right) })
  }
  return Result.succeed(parts)
}

const guessFrequency = (text: string): string | undefined => {
  const upper = text.toUpperCase()
  if (upper === "DAY") return "DAILY"
  return frequencies.find((name) => name === `${upper}LY` || name === `${upper.replace(/S$/, "")}LY`) ??
    closest(text, frequencies)
}

const readInteger = (name: string, part: Part | undefined, fail: Fail): Parsed<number | undefined> => {
  if (part === undefined) return Result.succeed(undefined)
  const value = /^\d{1,10}$/.test(part.value.text) ? Number(part.value.text) : 0
  return value >= 1 && value <= MAX_INTEGER
    ? Result.succeed(value)
    : fail(name, part.value, "is not a positive whole number", `1-${MAX_INTEGER}`)
}

const readNumbers = (name: string, part: Part, spec: NumberSpec, fail: Fail): Parsed<ReadonlyArray<number>> => {
  const values: Array<number> = []
  for (const piece of split(part.value, ",").map(trim)) {
    const value = (spec.signed ? /^[+-]?\d{1,3}$/ : /^\d{1,3}$/).test(piece.text) ? Number(piece.text) : NaN
    const size = Math.abs(value)
    if (!(size >= spec.min && size <= spec.max)) {
      const named = spec.names?.indexOf(piece.text.slice(0, 3).toUpperCase()) ?? -1
      const suggestion = named >= 0 ? String(named + 1) : piece.text === "24" || piece.text === "60" ? "0" : undefined
      return fail(
        name,
        piece,
        piece.text === "" ? "is an empty item" : `is not ${spec.what}`,
        rangeOf(spec),
        suggestion
      )
    }
    values.push(value)
  }
  return Result.succeed(inOrder(values))
}

const readDays = (part: Part | undefined, fail: Fail): Parsed<ReadonlyArray<OrdinalWeekday>> => {
  const days = new Map<string, OrdinalWeekday>()
  for (const piece of part === undefined ? [] : split(part.value, ",").map(trim)) {
    const match = /^([+-]?\d{1,2})?([A-Z]{2})$/i.exec(piece.text)
    const weekday = match === null ? -1 : weekdayCodes.findIndex((code) => code === match[2]!.toUpperCase())
    const ordinal = Number(match?.[1] ?? 0)
    if (weekday === -1 || Math.abs(ordinal) > 53 || (match?.[1] !== undefined && ordinal === 0)) {
      const code = /^([+-]?\d{1,2})?\s*([A-Z]{2})/i.exec(piece.text)
      const meant = code !== null && weekdayCodes.some((known) => known === code[2]!.toUpperCase())
        ? `${Number(code[1] ?? 0) === 0 ? "" : code[1]}${code[2]!.toUpperCase()}`
        : undefined
      return fail(
        "BYDAY",
        piece,
        piece.text === "" ? "is an empty item" : "is not a day of the week",
        `${weekdayCodes.join(", ")}, with 1-53 or -53 to -1 before it`,
        meant !== piece.text.toUpperCase() ? meant : undefined
      )
    }
    days.set(`${weekday} ${ordinal}`, { ordinal, weekday })
  }
  // From Monday, and from the front before from the back.
  return Result.succeed(
    Array.from(days.values()).sort((a, b) =>
      (a.weekday + 6) % 7 - (b.weekday + 6) % 7 || Number(a.ordinal < 0) - Number(b.ordinal < 0) ||
      a.ordinal - b.ordinal
    )
  )
}

const readWeekStart = (part: Part | undefined, fail: Fail): Parsed<number> => {
  if (part === undefined) return Result.succeed(1)
  const weekday = weekdayCodes.findIndex((code) => code === part.value.text.toUpperCase())
  return weekday >= 0
    ? Result.succeed(weekday)
    : fail("WKST", part.value, "is not a day of the week", weekdayCodes.join(", "))
}

/** Reads UNTIL, whose type follows that of DTSTART. */
const readUntil = (
  part: Part | undefined,
  start: RecurrenceDate | undefined,
  fail: Fail
): Parsed<RecurrenceDate | undefined> => {
  if (part === undefined) return Result.succeed(undefined)
  const { value } = part
  const date = readDate(value.text)
  if (date === undefined) {
    return fail(
      "UNTIL",
      value,
      "is not a date that exists",
      "the form 19971224, or 19971224T000000Z",
      guessDate(value.text)
    )
  }
  if (start === undefined) return Result.succeed(date)
  const zone = start.timeZone
  if (start.date) {
    if (date.date) return Result.succeed(date)
    return fail("UNTIL", value, "has a time, but DTSTART is a date", "a date", value.text.slice(0, 8))
  }
  if (zone === undefined) {
    if (!date.date && date.timeZone === undefined) return Result.succeed(date)
    const meant = date.date ? { ...date, date: false, local: date.local + DAY - 1 } : { ...date, timeZone: undefined }
    const is = date.date ? "a date" : "UTC"
    return fail("UNTIL", value, `is ${is}, but DTSTART is a local time`, "a local time", printDate(meant))
  }
  if (date.timeZone !== undefined) return Result.succeed(date)
  const is = date.date ? "a date" : "a local time"
  const of = zone === "UTC" ? "UTC" : "in a time zone"
  return fail("UNTIL", value, `is ${is}, but DTSTART is ${of}`, "UTC, with Z at the end", printDate(toUtc(date, zone)))
}

/** What parts may stand together. */
const checkRule = (
  rule: Rule,
  parts: ReadonlyMap<string, Part>,
  start: RecurrenceDate | undefined,
  fail: Fail
): Parsed<Rule> => {
  const { byDay, byMonth, byMonthDay, byWeekNo, frequency } = rule
  const refuse = (name: string, problem: string, allowed: string, suggestion?: string) =>
    fail(name, parts.get(name)!.value, problem, allowed, suggestion)

  if (rule.count !== undefined && rule.until !== undefined) {
    return refuse("UNTIL", "stands beside COUNT, and only one may end a rule", "COUNT or UNTIL")
  }
  const only: ReadonlyArray<readonly [name: string, ...frequencies: ReadonlyArray<Frequency>]> = [
    ["BYWEEKNO", "YEARLY"],
    ["BYYEARDAY", "YEARLY", "HOURLY", "MINUTELY", "SECONDLY"],
    ["BYMONTHDAY", "YEARLY", "MONTHLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"]
  ]
  for (const [name, ...allowed] of only) {
    if (parts.has(name) && !allowed.includes(frequency)) {
      return refuse(name, `does not go with FREQ=${frequency}`, `${name} with ${allowed.join(", ")}`)
    }
  }
  if (byDay.some((day) => day.ordinal !== 0)) {
    if (frequency !== "MONTHLY" && frequency !== "YEARLY") {
      return refuse("BYDAY", `has numbers, which do not go with FREQ=${frequency}`, "days alone, or MONTHLY or YEARLY")
    }
    if (byWeekNo.length > 0) return refuse("BYDAY", "has numbers, which do not go with BYWEEKNO", "days alone")
    const ofMonth = frequency === "MONTHLY" || byMonth.length > 0
    if (ofMonth && byDay.every((day) => Math.abs(day.ordinal) > 5)) {
      return refuse("BYDAY", "counts beyond the weeks of a month", "1-5 or -5 to -1 before the day")
    }
  }
  if (parts.has("BYSETPOS") && !Array.from(parts.keys()).some((name) => /^BY(?!SETPOS)/.test(name))) {
    return refuse("BYSETPOS", "has nothing to choose from", "another BY… part beside it")
  }
  if (start?.date === true) {
    const time = ["BYHOUR", "BYMINUTE", "BYSECOND"].find((name) => parts.has(name))
    if (time !== undefined) return refuse(time, "needs times, but DTSTART is a date", "a DTSTART with a time")
    if (isSubDaily(rule)) return refuse("FREQ", "needs times, but DTSTART is a date", "a DTSTART with a time")
  }
  // Only where a list of months stands against a list of days: everything else is a question of when, not whether.
  const reachable = (month: number) => byMonthDay.some((day) => Math.abs(day) <= monthLength(2024, month))
  if (byMonthDay.length > 0 && byMonth.length > 0 && !byMonth.some(reachable)) {
    const longest = Math.max(...byMonth.map((month) => monthLength(2024, month)))
    return refuse("BYMONTHDAY", "is a day that these months never have", `1-${longest}, or -${longest} to -1`)
  }
  if (start !== undefined && rule.until !== undefined && endsBefore(rule.until, start)) {
    return refuse("UNTIL", "is before DTSTART, so nothing occurs", "a later date")
  }
  return Result.succeed(rule)
}

const endsBefore = (until: RecurrenceDate, start: RecurrenceDate): boolean =>
  (start.timeZone === undefined ? until : toZone(until, start.timeZone)).local < start.local

/** A recurrence with another start, on the clock of a zone; UNTIL takes the form that goes with it. */
export const startingAt = (recurrence: Recurrence, start: RecurrenceDate, timeZone: string): Recurrence => {
  const { until } = recurrence
  if (start.date) {
    const last = until === undefined || until.date ? until : toZone(until, timeZone)
    return {
      ...recurrence,
      start,
      until: last === undefined
        ? undefined
        : { date: true, local: Math.floor(last.local / DAY) * DAY, timeZone: undefined }
    }
  }
  return {
    ...recurrence,
    start: { ...start, timeZone },
    until: until === undefined || until.timeZone !== undefined ? until : toUtc(until, timeZone)
  }
}
