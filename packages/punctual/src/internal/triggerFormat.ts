/**
 * Triggers in words a person reads.
 */
import * as DateTime from "effect/DateTime"
import type { CalendarEvery, DateRange, RollDirection, Trigger, Window } from "../Trigger.ts"
import { format as formatCalendar } from "./calendarFormat.ts"
import * as cronFormat from "./cronFormat.ts"
import { format as formatRecurrence } from "./recurrenceFormat.ts"
import { format as formatDefined } from "./triggerDefined.ts"
import { weekdayNames } from "./triggerEncode.ts"
import { isEvent } from "./triggerModel.ts"

export const format = (trigger: Trigger): string => {
  switch (trigger._tag) {
    case "Never":
      return "never"
    case "Now":
      return "once, when it is added"
    case "Startup":
      return "when the scheduler starts"
    case "Shutdown":
      return "when the scheduler shuts down"
    case "At":
      return `once at ${iso(trigger.instant)}`
    case "Every":
      return `every ${duration(trigger.period, true)}` +
        (trigger.start !== undefined
          ? ` from ${iso(trigger.start)}`
          : trigger.immediately
          ? ", starting immediately"
          : "")
    case "Cron":
      return cronFormat.format(trigger.expression) + ` (${trigger.timeZone})` + clocks(trigger.gap, trigger.overlap)
    case "Defined":
      return formatDefined(trigger)
    case "Union":
      return trigger.triggers.map((member) => grouped(member, trigger)).join(", or ")
    case "Intersect":
      return trigger.triggers.map((member) => grouped(member, trigger)).join(" and at the same instant ")
    case "During":
      return `${grouped(trigger.trigger, trigger)}, only ${window(trigger.window)}`
    case "Between":
      return grouped(trigger.trigger, trigger) +
        (trigger.start === undefined ? "" : `, not before ${iso(trigger.start)}`) +
        (trigger.end === undefined ? "" : `, not after ${iso(trigger.end)}`)
    case "UpTo":
      return `${grouped(trigger.trigger, trigger)}, ${
        trigger.count === 1 ? "only once" : `at most ${trigger.count} times`
      }`
    case "CalendarEvery":
      return calendarEvery(trigger)
    case "Rrule":
      return `${formatRecurrence(trigger.rule)} (${trigger.timeZone})`
    case "Except":
      return `${grouped(trigger.trigger, trigger)}, except ${bracketed(trigger.that)}`
    case "ExceptDays":
      return `${grouped(trigger.trigger, trigger)}, except on ${formatCalendar(trigger.calendar)}`
    case "Rolled":
      return `${grouped(trigger.trigger, trigger)}, moved to ${directions[trigger.direction]} if on ${
        formatCalendar(trigger.calendar)
      }`
    case "Delayed":
      return `${grouped(trigger.trigger, trigger)}, ${duration(trigger.delay)} later`
    case "Jittered":
      return `${grouped(trigger.trigger, trigger)}, up to ${duration(trigger.width)} late by jitter`
  }
}

const directions: { readonly [D in RollDirection]: string } = {
  next: "the next open day",
  previous: "the open day before",
  nextInMonth: "the next open day of the month, or else the one before",
  previousInMonth: "the open day before in the month, or else the next",
  nearest: "the nearest open day"
}

/** What is taken away stands in brackets unless it is one clause. */
const bracketed = (trigger: Trigger): string => {
  const text = format(trigger)
  return text.includes(", ") || trigger._tag === "Intersect" ? `[${text}]` : text
}

const clocks = (gap: "skip" | "shift" | undefined, overlap: "first" | "second" | "both" | undefined): string =>
  (gap === undefined ? "" : gap === "skip" ? ", not at skipped times" : ", skipped times shifted") +
  (overlap === undefined
    ? ""
    : overlap === "both"
    ? ", repeated times both times"
    : `, repeated times the ${overlap} time`)

const calendarEvery = (self: CalendarEvery): string => {
  const period = self.count === 1 ? self.unit.slice(0, -1) : `${self.count} ${self.unit}`
  return `every ${period} at ${self.at}` + (self.start === undefined ? "" : ` from ${self.start}`) +
    ` (${self.timeZone})` + (self.shortMonths === "skip" ? ", not in months too short" : "") +
    clocks(self.gap, self.overlap)
}

/** Puts brackets where a reader could not tell what a clause belongs to. */
const grouped = (inner: Trigger, outer: Trigger): string => {
  const text = format(inner)
  if (inner._tag !== "Union" && inner._tag !== "Intersect") return text
  return inner._tag === outer._tag || isEvent(inner) ? text : `[${text}]`
}

const iso = (millis: number): string => DateTime.formatIso(DateTime.makeUnsafe(millis)).replace(".000Z", "Z")

const units: ReadonlyArray<readonly [number, string]> = [
  [604_800_000, "week"],
  [86_400_000, "day"],
  [3_600_000, "hour"],
  [60_000, "minute"],
  [1_000, "second"],
  [1, "millisecond"]
]

/** `after every`, a single unit goes without its number: "every hour". */
const duration = (millis: number, afterEvery = false): string => {
  const parts: Array<string> = []
  let rest = millis
  for (const [size, name] of units) {
    const n = Math.floor(rest / size)
    if (n > 0) parts.push(`${n} ${name}${n === 1 ? "" : "s"}`)
    rest -= n * size
  }
  return afterEvery && parts.length === 1 && parts[0]!.startsWith("1 ") ? parts[0]!.slice(2) : parts.join(" ")
}

const dates = ({ from, to }: DateRange): string => {
  const show = (text: string) =>
    text.length === 5 ? `${Number(text.slice(3))} ${cronFormat.monthNames[Number(text.slice(0, 2)) - 1]}` : text
  return from === to ? show(from) : `${show(from)} to ${show(to)}`
}

const window = (self: Window): string => {
  const parts: Array<string> = []
  if (self.times !== undefined) parts.push(self.times.map(({ from, to }) => `from ${from} to ${to}`).join(" and "))
  if (self.weekdays !== undefined) {
    parts.push(`on ${cronFormat.weekdayList(self.weekdays.map((day) => weekdayNames.indexOf(day)))}`)
  }
  if (self.dates !== undefined) parts.push(`on ${self.dates.map(dates).join(" and ")}`)
  return `${parts.join(", ")} (${self.timeZone})`
}
