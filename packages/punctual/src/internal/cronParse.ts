/**
 * Reads a cron expression and says exactly what is wrong with a bad one.
 *
 *     expression := (second)? minute hour day-of-month month day-of-week
 *     field      := item ("," item)*
 *     item       := ("*" | value | value "-" value) ("/" step)?
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { monthLength } from "./cronDate.ts"
import type { Fields } from "./cronEngine.ts"
import { closest } from "./timeZone.ts"

/**
 * A cron expression that cannot be read, or can never fire.
 *
 * **Details**
 *
 * `field` counts from 1 (0 is the expression as a whole), `position` is the character the problem starts at, also from 1.
 * `value` is the offending text, `allowed` what may stand there.
 *
 * @category errors
 * @since 0.1.0
 */
export class CronParseError extends Schema.TaggedError<CronParseError>()("CronParseError", {
  input: Schema.String,
  field: Schema.Int,
  position: Schema.Int,
  value: Schema.String,
  problem: Schema.String,
  allowed: Schema.String,
  suggestion: Schema.optionalKey(Schema.String)
}) {
  override get message(): string {
    const where = this.field === 0 ? "" : ` (field ${this.field}, character ${this.position})`
    const hint = this.suggestion === undefined ? "" : `; did you mean \`${this.suggestion}\`?`
    return `\`${this.value}\` ${this.problem}${where}: use ${this.allowed}${hint}`
  }
}

interface FieldSpec {
  readonly name: string
  readonly min: number
  readonly max: number
  /** How many distinct values there are: `max` of the week is 7, which is Sunday again. */
  readonly size: number
  readonly allowed: string
  readonly names: ReadonlyArray<string>
}

const months = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
const weekdays = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]

const specs: ReadonlyArray<FieldSpec> = [
  { name: "a second", min: 0, max: 59, size: 60, allowed: "0-59", names: [] },
  { name: "a minute", min: 0, max: 59, size: 60, allowed: "0-59", names: [] },
  { name: "an hour", min: 0, max: 23, size: 24, allowed: "0-23", names: [] },
  { name: "a day of month", min: 1, max: 31, size: 31, allowed: "1-31", names: [] },
  { name: "a month", min: 1, max: 12, size: 12, allowed: "1-12 or JAN-DEC", names: months },
  { name: "a day of week", min: 0, max: 7, size: 7, allowed: "0-7 or SUN-SAT", names: weekdays }
]

const macros: Record<string, string> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *"
}

/** What was read: the sets, and which fields are written with a star. */
export interface Parsed extends Fields {
  readonly text: string
  /** The minute or the hour is a wildcard, so it follows real time when the clocks change. */
  readonly wild: boolean
}

/** What an expression means, as text: equal for different spellings of the same times. */
export const meaning = (self: Fields & { readonly wild: boolean }): string =>
  [
    self.seconds,
    self.minutes,
    self.hours,
    self.days,
    self.months,
    self.weekdays,
    self.either ? "or" : "and",
    self.wild ? "wild" : "fixed"
  ].join(";")

interface Field {
  readonly values: ReadonlyArray<number>
  readonly star: boolean
}

interface Token {
  readonly text: string
  readonly at: number
}

const tokenize = (input: string): ReadonlyArray<Token> =>
  Array.from(input.matchAll(/\S+/g), (match) => ({ text: match[0], at: match.index + 1 }))

export const parse = (input: string, and: boolean): Result.Result<Parsed, CronParseError> => {
  const tokens = tokenize(input)
  if (tokens.length !== 5 && tokens.length !== 6) return Result.fail(wrongCount(input, tokens))
  const first = tokens.length === 6 ? 0 : 1
  const fields: Array<Field> = first === 0 ? [] : [{ values: [0], star: false }]
  for (let i = 0; i < tokens.length; i++) {
    const field = tokens[i]!.text === "*" ? stars[first + i]! : parseField(specs[first + i]!, tokens[i]!, i + 1, input)
    if (Result.isFailure(field)) return Result.fail(field.failure)
    fields.push(field.success)
  }
  const [seconds, minutes, hours, days, month, week] = fields as [Field, Field, Field, Field, Field, Field]
  // Vixie's rule: a field that begins with a star is no restriction of its own, so the two must both hold.
  const either = !and && !days.star && !week.star
  if (!either) {
    const impossible = impossibleDay(days.values, month.values)
    if (impossible !== undefined) {
      const token = tokens[3 - first]!
      return Result.fail(
        new CronParseError({
          input,
          field: 4 - first,
          position: token.at,
          value: token.text,
          problem: `is a day that ${impossible} never has`,
          allowed: `1-${Math.max(...month.values.map((m) => monthLength(2024, m)))} with this month`
        })
      )
    }
  }
  return Result.succeed({
    text: tokens.map((token) => token.text.toUpperCase()).join(" "),
    seconds: seconds.values,
    minutes: minutes.values,
    hours: hours.values,
    days: days.values,
    months: month.values,
    weekdays: week.values,
    either,
    wild: minutes.star || hours.star
  })
}

const wrongCount = (input: string, tokens: ReadonlyArray<Token>): CronParseError => {
  const macro = tokens.length === 1 ? macros[input.trim().toLowerCase()] : undefined
  const problem = macro !== undefined
    ? "is a macro, not an expression"
    : `has ${tokens.length} field${tokens.length === 1 ? "" : "s"}`
  return new CronParseError({
    input,
    field: 0,
    position: 1,
    value: input,
    problem,
    allowed: "5 fields (minute hour day-of-month month day-of-week), or 6 with seconds first",
    ...(macro === undefined ? {} : { suggestion: macro })
  })
}

/** The month names for which no day of the list exists; `undefined` when some month has one. */
const impossibleDay = (days: ReadonlyArray<number>, inMonths: ReadonlyArray<number>): string | undefined =>
  inMonths.some((month) => days[0]! <= monthLength(2024, month))
    ? undefined
    : inMonths.map((month) => months[month - 1]).join(", ")

/** Most fields are a plain star: these are read once. */
const stars: ReadonlyArray<Result.Result<Field, CronParseError>> = specs.map((spec) =>
  Result.succeed({ values: Array.from({ length: spec.size }, (_, i) => spec.min + i), star: true })
)

/** Reads a list of weekdays as the last field of an expression would be read. */
export const parseWeekdays = (input: string): Result.Result<ReadonlyArray<number>, CronParseError> =>
  Result.map(parseField(specs[5]!, { text: input, at: 1 }, 1, input), (field) => field.values)

const parseField = (
  spec: FieldSpec,
  token: Token,
  field: number,
  input: string
): Result.Result<Field, CronParseError> => {
  const fail = (value: string, at: number, problem: string, allowed = spec.allowed, suggestion?: string) =>
    Result.fail(
      new CronParseError({
        input,
        field,
        position: token.at + at,
        value,
        problem,
        allowed,
        ...(suggestion === undefined ? {} : { suggestion })
      })
    )

  const number = (text: string): number | undefined => {
    if (/^\d{1,4}$/.test(text)) {
      const value = Number(text)
      return value >= spec.min && value <= spec.max ? value : undefined
    }
    const index = spec.names.indexOf(text.toUpperCase())
    return index === -1 ? undefined : index + spec.min
  }

  const notAValue = (text: string, at: number) => {
    if (text === "") return fail(token.text, 0, "has an empty item")
    if (/^[LWH]$|^L|[LW]$|[#?]|^H\(/i.test(text) && !/^[a-z]{3}$/i.test(text)) {
      return fail(text, at, `is a special form this reader does not know`)
    }
    const suggestion = text === "24" && spec.max === 23
      ? "0"
      : text === "60" && spec.max === 59
      ? "0"
      : closest(text.slice(0, 3), spec.names)
    return fail(text, at, `is not ${spec.name}`, spec.allowed, suggestion)
  }

  const allowed = new Set<number>()
  let star = false
  let offset = 0
  for (const item of token.text.split(",")) {
    const slash = item.indexOf("/")
    const range = slash === -1 ? item : item.slice(0, slash)
    let step = 1
    if (slash !== -1) {
      const text = item.slice(slash + 1)
      step = /^\d{1,4}$/.test(text) ? Number(text) : 0
      if (step < 1 || step >= spec.size) return fail(text, offset + slash + 1, "is not a step", `1-${spec.size - 1}`)
    }
    let low = spec.min
    let high = spec.min + spec.size - 1
    if (range === "*") {
      star ||= offset === 0
    } else {
      const dash = range.indexOf("-", 1)
      const from = dash === -1 ? range : range.slice(0, dash)
      const value = number(from)
      if (value === undefined) return notAValue(from, offset)
      low = value
      if (dash !== -1) {
        const to = range.slice(dash + 1)
        const end = number(to)
        if (end === undefined) return notAValue(to, offset + dash + 1)
        high = end
      } else if (slash === -1) {
        high = low
      }
    }
    // A range that ends before it starts goes around the end of the field; 7 is Sunday, one after Saturday.
    if (high < low) high += spec.size
    for (let v = low; v <= high; v += step) allowed.add((v - spec.min) % spec.size + spec.min)
    offset += item.length + 1
  }
  return Result.succeed({ values: Array.from(allowed).sort((a, b) => a - b), star })
}
