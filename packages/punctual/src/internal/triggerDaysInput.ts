/**
 * From what people write to triggers that know days: `calendarEvery`, `except` and `rolled`.
 */
import type { Calendar, Encoded, HolidayInput } from "../Calendar.ts"
import type {
  CalendarEvery,
  CalendarEveryOptions,
  CalendarPeriod,
  ExceptOptions,
  RollDirection,
  Trigger
} from "../Trigger.ts"
import { CalendarError, decode, isCalendar, make } from "./calendarModel.ts"
import { dayOf } from "./calendarRule.ts"
import { DAY } from "./cronDate.ts"
import { checkChoice, checkKeys, formatTime, secondOfDay, zone } from "./triggerInput.ts"
import * as model from "./triggerModel.ts"

// ---------------------------------------------------------------------------------------------------------------------
// calendarEvery
// ---------------------------------------------------------------------------------------------------------------------

const units = ["days", "weeks", "months", "years"] as const

/** More than the days between the first instant and the last. */
const MAX_COUNT = 200_000_000

const readPeriod = (period: CalendarPeriod): Pick<CalendarEvery, "unit" | "count"> => {
  checkKeys(period, units, "calendarEvery")
  const given = units.filter((unit) => (period as Partial<Record<string, number>> | undefined)?.[unit] !== undefined)
  const [unit] = given
  if (unit === undefined || given.length > 1) {
    return model.refuse(
      "options",
      period,
      "`calendarEvery` takes one of days, weeks, months and years: write { months: 3 }"
    )
  }
  const count = (period as Record<typeof unit, number>)[unit]
  return Number.isInteger(count) && count >= 1 && count <= MAX_COUNT
    ? { unit, count }
    : model.refuse(
      "count",
      count,
      `\`${unit}\` of \`calendarEvery\` is a whole number, at least 1, and not ${model.show(count)}`
    )
}

export const calendarEvery = (period: CalendarPeriod, options: CalendarEveryOptions | undefined): Trigger => {
  checkKeys(options, ["at", "timeZone", "start", "shortMonths", "gap", "overlap"], "calendarEvery")
  checkChoice("shortMonths", options?.shortMonths, ["clamp", "skip"])
  checkChoice("gap", options?.gap, ["skip", "shift"])
  checkChoice("overlap", options?.overlap, ["first", "second", "both"])
  const { count, unit } = readPeriod(period)
  const { at, gap, overlap, shortMonths, start, timeZone } = options ?? {}
  const time = typeof at === "string" || at === undefined
    ? secondOfDay(at ?? "00:00")
    : model.refuse("options", at, "`at` is a time of day such as \"09:00\"")
  if (time === DAY) model.refuse("options", at, "a day has no time 24:00: write 00:00")
  if (start !== undefined && (typeof start !== "string" || dayOf(start) === undefined)) {
    model.refuse("options", start, `\`start\` is a date such as "2026-01-31", and not ${model.show(start)}`)
  }
  if (shortMonths !== undefined && (unit === "days" || unit === "weeks")) {
    model.refuse("options", shortMonths, `\`shortMonths\` says nothing about ${unit}: leave it out`)
  }
  return model.calendarEvery({
    unit,
    count,
    at: formatTime(time),
    timeZone: zone(timeZone ?? "UTC").id,
    start,
    shortMonths: shortMonths ?? "clamp",
    gap,
    overlap: overlap === "first" ? undefined : overlap
  })
}

// ---------------------------------------------------------------------------------------------------------------------
// days off
// ---------------------------------------------------------------------------------------------------------------------

/** What `except` takes away. */
export type Excluded = Trigger | Calendar | HolidayInput | ReadonlyArray<HolidayInput>

export const except = (trigger: Trigger, that: Excluded, options: ExceptOptions | undefined): Trigger => {
  checkKeys(options, ["timeZone"], "except")
  if (model.isTrigger(that) || isCalendar(that)) {
    if (options !== undefined) {
      model.refuse("options", options, "`timeZone` is for dates: triggers and calendars have their own")
    }
    return isCalendar(that) ? model.exceptDays(trigger, that) : model.except(trigger, that)
  }
  if (that === undefined || (Array.isArray(that) && that.length === 0)) {
    model.refuse("calendar", that, "`except` needs a trigger, a calendar, or dates such as \"2026-12-24\" or \"12-25\"")
  }
  const timeZone = zone(options?.timeZone ?? "UTC").id
  const holidays = that as HolidayInput | ReadonlyArray<HolidayInput>
  return model.exceptDays(trigger, calendarOf(() => make({ timeZone, holidays })))
}

export const storedCalendar = (encoded: Encoded): Calendar => calendarOf(() => decode(encoded))

/** In a trigger, a bad calendar makes a bad trigger. */
const calendarOf = (calendar: () => Calendar): Calendar => {
  try {
    return calendar()
  } catch (error) {
    if (error instanceof CalendarError) return model.refuse("calendar", error.input, error.problem)
    throw error
  }
}

const directions: ReadonlyArray<RollDirection> = ["next", "previous", "nextInMonth", "previousInMonth", "nearest"]

export const rolled = (trigger: Trigger, calendar: Calendar, direction: RollDirection): Trigger => {
  if (!isCalendar(calendar)) {
    model.refuse("calendar", calendar, "`rolled` takes a calendar, made by `Calendar.make`, and a direction")
  }
  if (direction === undefined) {
    model.refuse("options", direction, `\`rolled\` needs a direction: ${directions.map((d) => `"${d}"`).join(", ")}`)
  }
  checkChoice("direction", direction, directions)
  return model.rolled(trigger, calendar, direction)
}
