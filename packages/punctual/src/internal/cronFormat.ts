/**
 * Cron expressions in words a person reads: "at 17:00 on the last weekday of the month".
 */
import type { CronExpression } from "../CronExpression.ts"
import { compress, type DayRule, type HashRange } from "./cronModel.ts"
import { formatTime } from "./triggerInput.ts"

const weekdayNames = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]

export const monthNames = [
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

/** "a, b and c" */
export const sentence = (parts: ReadonlyArray<string>): string =>
  parts.length <= 1 ? parts.join() : `${parts.slice(0, -1).join(", ")} and ${parts[parts.length - 1]}`

/** "1, 3 and 5 to 7" */
export const list = (values: ReadonlyArray<number>, show: (value: number) => string = String): string => {
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
  return sentence(parts)
}

/** Weekdays are read from Monday, so that a weekend is not torn apart. */
export const weekdayList = (values: ReadonlyArray<number>): string =>
  list(values.map((day) => (day + 6) % 7).sort((a, b) => a - b), (day) => weekdayNames[(day + 1) % 7]!)

/** The step of a list that covers its whole range evenly from 0, such as 0, 15, 30, 45; 0 when it does not. */
const stepOf = (values: ReadonlyArray<number>, size: number): number => {
  const step = size / values.length
  return values.length > 1 && Number.isInteger(step) && values.every((value, i) => value === i * step) ? step : 0
}

export const plural = (name: string, values: ReadonlyArray<number>): string =>
  `${name}${values.length === 1 ? "" : "s"}`

export const ordinal = (n: number): string => `${n}${["th", "st", "nd", "rd"][n > 3 && n < 21 ? 0 : n % 10] ?? "th"}`

// ---------------------------------------------------------------------------------------------------------------------
// time of day
// ---------------------------------------------------------------------------------------------------------------------

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
    return `at ${sentence(texts)}`
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

// ---------------------------------------------------------------------------------------------------------------------
// hashes
// ---------------------------------------------------------------------------------------------------------------------

const hashNames: Record<HashRange["field"], string> = {
  seconds: "second",
  minutes: "minute",
  hours: "hour",
  days: "day",
  months: "month",
  weekdays: "weekday"
}

/** "the id of the task decides" stands once, after all of them. */
const chosen = ({ field, high, low, step }: HashRange): string => {
  const show = field === "months"
    ? (n: number) => monthNames[n - 1]!
    : field === "weekdays"
    ? (n: number) => weekdayNames[n]!
    : String
  const range = `of ${show(low)} to ${show(high)}`
  return step === undefined
    ? `${field === "hours" ? "an" : "a"} ${hashNames[field]} ${range}`
    : `every ${ordinal(step)} ${hashNames[field]} ${range}`
}

/** A field that `H` is in, with what else is in it. */
const mixed = (self: CronExpression, field: HashRange["field"], values: string): string | undefined => {
  const hashes = self.hashes.filter((hash) => hash.field === field).map(chosen)
  return hashes.length === 0 ? undefined : sentence(values === "" ? hashes : [values, ...hashes])
}

const timesByHash = (self: CronExpression): string => {
  const part = (field: "seconds" | "minutes" | "hours", size: number): string => {
    const values = self[field]
    const name = hashNames[field]
    const plain = values.length === 0
      ? ""
      : values.length === size
      ? `every ${name}`
      : `${plural(name, values)} ${list(values)}`
    return mixed(self, field, plain) ?? plain
  }
  const exact = self.seconds.length === 1 && self.seconds[0] === 0 &&
    !self.hashes.some(({ field }) => field === "seconds")
  return `at ${[...(exact ? [] : [part("seconds", 60)]), part("minutes", 60), part("hours", 24)].join(", ")}`
}

// ---------------------------------------------------------------------------------------------------------------------
// days
// ---------------------------------------------------------------------------------------------------------------------

/** What follows "on". */
const rule = (self: DayRule): string => {
  switch (self._tag) {
    case "FromEnd": {
      const day = self.back === 0
        ? "the last day"
        : `the ${self.back === 1 ? "day" : `${ordinal(self.back)} day`} before the last day`
      return self.workday
        ? self.back === 0 ? "the last weekday of the month" : `the weekday nearest to ${day} of the month`
        : `${day} of the month`
    }
    case "Workday":
      return `the weekday nearest to day ${self.day} of the month`
    case "Nth":
      return `the ${self.nth === "last" ? "last" : ordinal(self.nth)} ${weekdayNames[self.weekday]} of the month`
  }
}

const dayPart = (self: CronExpression): string => {
  const plain = self.days.length === 0 ? "" : `${plural("day", self.days)} ${list(self.days)} of the month`
  const values = sentence([...(plain === "" ? [] : [plain]), ...self.dayRules.map(rule)])
  return self.days.length === 31 ? "" : mixed(self, "days", values) ?? values
}

const weekPart = (self: CronExpression): string => {
  const plain = self.weekdays.length === 0 ? "" : weekdayList(self.weekdays)
  const values = sentence([...(plain === "" ? [] : [plain]), ...self.weekdayRules.map(rule)])
  return self.weekdays.length === 7 ? "" : mixed(self, "weekdays", values) ?? values
}

/** Years with a step are few words: "every 2 years from 2026 to 2040". */
const yearList = (years: ReadonlyArray<number>): string =>
  sentence(
    compress(years).split(",").map((part) => {
      const [range = "", step] = part.split("/")
      const [from, to] = range.split("-")
      return step !== undefined
        ? `every ${step} years from ${from} to ${to}`
        : to === undefined
        ? range
        : `${from} to ${to}`
    })
  )

/** An expression in words. */
export const format = (self: CronExpression): string => {
  const times = self.hashes.some(({ field }) => field === "seconds" || field === "minutes" || field === "hours")
  const parts = [times ? timesByHash(self) : timeOfDay(self)]
  const days = dayPart(self)
  const week = weekPart(self)
  if (days !== "" && week !== "") {
    parts.push(self.either ? `on ${days} or on ${week}` : `on ${days} when that is ${week}`)
  } else if (days !== "" || week !== "") {
    parts.push(self.either ? "on every day" : `on ${days}${week}`)
  }
  const months = self.months.length === 0 ? "" : list(self.months, (month) => monthNames[month - 1]!)
  if (self.months.length < 12) parts.push(`in ${mixed(self, "months", months) ?? months}`)
  if (self.weeks !== undefined) parts.push(`in ISO ${plural("week", self.weeks)} ${list(self.weeks)}`)
  if (self.years !== undefined) parts.push(`in ${yearList(self.years)}`)
  return parts.join(" ") + (self.hashes.length === 0 ? "" : ", as the id of the task decides")
}
