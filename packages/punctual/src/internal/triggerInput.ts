/**
 * From what people write to what triggers hold: every check of an argument is here, and says what to write instead.
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Result from "effect/Result"
import * as CronExpression from "../CronExpression.ts"
import type {
  BetweenOptions,
  CronOptions,
  DateRange,
  DuringOptions,
  EveryOptions,
  InstantInput,
  TimeRange,
  Trigger,
  Weekday,
  Window
} from "../Trigger.ts"
import { DAY, daysFromCivil, isCivilDate, MAX_MILLIS } from "./cronDate.ts"
import { parseWeekdays } from "./cronParse.ts"
import { closest, instantOf, lookup, suggest, type TimeZone } from "./timeZone.ts"
import { weekdayNames } from "./triggerEncode.ts"
import * as model from "./triggerModel.ts"

/** Refuses what is not an options object, and keys nobody reads: a misspelt option must not be a silent default. */
export const checkKeys = (options: object | undefined, known: ReadonlyArray<string>, of: string): void => {
  if (options === undefined) return
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    return model.refuse("options", options, `the options of \`${of}\` are an object with ${known.join(", ")}`)
  }
  for (const key of Object.keys(options)) {
    if (!known.includes(key)) {
      const hint = closest(key, known)
      model.refuse(
        "options",
        key,
        `\`${of}\` has no option \`${key}\`: use ${known.join(", ")}${
          hint === undefined ? "" : `; did you mean \`${hint}\`?`
        }`
      )
    }
  }
}

export const checkChoice = (of: string, value: unknown, choices: ReadonlyArray<string>): void => {
  if (value !== undefined && !choices.includes(value as string)) {
    model.refuse("options", value, `\`${of}\` is one of ${choices.map((c) => `"${c}"`).join(", ")}`)
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// instants
// ---------------------------------------------------------------------------------------------------------------------

const isoPattern =
  /^([+-]\d{6}|\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?\s?(Z|[+-]\d\d(?::?\d\d)?)?(?:\[[^\]]+\])?$/i

/** Epoch milliseconds of an instant in any accepted spelling. */
export const instant = (value: InstantInput, timeZone?: string | DateTime.TimeZone): number => {
  if (typeof value === "string") return instantFromText(value, timeZone)
  const millis = typeof value === "number"
    ? value
    : DateTime.isDateTime(value)
    ? value.epochMilliseconds
    : value instanceof Date
    ? value.getTime()
    : model.refuse(
      "instant",
      value,
      "an instant is a DateTime, a Date, epoch milliseconds, or ISO 8601 text with an offset"
    )
  if (!Number.isInteger(millis)) {
    model.refuse("instant", value, `\`${model.show(value)}\` is not a whole number of milliseconds since 1970`)
  }
  return inRange(millis, value)
}

const inRange = (millis: number, value: unknown): number =>
  Math.abs(millis) <= MAX_MILLIS
    ? millis + 0
    : model.refuse(
      "range",
      value,
      `\`${model.show(value)}\` is outside the years -271821 to 275760 that an instant can have`
    )

const instantFromText = (text: string, timeZone: string | DateTime.TimeZone | undefined): number => {
  const match = isoPattern.exec(text.trim())
  if (match === null) {
    return model.refuse(
      "instant",
      text,
      `\`${text}\` is not an instant: write it as 2026-03-29T09:00:00Z or 2026-03-29T09:00:00+02:00`
    )
  }
  const [, year, month, day, hour = "0", minute = "0", second = "0", fraction = "", offset] = match
  const h = Number(hour)
  if (!isCivilDate(Number(year), Number(month), Number(day)) || h > 23 || Number(minute) > 59 || Number(second) > 59) {
    model.refuse("instant", text, `\`${text}\` names a date or a time that does not exist`)
  }
  if (/[1-9]/.test(fraction.slice(3))) {
    model.refuse("instant", text, `\`${text}\` is finer than a millisecond`)
  }
  const millis = Number(fraction.padEnd(3, "0").slice(0, 3))
  const local = daysFromCivil(Number(year), Number(month), Number(day)) * DAY + h * 3600 + Number(minute) * 60 +
    Number(second)
  if (offset !== undefined) {
    if (offset.toUpperCase() === "Z") return inRange(local * 1000 + millis, text)
    const digits = offset.slice(1).replace(":", "").padEnd(4, "0")
    const seconds = Number(digits.slice(0, 2)) * 3600 + Number(digits.slice(2)) * 60
    return inRange((local - (offset.startsWith("-") ? -seconds : seconds)) * 1000 + millis, text)
  }
  if (timeZone === undefined) {
    return model.refuse(
      "instant",
      text,
      `\`${text}\` has no time zone, so it is not an instant: end it with Z or an offset, or pass \`timeZone\``
    )
  }
  return inRange(instantOf(zone(timeZone), local) * 1000 + millis, text)
}

/** The reference instant of a question: as `instant`, but anything beyond the range of instants is its edge. */
export const reference = (value: InstantInput): number => {
  if (typeof value === "number") {
    if (Number.isNaN(value)) model.refuse("instant", value, "the reference instant is not a number")
    return value
  }
  return typeof value === "object" && "epochMilliseconds" in value ? value.epochMilliseconds : instant(value)
}

// ---------------------------------------------------------------------------------------------------------------------
// durations and counts
// ---------------------------------------------------------------------------------------------------------------------

const duration = (value: Duration.Input, of: string, min: number): number => {
  let millis: number
  try {
    millis = Duration.toMillis(Duration.fromInputUnsafe(value))
  } catch {
    return model.refuse("duration", value, `\`${model.show(value)}\` is not a duration: write ${of} as "5 minutes"`)
  }
  if (!Number.isInteger(millis) || millis < min || millis > MAX_MILLIS) {
    return model.refuse(
      "duration",
      value,
      `${of} of ${model.show(value)} is impossible: use a finite, whole number of milliseconds, at least ${min}`
    )
  }
  return millis
}

export const every = (
  period: Duration.Input,
  options: EveryOptions | undefined
): Trigger => {
  const start = options?.start === undefined ? undefined : instant(options.start)
  const immediately = options?.immediately ?? false
  if (typeof immediately !== "boolean") model.refuse("options", immediately, "`immediately` is true or false")
  if (start !== undefined && immediately) {
    model.refuse(
      "options",
      model.show(start),
      "`start` and `immediately` exclude each other: with `start` the first occurrence is `start` itself"
    )
  }
  return model.every(duration(period, "a period", 1), start, immediately)
}

export const checkEvery = (options: object | undefined): void => checkKeys(options, ["start", "immediately"], "every")

export const checkOccurrences = (options: object): void =>
  checkKeys(options, ["after", "until", "limit", "binding"], "occurrences")

export const checkAt = (options: object | undefined): void => checkKeys(options, ["timeZone"], "at")

/** How many at most: a whole number, zero included. */
export const limit = (value: number | undefined, fallback: number, of: string): number =>
  value === undefined || (Number.isSafeInteger(value) && value >= 0)
    ? value ?? fallback
    : model.refuse(
      "count",
      value,
      `the \`limit\` of \`${of}\` is a whole number, at least 0, and not ${model.show(value)}`
    )

export const upTo = (trigger: Trigger, count: number): Trigger =>
  Number.isSafeInteger(count) && count >= 1
    ? model.upTo(trigger, count)
    : model.refuse("count", count, `\`upTo\` takes a whole number, at least 1, and not ${model.show(count)}`)

export const delayed = (trigger: Trigger, delay: Duration.Input): Trigger =>
  model.delayed(trigger, duration(delay, "a delay", 1))

export const jittered = (trigger: Trigger, width: Duration.Input): Trigger =>
  model.jittered(trigger, duration(width, "a jitter", 1))

export const between = (trigger: Trigger, options: BetweenOptions): Trigger => {
  checkKeys(options, ["start", "end"], "between")
  const start = options.start === undefined ? undefined : instant(options.start)
  const end = options.end === undefined ? undefined : instant(options.end)
  if (start === undefined && end === undefined) {
    model.refuse("options", options, "`between` needs a `start`, an `end` or both")
  }
  if (start !== undefined && end !== undefined && end < start) {
    model.refuse("range", options, "the `end` of `between` is before its `start`")
  }
  return model.between(trigger, start, end)
}

// ---------------------------------------------------------------------------------------------------------------------
// cron and zones
// ---------------------------------------------------------------------------------------------------------------------

export const cron = (
  expression: string | CronExpression.CronExpression | CronExpression.Fields,
  options: CronOptions | undefined
): Trigger => {
  checkKeys(options, ["timeZone", "gap", "overlap", "dayMatch"], "cron")
  checkChoice("gap", options?.gap, ["skip", "shift"])
  checkChoice("overlap", options?.overlap, ["first", "second", "both"])
  checkChoice("dayMatch", options?.dayMatch, ["or", "and"])
  const value = cronExpression(expression, options?.dayMatch)
  return model.cron(value, zone(options?.timeZone ?? "UTC").id, options?.gap, options?.overlap)
}

export const checkFromCron = (options: object | undefined): void =>
  checkKeys(options, ["timeZone", "gap", "overlap"], "fromCron")

const cronExpression = (
  input: string | CronExpression.CronExpression | CronExpression.Fields,
  dayMatch: CronExpression.DayMatch | undefined
): CronExpression.CronExpression => {
  if (CronExpression.isCronExpression(input)) {
    if ((dayMatch ?? input.dayMatch) === input.dayMatch) return input
    return cronExpression(input.text, dayMatch)
  }
  if (typeof input !== "string" && (typeof input !== "object" || input === null || Array.isArray(input))) {
    return model.refuse(
      "cron",
      input,
      "a cron expression is text, such as \"0 9 * * MON-FRI\", or an object of its fields"
    )
  }
  const made = typeof input === "string"
    ? CronExpression.parse(input, { dayMatch })
    : CronExpression.make(input, { dayMatch })
  if (Result.isSuccess(made)) return made.success
  const error = made.failure
  throw new model.InvalidTrigger({ reason: "cron", input: model.show(input), problem: error.message, cron: error })
}

/** The zone of a name, a fixed offset, or Effect's own `TimeZone`. */
export const zone = (value: string | DateTime.TimeZone): TimeZone => {
  const id = typeof value === "string"
    ? value
    : DateTime.isTimeZone(value)
    ? DateTime.zoneToString(value)
    : model.refuse(
      "timeZone",
      value,
      "a time zone is an IANA name such as \"Europe/Berlin\", or an offset such as \"+05:30\""
    )
  const found = lookup(id)
  if (found !== undefined) return found
  const hint = suggest(id)
  return model.refuse(
    "timeZone",
    id,
    `\`${id}\` is not a time zone this runtime knows: use an IANA name such as "Europe/Berlin", or an offset such as ` +
      `"+05:30"${hint === undefined ? "" : `; did you mean \`${hint}\`?`}`
  )
}

// ---------------------------------------------------------------------------------------------------------------------
// windows
// ---------------------------------------------------------------------------------------------------------------------

export const window = (options: DuringOptions): Window => {
  checkKeys(options, ["timeZone", "weekdays", "dates", "times"], "during")
  const { dates, times, weekdays } = options
  if (weekdays === undefined && dates === undefined && times === undefined) {
    model.refuse("window", options, "`during` needs `weekdays`, `dates` or `times`")
  }
  return {
    timeZone: zone(options.timeZone ?? "UTC").id,
    weekdays: weekdays === undefined ? undefined : readWeekdays(weekdays),
    dates: dates === undefined ? undefined : readList(dates, "dates", readDates),
    times: times === undefined ? undefined : readList(times, "times", readTimes)
  }
}

const readList = <A, B>(value: A | ReadonlyArray<A>, of: string, read: (a: A) => B): ReadonlyArray<B> => {
  const list = Array.isArray(value) ? value as ReadonlyArray<A> : [value as A]
  if (list.length === 0) model.refuse("window", [], `\`${of}\` is an empty list, so nothing is inside: leave it out`)
  return Object.freeze(list.map(read))
}

const readWeekdays = (value: NonNullable<DuringOptions["weekdays"]>): ReadonlyArray<Weekday> => {
  const text = (typeof value === "string" ? value : value.join(",")).replace(/\s*([,-])\s*/g, "$1").trim()
  const parsed = parseWeekdays(text)
  if (Result.isFailure(parsed)) return model.refuse("window", text, parsed.failure.message)
  return Object.freeze(parsed.success.map((day) => weekdayNames[day]!))
}

const datePattern = /^(?:(\d{4})-)?(\d\d)-(\d\d)$/

const readDates = (value: string | DateRange): DateRange => {
  const { from, to } = readRange(value, "/", "dates", "2026-12-24, 12-24 (of every year), or 12-24/01-06")
  for (const text of [from, to]) {
    const match = datePattern.exec(text)
    // Without a year, the 29th of February is a date that some years have.
    if (match === null || !isCivilDate(Number(match[1] ?? 2024), Number(match[2]), Number(match[3]))) {
      model.refuse("window", text, `\`${text}\` is not a date: write 2026-12-24, or 12-24 for every year`)
    }
  }
  if ((from.length === 5) !== (to.length === 5)) {
    model.refuse("window", value, "both ends of a range of dates have a year, or neither has")
  }
  if (from.length !== 5 && to < from) model.refuse("window", value, `${to} is before ${from}`)
  return Object.freeze({ from, to })
}

const timePattern = /^(\d\d):(\d\d)(?::(\d\d))?$/

const readTimes = (value: string | TimeRange): TimeRange => {
  const { from, to } = readRange(value, "-", "times", "09:00-17:00")
  const start = secondOfDay(from)
  const end = secondOfDay(to)
  if (start === DAY) model.refuse("window", from, "a window cannot open at 24:00: write 00:00")
  if (start === end) model.refuse("window", value, `${from} to ${to} is empty; leave \`times\` out for the whole day`)
  return Object.freeze({ from: formatTime(start), to: formatTime(end) })
}

/** Seconds since local midnight; 24:00 is the end of the day. */
export const secondOfDay = (text: string): number => {
  const match = timePattern.exec(text.trim())
  const seconds = match === null ? NaN : Number(match[1]) * 3600 + Number(match[2]) * 60 + Number(match[3] ?? 0)
  if (match === null || Number(match[2]) > 59 || Number(match[3] ?? 0) > 59 || seconds > DAY) {
    model.refuse("window", text, `\`${text}\` is not a time of day: write 09:00 or 09:00:30, up to 24:00`)
  }
  return seconds
}

const two = (n: number): string => String(n).padStart(2, "0")

export const formatTime = (seconds: number): string => {
  const text = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}`
  return seconds % 60 === 0 ? text : `${text}:${two(seconds % 60)}`
}

const readRange = (
  value: string | { readonly from: string; readonly to: string },
  separator: string,
  of: string,
  example: string
): { readonly from: string; readonly to: string } => {
  if (typeof value === "object" && value !== null) {
    checkKeys(value, ["from", "to"], of)
    if (typeof value.from === "string" && typeof value.to === "string") return { from: value.from, to: value.to }
  } else if (typeof value === "string") {
    const parts = value.split(separator).map((part) => part.trim())
    if (parts.length === 2) return { from: parts[0]!, to: parts[1]! }
    if (of === "dates" && parts.length === 1) return { from: parts[0]!, to: parts[0]! }
  }
  return model.refuse("window", value, `\`${model.show(value)}\` does not belong in \`${of}\`: write ${example}`)
}
