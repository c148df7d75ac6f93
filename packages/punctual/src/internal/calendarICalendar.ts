/**
 * Holidays from iCalendar files (RFC 5545): every event becomes dates, or a rule of every year where it never ends.
 *
 *     BEGIN:VEVENT                          { date: "12-25/12-26 since 2020", name: "Christmas" }
 *     SUMMARY:Christmas
 *     DTSTART;VALUE=DATE:20201225           a day
 *     DTEND;VALUE=DATE:20201227             not included
 *     RRULE:FREQ=YEARLY
 *     END:VEVENT
 *
 * Local times are civil seconds since 1970 by the clocks of the calendar's zone.
 */
import * as Result from "effect/Result"
import type { Calendar, HolidayInput, ICalendarOptions } from "../Calendar.ts"
import { CalendarError, make, merge } from "./calendarModel.ts"
import { civilOf, parseRule, spanOf, writeDay } from "./calendarRule.ts"
import { DAY, HORIZON_SECONDS } from "./cronDate.ts"
import { makeRecurrence } from "./recurrenceEngine.ts"
import { readDate } from "./recurrenceLines.ts"
import type { RecurrenceDate, Rule } from "./recurrenceModel.ts"
import { parse as parseRecurrence } from "./recurrenceParse.ts"
import { instantOf, lookup, offsetAt, suggest, type TimeZone } from "./timeZone.ts"
import { weekdayNames } from "./triggerEncode.ts"

/** More days off than this from one event are no holidays: a calendar is kept with every trigger that uses it. */
const MAX_DATES = 10_000

interface Line {
  /** Counted from 1, the first of those that were folded. */
  readonly number: number
  readonly name: string
  readonly parameters: ReadonlyMap<string, string>
  readonly value: string
}

interface Event {
  readonly line: number
  readonly properties: ReadonlyMap<string, ReadonlyArray<Line>>
}

const fail = (line: number, input: string, problem: string): never => {
  throw new CalendarError({ reason: "icalendar", input: input.slice(0, 200), problem, line })
}

export const read = (text: string, options: ICalendarOptions): Result.Result<Calendar, CalendarError> => {
  try {
    // The options are checked before the text: a wrong zone would be told as a wrong file.
    const base = make({ ...options, holidays: undefined })
    const holidays = holidaysOf(eventsOf(text), base.timeZone)
    return Result.succeed(merge([make({ ...options, holidays })]))
  } catch (error) {
    if (error instanceof CalendarError) return Result.fail(error)
    throw error
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// lines and events
// ---------------------------------------------------------------------------------------------------------------------

/** Joins folded lines (§3.1); empty ones are left out. */
const unfold = (text: string): ReadonlyArray<{ readonly number: number; readonly text: string }> => {
  const lines: Array<{ readonly number: number; text: string }> = []
  text.replace(/^\uFEFF/, "").split(/\r\n|\n|\r/).forEach((line, i) => {
    const last = lines[lines.length - 1]
    if (/^[ \t]/.test(line) && last !== undefined) last.text += line.slice(1)
    else if (line.trim() !== "") lines.push({ number: i + 1, text: line })
  })
  return lines
}

const linePattern = /^([A-Za-z0-9-]+)((?:;[A-Za-z0-9-]+=(?:"[^"]*"|[^";:,]*)(?:,(?:"[^"]*"|[^";:,]*))*)*):(.*)$/

const parseLine = ({ number, text }: { readonly number: number; readonly text: string }): Line => {
  const match = linePattern.exec(text)
  if (match === null) return fail(number, text, `\`${text.slice(0, 60)}\` is not a line of an iCalendar file`)
  const parameters = new Map<string, string>()
  for (const [, name, value] of match[2]!.matchAll(/;([A-Za-z0-9-]+)=((?:"[^"]*"|[^";])*)/g)) {
    parameters.set(name!.toUpperCase(), value!.replace(/^"(.*)"$/, "$1"))
  }
  return { number, name: match[1]!.toUpperCase(), parameters, value: match[3]!.trim() }
}

const eventsOf = (text: string): ReadonlyArray<Event> => {
  const events: Array<Event> = []
  const open: Array<Line> = []
  let event: { line: number; properties: Map<string, Array<Line>> } | undefined
  let calendars = 0
  for (const raw of unfold(text)) {
    const line = parseLine(raw)
    if (line.name === "BEGIN") {
      const kind = line.value.toUpperCase()
      if (open.length === 0) {
        if (kind !== "VCALENDAR") fail(line.number, raw.text, "an iCalendar file begins with BEGIN:VCALENDAR")
        calendars++
      }
      open.push(line)
      if (open.length === 2 && kind === "VEVENT") event = { line: line.number, properties: new Map() }
    } else if (line.name === "END") {
      const begun = open.pop()
      if (begun === undefined || begun.value.toUpperCase() !== line.value.toUpperCase()) {
        fail(
          line.number,
          raw.text,
          `\`${raw.text}\` ends what ${
            begun === undefined ? "never began" : `began as ${begun.value} in line ${begun.number}`
          }`
        )
      }
      if (open.length === 1 && event !== undefined) {
        events.push(event)
        event = undefined
      }
    } else if (open.length === 0) {
      fail(line.number, raw.text, "an iCalendar file begins with BEGIN:VCALENDAR")
    } else if (event !== undefined && open.length === 2) {
      // What is deeper belongs to the alarms of an event.
      const known = event.properties.get(line.name)
      if (known === undefined) event.properties.set(line.name, [line])
      else known.push(line)
    }
  }
  const last = open.pop()
  if (last !== undefined) fail(last.number, `BEGIN:${last.value}`, `${last.value} begins here and never ends`)
  if (calendars === 0) fail(1, text, "there is no calendar in this text: it begins with BEGIN:VCALENDAR")
  return events
}

// ---------------------------------------------------------------------------------------------------------------------
// dates
// ---------------------------------------------------------------------------------------------------------------------

/** A date or a time of an event, with the zone it is told in: `undefined` for that of the calendar. */
interface Moment {
  readonly date: boolean
  readonly local: number
  readonly zone: TimeZone | undefined
}

const readMoment = (line: Line, text: string, timeZone: string): Moment => {
  const found: RecurrenceDate | undefined = readDate(text.trim())
  if (found === undefined) {
    return fail(line.number, text, `\`${text}\` is not a date: ${line.name} is written 20261224 or 20261224T090000`)
  }
  if (found.date) return { date: true, local: found.local, zone: undefined }
  const id = found.timeZone ?? line.parameters.get("TZID")
  if (id === undefined) return { date: false, local: found.local, zone: undefined }
  const zone = lookup(id)
  if (zone === undefined) {
    const hint = suggest(id)
    return fail(
      line.number,
      id,
      `\`${id}\` is not a time zone this runtime knows: use an IANA name such as ${hint ?? "Europe/Berlin"}`
    )
  }
  return { date: false, local: found.local, zone: zone.id === timeZone ? undefined : zone }
}

const moments = (event: Event, name: string, timeZone: string): ReadonlyArray<Moment> =>
  (event.properties.get(name) ?? []).flatMap((line) =>
    line.value.split(",").map((text) => readMoment(line, text.split("/")[0]!, timeZone))
  )

const only = (event: Event, name: string): Line | undefined => {
  const [first, second] = event.properties.get(name) ?? []
  if (second !== undefined) fail(second.number, second.value, `an event has one ${name}`)
  return first
}

const durationPattern = /^([+-]?)P(?:(\d+)W|(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?)$/i

const readDuration = (line: Line): number => {
  const match = durationPattern.exec(line.value)
  if (match === null || match[1] === "-") {
    return fail(line.number, line.value, `\`${line.value}\` is not a duration: it is written P1D or PT12H`)
  }
  const [weeks, days, hours, minutes, seconds] = match.slice(2).map((digits: string | undefined) => Number(digits ?? 0))
  return weeks! * 7 * DAY + days! * DAY + hours! * 3600 + minutes! * 60 + seconds!
}

const unescape = (text: string): string =>
  text.replace(/\\([nN,;\\])/g, (_, c: string) => c.toLowerCase() === "n" ? " " : c).trim()

// ---------------------------------------------------------------------------------------------------------------------
// events as holidays
// ---------------------------------------------------------------------------------------------------------------------

const cancelled = (event: Event): boolean => only(event, "STATUS")?.value.toUpperCase() === "CANCELLED"

const holidaysOf = (events: ReadonlyArray<Event>, timeZone: string): ReadonlyArray<HolidayInput> => {
  // Single occurrences that were moved or cancelled: the event they belong to leaves them out.
  const replaced = new Map<string, Array<Moment>>()
  for (const event of events) {
    const line = only(event, "RECURRENCE-ID")
    if (line === undefined) continue
    if (line.parameters.has("RANGE")) {
      fail(line.number, line.value, "RANGE=THISANDFUTURE is not supported: end the rule, and begin another event")
    }
    const uid = only(event, "UID")?.value ?? ""
    replaced.set(uid, [...(replaced.get(uid) ?? []), readMoment(line, line.value, timeZone)])
  }
  return events.flatMap((event) => {
    if (cancelled(event)) return []
    const single = event.properties.has("RECURRENCE-ID")
    return holidaysOfEvent(event, single ? [] : replaced.get(only(event, "UID")?.value ?? "") ?? [], timeZone)
  })
}

const holidaysOfEvent = (
  event: Event,
  replaced: ReadonlyArray<Moment>,
  timeZone: string
): ReadonlyArray<HolidayInput> => {
  const startLine = only(event, "DTSTART")
  if (startLine === undefined) return fail(event.line, "VEVENT", "this event has no DTSTART")
  const start = readMoment(startLine, startLine.value, timeZone)
  const length = lengthOf(event, start, timeZone)
  const summary = only(event, "SUMMARY")
  const name = summary === undefined || summary.value === "" ? undefined : unescape(summary.value)
  const rule = ruleOf(event, start)
  const excluded = [...moments(event, "EXDATE", timeZone), ...replaced]
  const included = moments(event, "RDATE", timeZone)

  const yearly = rule === undefined || excluded.length > 0 ? undefined : yearlyRule(rule, start, length)
  const starts = [
    ...(yearly === undefined ? startsOf(event, rule, start, timeZone) : []),
    ...included.map((at) => at.local)
  ]
  const zone = lookup(timeZone)!
  /** The clock of the calendar, at a time that is told in the zone of the event. */
  const ours = (local: number): number => {
    if (start.zone === undefined) return local
    const instant = instantOf(start.zone, local)
    return instant + offsetAt(zone, instant)
  }
  const left = new Set(excluded.filter((at) => at.date === start.date).map((at) => at.local))
  // Some programs leave out an occurrence with a time by its date.
  const leftDays = new Set(excluded.filter((at) => at.date && !start.date).map((at) => at.local))
  const found: Array<HolidayInput> = yearly === undefined ? [] : [{ date: yearly, name }]
  for (const local of starts) {
    if (left.has(local) || leftDays.has(Math.floor(local / DAY) * DAY)) continue
    const from = Math.ceil(ours(local) / DAY)
    const to = Math.floor(ours(local + length) / DAY) - 1
    if (from > to) continue
    found.push({ date: from === to ? writeDay(from) : `${writeDay(from)}/${writeDay(to)}`, name })
  }
  return found
}

/** In seconds; whole days for events without times. */
const lengthOf = (event: Event, start: Moment, timeZone: string): number => {
  const line = only(event, "DTEND")
  const duration = only(event, "DURATION")
  if (line === undefined) {
    return duration === undefined
      ? start.date ? DAY : 0
      : start.date
      ? Math.max(DAY, Math.floor(readDuration(duration) / DAY) * DAY)
      : readDuration(duration)
  }
  const end = readMoment(line, line.value, timeZone)
  if (end.date !== start.date) {
    return fail(line.number, line.value, "DTSTART and DTEND are both dates, or both have times")
  }
  const local = end.zone?.id === start.zone?.id
    ? end.local
    : inZone(instantOf(end.zone ?? lookup(timeZone)!, end.local), start.zone ?? lookup(timeZone)!)
  if (local < start.local) fail(line.number, line.value, "this event ends before it begins")
  // An end that is the start itself was meant to be included.
  return start.date ? Math.max(DAY, local - start.local) : local - start.local
}

const inZone = (instant: number, zone: TimeZone): number => instant + offsetAt(zone, instant)

const ruleOf = (event: Event, start: Moment): Rule | undefined => {
  const line = only(event, "RRULE")
  if (line === undefined) return undefined
  // Many programs write the end of whole days as an instant.
  const text = start.date ? line.value.replace(/(UNTIL=\d{8})T\d{6}Z?/i, "$1") : line.value
  const parsed = parseRecurrence(text)
  return Result.isFailure(parsed) ? fail(line.number, line.value, parsed.failure.message) : parsed.success
}

const utc = lookup("UTC")!

/** When the occurrences of an event begin, by the clock it is told in; a rule without an end stops after a hundred years. */
const startsOf = (
  event: Event,
  rule: Rule | undefined,
  start: Moment,
  timeZone: string
): ReadonlyArray<number> => {
  if (rule === undefined) return [start.local]
  const date: RecurrenceDate = { date: start.date, local: start.local, timeZone: undefined }
  // Local times stand for themselves, so no clock changes; an end that is an instant is told by the same clock.
  const { until } = rule
  const ended = until?.timeZone === undefined
    ? until
    : { ...until, local: inZone(until.local, start.zone ?? lookup(timeZone)!), timeZone: undefined }
  const engine = makeRecurrence({ ...rule, until: ended, start: date, included: [], excluded: [] }, utc, 0)
  // DTSTART is the first occurrence whatever the rule says (§3.8.5.3).
  const found = [start.local]
  const last = rule.count === undefined && until === undefined ? start.local + HORIZON_SECONDS : Infinity
  for (let local = engine.next(start.local + 1); local <= last && local !== Infinity; local = engine.next(local + 1)) {
    if (found.length >= MAX_DATES) {
      const line = only(event, "RRULE")!
      fail(line.number, line.value, `more than ${MAX_DATES} days: days of the week belong in \`weekend\``)
    }
    found.push(local)
  }
  return found
}

const ordinals: { readonly [n: number]: string } = { 1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 5: "5th", [-1]: "last" }
const monthNames = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]

/** The rule of a holiday that says the same as a yearly rule without an end; `undefined` where none does. */
const yearlyRule = (rule: Rule, start: Moment, length: number): string | undefined => {
  const { bySetPos, byWeekNo, byYearDay, count, frequency, interval, until } = rule
  const simple = start.date && frequency === "YEARLY" && interval === 1 && count === undefined && until === undefined &&
    bySetPos.length === 0 && byWeekNo.length === 0 && byYearDay.length === 0
  if (!simple) return undefined
  const first = civilOf(start.local / DAY)
  const days = length / DAY
  const since = ` since ${String(first.year).padStart(4, "0")}`
  const { byDay, byMonth, byMonthDay } = rule
  if (byDay.length === 1 && byMonth.length === 1 && byMonthDay.length === 0) {
    const { ordinal, weekday } = byDay[0]!
    const name = ordinals[ordinal]
    if (byMonth[0] !== first.month || days > 1 || name === undefined) return undefined
    const text = `${name} ${weekdayNames[weekday]} ${monthNames[first.month - 1]}${since}`
    const read = parseRule(text)
    // A start beside the rule is an occurrence of its own.
    return typeof read !== "string" && spanOf(read, first.year)?.from === start.local / DAY ? text : undefined
  }
  const sameDate = byDay.length === 0 &&
    (byMonth.length === 0 || (byMonth.length === 1 && byMonth[0] === first.month)) &&
    (byMonthDay.length === 0 || (byMonthDay.length === 1 && byMonthDay[0] === first.date && byMonth.length === 1))
  if (!sameDate || days > 300) return undefined
  const from = writeDay(start.local / DAY).slice(-5)
  const to = writeDay(start.local / DAY + days - 1).slice(-5)
  // A leap day inside would move the end.
  const leaps = days > 1 && (from <= to ? from <= "02-29" && to >= "02-28" : from <= "02-29" || to >= "02-28")
  return leaps ? undefined : `${from === to ? from : `${from}/${to}`}${since}`
}
