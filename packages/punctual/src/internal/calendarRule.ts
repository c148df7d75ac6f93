/**
 * The rules of holidays: what a text such as `3rd mon jan` or `easter-2` says, and the days it names in a year.
 *
 * | text | days |
 * |---|---|
 * | `2026-12-24`, `2026-12-24/2027-01-01` | that date, those dates |
 * | `12-25`, `12-24/01-06` | of every year; a range may go around its end |
 * | `easter`, `easter-2`, `easter+39` | days from Easter Sunday (Gregorian) |
 * | `1st mon sep`, `last mon may`, `4th thu nov+1` | a weekday of a month, and days from it |
 * | `wed before 11-23`, `sat after 06-19` | the closest such weekday, never the date itself |
 * | `… observed` | also the nearest weekday when it falls on a weekend (United States) |
 * | `… substitute` | also the next day that is neither weekend nor holiday then (United Kingdom) |
 * | `… since 2021`, `… until 2030` | only from, only up to that year, both included |
 *
 * Days are integers: days since 1970-01-01.
 */
import { daysFromCivil, isCivilDate, isLeapYear, monthIndexOf, monthLength, monthStart, weekdayOf } from "./cronDate.ts"
import { closest } from "./timeZone.ts"
import { weekdayNames } from "./triggerEncode.ts"

const monthNames = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
const ordinals = ["1st", "2nd", "3rd", "4th", "5th", "last"]

type Base =
  | { readonly kind: "dated"; readonly from: number; readonly to: number }
  | { readonly kind: "yearly"; readonly from: MonthDay; readonly to: MonthDay }
  | { readonly kind: "easter"; readonly offset: number }
  | {
    readonly kind: "nth"
    /** 6 is the last. */
    readonly n: number
    readonly weekday: number
    readonly month: number
    readonly offset: number
  }
  | { readonly kind: "beside"; readonly weekday: number; readonly after: boolean; readonly date: MonthDay }

interface MonthDay {
  readonly month: number
  readonly day: number
}

export interface Rule {
  /** As it is kept: lower case, single spaces, short names. */
  readonly text: string
  readonly base: Base
  readonly moved: "observed" | "substitute" | undefined
  readonly since: number
  readonly until: number
}

/** Days from one to another, both included. */
export interface Span {
  readonly from: number
  readonly to: number
}

// ---------------------------------------------------------------------------------------------------------------------
// reading
// ---------------------------------------------------------------------------------------------------------------------

const datePattern = /^(\d{4})-(\d\d)-(\d\d)$/

/** The day of a date like `2026-12-24`; `undefined` when there is no such date. */
export const dayOf = (text: string): number | undefined => {
  const match = datePattern.exec(text)
  if (match === null) return undefined
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])]
  return isCivilDate(year, month, day) ? daysFromCivil(year, month, day) : undefined
}

const pad = (n: number, width: number): string => String(n).padStart(width, "0")

const write = ({ day, month }: MonthDay): string => `${pad(month, 2)}-${pad(day, 2)}`

/** Without a year, the 29th of February is a date that some years have. */
const monthDay = (text: string): MonthDay | undefined => {
  const month = Number(text.slice(0, 2))
  const day = Number(text.slice(3))
  return isCivilDate(2024, month, day) ? { month, day } : undefined
}

/** The index of a name in a list of three-letter names, short or in full. */
const named = (text: string, short: ReadonlyArray<string>, full: ReadonlyArray<string>): number => {
  const index = short.indexOf(text)
  return index >= 0 ? index : full.indexOf(text)
}

const fullWeekdays = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
const fullMonths = [
  "january",
  "february",
  "march",
  "april",
  "may",
  "june",
  "july",
  "august",
  "september",
  "october",
  "november",
  "december"
]

const weekdayOfName = (text: string): number => named(text, weekdayNames, fullWeekdays)
const monthOfName = (text: string): number => named(text, monthNames, fullMonths) + 1

const vocabulary = [
  "easter",
  "before",
  "after",
  "observed",
  "substitute",
  "since",
  "until",
  ...ordinals,
  ...weekdayNames,
  ...monthNames,
  ...fullWeekdays,
  ...fullMonths
]

const signed = (offset: number): string => offset === 0 ? "" : offset > 0 ? `+${offset}` : String(offset)

/** A rule, or what is wrong with the text and what to write instead. */
export const parseRule = (input: string): Rule | string => {
  let text = input.trim().toLowerCase().replace(/\s+/g, " ").replace(/ ?([+/]) ?/g, "$1").replace(
    / - ?(?=\d{1,3}\b)/g,
    "-"
  )
  const years = / since (\d{4})(?= |$)/.exec(text)
  const last = / until (\d{4})$/.exec(text)
  const since = years === null ? -Infinity : Number(years[1])
  const until = last === null ? Infinity : Number(last[1])
  if (last !== null) text = text.slice(0, last.index)
  if (years !== null) text = text.replace(years[0], "")
  const shifted = / (observed|substitute)$/.exec(text)
  const moved = shifted === null ? undefined : shifted[1] as "observed" | "substitute"
  if (shifted !== null) text = text.slice(0, shifted.index)

  const base = parseBase(text)
  if (typeof base === "string") return base
  if (base.kind === "dated" && (years !== null || last !== null || moved !== undefined)) {
    return `\`${input}\` has a year, so nothing can follow it: write the dates alone`
  }
  if (moved !== undefined && (base.kind !== "yearly" || write(base.from) !== write(base.to))) {
    return `\`${moved}\` can only follow a single date such as 07-04, which falls on a weekend in some years`
  }
  if (since > until) return `\`${input}\` ends before it begins`
  return {
    text: writeBase(base) + (moved === undefined ? "" : ` ${moved}`) +
      (years === null ? "" : ` since ${pad(since, 4)}`) + (last === null ? "" : ` until ${pad(until, 4)}`),
    base,
    moved,
    since,
    until
  }
}

const unknown = (text: string): string => {
  const odd = text.split(/[\s+\d/-]+/).find((word) => word.length > 2 && !vocabulary.includes(word))
  const hint = odd === undefined ? undefined : closest(odd, vocabulary)
  return `\`${text}\` is not a holiday: write 2026-12-24, 2026-12-24/2027-01-01, 12-25, 12-24/01-06, easter-2, ` +
    `3rd mon jan, last mon may, wed before 11-23 or 07-04 observed${
      hint === undefined ? "" : `; did you mean \`${hint}\`?`
    }`
}

const noSuchDate = (text: string): string => `\`${text}\` is not a date: write 2026-12-24, or 12-24 for every year`

const parseBase = (text: string): Base | string => {
  const dates = /^(\d{4}-\d\d-\d\d)(?:\/(\d{4}-\d\d-\d\d))?$/.exec(text)
  if (dates !== null) {
    const from = dayOf(dates[1]!)
    const to = dayOf(dates[2] ?? dates[1]!)
    if (from === undefined || to === undefined) return noSuchDate(from === undefined ? dates[1]! : dates[2]!)
    return from <= to ? { kind: "dated", from, to } : `${dates[2]} is before ${dates[1]}`
  }
  const yearly = /^(\d\d-\d\d)(?:\/(\d\d-\d\d))?$/.exec(text)
  if (yearly !== null) {
    const from = monthDay(yearly[1]!)
    const to = monthDay(yearly[2] ?? yearly[1]!)
    if (from === undefined || to === undefined) return noSuchDate(from === undefined ? yearly[1]! : yearly[2]!)
    return { kind: "yearly", from, to }
  }
  const easter = /^easter([+-]\d{1,3})?$/.exec(text)
  if (easter !== null) return withOffset({ kind: "easter", offset: Number(easter[1] ?? 0) })
  const nth = /^(1st|2nd|3rd|4th|5th|last) ([a-z]+) (?:of |in )?([a-z]+)([+-]\d{1,3})?$/.exec(text)
  if (nth !== null) {
    const weekday = weekdayOfName(nth[2]!)
    const month = monthOfName(nth[3]!)
    if (weekday >= 0 && month >= 1) {
      const n = ordinals.indexOf(nth[1]!) + 1
      return withOffset({ kind: "nth", n, weekday, month, offset: Number(nth[4] ?? 0) })
    }
  }
  const beside = /^([a-z]+) (before|after) (\d\d-\d\d)$/.exec(text)
  if (beside !== null) {
    const weekday = weekdayOfName(beside[1]!)
    const date = monthDay(beside[3]!)
    if (date === undefined) return noSuchDate(beside[3]!)
    if (weekday >= 0) return { kind: "beside", weekday, after: beside[2] === "after", date }
  }
  return unknown(text)
}

/** Within a year's length, so that a year and its neighbours are all there is to look at. */
const MAX_OFFSET = 300

const withOffset = (base: Extract<Base, { readonly offset: number }>): Base | string =>
  Math.abs(base.offset) <= MAX_OFFSET ? base : `${base.offset} days are too many: at most ${MAX_OFFSET} either way`

const writeBase = (base: Base): string => {
  switch (base.kind) {
    case "dated":
      return base.from === base.to ? writeDay(base.from) : `${writeDay(base.from)}/${writeDay(base.to)}`
    case "yearly": {
      const from = write(base.from)
      const to = write(base.to)
      return from === to ? from : `${from}/${to}`
    }
    case "easter":
      return `easter${signed(base.offset)}`
    case "nth":
      return `${ordinals[base.n - 1]} ${weekdayNames[base.weekday]} ${monthNames[base.month - 1]}${signed(base.offset)}`
    case "beside":
      return `${weekdayNames[base.weekday]} ${base.after ? "after" : "before"} ${write(base.date)}`
  }
}

/** A day as a date like `2026-12-24`. */
export const writeDay = (day: number): string => {
  const { date, month, year } = civilOf(day)
  return `${year < 0 ? `-${pad(-year, 6)}` : year > 9999 ? `+${pad(year, 6)}` : pad(year, 4)}-${pad(month, 2)}-${
    pad(date, 2)
  }`
}

/** The date of a day. */
export const civilOf = (day: number): { readonly year: number; readonly month: number; readonly date: number } => {
  const index = monthIndexOf(day)
  const year = Math.floor(index / 12)
  return { year, month: index - year * 12 + 1, date: day - monthStart(index) + 1 }
}

// ---------------------------------------------------------------------------------------------------------------------
// days
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Easter Sunday of a year in the Gregorian calendar: the anonymous algorithm of 1876 ("Butcher's"), as in J. Meeus,
 * Astronomical Algorithms, 2nd ed. (1998), chapter 8. Whole numbers only, no table, no exception.
 */
export const easterOf = (year: number): number => {
  const a = modulo(year, 19)
  const b = Math.floor(year / 100)
  const c = modulo(year, 100)
  const d = Math.floor(b / 4)
  const e = modulo(b, 4)
  const f = Math.floor((b + 8) / 25)
  const g = Math.floor((b - f + 1) / 3)
  const h = modulo(19 * a + b - d - g + 15, 30)
  const i = Math.floor(c / 4)
  const k = modulo(c, 4)
  const l = modulo(32 + 2 * e + 2 * i - h - k, 7)
  const m = Math.floor((a + 11 * h + 22 * l) / 451)
  const n = h + l - 7 * m + 114
  return daysFromCivil(year, Math.floor(n / 31), n % 31 + 1)
}

const modulo = (n: number, by: number): number => n - Math.floor(n / by) * by

/** The days that a rule of every year names in one, before any of them is moved; `undefined` when there are none. */
export const spanOf = (rule: Rule, year: number): Span | undefined => {
  const { base } = rule
  if (base.kind === "dated" || year < rule.since || year > rule.until) return undefined
  switch (base.kind) {
    case "yearly": {
      const { from, to } = base
      const around = to.month < from.month || (to.month === from.month && to.day < from.day)
      const first = daysFromCivil(year, from.month, from.day) // 29 February is 1 March where there is none
      const end = year + (around ? 1 : 0)
      const last = daysFromCivil(end, to.month, to.day) - (to.month === 2 && to.day === 29 && !isLeapYear(end) ? 1 : 0)
      return first <= last ? { from: first, to: last } : undefined
    }
    case "easter": {
      const day = easterOf(year) + base.offset
      return { from: day, to: day }
    }
    case "nth": {
      const { month, n, offset, weekday } = base
      const length = monthLength(year, month)
      const first = daysFromCivil(year, month, 1)
      const lead = modulo(weekday - weekdayOf(first), 7)
      const at = n === 6 ? lead + Math.floor((length - 1 - lead) / 7) * 7 : lead + (n - 1) * 7
      return at < length ? { from: first + at + offset, to: first + at + offset } : undefined
    }
    case "beside": {
      const date = daysFromCivil(year, base.date.month, base.date.day)
      const day = base.after
        ? date + 1 + modulo(base.weekday - weekdayOf(date + 1), 7)
        : date - 1 - modulo(weekdayOf(date - 1) - base.weekday, 7)
      return { from: day, to: day }
    }
  }
}
