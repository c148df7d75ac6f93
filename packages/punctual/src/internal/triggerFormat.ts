/**
 * Triggers in words a person reads.
 */
import * as DateTime from "effect/DateTime"
import type { CronExpression } from "../CronExpression.ts"
import type { DateRange, Trigger, Window } from "../Trigger.ts"
import { weekdayNames } from "./triggerEncode.ts"
import { formatTime } from "./triggerInput.ts"
import { isEvent } from "./triggerModel.ts"

const weekdays = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
const months = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December"
]

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
      return expression(trigger.expression) + ` (${trigger.timeZone})` +
        (trigger.gap === undefined
          ? ""
          : trigger.gap === "skip"
          ? ", not at skipped times"
          : ", skipped times shifted") +
        (trigger.overlap === undefined
          ? ""
          : trigger.overlap === "both"
          ? ", repeated times both times"
          : `, repeated times the ${trigger.overlap} time`)
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
    case "Jittered":
      return `${grouped(trigger.trigger, trigger)}, up to ${duration(trigger.width)} late by jitter`
  }
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

/** "1, 3 and 5 to 7" */
const list = (values: ReadonlyArray<number>, show: (value: number) => string = String): string => {
  const parts: Array<string> = []
  for (let i = 0; i < values.length;) {
    let j = i
    while (j + 1 < values.length && values[j + 1] === values[j]! + 1) j++
    if (j - i >= 2) {
      parts.push(`${show(values[i]!)} to ${show(values[j]!)}`)
      i = j + 1
    } else {
      parts.push(show(values[i]!))
      i++
    }
  }
  return parts.length === 1 ? parts[0]! : `${parts.slice(0, -1).join(", ")} and ${parts[parts.length - 1]}`
}

/** Weekdays are read from Monday, so that a weekend is not torn apart. */
const weekdayList = (values: ReadonlyArray<number>): string =>
  list(values.map((day) => (day + 6) % 7).sort((a, b) => a - b), (day) => weekdays[(day + 1) % 7]!)

/** The step of a list that covers its whole range evenly from 0, such as 0, 15, 30, 45; 0 when it does not. */
const stepOf = (values: ReadonlyArray<number>, size: number): number => {
  const step = size / values.length
  return values.length > 1 && Number.isInteger(step) && values.every((value, i) => value === i * step) ? step : 0
}

const plural = (name: string, values: ReadonlyArray<number>): string => `${name}${values.length === 1 ? "" : "s"}`

const each = (name: string, values: ReadonlyArray<number>, size: number): string => {
  const step = stepOf(values, size)
  return step === 1
    ? `every ${name}`
    : step > 1
    ? `every ${step} ${name}s`
    : `at ${plural(name, values)} ${list(values)}`
}

const timeOfDay = ({ hours, minutes, seconds }: CronExpression): string => {
  const times = hours.length * minutes.length * seconds.length
  if (times <= 6) {
    const texts = hours.flatMap((h) => minutes.flatMap((m) => seconds.map((s) => formatTime(h * 3600 + m * 60 + s))))
    return `at ${texts.length === 1 ? texts[0] : `${texts.slice(0, -1).join(", ")} and ${texts[texts.length - 1]}`}`
  }
  const exact = seconds.length === 1 && seconds[0] === 0
  const onTheHour = minutes.length === 1 && minutes[0] === 0
  if (exact && onTheHour) return each("hour", hours, 24)
  const parts: Array<string> = []
  if (!exact) parts.push(each("second", seconds, 60))
  if (exact || minutes.length < 60) parts.push(each("minute", minutes, 60))
  if (hours.length < 24) {
    parts.push(`${stepOf(hours, 24) > 1 ? each("hour", hours, 24) : `${plural("hour", hours)} ${list(hours)}`}`)
  } else if (stepOf(minutes, 60) === 0) parts.push("every hour")
  return parts.map((part, i) => i === 0 ? part : part.replace(/^at /, "")).join(" of ")
}

const expression = (self: CronExpression): string => {
  const parts = [timeOfDay(self)]
  const days = self.days.length === 31 ? "" : `${plural("day", self.days)} ${list(self.days)} of the month`
  const week = self.weekdays.length === 7 ? "" : weekdayList(self.weekdays)
  if (days !== "" && week !== "") {
    parts.push(self.either ? `on ${days} or on ${week}` : `on ${days} when that is ${week}`)
  } else if (days !== "" || week !== "") {
    parts.push(self.either ? "on every day" : `on ${days}${week}`)
  }
  if (self.months.length < 12) parts.push(`in ${list(self.months, (month) => months[month - 1]!)}`)
  return parts.join(" ")
}

const dates = ({ from, to }: DateRange): string => {
  const show = (text: string) =>
    text.length === 5 ? `${Number(text.slice(3))} ${months[Number(text.slice(0, 2)) - 1]}` : text
  return from === to ? show(from) : `${show(from)} to ${show(to)}`
}

const window = (self: Window): string => {
  const parts: Array<string> = []
  if (self.times !== undefined) parts.push(self.times.map(({ from, to }) => `from ${from} to ${to}`).join(" and "))
  if (self.weekdays !== undefined) {
    parts.push(`on ${weekdayList(self.weekdays.map((day) => weekdayNames.indexOf(day)))}`)
  }
  if (self.dates !== undefined) parts.push(`on ${self.dates.map(dates).join(" and ")}`)
  return `${parts.join(", ")} (${self.timeZone})`
}
