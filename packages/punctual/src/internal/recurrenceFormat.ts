/**
 * Recurrence rules in words a person reads: "every 2 weeks on Monday and Wednesday at 09:00, 10 times".
 */
import { DAY, monthIndexOf, weekdayOf } from "./cronDate.ts"
import { list, monthNames, ordinal, plural, sentence, weekdayList } from "./cronFormat.ts"
import { printDate } from "./recurrenceLines.ts"
import {
  dayOfMonth,
  isSubDaily,
  mod,
  type OrdinalWeekday,
  type Recurrence,
  type RecurrenceDate
} from "./recurrenceModel.ts"

const units = {
  YEARLY: "year",
  MONTHLY: "month",
  WEEKLY: "week",
  DAILY: "day",
  HOURLY: "hour",
  MINUTELY: "minute",
  SECONDLY: "second"
} as const

export const format = (recurrence: Recurrence): string => {
  const { bySetPos, count, excluded, included, interval, start, until } = recurrence
  const unit = units[recurrence.frequency]
  const parts = [
    `every ${interval === 1 ? unit : `${interval} ${unit}s`}`,
    ...months(recurrence),
    ...days(recurrence),
    ...times(recurrence)
  ]
  const clauses = [
    ...(bySetPos.length === 0 ? [] : [`only the ${positions(bySetPos)} of each ${unit}`]),
    ...(start === undefined ? [] : [`from ${show(start)}`]),
    ...(until === undefined ? [] : [`until ${show(until)}`]),
    ...(count === undefined ? [] : [count === 1 ? "once" : `${count} times`]),
    ...(included.length === 0 ? [] : [`also ${dates(included)}`]),
    ...(excluded.length === 0 ? [] : [`but not ${dates(excluded)}`])
  ]
  return [parts.join(" "), ...clauses].join(", ")
}

/** "1st", "last", "2nd to last" */
const place = (n: number): string => n > 0 ? ordinal(n) : n === -1 ? "last" : `${ordinal(-n)} to last`

const positions = (values: ReadonlyArray<number>): string => sentence(values.map(place))

const months = (
  { byDay, byMonth, byMonthDay, byWeekNo, byYearDay, frequency, start }: Recurrence
): ReadonlyArray<string> => {
  const bare = [byDay, byMonth, byMonthDay, byWeekNo, byYearDay].every((values) => values.length === 0)
  const from = frequency === "YEARLY" && bare && start !== undefined
    ? [mod(monthIndexOf(Math.floor(start.local / DAY)), 12) + 1]
    : byMonth
  return from.length === 0 ? [] : [`in ${list(from, (month) => monthNames[month - 1]!)}`]
}

/** Numbers from the front are read as they are, those from the back as places: "days 1, 15 and the last day". */
const numbered = (name: string, values: ReadonlyArray<number>): string => {
  const front = values.filter((n) => n > 0)
  const back = values.filter((n) => n < 0)
  return sentence([
    ...(front.length === 0 ? [] : [`${plural(name, front)} ${list(front)}`]),
    ...(back.length === 0 ? [] : [`the ${sentence(back.map(place))} ${name}`])
  ])
}

const weekdays = (values: ReadonlyArray<OrdinalWeekday>): string => {
  const every = values.filter((day) => day.ordinal === 0).map((day) => day.weekday)
  const counted = values.filter((day) => day.ordinal !== 0)
  return sentence([
    ...(every.length === 0 ? [] : [weekdayList(every)]),
    ...counted.map((day) => `the ${place(day.ordinal)} ${weekdayList([day.weekday])}`)
  ])
}

const days = (recurrence: Recurrence): ReadonlyArray<string> => {
  const { byDay, byMonth, byMonthDay, byWeekNo, byYearDay, frequency, start } = recurrence
  const parts: Array<string> = []
  if (byWeekNo.length > 0) parts.push(`in ${numbered("week", byWeekNo)} of the year`)
  if (byYearDay.length > 0) parts.push(`on ${numbered("day", byYearDay)} of the year`)
  if (byMonthDay.length > 0) {
    parts.push(`on ${numbered("day", byMonthDay)}${frequency === "MONTHLY" ? "" : " of the month"}`)
  }
  if (byDay.length > 0) {
    const ofYear = frequency === "YEARLY" && byMonth.length === 0 && byDay.some((day) => day.ordinal !== 0)
    const text = weekdays(byDay) + (ofYear ? " of the year" : "")
    parts.push(byYearDay.length + byMonthDay.length > 0 ? `when that is ${text}` : `on ${text}`)
  }
  if (byDay.length + byMonthDay.length + byYearDay.length === 0 && start !== undefined) {
    const day = Math.floor(start.local / DAY)
    if (frequency === "WEEKLY" || byWeekNo.length > 0) parts.push(`on ${weekdayList([weekdayOf(day)])}`)
    else if (frequency === "MONTHLY" || frequency === "YEARLY") parts.push(`on day ${dayOfMonth(day)}`)
  }
  return parts
}

const two = (n: number): string => String(n).padStart(2, "0")

/** More than so many times are told as hours and minutes. */
const MAX_TIMES = 6

const times = (recurrence: Recurrence): ReadonlyArray<string> => {
  const { byHour, byMinute, bySecond, start } = recurrence
  const limits = [
    ...(bySecond.length === 0 ? [] : [`${plural("second", bySecond)} ${list(bySecond)}`]),
    ...(byMinute.length === 0 ? [] : [`${plural("minute", byMinute)} ${list(byMinute)}`]),
    ...(byHour.length === 0 ? [] : [`${plural("hour", byHour)} ${list(byHour)}`])
  ]
  const spelled = limits.length === 0 ? [] : [`at ${limits.join(" of ")}`]
  if (isSubDaily(recurrence) || start?.date === true) return spelled
  const time = start === undefined ? undefined : mod(start.local, DAY)
  const hours = byHour.length > 0 ? byHour : time === undefined ? [] : [Math.floor(time / 3600)]
  const minutes = byMinute.length > 0 ? byMinute : time === undefined ? [] : [Math.floor(time / 60) % 60]
  // Where nobody said which second, it is not worth a word.
  const seconds = bySecond.length > 0 ? bySecond : [time === undefined ? 0 : time % 60]
  const number = hours.length * minutes.length * seconds.length
  if (number === 0 || number > MAX_TIMES) return spelled
  const texts = hours.flatMap((h) =>
    minutes.flatMap((m) => seconds.map((s) => `${two(h)}:${two(m)}${s === 0 ? "" : `:${two(s)}`}`))
  )
  return [`at ${sentence(texts)}`]
}

/** `2026-01-05`, `2026-01-05 09:00`, with seconds and the zone where they matter. */
const show = (date: RecurrenceDate): string => {
  const text = printDate(date)
  const day = `${text.slice(0, 4)}-${text.slice(4, 6)}-${text.slice(6, 8)}`
  if (date.date) return day
  const seconds = text.slice(13, 15)
  return `${day} ${text.slice(9, 11)}:${text.slice(11, 13)}${seconds === "00" ? "" : `:${seconds}`}${
    date.timeZone === "UTC" ? " UTC" : ""
  }`
}

/** Dates one by one, as long as they are few. */
const dates = (values: ReadonlyArray<RecurrenceDate>): string =>
  values.length > 3 ? `on ${values.length} dates` : `on ${sentence(values.map(show))}`
