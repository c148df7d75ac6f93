/**
 * How calendars are made: one prototype, structural equality, one order for what has none, and every check of an argument.
 */
import type * as DateTime from "effect/DateTime"
import * as DateTimes from "effect/DateTime"
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import { NodeInspectSymbol } from "effect/Inspectable"
import { pipeArguments } from "effect/Pipeable"
import { hasProperty } from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Calendar, CalendarPart, Encoded, Holiday, HolidayInput, Options } from "../Calendar.ts"
import type { Weekday } from "../Trigger.ts"
import { encodeCalendar } from "./calendarEncode.ts"
import { parseRule } from "./calendarRule.ts"
import { parseWeekdays } from "./cronParse.ts"
import { closest, lookup, suggest } from "./timeZone.ts"
import { weekdayNames } from "./triggerEncode.ts"

export const TypeId = "~punctual/Calendar"

/**
 * A calendar that cannot be: thrown by constructors, answered by `fromICalendar`.
 *
 * **Details**
 *
 * `reason` is for programs, `problem` for people: it says what is wrong and what to write instead. `input` shows the
 * offending argument, and `line` is where it stands in a file.
 *
 * @category errors
 * @since 0.1.0
 */
export class CalendarError extends Schema.TaggedError<CalendarError>()("CalendarError", {
  reason: Schema.Literals(["options", "timeZone", "weekend", "holiday", "date", "icalendar"]),
  input: Schema.String,
  problem: Schema.String,
  line: Schema.optionalKey(Schema.Number)
}) {
  override get message(): string {
    return this.line === undefined ? this.problem : `line ${this.line}: ${this.problem}`
  }
}

const show = (input: unknown): string => {
  const text = typeof input === "string" ? input : JSON.stringify(input) ?? String(input)
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}

/** Throws a `CalendarError`. */
export const refuse = (reason: CalendarError["reason"], input: unknown, problem: string): never => {
  throw new CalendarError({ reason, input: show(input), problem })
}

export const isCalendar = (u: unknown): u is Calendar => hasProperty(u, TypeId)

const keys = new WeakMap<Calendar, string>()

const keyOf = (self: Calendar): string => {
  let key = keys.get(self)
  if (key === undefined) {
    key = JSON.stringify(encodeCalendar(self))
    keys.set(self, key)
  }
  return key
}

const Proto = {
  [TypeId]: TypeId,
  [Equal.symbol](this: Calendar, that: unknown): boolean {
    return isCalendar(that) && keyOf(this) === keyOf(that)
  },
  [Hash.symbol](this: Calendar): number {
    return Hash.string(keyOf(this))
  },
  toJSON(this: Calendar): unknown {
    return encodeCalendar(this)
  },
  toString(this: Calendar): string {
    return `Calendar(${keyOf(this)})`
  },
  [NodeInspectSymbol](this: Calendar): unknown {
    return { _id: "Calendar", ...encodeCalendar(this) }
  },
  pipe() {
    return pipeArguments(this, arguments)
  }
}

const build = (timeZone: string, parts: ReadonlyArray<CalendarPart>): Calendar =>
  Object.freeze(Object.assign(Object.create(Proto), { timeZone, parts: Object.freeze(parts) }))

// ---------------------------------------------------------------------------------------------------------------------
// reading options
// ---------------------------------------------------------------------------------------------------------------------

const checkKeys = (options: object, known: ReadonlyArray<string>, of: string): void => {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    return refuse("options", options, `${of} is an object with ${known.join(", ")}`)
  }
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue
    const hint = closest(key, known)
    refuse(
      "options",
      key,
      `${of} has no \`${key}\`: use ${known.join(", ")}${hint === undefined ? "" : `; did you mean \`${hint}\`?`}`
    )
  }
}

const zone = (value: string | DateTime.TimeZone): string => {
  const id = typeof value === "string"
    ? value
    : DateTimes.isTimeZone(value)
    ? DateTimes.zoneToString(value)
    : refuse(
      "timeZone",
      value,
      "a time zone is an IANA name such as \"Europe/Berlin\", or an offset such as \"+05:30\""
    )
  const found = lookup(id)
  if (found !== undefined) return found.id
  const hint = suggest(id)
  return refuse(
    "timeZone",
    id,
    `\`${id}\` is not a time zone this runtime knows: use an IANA name such as "Europe/Berlin", or an offset such as ` +
      `"+05:30"${hint === undefined ? "" : `; did you mean \`${hint}\`?`}`
  )
}

const readWeekend = (value: Options["weekend"]): ReadonlyArray<Weekday> => {
  if (value === undefined || value.length === 0) return []
  const text = typeof value === "string" ? value : value.join(",")
  const parsed = parseWeekdays(text)
  if (Result.isFailure(parsed)) return refuse("weekend", text, parsed.failure.message)
  return Object.freeze(parsed.success.map((day) => weekdayNames[day]!))
}

const listOf = <A>(value: string | A | ReadonlyArray<string | A> | undefined): ReadonlyArray<string | A> =>
  value === undefined ? [] : Array.isArray(value) ? value as ReadonlyArray<string | A> : [value as string | A]

const readHoliday = (value: HolidayInput): Holiday => {
  const { date, name } = typeof value === "string" ? { date: value, name: undefined } : named(value)
  const rule = parseRule(date)
  if (typeof rule === "string") return refuse("holiday", date, rule)
  return Object.freeze({ date: rule.text, name })
}

const named = (value: Exclude<HolidayInput, string>): { readonly date: string; readonly name: string | undefined } => {
  checkKeys(value, ["date", "name"], "a holiday")
  const { date, name } = value
  if (typeof date !== "string" || (name !== undefined && typeof name !== "string")) {
    return refuse(
      "holiday",
      value,
      "a holiday is a text such as \"12-25\", or { date: \"12-25\", name: \"Christmas\" }"
    )
  }
  return { date, name }
}

const byText = (a: string, b: string): number => a < b ? -1 : a > b ? 1 : 0

/** A list of holidays has no order: the same ones make the same calendar. The first name of a date is kept. */
const readHolidays = (value: Options["holidays"]): ReadonlyArray<Holiday> => {
  const found = new Map<string, Holiday>()
  for (const input of listOf(value)) {
    const holiday = readHoliday(input)
    const known = found.get(holiday.date)
    if (known === undefined || (known.name === undefined && holiday.name !== undefined)) {
      found.set(holiday.date, holiday)
    }
  }
  return Object.freeze(Array.from(found.values()).sort((a, b) => byText(a.date, b.date)))
}

const readPart = (options: Omit<Options, "timeZone">): CalendarPart => {
  const weekend = readWeekend(options.weekend)
  const holidays = readHolidays(options.holidays)
  const open = Object.freeze(readHolidays(options.open).map((holiday) => holiday.date))
  if (weekend.length === 7 && open.length === 0) {
    refuse("weekend", options.weekend, "with all seven days in `weekend` no day is ever open: leave one out")
  }
  return Object.freeze({ weekend, holidays, open })
}

export const make = (options: Options): Calendar => {
  checkKeys(options, ["timeZone", "weekend", "holidays", "open"], "a calendar")
  const { timeZone, ...rest } = options
  return build(zone(timeZone ?? "UTC"), [readPart(rest)])
}

/** Rebuilds through the same checks as `make`, so that no stored text can make an impossible calendar. */
export const decode = (encoded: Encoded): Calendar => {
  if (encoded.union === undefined) return make(encoded)
  checkKeys(encoded, ["timeZone", "union"], "a union of calendars")
  const { timeZone, union } = encoded
  if (union.length === 0) return refuse("options", [], "a union of no calendars: leave `union` out")
  return merge(union.map((part) => make({ timeZone, ...part })))
}

/** Parts have no order either, and one that is there twice is there once. A part that closes nothing adds nothing. */
export const merge = (calendars: ReadonlyArray<Calendar>): Calendar => {
  const timeZone = calendars[0]!.timeZone
  const found = new Map<string, CalendarPart>()
  for (const calendar of calendars) {
    if (calendar.timeZone !== timeZone) {
      refuse(
        "timeZone",
        calendar.timeZone,
        `calendars of two time zones have no common days: one is in ${timeZone}, the other in ${calendar.timeZone}`
      )
    }
    for (const part of calendar.parts) found.set(keyOf(build(timeZone, [part])), part)
  }
  const parts = Array.from(found).sort(([a], [b]) => byText(a, b)).map(([, part]) => part)
  const closing = parts.filter((part) => part.weekend.length > 0 || part.holidays.length > 0)
  return build(timeZone, closing.length === 0 ? parts.slice(0, 1) : closing)
}
