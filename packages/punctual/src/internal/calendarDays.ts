/**
 * The days of a calendar as a set of integers: days since 1970-01-01.
 *
 * Rules are spelled out once per year, on first use, into a table with one byte for each day, so that a lookup is an
 * index and a search for the next open day is one for a byte.
 */
import type { Calendar, CalendarPart } from "../Calendar.ts"
import { civilOf, parseRule, type Rule, type Span, spanOf } from "./calendarRule.ts"
import { daysFromCivil, weekdayOf } from "./cronDate.ts"
import { weekdayNames } from "./triggerEncode.ts"

export interface Days {
  readonly isOpen: (day: number) => boolean
  /** The first day from `day` to `limit` that is open, or closed; `Infinity` when none is. */
  readonly next: (day: number, limit: number, open: boolean) => number
  /** The last day from `day` back to `limit` that is open, or closed; `-Infinity` when none is. */
  readonly previous: (day: number, limit: number, open: boolean) => number
  /** The holiday on a closed day; `undefined` on other days, and where only the weekend closes. */
  readonly holiday: (day: number) => { readonly name: string | undefined } | undefined
}

interface Year {
  /** First day, and the one after the last. */
  readonly start: number
  readonly end: number
  /** 1 where closed. */
  readonly closed: Uint8Array
  readonly holidays: ReadonlyMap<number, string | undefined>
}

/** Years kept: more than a search of a hundred years needs, and bounded. */
const MAX_YEARS = 256

const cache = new WeakMap<Calendar, Days>()

/** Calendars are frozen, so what was spelled out for one is kept with it. */
export const daysOf = (calendar: Calendar): Days => {
  let days = cache.get(calendar)
  if (days === undefined) {
    days = makeDays(calendar)
    cache.set(calendar, days)
  }
  return days
}

const makeDays = (calendar: Calendar): Days => {
  const parts = calendar.parts.map(compile)
  const years = new Map<number, Year>()
  let current: Year = { start: 1, end: 0, closed: new Uint8Array(0), holidays: new Map() }

  const load = (day: number): Year => {
    if (day >= current.start && day < current.end) return current
    const { year } = civilOf(day)
    let found = years.get(year)
    if (found === undefined) {
      if (years.size >= MAX_YEARS) years.clear()
      found = spellOut(parts, year)
      years.set(year, found)
    }
    current = found
    return found
  }

  return {
    isOpen(day) {
      const { closed, start } = load(day)
      return closed[day - start] === 0
    },
    next(day, limit, open) {
      const wanted = open ? 0 : 1
      for (let at = day; at <= limit;) {
        const { closed, end, start } = load(at)
        const found = closed.indexOf(wanted, at - start)
        if (found >= 0) return start + found <= limit ? start + found : Infinity
        at = end
      }
      return Infinity
    },
    previous(day, limit, open) {
      const wanted = open ? 0 : 1
      for (let at = day; at >= limit;) {
        const { closed, start } = load(at)
        const found = closed.lastIndexOf(wanted, at - start)
        if (found >= 0) return start + found >= limit ? start + found : -Infinity
        at = start - 1
      }
      return -Infinity
    },
    holiday(day) {
      const { holidays } = load(day)
      return holidays.has(day) ? { name: holidays.get(day) } : undefined
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// one part
// ---------------------------------------------------------------------------------------------------------------------

interface NamedRule {
  readonly rule: Rule
  readonly name: string | undefined
}

/** Rules of every year, and dates by the years they touch: a list of many dates costs no more than its year. */
interface Rules {
  readonly yearly: ReadonlyArray<NamedRule>
  readonly dated: ReadonlyMap<number, ReadonlyArray<Span & { readonly name: string | undefined }>>
  /** Spans of more than a year. */
  readonly long: ReadonlyArray<Span & { readonly name: string | undefined }>
}

interface Compiled {
  /** Bits of the weekdays that are closed. */
  readonly weekend: number
  readonly holidays: Rules
  readonly open: Rules
}

const compile = (part: CalendarPart): Compiled => {
  let weekend = 0
  for (const name of part.weekend) weekend |= 1 << weekdayNames.indexOf(name)
  return {
    weekend,
    holidays: rulesOf(part.holidays),
    open: rulesOf(part.open.map((date) => ({ date, name: undefined })))
  }
}

const rulesOf = (holidays: ReadonlyArray<{ readonly date: string; readonly name: string | undefined }>): Rules => {
  const yearly: Array<NamedRule> = []
  const dated = new Map<number, Array<Span & { readonly name: string | undefined }>>()
  const long: Array<Span & { readonly name: string | undefined }> = []
  for (const { date, name } of holidays) {
    const rule = parseRule(date)
    if (typeof rule === "string") continue // calendars are made of rules that were read before
    if (rule.base.kind !== "dated") {
      yearly.push({ rule, name })
      continue
    }
    const span = { from: rule.base.from, to: rule.base.to, name }
    const first = civilOf(span.from).year
    const last = civilOf(span.to).year
    if (last > first + 1) {
      long.push(span)
      continue
    }
    for (let year = first; year <= last; year++) {
      const list = dated.get(year)
      if (list === undefined) dated.set(year, [span])
      else list.push(span)
    }
  }
  return { yearly, dated, long }
}

/** Calls `each` with every day of the rules in the years `first` to `last`, before any of them is moved. */
const everyDay = (
  rules: Rules,
  first: number,
  last: number,
  each: (day: number, name: string | undefined, rule: Rule | undefined) => void
): void => {
  const start = daysFromCivil(first, 1, 1)
  const end = daysFromCivil(last + 1, 1, 1) - 1
  const within = (span: Span, name: string | undefined, rule: Rule | undefined): void => {
    for (let day = Math.max(span.from, start); day <= Math.min(span.to, end); day++) each(day, name, rule)
  }
  // Ranges go around the end of a year, and a rule may name a day beside it.
  for (let year = first - 1; year <= last + 1; year++) {
    for (const { name, rule } of rules.yearly) {
      const span = spanOf(rule, year)
      if (span !== undefined) within(span, name, rule)
    }
  }
  for (let year = first; year <= last; year++) {
    // A span over the turn of a year is listed in both: each year takes its own days.
    for (const span of rules.dated.get(year) ?? []) {
      const from = Math.max(span.from, daysFromCivil(year, 1, 1))
      within({ from, to: Math.min(span.to, daysFromCivil(year + 1, 1, 1) - 1) }, span.name, undefined)
    }
  }
  for (const span of rules.long) within(span, span.name, undefined)
}

/** How far a moved holiday is carried: further than any weekend, even with a week of holidays behind it. */
const MAX_MOVE = 366

/** The holidays of a year. A day moves at most into the next year or the one before, so those are looked at too. */
const holidaysOf = ({ holidays, weekend }: Compiled, year: number): ReadonlyMap<number, string | undefined> => {
  const found = new Map<number, string | undefined>()
  const add = (day: number, name: string | undefined): void => {
    if (!found.has(day) || found.get(day) === undefined) found.set(day, name)
  }
  const atWeekend = (day: number): boolean => (weekend >> weekdayOf(day) & 1) === 1
  const observed: Array<{ readonly day: number; readonly name: string | undefined }> = []
  const substituted: Array<{ readonly day: number; readonly name: string | undefined }> = []
  everyDay(holidays, year - 1, year + 1, (day, name, rule) => {
    add(day, name)
    if (rule?.moved === undefined || !atWeekend(day)) return
    if (rule.moved === "observed") observed.push({ day, name })
    else substituted.push({ day, name })
  })
  const label = (name: string | undefined, how: string): string | undefined =>
    name === undefined ? undefined : `${name} (${how})`
  for (const { day, name } of observed) {
    for (let by = 1; by <= 6; by++) {
      const to = !atWeekend(day + by) ? day + by : !atWeekend(day - by) ? day - by : undefined
      if (to !== undefined) {
        // Saturday and Sunday: Friday is nearer to the one, Monday to the other; halfway between, the later day counts.
        add(to, label(name, "observed"))
        break
      }
    }
  }
  // The earlier holiday has the first choice.
  for (const { day, name } of substituted.sort((a, b) => a.day - b.day)) {
    for (let to = day + 1; to <= day + MAX_MOVE; to++) {
      if (atWeekend(to) || found.has(to)) continue
      add(to, label(name, "substitute"))
      break
    }
  }
  return found
}

const spellOut = (parts: ReadonlyArray<Compiled>, year: number): Year => {
  const start = daysFromCivil(year, 1, 1)
  const end = daysFromCivil(year + 1, 1, 1)
  const closed = new Uint8Array(end - start)
  const holidays = new Map<number, string | undefined>()
  for (const part of parts) {
    const open = new Uint8Array(end - start)
    everyDay(part.open, year, year, (day) => {
      open[day - start] = 1
    })
    const weekday = weekdayOf(start)
    for (let i = 0; i < closed.length; i++) {
      if (open[i] === 0 && (part.weekend >> (weekday + i) % 7 & 1) === 1) closed[i] = 1
    }
    for (const [day, name] of holidaysOf(part, year)) {
      if (day < start || day >= end || open[day - start] === 1) continue
      closed[day - start] = 1
      if (!holidays.has(day) || holidays.get(day) === undefined) holidays.set(day, name)
    }
  }
  return { start, end, closed, holidays }
}
