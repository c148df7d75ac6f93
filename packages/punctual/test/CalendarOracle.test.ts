/**
 * Calendars, `calendarEvery` and `rolled` against days that are looked at one by one, over thirty years.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Calendar from "../src/Calendar.ts"
import * as Trigger from "../src/Trigger.ts"
import {
  type Clock,
  type DaysOff,
  easter,
  happens,
  iso,
  isOpen,
  type Local,
  readClock
} from "./support/calendarOracle.ts"
import { int, oneOf, pick } from "./support/cronOracle.ts"

const DAY = 86_400_000

/** With the skipped day of Apia, midnights that are skipped, repeated or crossed by a gap, and half an hour. */
const zones = [
  "UTC",
  "America/Havana",
  "America/New_York",
  "America/Sao_Paulo",
  "America/St_Johns",
  "Asia/Beirut",
  "Asia/Pyongyang",
  "Australia/Lord_Howe",
  "Europe/Berlin",
  "Pacific/Apia"
]

const from = Date.UTC(1998, 0, 1)
const to = Date.UTC(2030, 0, 1)

const clocks = new Map<string, Clock>()
const clockOf = (timeZone: string): Clock => {
  let clock = clocks.get(timeZone)
  if (clock === undefined) {
    clock = readClock(timeZone, from - 3 * DAY, to + 3 * DAY)
    clocks.set(timeZone, clock)
  }
  return clock
}

const runs = (n: number, seed: string) => ({ timeout: 60_000, arbitrary: { runs: n, seed } })

/** As `deepStrictEqual` of long lists, which is slow. */
const same = (what: string, actual: ReadonlyArray<number>, expected: ReadonlyArray<number>): void => {
  const i = expected.findIndex((instant, i) => actual[i] !== instant)
  const show = (instant: number | undefined) => instant === undefined ? "nothing" : new Date(instant).toISOString()
  if (i !== -1) assert.fail(`${what}: ${show(actual[i])} instead of ${show(expected[i])}`)
  assert.strictEqual(actual.length, expected.length, what)
}

const forwards = (bound: Trigger.Bound, low: number, high: number): Array<Trigger.Point> => {
  const found: Array<Trigger.Point> = []
  for (let p = bound.next(low); p !== undefined && p.due <= high; p = bound.next(p.due)) found.push(p)
  return found
}

const backwards = (bound: Trigger.Bound, low: number, high: number): Array<Trigger.Point> => {
  const found: Array<Trigger.Point> = []
  for (let p = bound.previous(high + 1); p !== undefined && p.due > low; p = bound.previous(p.due)) found.push(p)
  return found.reverse()
}

const unique = (instants: ReadonlyArray<number>): Array<number> => Array.from(new Set(instants)).sort((a, b) => a - b)

const rule = oneOf([
  pick(["12-25", "01-01", "02-29", "12-31", "03-01"]),
  pick(["12-24/01-06", "02-20/02-29", "06-01/08-31", "12-25/12-25", "12-31/01-01 since 2010"]),
  pick(["easter", "easter-2", "easter+1", "easter+39", "easter-47", "easter+60"]),
  pick(["3rd mon jan", "last mon may", "1st mon sep", "4th thu nov+1", "5th sat feb", "last sun dec", "1st fri jan-2"]),
  pick(["wed before 11-23", "mon before 05-25", "sat after 06-19", "sun after 12-31", "tue before 01-01"]),
  pick(["07-04 observed", "01-01 observed", "12-25 observed", "12-31 observed"]),
  pick(["12-25 substitute", "12-26 substitute", "01-01 substitute", "12-31 substitute"]),
  pick(["2011-12-30", "2011-12-29/2012-01-03", "2018-11-04", "2026-03-29/2026-04-02", "2000-01-01/2001-02-28"])
])

/** Up to `n` rules; the same one twice says nothing new. */
const rules = (n: number): Arbitrary.Arbitrary<ReadonlyArray<string>> =>
  Arbitrary.map(
    Arbitrary.all([int(0, n), Arbitrary.all(Array.from({ length: n }, () => rule))]),
    ([k, all]) => Array.from(new Set(all.slice(0, k)))
  )

const weekend = pick([[], ["sat", "sun"], ["sat", "sun"], ["fri", "sat"], ["sun"], ["wed", "sat", "sun"]])

const daysOff: Arbitrary.Arbitrary<DaysOff> = Arbitrary.map(
  Arbitrary.all([weekend, rules(5), oneOf([pick([[], []]), rules(2)])]),
  ([weekend, holidays, open]) => ({
    weekend,
    holidays,
    open: open.map((rule) => rule.replace(/ (observed|substitute)/, ""))
  })
)

const calendarOf = (timeZone: string, { holidays, open, weekend }: DaysOff): Calendar.Calendar =>
  Calendar.make({ timeZone, weekend: weekend as ReadonlyArray<Trigger.Weekday>, holidays, open })

describe("Easter", () => {
  it("is what another algorithm says, from 1583 to 4099", () => {
    const calendar = Calendar.make({ holidays: "easter" })
    const found = Calendar.holidays(calendar, { from: "1583-01-01", to: "4099-12-31" }).map(({ date }) => date)
    assert.deepStrictEqual(found, Array.from({ length: 4099 - 1582 }, (_, i) => iso(easter(1583 + i))))
  })
})

describe("calendars", () => {
  it.prop("are open when their rules say so", [daysOff, int(0, 27)], ([off, year]) => {
    const calendar = calendarOf("UTC", off)
    const start = Date.UTC(1998 + year, 0, 1)
    const expected: Array<string> = []
    for (let day = start; day < start + 4 * 366 * DAY; day += DAY) {
      if (isOpen(off, day)) expected.push(iso(day))
      assert.strictEqual(Calendar.isOpen(calendar, iso(day)), isOpen(off, day), iso(day))
    }
    const actual: Array<string> = []
    let date = Calendar.next(calendar, iso(start - DAY))
    while (date._tag === "Some" && date.value < iso(start + 4 * 366 * DAY)) {
      actual.push(date.value)
      date = Calendar.next(calendar, date.value)
    }
    assert.deepStrictEqual(actual, expected)
    const back: Array<string> = []
    date = Calendar.previous(calendar, iso(start + 4 * 366 * DAY))
    while (date._tag === "Some" && date.value >= iso(start)) {
      back.unshift(date.value)
      date = Calendar.previous(calendar, date.value)
    }
    assert.deepStrictEqual(back, expected)
  }, runs(25, "open"))

  it.prop("a union is closed when a member is", [daysOff, daysOff, int(0, 29)], ([a, b, year]) => {
    const union = Calendar.union(calendarOf("UTC", a), calendarOf("UTC", b))
    for (let day = Date.UTC(1998 + year, 0, 1); day < Date.UTC(1999 + year, 0, 1); day += DAY) {
      assert.strictEqual(Calendar.isOpen(union, iso(day)), isOpen(a, day) && isOpen(b, day), iso(day))
    }
  }, runs(30, "union"))
})

// ---------------------------------------------------------------------------------------------------------------------
// calendarEvery
// ---------------------------------------------------------------------------------------------------------------------

const civil = (day: Local) => {
  const date = new Date(day)
  return { month: date.getUTCFullYear() * 12 + date.getUTCMonth(), date: date.getUTCDate() }
}

const isLast = (day: Local): boolean => civil(day + DAY).date === 1

const time = (at: string): number => {
  const [hours, minutes, seconds = 0] = at.split(":").map(Number)
  return ((hours! * 60 + minutes!) * 60 + seconds) * 1000
}

describe("calendarEvery", () => {
  it.prop("is due on the days that are whole periods from its base", [
    pick(zones),
    pick(["days", "weeks", "months", "years"]),
    oneOf([int(1, 3), int(1, 20)]),
    pick(["00:00", "02:30", "02:00:01", "09:00", "23:30", "23:59:59"]),
    pick(["1998-01-31", "2000-02-29", "2001-12-01", "2010-08-31", "2011-12-30", "1999-03-28", "2004-02-28"]),
    Arbitrary.all({
      shortMonths: pick(["clamp", "skip"]),
      gap: pick([undefined, undefined, "skip", "shift"]),
      overlap: pick([undefined, "first", "second", "both"])
    })
  ], ([timeZone, unit, count, at, start, { gap, overlap, shortMonths }]) => {
    const ofMonths = unit === "months" || unit === "years"
    const trigger = Trigger.calendarEvery({ [unit]: count } as unknown as Trigger.CalendarPeriod, {
      at,
      timeZone,
      start,
      gap,
      overlap,
      ...(ofMonths ? { shortMonths } : {})
    })
    const base = Date.parse(`${start}T00:00:00Z`)
    const step = unit === "weeks" ? count * 7 : unit === "years" ? count * 12 : count
    const fits = (day: Local): boolean => {
      if (!ofMonths) return (day - base) / DAY % step === 0
      const [first, here] = [civil(base), civil(day)]
      return (here.month - first.month) % step === 0 &&
        (here.date === first.date || (shortMonths === "clamp" && isLast(day) && here.date < first.date))
    }
    const expected: Array<number> = []
    for (let day = base; day < to; day += DAY) {
      if (fits(day)) expected.push(...happens(clockOf(timeZone), day + time(at), gap ?? "end", overlap ?? "first"))
    }
    const bound = Trigger.bind(trigger, { anchor: 0, seed: "" })
    const high = to - 2 * DAY
    const instants = unique(expected).filter((instant) => instant <= high)
    same("forwards", forwards(bound, from - 4 * DAY, high).map((p) => p.due), instants)
    same("backwards", backwards(bound, from - 4 * DAY, high).map((p) => p.due), instants)
    assert.deepStrictEqual(bound.countBetween(from - 4 * DAY, high, 0), { count: instants.length, exact: true })
    const middle = instants[instants.length >> 1] ?? from
    const after = instants.filter((instant) => instant > middle).length
    assert.deepStrictEqual(bound.countBetween(middle, high, 0), { count: after, exact: true })
    assert.deepStrictEqual(bound.countBetween(middle - 1, middle, 0).count, instants.includes(middle) ? 1 : 0)
  }, runs(80, "calendarEvery"))

  it.prop("without a start it begins at the date of the anchor, and never before the anchor", [
    pick(zones),
    pick(["days", "weeks", "months", "years"]),
    int(1, 3),
    pick(["00:00", "02:30", "09:00", "23:59:59"]),
    pick([
      "2011-12-30T09:59:59.999Z",
      "2011-12-30T10:00:00Z",
      "2018-11-04T02:30:00Z",
      "2026-03-29T00:59:59.999Z",
      "2026-01-31T08:00:00Z",
      "2026-01-31T08:00:00.001Z"
    ])
  ], ([timeZone, unit, count, at, text]) => {
    const anchor = Date.parse(text)
    const period = { [unit]: count } as unknown as Trigger.CalendarPeriod
    const date = iso(clockOf(timeZone).wall(anchor))
    const relative = Trigger.bind(Trigger.calendarEvery(period, { at, timeZone }), { anchor, seed: "" })
    const absolute = Trigger.bind(Trigger.calendarEvery(period, { at, timeZone, start: date }), { anchor, seed: "" })
    const expected = forwards(absolute, anchor - 400 * DAY, to).filter(({ due }) => due >= anchor)
    assert.deepStrictEqual(forwards(relative, anchor - 400 * DAY, to), expected)
    assert.deepStrictEqual(backwards(relative, anchor - 400 * DAY, to), expected)
    assert.strictEqual(relative.countBetween(0, to, 0).count, expected.length)
  }, runs(60, "anchor"))
})

// ---------------------------------------------------------------------------------------------------------------------
// rolled
// ---------------------------------------------------------------------------------------------------------------------

const exists = (clock: Clock, day: Local): boolean =>
  Array.from({ length: 48 }, (_, i) => day + i * 1_800_000).some((local) => clock.shows(local).length > 0)

const target = (
  direction: Trigger.RollDirection,
  day: Local,
  open: (day: Local) => boolean
): Local | undefined => {
  const look = (by: number): Local | undefined => {
    for (let i = 1; i <= 366; i++) if (open(day + i * by * DAY)) return day + i * by * DAY
    return undefined
  }
  const [next, previous] = [look(1), look(-1)]
  const inMonth = (other: Local | undefined) => other !== undefined && civil(other).month === civil(day).month
  switch (direction) {
    case "next":
      return next
    case "previous":
      return previous
    case "nextInMonth":
      return inMonth(next) ? next : previous
    case "previousInMonth":
      return inMonth(previous) ? previous : next
    case "nearest":
      return next === undefined || previous === undefined
        ? next ?? previous
        : next - day <= day - previous
        ? next
        : previous
  }
}

/** Where an occurrence lands: at the same time of another day, and on that day whatever the clock does. */
const landing = (clock: Clock, day: Local, time: number): number => {
  const at = happens(clock, day + time, "end", "first")[0]!
  return Math.floor(clock.wall(at) / DAY) * DAY === day ? at : at - 1
}

describe("rolled", () => {
  const inner = oneOf<Trigger.Trigger>([
    Arbitrary.map(
      Arbitrary.all([pick(zones), pick(["0 17 * * *", "30 0 15 * *", "0,30,45 0-2,23 L,4 * *", "15 2 * * SUN"])]),
      ([timeZone, text]) => Trigger.cron(text, { timeZone })
    ),
    Arbitrary.map(
      Arbitrary.all([pick(zones), int(1, 9)]),
      ([timeZone, days]) => Trigger.calendarEvery({ days }, { at: "00:30", timeZone, start: "1998-01-01" })
    ),
    Arbitrary.map(int(20_000_000, 400_000_000), (millis) => Trigger.every(millis, { start: "1998-01-01T00:00:00Z" }))
  ])
  const direction = pick(["next", "previous", "nextInMonth", "previousInMonth", "nearest"])

  it.prop("moves each day off as a person would", [pick(zones), daysOff, inner, direction, int(0, 25)], (
    [timeZone, off, inner, direction, year]
  ) => {
    const clock = clockOf(timeZone)
    const known = new Map<Local, boolean>()
    const open = (day: Local): boolean => {
      let answer = known.get(day)
      if (answer === undefined) known.set(day, answer = isOpen(off, day) && exists(clock, day))
      return answer
    }
    const trigger = Trigger.rolled(inner, calendarOf(timeZone, off), direction)
    // A few months in which clocks change both ways, with room for what comes from outside.
    const low = Date.UTC(2000 + year, 7, 15)
    const high = Date.UTC(2001 + year, 3, 15)
    const bound = Trigger.bind(trigger, { anchor: 0, seed: "" })
    const expected = new Map<number, number>()
    for (const { due } of forwards(Trigger.bind(inner, { anchor: 0, seed: "" }), low - 400 * DAY, high + 400 * DAY)) {
      const wall = clock.wall(due)
      const day = Math.floor(wall / DAY) * DAY
      const to = open(day) ? day : target(direction, day, open)
      if (to === undefined) continue
      const at = to === day ? due : landing(clock, to, wall - day)
      if (at > low && at <= high) expected.set(at, Math.min(expected.get(at) ?? Infinity, due))
    }
    const instants = unique(Array.from(expected.keys()))
    const actual = forwards(bound, low, high)
    same("forwards", actual.map((p) => p.due), instants)
    same("nominal", actual.map((p) => p.nominal), instants.map((due) => expected.get(due)!))
    assert.deepStrictEqual(backwards(bound, low, high), actual)
  }, runs(100, "rolled"))
})
