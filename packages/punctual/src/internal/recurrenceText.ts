/**
 * Recurrences as text, in one way only: parts in a fixed order, lists sorted, defaults left out. Two texts of one meaning
 * come out the same, and what was printed is read back as it was.
 */
import { printDate } from "./recurrenceLines.ts"
import type { OrdinalWeekday, Recurrence, RecurrenceDate, Rule } from "./recurrenceModel.ts"
import { weekdayCodes } from "./recurrenceModel.ts"

const printDay = ({ ordinal, weekday }: OrdinalWeekday): string =>
  `${ordinal === 0 ? "" : ordinal}${weekdayCodes[weekday]}`

const quoted = (timeZone: string): string => /[:;,]/.test(timeZone) ? `"${timeZone}"` : timeZone

const printRule = (rule: Rule, weekStart: boolean): string => {
  const parts = [`FREQ=${rule.frequency}`]
  const list = (name: string, values: ReadonlyArray<number | string>) => {
    if (values.length > 0) parts.push(`${name}=${values.join(",")}`)
  }
  if (rule.interval > 1) parts.push(`INTERVAL=${rule.interval}`)
  if (rule.count !== undefined) parts.push(`COUNT=${rule.count}`)
  if (rule.until !== undefined) parts.push(`UNTIL=${printDate(rule.until)}`)
  list("BYMONTH", rule.byMonth)
  list("BYWEEKNO", rule.byWeekNo)
  list("BYYEARDAY", rule.byYearDay)
  list("BYMONTHDAY", rule.byMonthDay)
  list("BYDAY", rule.byDay.map(printDay))
  list("BYHOUR", rule.byHour)
  list("BYMINUTE", rule.byMinute)
  list("BYSECOND", rule.bySecond)
  list("BYSETPOS", rule.bySetPos)
  if (rule.weekStart !== 1 && weekStart) parts.push(`WKST=${weekdayCodes[rule.weekStart]}`)
  return parts.join(";")
}

const printDates = (name: string, dates: ReadonlyArray<RecurrenceDate>): ReadonlyArray<string> => {
  const lines = new Map<string, Array<string>>()
  for (const date of dates) {
    const head = date.date
      ? `${name};VALUE=DATE`
      : date.timeZone === undefined || date.timeZone === "UTC"
      ? name
      : `${name};TZID=${quoted(date.timeZone)}`
    lines.set(head, [...lines.get(head) ?? [], printDate(date)])
  }
  return Array.from(lines, ([head, values]) => `${head}:${values.join(",")}`)
}

const print = (recurrence: Recurrence, weekStart: boolean): string => {
  const { excluded, included, start } = recurrence
  const rule = printRule(recurrence, weekStart)
  if (start === undefined && included.length === 0 && excluded.length === 0) return rule
  return [
    ...printDates("DTSTART", start === undefined ? [] : [start]),
    `RRULE:${rule}`,
    ...printDates("RDATE", included),
    ...printDates("EXDATE", excluded)
  ].join("\n")
}

export const format = (recurrence: Recurrence): string => print(recurrence, true)

/** Whether the first day of the week makes a difference. */
const hasWeeks = ({ byDay, bySetPos, byWeekNo, frequency, interval }: Rule): boolean =>
  byWeekNo.length > 0 || (frequency === "WEEKLY" && byDay.length > 0 && (interval > 1 || bySetPos.length > 0))

/** What a recurrence means, as text: equal for different spellings of the same occurrences. */
export const meaning = (recurrence: Recurrence): string => print(recurrence, hasWeeks(recurrence))
