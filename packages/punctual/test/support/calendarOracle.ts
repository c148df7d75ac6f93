/**
 * Days and clocks told in the plainest way: `Date` in UTC for dates, `Intl` for clocks, one day after another.
 */

const DAY = 86_400_000

/** Civil milliseconds, as if UTC: a local time without its zone. */
export type Local = number

interface Stretch {
  readonly start: number
  readonly end: number
  readonly offset: number
}

/** A zone from one instant to another, as stretches between its changes. */
export interface Clock {
  readonly wall: (instant: number) => Local
  /** When the clock shows a time: twice, once, or never. */
  readonly shows: (local: Local) => ReadonlyArray<number>
  /** The change that skips a time. */
  readonly gap: (local: Local) => { readonly at: number; readonly before: number }
}

export const readClock = (timeZone: string, from: number, to: number): Clock => {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric"
  })
  const offset = (instant: number): number => {
    const [month, day, year, hour, minute, second] = format.format(instant).split(/\D+/).map(Number)
    return Date.UTC(year!, month! - 1, day, hour, minute, second) - instant
  }
  const stretches: Array<Stretch> = []
  let start = from
  let current = offset(from)
  for (let time = from; time < to; time += DAY * 2) {
    if (offset(time + DAY * 2) === current) continue
    let low = time
    let high = time + DAY * 2
    while (high - low > 1000) {
      const middle = Math.floor((low + high) / 2000) * 1000
      if (offset(middle) === current) low = middle
      else high = middle
    }
    stretches.push({ start, end: high, offset: current })
    start = high
    current = offset(high)
  }
  stretches.push({ start, end: Infinity, offset: current })
  return {
    wall: (instant) => instant + stretches.find(({ end }) => instant < end)!.offset,
    shows: (local) =>
      stretches.map(({ offset }) => local - offset).filter((instant, i) =>
        instant >= stretches[i]!.start && instant < stretches[i]!.end
      ),
    gap(local) {
      const i = stretches.findIndex(({ end, offset }, i) =>
        local >= end + offset && local < end + stretches[i + 1]!.offset
      )
      return { at: stretches[i]!.end, before: stretches[i]!.offset }
    }
  }
}

/** The instants at which something at a local time happens. */
export const happens = (
  clock: Clock,
  local: Local,
  gap: "end" | "skip" | "shift",
  overlap: "first" | "second" | "both"
): ReadonlyArray<number> => {
  const all = clock.shows(local)
  if (all.length === 0) {
    if (gap === "skip") return []
    const change = clock.gap(local)
    return [gap === "end" ? change.at : local - change.before]
  }
  return overlap === "both" ? all : [overlap === "second" ? all[all.length - 1]! : all[0]!]
}

// ---------------------------------------------------------------------------------------------------------------------
// holidays
// ---------------------------------------------------------------------------------------------------------------------

/** Easter Sunday by Gauss (1800, with his correction of 1816), as a month and a day. */
const gauss = (year: number): readonly [month: number, day: number] => {
  const a = year % 19
  const k = Math.floor(year / 100)
  const m = (15 - Math.floor((13 + 8 * k) / 25) + k - Math.floor(k / 4)) % 30
  const n = (4 + k - Math.floor(k / 4)) % 7
  const d = (19 * a + m) % 30
  const e = (2 * (year % 4) + 4 * (year % 7) + 6 * d + n) % 7
  let day = 22 + d + e
  if (d === 29 && e === 6) day = 50
  if (d === 28 && e === 6 && a > 10) day = 49
  return day > 31 ? [4, day - 31] : [3, day]
}

/** Midnight of Easter Sunday. */
export const easter = (year: number): Local => {
  const [month, day] = gauss(year)
  return Date.UTC(year, month - 1, day)
}

const weekdays = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
const months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]

const two = (n: number) => String(n).padStart(2, "0")
const yearOf = (day: Local) => new Date(day).getUTCFullYear()
const monthDay = (day: Local) => `${two(new Date(day).getUTCMonth() + 1)}-${two(new Date(day).getUTCDate())}`
const lastDate = (day: Local) => new Date(Date.UTC(yearOf(day), new Date(day).getUTCMonth() + 1, 0)).getUTCDate()

export const iso = (day: Local): string => new Date(day).toISOString().slice(0, 10)

/** Whether a rule names a date, told from the date: a predicate where the calendar has an expansion. */
export const names = (rule: string, day: Local): boolean => {
  const since = / since (\d{4})/.exec(rule)
  const base = rule.replace(/ (since|until|observed|substitute).*$/, "")
  const [from, to = from] = base.split("/") as [string, string?]
  if (/^\d{4}-/.test(from)) return iso(day) >= from && iso(day) <= to
  if (/^\d\d-/.test(from)) {
    // A range around the end of the year belongs to the year it begins in.
    const year = yearOf(day) - (from > to && monthDay(day) <= to ? 1 : 0)
    if (since !== null && year < Number(since[1])) return false
    return from <= to ? monthDay(day) >= from && monthDay(day) <= to : monthDay(day) >= from || monthDay(day) <= to
  }
  const near = (at: (year: number) => Local, by: number): boolean =>
    [-1, 0, 1].some((i) => at(yearOf(day) + i) + by * DAY === day)
  const moved = /^easter([+-]\d+)?$/.exec(base)
  if (moved !== null) return near(easter, Number(moved[1] ?? 0))
  const nth = /^(\w+) (\w+) (\w+?)([+-]\d+)?$/.exec(base)!
  const [, first, second, third, by] = nth
  if (second === "after" || second === "before") {
    const date = base.slice(-5)
    const step = second === "after" ? -DAY : DAY
    return weekdays[new Date(day).getUTCDay()] === first &&
      [1, 2, 3, 4, 5, 6, 7].some((i) => monthDay(day + i * step) === date)
  }
  const origin = day - Number(by ?? 0) * DAY
  const date = new Date(origin).getUTCDate()
  return weekdays[new Date(origin).getUTCDay()] === second && months[new Date(origin).getUTCMonth()] === third &&
    (first === "last" ? date > lastDate(origin) - 7 : Math.ceil(date / 7) === Number(first![0]))
}

export interface DaysOff {
  readonly weekend: ReadonlyArray<string>
  readonly holidays: ReadonlyArray<string>
  readonly open: ReadonlyArray<string>
}

/** Whether a date is open. */
export const isOpen = (off: DaysOff, day: Local): boolean => {
  const weekend = (at: Local) => off.weekend.includes(weekdays[new Date(at).getUTCDay()]!)
  const plain = (at: Local) => off.holidays.some((rule) => names(rule, at))
  const observed = (at: Local): boolean =>
    !weekend(at) &&
    off.holidays.filter((rule) => rule.includes("observed")).some((rule) =>
      [-6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6].some((by) => {
        // `at` stands for a holiday `by` days before it, when nothing is nearer.
        const holiday = at - by * DAY
        const nearer = (i: number) => !weekend(holiday + i * DAY)
        return names(rule, holiday) && weekend(holiday) &&
          Array.from({ length: Math.abs(by) - 1 }, (_, i) => i + 1).every((i) => !nearer(i) && !nearer(-i)) &&
          (by > 0 || !nearer(-by))
      })
    )
  // Holidays on weekends of the months before, in order, each take the next free day.
  const substituted = (at: Local): boolean => {
    const taken = new Set<Local>()
    for (let from = at - 60 * DAY; from <= at; from += DAY) {
      for (const rule of off.holidays.filter((rule) => rule.includes("substitute"))) {
        if (!names(rule, from) || !weekend(from)) continue
        let to = from + DAY
        while (weekend(to) || plain(to) || observed(to) || taken.has(to)) to += DAY
        taken.add(to)
      }
    }
    return taken.has(at)
  }
  return off.open.some((rule) => names(rule, day)) || !(weekend(day) || plain(day) || observed(day) || substituted(day))
}
