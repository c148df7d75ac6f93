/**
 * Days and times in words, as cron expressions: the rule `days "at" times` of the grammar in `triggerParse`.
 *
 *     weekdays at 9:00 and 17:30     ──▶     0 9 * * MON-FRI     30 17 * * MON-FRI
 */
import { closest } from "./timeZone.ts"
import type { Reader, Token } from "./triggerReader.ts"

const weekdays = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
const ordinals = ["first", "second", "third", "fourth"]

/** What begins a rule in words. */
export const starts: ReadonlyArray<string> = ["every", "daily", "weekdays", "weekends", ...ordinals, "last"]

/** What may follow `every`, besides a period. */
export const days: ReadonlyArray<string> = ["day", "weekday", "weekend", ...weekdays]

const weekdayOf = (word: string): number | undefined => {
  const index = weekdays.findIndex((name) => name === word || name.slice(0, 3) === word)
  return index === -1 ? undefined : index
}

/** Whether a word after `every` names days rather than a period. */
export const isDay = (word: string): boolean =>
  word === "day" || word === "weekday" || word === "weekend" || weekdayOf(word) !== undefined

/** What was probably meant by a word that begins nothing. */
export const meant = (word: string, candidates: ReadonlyArray<string>): string | undefined =>
  weekdayOf(word) === undefined ? closest(word, candidates) : `every ${word}`

/** The expressions of a rule that begins with one of `starts`; commas are words. Stops after the times. */
export const readWords = (reader: Reader): ReadonlyArray<string> => {
  const days = readDays(reader)
  const at = reader.peek()
  if (at?.text.toLowerCase() !== "at") {
    return reader.fail(at, at === undefined ? "ends here" : "is not `at`", "`at` and a time, such as `at 09:00`")
  }
  reader.index++
  // Times with the same minute are one expression, others one for each minute.
  const hours = new Map<string, Set<number>>()
  for (const { hour, minute, second } of readList(reader, "a time", readTime)) {
    const key = second === 0 ? `${minute}` : `${second} ${minute}`
    hours.set(key, (hours.get(key) ?? new Set()).add(hour))
  }
  return Array.from(hours, ([key, set]) => `${key} ${[...set].join(",")} ${days}`)
}

/** Items with commas, `and` or both between them. */
const readList = <A>(reader: Reader, what: string, read: (reader: Reader, token: Token) => A): ReadonlyArray<A> => {
  const items: Array<A> = []
  while (true) {
    const token = reader.peek()
    if (token === undefined || token.text === ",") {
      return reader.fail(token, token === undefined ? "ends here" : "stands where an item should", what)
    }
    reader.index++
    items.push(read(reader, token))
    const comma = reader.peek()?.text === ","
    if (comma) reader.index++
    const and = reader.peek()?.text.toLowerCase() === "and"
    if (and) reader.index++
    if (!comma && !and) return items
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// days
// ---------------------------------------------------------------------------------------------------------------------

const everyDay = "* * *"
const workingDays = "* * MON-FRI"
const weekend = "* * SAT,SUN"

const cronDay = (day: number): string => weekdays[day]!.slice(0, 3).toUpperCase()

/** The last three fields of an expression. */
const readDays = (reader: Reader): string => {
  const word = reader.peek()!.text.toLowerCase()
  reader.index++
  switch (word) {
    case "daily":
      return everyDay
    case "weekdays":
      return workingDays
    case "weekends":
      return weekend
    case "every":
      return daysAfterEvery(reader)
    default:
      return daysOfMonth(reader, word)
  }
}

const daysAfterEvery = (reader: Reader): string => {
  const word = reader.peek()!.text.toLowerCase()
  if (word === "day" || word === "weekday" || word === "weekend") {
    reader.index++
    return word === "day" ? everyDay : word === "weekday" ? workingDays : weekend
  }
  const names = readList(reader, "a weekday", (reader, token) => {
    const day = weekdayOf(token.text.toLowerCase())
    return day === undefined
      ? reader.fail(token, "is not a weekday", "monday to sunday, or mon to sun", closest(token.text, weekdays))
      : cronDay(day)
  })
  return `* * ${names.join(",")}`
}

const daysOfMonth = (reader: Reader, which: string): string => {
  const token = reader.peek()
  const word = token?.text.toLowerCase() ?? ""
  const day = weekdayOf(word)
  if (token === undefined || (day === undefined && word !== "day")) {
    return reader.fail(
      token,
      token === undefined ? "ends here" : "is not a weekday",
      "monday to sunday, or `day`",
      closest(word, [...weekdays, "day"])
    )
  }
  reader.index++
  for (const expected of ["of", "the", "month"]) {
    const found = reader.peek()
    if (found?.text.toLowerCase() !== expected) {
      return reader.fail(found, found === undefined ? "ends here" : `is not \`${expected}\``, "`of the month`")
    }
    reader.index++
  }
  if (day !== undefined) {
    return which === "last" ? `* * ${cronDay(day)}L` : `* * ${cronDay(day)}#${ordinals.indexOf(which) + 1}`
  }
  return which === "last"
    ? "L * *"
    : which === "first"
    ? "1 * *"
    : reader.fail(token, `cannot be the ${which} of a month here`, "`first` or `last`, or a cron expression")
}

// ---------------------------------------------------------------------------------------------------------------------
// times
// ---------------------------------------------------------------------------------------------------------------------

interface Time {
  readonly hour: number
  readonly minute: number
  readonly second: number
}

const readTime = (reader: Reader, token: Token): Time => {
  const word = token.text.toLowerCase()
  const expected = "a time such as 09:00, 9:30pm, noon or midnight"
  if (word === "noon") return { hour: 12, minute: 0, second: 0 }
  if (word === "midnight") return { hour: 0, minute: 0, second: 0 }
  const match = /^(\d{1,2})(?::(\d\d)(?::(\d\d))?)?(am|pm)?$/.exec(word)
  if (match === null) return reader.fail(token, "is not a time", expected)
  const [, digits = "", minutes, seconds, half] = match
  const hour = Number(digits)
  const minute = Number(minutes ?? 0)
  const second = Number(seconds ?? 0)
  if (minutes === undefined && half === undefined) {
    return reader.fail(token, "may be morning or evening", expected, hour <= 23 ? `${digits}:00` : undefined)
  }
  const isTime = minute <= 59 && second <= 59 &&
    (half === undefined ? hour <= 23 : hour >= 1 && hour <= 12 && seconds === undefined)
  if (!isTime) {
    return reader.fail(token, "is not a time of day", expected, hour === 24 && half === undefined ? "00:00" : undefined)
  }
  return { hour: half === undefined ? hour : hour % 12 + (half === "pm" ? 12 : 0), minute, second }
}
