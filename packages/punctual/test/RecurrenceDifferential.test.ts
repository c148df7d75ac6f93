/**
 * The recurrence engine against a filter written from the table of RFC 5545 §3.3.10, time by time, on clocks that change
 * and on clocks that do not.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import type { Engine } from "../src/internal/cronEngine.ts"
import { makeRecurrence, makeRecurrenceDays } from "../src/internal/recurrenceEngine.ts"
import { lookup } from "../src/internal/timeZone.ts"
import * as RecurrenceRule from "../src/RecurrenceRule.ts"
import { dateText, frequencies, int, iso, pick, type Spec, specOf, starts, textOf } from "./support/recurrenceSpecs.ts"
import { shows } from "./support/wallClock.ts"

// ---------------------------------------------------------------------------------------------------------------------
// the filter
// ---------------------------------------------------------------------------------------------------------------------

const DAY = 86_400

interface Civil {
  readonly year: number
  readonly month: number
  readonly date: number
  readonly weekday: number
  readonly yearDay: number
  readonly daysOfMonth: number
  readonly daysOfYear: number
}

const memo = <A>(f: (key: number) => A): (key: number) => A => {
  const known = new Map<number, A>()
  return (key) => {
    let value = known.get(key)
    if (value === undefined) {
      value = f(key)
      known.set(key, value)
    }
    return value
  }
}

const civil = memo((day: number): Civil => {
  const at = new Date(day * DAY * 1000)
  const year = at.getUTCFullYear()
  const month = at.getUTCMonth()
  const first = Date.UTC(year, 0, 1) / 86_400_000
  return {
    year,
    month: month + 1,
    date: at.getUTCDate(),
    weekday: at.getUTCDay(),
    yearDay: day - first + 1,
    daysOfMonth: new Date(Date.UTC(year, month + 1, 0)).getUTCDate(),
    daysOfYear: Date.UTC(year + 1, 0, 1) / 86_400_000 - first
  }
})

/** The number of the week, the year it is counted in, and how many weeks that has: by counting days of weeks. */
const weeksFrom = [0, 1, 2, 3, 4, 5, 6].map((weekStart) =>
  memo((day: number): { readonly year: number; readonly number: number; readonly of: number } => {
    let first = day
    while (civil(first).weekday !== weekStart) first--
    const { year } = civil(first + 3)
    const count = (from: number, step: number): number => {
      let n = 0
      for (let week = from; civil(week + 3).year === year; week += step) n++
      return n
    }
    const number = count(first, -7)
    return { year, number, of: number + count(first + 7, 7) }
  })
)

/** An element that counts from the front or from the back. */
const has = (list: ReadonlyArray<number>, value: number, size: number): boolean =>
  list.includes(value) || list.includes(value - size - 1)

const seconds = { DAILY: DAY, HOURLY: 3600, MINUTELY: 60, SECONDLY: 1 }

const period = (spec: Spec, local: number): number => {
  const day = Math.floor(local / DAY)
  switch (spec.freq) {
    case "YEARLY":
      return spec.weekNo.length > 0 ? weeksFrom[spec.weekStart]!(day).year : civil(day).year
    case "MONTHLY":
      return civil(day).year * 12 + civil(day).month
    case "WEEKLY":
      // The first of these days was a Thursday.
      return Math.floor((day + 4 - spec.weekStart) / 7)
    default:
      return Math.floor(local / seconds[spec.freq])
  }
}

const dayMatches = (spec: Spec, start: number, day: number): boolean => {
  const first = civil(Math.floor(start / DAY))
  const { date, daysOfMonth, daysOfYear, month, weekday, year: _, yearDay } = civil(day)
  const { freq } = spec
  const given = (list: ReadonlyArray<unknown>) => list.length > 0
  const noDays = !given(spec.day) && !given(spec.monthDay) && !given(spec.yearDay)
  if (given(spec.month) && !spec.month.includes(month)) return false
  if (given(spec.monthDay) && !has(spec.monthDay, date, daysOfMonth)) return false
  if (given(spec.yearDay) && !has(spec.yearDay, yearDay, daysOfYear)) return false
  if (given(spec.weekNo)) {
    const week = weeksFrom[spec.weekStart]!(day)
    if (!has(spec.weekNo, week.number, week.of)) return false
  }
  if (given(spec.day)) {
    const ofMonth = freq === "MONTHLY" || given(spec.month)
    const before = ofMonth ? date - 1 : yearDay - 1
    const after = ofMonth ? daysOfMonth - date : daysOfYear - yearDay
    const n = Math.floor(before / 7) + 1
    const back = -Math.floor(after / 7) - 1
    if (!spec.day.some((day) => day.day === weekday && (day.n === 0 || day.n === n || day.n === back))) return false
  }
  // What is missing comes from the start.
  if (noDays && freq === "WEEKLY" && weekday !== first.weekday) return false
  if (noDays && freq === "MONTHLY" && date !== first.date) return false
  if (noDays && freq === "YEARLY") {
    if (given(spec.weekNo)) return weekday === first.weekday
    return date === first.date && (given(spec.month) || month === first.month)
  }
  return true
}

/** All local times in [from, until) that the rule names, whatever the start leaves out. */
const candidates = (spec: Spec, start: number, from: number, until: number): ReadonlyArray<number> => {
  const level = frequencies.indexOf(spec.freq)
  const time = ((start % DAY) + DAY) % DAY
  const hours = spec.hour.length > 0 ? spec.hour : level >= 4 ? undefined : [Math.floor(time / 3600)]
  const minutes = spec.minute.length > 0 ? spec.minute : level >= 5 ? undefined : [Math.floor(time / 60) % 60]
  const seconds = spec.second.length > 0 ? spec.second : level >= 6 ? undefined : [time % 60]
  const origin = period(spec, start)
  const out: Array<number> = []
  for (let day = Math.floor(from / DAY); day * DAY < until; day++) {
    if (!dayMatches(spec, start, day)) continue
    if (level < 4 && (period(spec, day * DAY) - origin) % spec.interval !== 0) continue
    for (let h = 0; h < 24; h++) {
      if (hours?.includes(h) === false) continue
      for (let m = 0; m < 60; m++) {
        if (minutes?.includes(m) === false) continue
        for (let s = 0; s < 60; s++) {
          if (seconds?.includes(s) === false) continue
          const local = day * DAY + h * 3600 + m * 60 + s
          if (local < from || local >= until) continue
          if (level >= 4 && (period(spec, local) - origin) % spec.interval !== 0) continue
          out.push(local)
        }
      }
    }
  }
  return out
}

/** What BYSETPOS leaves of each period; `from` and `until` must not cut one that matters. */
const positioned = (spec: Spec, locals: ReadonlyArray<number>): ReadonlyArray<number> => {
  if (spec.setPos.length === 0) return locals
  const periods = new Map<number, Array<number>>()
  for (const local of locals) {
    const key = period(spec, local)
    const list = periods.get(key)
    if (list === undefined) periods.set(key, [local])
    else list.push(local)
  }
  return Array.from(periods.values()).flatMap((list) => list.filter((_, i) => has(spec.setPos, i + 1, list.length)))
}

/** Local times of the rule in [start, until). */
const bruteForce = (spec: Spec, start: number, until: number): ReadonlyArray<number> => {
  // A year and a week more on both sides, so that every period that has a part inside is whole.
  const margin = frequencies.indexOf(spec.freq) < 4 && spec.setPos.length > 0 ? 400 * DAY : DAY
  return positioned(spec, candidates(spec, start, start - margin, until + margin))
    .filter((local) => local >= start && local < until)
}

// ---------------------------------------------------------------------------------------------------------------------
// checks
// ---------------------------------------------------------------------------------------------------------------------

/** The engine says in [from, until) what the list says: forwards, backwards, counted, and from between. */
const agrees = (engine: Engine, list: ReadonlyArray<number>, from: number, until: number): void => {
  const found: Array<number> = []
  for (let t = engine.next(from); t < until && found.length <= list.length; t = engine.next(t + 1)) found.push(t)
  assert.deepStrictEqual(found.map(iso), list.map(iso))
  for (let i = 0; i < list.length; i++) {
    const before = i === 0 ? from - 1 : list[i - 1]!
    assert.strictEqual(engine.next(before + 1), list[i])
    assert.strictEqual(engine.next(list[i]!), list[i])
    assert.strictEqual(engine.previous(list[i]!), list[i])
    if (i > 0) assert.strictEqual(engine.previous(list[i]! - 1), list[i - 1])
  }
  if (list.length > 0) assert.strictEqual(engine.previous(until - 1), list[list.length - 1])
  // Beyond a hundred years nobody has to count.
  const count = engine.count(from, until)
  if (until - from <= 36_600 * DAY || count !== undefined) assert.strictEqual(count, list.length)
  const middle = list[list.length >> 1] ?? from
  if (until - from > 36_600 * DAY) return
  assert.strictEqual(engine.count(from, middle), list.length >> 1)
  assert.strictEqual(engine.count(middle, until), list.length - (list.length >> 1))
}

const utc = lookup("UTC")!

/** A rule that is refused names days that no month of it has. */
const parse = (text: string, spec: Spec): RecurrenceRule.RecurrenceRule | undefined => {
  const rule = RecurrenceRule.parse(text)
  if (Result.isSuccess(rule)) return rule.success
  const ofMonth = spec.freq === "MONTHLY" || spec.month.length > 0
  const impossible = rule.failure.part === "BYMONTHDAY"
    ? spec.month.every((month) =>
      spec.monthDay.every((day) => Math.abs(day) > new Date(Date.UTC(2024, month, 0)).getUTCDate())
    )
    : rule.failure.part === "BYDAY" && ofMonth && spec.day.every(({ n }) => Math.abs(n) > 5)
  assert.isTrue(impossible, rule.failure.message)
  return undefined
}

describe("recurrences, filtered time by time", () => {
  const check = (years: number) => ([spec, start]: readonly [Spec, number]): void => {
    const rule = parse(textOf(spec), spec)
    if (rule === undefined) return
    const until = start + years * 366 * DAY
    agrees(makeRecurrence(rule, utc, start), bruteForce(spec, start, until), start, until)
  }

  it.prop("years", [specOf(["YEARLY"]), starts], check(3))
  it.prop("months", [specOf(["MONTHLY"]), starts], check(2))
  it.prop("weeks and days", [specOf(["WEEKLY", "DAILY"]), starts], check(1))

  it.prop("hours, minutes and seconds", [specOf(["HOURLY", "MINUTELY", "SECONDLY"]), starts], ([spec, start]) => {
    const rule = parse(textOf(spec), spec)
    if (rule === undefined) return
    const engine = makeRecurrence(rule, utc, start)
    // Enough to see a few, and not more than can be looked at one by one.
    const until = start + (spec.freq === "SECONDLY" ? 3 : spec.freq === "MINUTELY" ? 10 : 60) * DAY
    const list = bruteForce(spec, start, until)
    const cut = list.length > 500 ? list[500]! : until
    agrees(engine, list.filter((local) => local < cut), start, cut)
  })

  it.prop("COUNT is the first so many, UNTIL all up to one", [specOf(frequencies.slice(0, 5)), starts, int(1, 40)], (
    [spec, start, n]
  ) => {
    if (parse(textOf(spec), spec) === undefined) return
    const at = `DTSTART:${dateText(start)}Z\nRRULE:${textOf(spec)}`
    const engine = makeRecurrence(RecurrenceRule.parseUnsafe(at), utc, 0)
    const all: Array<number> = []
    // A COUNT that takes more than four hundred years is no end.
    const far = start + 300 * 366 * DAY
    for (let t = engine.next(start); t < far && all.length <= n; t = engine.next(t + 1)) all.push(t)
    const list = all.slice(0, n)
    const count = list.length === 0 ? n : list.length
    const last = list[list.length - 1] ?? start
    const until = Math.max(last, start) + 4000 * DAY
    agrees(makeRecurrence(RecurrenceRule.parseUnsafe(`${at};COUNT=${count}`), utc, 0), list, start, until)
    for (const end of [last, (all[count] ?? last + 2) - 1]) {
      agrees(makeRecurrence(RecurrenceRule.parseUnsafe(`${at};UNTIL=${dateText(end)}Z`), utc, 0), list, start, until)
    }
  })

  it.prop("RDATE adds, EXDATE takes away, and neither changes COUNT", [
    specOf(frequencies.slice(1, 5)),
    starts,
    Arbitrary.array(int(-3, 12), { maxLength: 4 }),
    Arbitrary.array(int(-3, 12), { maxLength: 4 }),
    Arbitrary.array(int(-1, 20), { maxLength: 2 })
  ], ([spec, start, adds, removes, dropped]) => {
    if (parse(textOf(spec), spec) === undefined) return
    const at = `DTSTART:${dateText(start)}Z\nRRULE:${textOf(spec)};COUNT=8`
    const engine = makeRecurrence(RecurrenceRule.parseUnsafe(at), utc, 0)
    const list: Array<number> = []
    for (let t = engine.next(start); t < Infinity; t = engine.next(t + 1)) list.push(t)
    // An occurrence, or an hour beside one.
    const near = (i: number) => i < 0 ? start + i * 3600 : (list[i] ?? start) + (i % 3 === 0 ? 3600 : 0)
    const rdates = adds.map(near)
    const exdates = removes.map(near)
    const exdays = dropped.map((i) => Math.floor((start + i * DAY) / DAY))
    const lines = [
      at,
      ...rdates.map((t) => `RDATE:${dateText(t)}Z`),
      ...exdates.map((t) => `EXDATE:${dateText(t)}Z`),
      ...exdays.map((day) => `EXDATE;VALUE=DATE:${dateText(day * DAY).slice(0, 8)}`)
    ]
    const expected = Array.from(new Set([...list, ...rdates]))
      .filter((t) => !exdates.includes(t) && !exdays.includes(Math.floor(t / DAY)))
      .sort((a, b) => a - b)
    const last = Math.max(start, list[list.length - 1] ?? start) + 3 * DAY
    agrees(makeRecurrence(RecurrenceRule.parseUnsafe(lines.join("\n")), utc, 0), expected, start - 3 * DAY, last)
  })

  it.prop("the days of a rule", [specOf(frequencies.slice(0, 5)), starts], ([spec, start]) => {
    const rule = parse(textOf(spec), spec)
    if (rule === undefined) return
    const first = Math.floor(start / DAY)
    const days = makeRecurrenceDays(rule, first)
    const expected = new Set(bruteForce(spec, first * DAY, (first + 80) * DAY).map((t) => Math.floor(t / DAY)))
    for (let day = first - 5; day < first + 80; day++) {
      assert.strictEqual(days.contains(day), expected.has(day), iso(day * DAY))
    }
  })
})

// ---------------------------------------------------------------------------------------------------------------------
// clocks that change
// ---------------------------------------------------------------------------------------------------------------------

const places: ReadonlyArray<readonly [timeZone: string, change: string]> = [
  ["Europe/Berlin", "2026-03-29T01:00Z"],
  ["Europe/Berlin", "2026-10-25T01:00Z"],
  ["America/New_York", "2026-03-08T07:00Z"],
  ["America/New_York", "2026-11-01T06:00Z"],
  ["Australia/Lord_Howe", "2026-04-04T15:00Z"],
  ["Australia/Lord_Howe", "2026-10-03T15:30Z"],
  ["Pacific/Apia", "2011-12-30T10:00Z"],
  ["America/Havana", "2026-03-08T05:00Z"],
  ["America/Havana", "2026-11-01T05:00Z"],
  ["Asia/Beirut", "2026-03-28T22:00Z"],
  ["America/Sao_Paulo", "2018-11-04T03:00Z"],
  ["Antarctica/Troll", "2026-03-29T01:00Z"],
  ["America/Caracas", "2016-05-01T07:00Z"],
  ["Asia/Pyongyang", "2018-05-04T15:00Z"]
]

/** A clock that changes once: what it shows before, and from, an instant. */
interface Clock {
  readonly change: number
  readonly before: number
  readonly after: number
}

const clockAt = (timeZone: string, change: string): Clock => {
  const at = Date.parse(change) / 1000
  return { change: at, before: shows(timeZone, at - 1) - (at - 1), after: shows(timeZone, at) - at }
}

/** The instants of a local time: one, two when it is repeated; none when it is skipped. */
const instantsOf = ({ after, before, change }: Clock, local: number): ReadonlyArray<number> =>
  [local - before, local - after].filter((t, i) => i === 0 ? t < change : t >= change)

describe("recurrences where clocks change", () => {
  it.prop("a skipped time keeps its distance to midnight, a repeated one is its first pass; what runs on, runs on", [
    specOf(["WEEKLY", "DAILY", "HOURLY", "MINUTELY"]),
    int(0, places.length - 1),
    int(1, 3 * 24 * 60),
    pick([undefined, [0], [1, 2], [0, 1, 2, 3, 23]])
  ], ([anySpec, place, before, hour]) => {
    // Close to the change: hours of the night, and days of any kind.
    const spec: Spec = {
      ...anySpec,
      hour: hour ?? [],
      month: [],
      monthDay: [],
      yearDay: [],
      interval: Math.min(anySpec.interval, 7),
      setPos: hour === undefined && anySpec.day.length + anySpec.minute.length + anySpec.second.length === 0
        ? []
        : anySpec.setPos
    }
    const [timeZone, change] = places[place]!
    const clock = clockAt(timeZone, change)
    const step = spec.interval * (spec.freq === "MINUTELY" ? 60 : spec.freq === "HOURLY" ? 3600 : DAY)
    const runsOn = spec.hour.length === 0 && step <= 3600
    // Not in the time that is repeated: what runs on then meets, in the second pass, local times before that of its start.
    const start = clock.change - before * 60 - Math.max(0, clock.before - clock.after)
    const local = start + clock.before
    const until = clock.change + 5 * DAY
    const list = new Set(
      bruteForce(spec, local, until + Math.max(clock.before, clock.after)).flatMap((t) => {
        const real = instantsOf(clock, t)
        return runsOn ? real : [real[0] ?? t - clock.before]
      })
    )
    const expected = Array.from(list).filter((t) => t < until && t >= start).sort((a, b) => a - b).slice(0, 500)
    const end = expected.length === 500 ? expected.pop()! : until
    const text = `DTSTART;TZID=${timeZone}:${dateText(local)}\nRRULE:${textOf(spec)}`
    agrees(makeRecurrence(RecurrenceRule.parseUnsafe(text), utc, 0), expected, start, end)
    agrees(makeRecurrence(RecurrenceRule.parseUnsafe(textOf(spec)), lookup(timeZone)!, start), expected, start, end)
  })

  it("what runs on goes on in the second pass, also with local times before that of its start", () => {
    const zone = lookup("Europe/Berlin")!
    const start = Date.parse("2026-10-25T00:59:00Z") / 1000 // 02:59, the first time
    const engine = makeRecurrence(RecurrenceRule.parseUnsafe("FREQ=MINUTELY;BYMINUTE=0;BYSECOND=0"), zone, start)
    assert.deepStrictEqual([start, start + 3600, start + 7200].map((t) => iso(engine.next(t))), [
      "2026-10-25T01:00:00", // 02:00, the second time
      "2026-10-25T02:00:00",
      "2026-10-25T03:00:00"
    ])
  })
})
