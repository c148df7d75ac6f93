/**
 * The local times of a recurrence rule: its days, each with a table of times.
 *
 * A table is one sorted list for all days, but where hours, minutes or seconds are stepped by an interval that does not
 * divide a day: then the list depends on where the day falls in the step, and there is one for each remainder.
 *
 *     FREQ=MINUTELY;INTERVAL=7     day 0: 00:00 00:07 … 23:55     day 1: 00:02 00:09 … 23:57     …
 *
 * BYSETPOS picks from the times of one period. A period of a day or less is the same every time, so the pick is made once,
 * in the table. Weeks, months and years are listed one at a time.
 */
import { Cache } from "./cache.ts"
import { DAY, daysFromCivil, HORIZON_SECONDS, monthIndexOf, monthStart } from "./cronDate.ts"
import type { Calendar } from "./cronEngine.ts"
import { type Days, firstWeek, makeDays, weekOf, weekYear } from "./recurrenceDays.ts"
import { isSubDaily, lowerBound, mod, type Rule, unitSeconds } from "./recurrenceModel.ts"

/** The times of each day, in seconds from midnight. */
interface Table {
  readonly at: (day: number) => Int32Array
  /** How many days have no time from this one on, as far as that is known at once. */
  readonly empty: (day: number) => number
  /** The number of times of every day, if it is the same. */
  readonly perDay: number | undefined
}

const nothing = new Int32Array(0)

const range = (n: number): ReadonlyArray<number> => Array.from({ length: n }, (_, i) => i)

const ascending = (values: ReadonlyArray<number>): ReadonlyArray<number> =>
  Array.from(new Set(values)).sort((a, b) => a - b)

/** Positions from 1, or from −1 at the end, in a list of so many. */
const positionsIn = (size: number, positions: ReadonlyArray<number>): ReadonlyArray<number> =>
  ascending(positions.map((n) => n > 0 ? n - 1 : size + n).filter((n) => n >= 0 && n < size))

const pick = (times: ReadonlyArray<number>, positions: ReadonlyArray<number>): ReadonlyArray<number> =>
  positions.length === 0 ? times : positionsIn(times.length, positions).map((i) => times[i]!)

const cross = (
  hours: ReadonlyArray<number>,
  minutes: ReadonlyArray<number>,
  seconds: ReadonlyArray<number>
): ReadonlyArray<number> => hours.flatMap((h) => minutes.flatMap((m) => seconds.map((s) => h * 3600 + m * 60 + s)))

const or = (values: ReadonlyArray<number>, otherwise: ReadonlyArray<number>): ReadonlyArray<number> =>
  values.length > 0 ? ascending(values) : otherwise

const fixedTable = (times: Int32Array): Table => ({ at: () => times, empty: () => 1, perDay: times.length })

/** The table of a rule that steps by days or more, before BYSETPOS. */
const timesOfDay = (rule: Rule, time: number): ReadonlyArray<number> =>
  cross(
    or(rule.byHour, [Math.floor(time / 3600)]),
    or(rule.byMinute, [Math.floor(time / 60) % 60]),
    or(rule.bySecond, [time % 60])
  )

/** What the tables of one rule have in common, whatever their starts: a list of seconds is too large for every task. */
interface Steps {
  /** Which steps of a day the rule allows. */
  readonly allowed: Uint8Array
  readonly lists: Cache<number, Int32Array>
}

/** Lists remembered for a rule, of which there is one for each remainder of the interval. */
const MAX_LISTS = 64

const known = new WeakMap<Rule, Steps>()

const stepsOf = (rule: Rule): Steps => {
  let steps = known.get(rule)
  if (steps === undefined) {
    const { byHour, byMinute, bySecond, frequency } = rule
    const allowed = new Uint8Array(DAY / unitSeconds(frequency))
    for (const h of or(byHour, range(24))) {
      if (frequency === "HOURLY") allowed[h] = 1
      else {
        for (const m of or(byMinute, range(60))) {
          if (frequency === "MINUTELY") allowed[h * 60 + m] = 1
          else for (const s of or(bySecond, range(60))) allowed[h * 3600 + m * 60 + s] = 1
        }
      }
    }
    steps = { allowed, lists: new Cache(MAX_LISTS) }
    known.set(rule, steps)
  }
  return steps
}

/** The table of a rule that steps by hours, minutes or seconds: the steps of the day that are reached, times what each has. */
const steppedTable = (rule: Rule, start: number): Table => {
  const { bySecond, frequency, interval } = rule
  const { allowed, lists } = stepsOf(rule)
  const unit = unitSeconds(frequency)
  const perDay = DAY / unit
  const first = Math.floor(start / unit)
  const inStep = start - first * unit
  const seconds = or(bySecond, [inStep % 60])
  const inside = pick(
    frequency === "HOURLY"
      ? cross([0], or(rule.byMinute, [Math.floor(inStep / 60)]), seconds)
      : frequency === "MINUTELY"
      ? seconds
      : [0],
    rule.bySetPos
  )

  /** The first step of a day that the interval reaches, counted from midnight; beyond the day when there is none. */
  const phase = (day: number): number => mod(first - day * perDay, interval)

  /** The times of a day that is reached at a step. */
  const list = (from: number): Int32Array => {
    let times = lists.get(from * unit + inStep)
    if (times === undefined) {
      let n = 0
      for (let step = from; step < perDay; step += interval) n += allowed[step]!
      times = new Int32Array(n * inside.length)
      let i = 0
      for (let step = from; step < perDay; step += interval) {
        if (allowed[step] === 1) { for (let k = 0; k < inside.length; k++) times[i++] = step * unit + inside[k]! }
      }
      lists.set(from * unit + inStep, times)
    }
    return times
  }

  if (perDay % interval === 0) return fixedTable(list(phase(0)))
  return {
    at(day) {
      const from = phase(day)
      return from < perDay ? list(from) : nothing
    },
    empty: (day) => Math.max(1, Math.floor(phase(day) / perDay)),
    perDay: undefined
  }
}

/** Days with a table each. */
const flat = (days: Days, table: Table): Calendar => {
  const { perDay } = table

  const countBelow = (day: number, time: number): number => days.has(day) ? lowerBound(table.at(day), time) : 0

  return {
    next(local) {
      let day = Math.floor(local / DAY)
      let step = 1
      if (days.has(day)) {
        const times = table.at(day)
        const i = lowerBound(times, local - day * DAY)
        if (i < times.length) return day * DAY + times[i]!
        if (times.length === 0) step = table.empty(day)
      }
      const horizon = local + HORIZON_SECONDS
      while (true) {
        day = days.next(day + step)
        if (day * DAY > horizon) return Infinity
        const times = table.at(day)
        if (times.length > 0) return day * DAY + times[0]!
        step = table.empty(day)
      }
    },
    previous(local) {
      let day = Math.floor(local / DAY)
      if (days.has(day)) {
        const times = table.at(day)
        const i = lowerBound(times, local - day * DAY + 1)
        if (i > 0) return day * DAY + times[i - 1]!
      }
      const horizon = local - HORIZON_SECONDS
      while (true) {
        day = days.previous(day - 1)
        if (day * DAY < horizon) return -Infinity
        const times = table.at(day)
        if (times.length > 0) return day * DAY + times[times.length - 1]!
      }
    },
    count(from, until) {
      if (until <= from) return 0
      const first = Math.floor(from / DAY)
      const last = Math.floor(until / DAY)
      let n = countBelow(last, until - last * DAY) - countBelow(first, from - first * DAY)
      if (perDay !== undefined) return n + days.count(first, last) * perDay
      for (let day = days.next(first); day < last; day = days.next(day + 1)) n += table.at(day).length
      return n
    }
  }
}

/** Stretches of whole days that BYSETPOS looks at one at a time, numbered. */
interface Periods {
  readonly of: (day: number) => number
  readonly start: (period: number) => number
}

const periodsOf = (rule: Rule): Periods => {
  const { byWeekNo, frequency, weekStart } = rule
  switch (frequency) {
    case "WEEKLY":
      // Week 0 is the one that has the first day of 1970.
      return {
        of: (day) => (weekOf(day, weekStart) - weekOf(0, weekStart)) / 7,
        start: (period) => weekOf(0, weekStart) + period * 7
      }
    case "MONTHLY":
      return { of: monthIndexOf, start: monthStart }
    default:
      return byWeekNo.length > 0
        ? { of: (day) => weekYear(weekOf(day, weekStart)), start: (year) => firstWeek(year, weekStart) }
        : { of: (day) => Math.floor(monthIndexOf(day) / 12), start: (year) => daysFromCivil(year, 1, 1) }
  }
}

/** Positions among the times of each week, month or year. */
const positioned = (rule: Rule, days: Days, times: ReadonlyArray<number>, start: number): Calendar => {
  const periods = periodsOf(rule)
  const { bySetPos, interval } = rule
  const origin = periods.of(Math.floor(start / DAY))
  let loaded = NaN
  let list: ReadonlyArray<number> = []

  const load = (period: number): ReadonlyArray<number> => {
    if (period === loaded) return list
    const found: Array<number> = []
    const end = periods.start(period + 1)
    for (let day = periods.start(period); day < end; day++) if (days.has(day)) found.push(day)
    list = positionsIn(found.length * times.length, bySetPos).map((i) =>
      found[Math.floor(i / times.length)]! * DAY + times[i % times.length]!
    )
    loaded = period
    return list
  }

  return {
    next(local) {
      const horizon = local + HORIZON_SECONDS
      const period = periods.of(Math.floor(local / DAY))
      for (let p = period + mod(origin - period, interval); periods.start(p) * DAY <= horizon; p += interval) {
        const found = load(p)
        const i = lowerBound(found, local)
        if (i < found.length) return found[i]!
      }
      return Infinity
    },
    previous(local) {
      const horizon = local - HORIZON_SECONDS
      const period = periods.of(Math.floor(local / DAY))
      for (let p = period - mod(period - origin, interval); periods.start(p + 1) * DAY > horizon; p -= interval) {
        const found = load(p)
        const i = lowerBound(found, local + 1)
        if (i > 0) return found[i - 1]!
      }
      return -Infinity
    },
    count(from, until) {
      let n = 0
      const period = periods.of(Math.floor(from / DAY))
      for (let p = period + mod(origin - period, interval); periods.start(p) * DAY < until; p += interval) {
        const found = load(p)
        n += lowerBound(found, until) - lowerBound(found, from)
      }
      return n
    }
  }
}

/**
 * The local times of a rule, in civil seconds. The start says where steps begin and stands in for absent parts; that nothing
 * occurs before it is the business of the engine, as are COUNT, UNTIL and the dates beside the rule.
 */
export const makeRecurrenceCalendar = (rule: Rule, start: number): Calendar => {
  const days = makeDays(rule, Math.floor(start / DAY))
  if (isSubDaily(rule)) return flat(days, steppedTable(rule, start))
  const times = timesOfDay(rule, mod(start, DAY))
  return rule.bySetPos.length === 0 || rule.frequency === "DAILY"
    ? flat(days, fixedTable(Int32Array.from(pick(times, rule.bySetPos))))
    : positioned(rule, days, times, start)
}
