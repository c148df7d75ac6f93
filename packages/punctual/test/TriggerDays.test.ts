/**
 * Triggers that know days: `calendarEvery`, `except`, `rolled`, `delayed`. What they promise beyond the laws of all
 * triggers, and what is refused.
 */
import { assert, describe, it } from "@effect/vitest"
import type * as Duration from "effect/Duration"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Calendar from "../src/Calendar.ts"
import * as TriggerArbitrary from "../src/testing/TriggerArbitrary.ts"
import * as Trigger from "../src/Trigger.ts"

const { binding, calendar, inner, instant, rollDirection } = TriggerArbitrary

const DAY = 86_400_000

const ms = (text: string): number => Date.parse(text)
const iso = (millis: number): string => new Date(millis).toISOString().replace(".000Z", "Z")

/** The first `n` due instants after an instant. */
const due = (trigger: Trigger.Trigger, after: string, n: number, anchor = 0): ReadonlyArray<string> =>
  take(Trigger.bind(trigger, { anchor, seed: "" }), ms(after), n).map((point) => iso(point.due))

/** At most `n` occurrences after an instant. */
const take = (bound: Trigger.Bound, after: number, n: number): Array<Trigger.Point> => {
  const out: Array<Trigger.Point> = []
  for (let point = bound.next(after); point !== undefined && out.length < n; point = bound.next(point.due)) {
    out.push(point)
  }
  return out
}

const refused = (make: () => unknown): Trigger.InvalidTrigger => {
  try {
    make()
  } catch (error) {
    if (error instanceof Trigger.InvalidTrigger) return error
    throw error
  }
  return assert.fail("it was accepted")
}

const runs = (n: number) => ({ timeout: 60_000, arbitrary: { runs: n, seed: "punctual" } })

const timeZone = "Europe/Berlin"

const workdays = Calendar.make({ timeZone, weekend: "sat,sun", holidays: ["easter-2", "easter+1", "12-25", "12-26"] })

describe("calendarEvery", () => {
  it("counts months from the base date, never from the last occurrence", () => {
    const monthly = (shortMonths?: "clamp" | "skip") =>
      Trigger.calendarEvery({ months: 1 }, { at: "09:00", timeZone, start: "2026-01-31", shortMonths })
    assert.deepStrictEqual(due(monthly(), "2026-01-01T00:00Z", 4), [
      "2026-01-31T08:00:00Z",
      "2026-02-28T08:00:00Z",
      "2026-03-31T07:00:00Z",
      "2026-04-30T07:00:00Z"
    ])
    assert.deepStrictEqual(due(monthly("skip"), "2026-01-01T00:00Z", 3), [
      "2026-01-31T08:00:00Z",
      "2026-03-31T07:00:00Z",
      "2026-05-31T07:00:00Z"
    ])
    assert.isTrue(Equal.equals(monthly("clamp"), monthly()))
    assert.isFalse(Equal.equals(monthly("skip"), monthly()))
  })

  it("29 February of other years is the 28th, or nothing", () => {
    const yearly = (shortMonths: "clamp" | "skip") =>
      Trigger.calendarEvery({ years: 1 }, { start: "2096-02-29", shortMonths })
    assert.deepStrictEqual(due(yearly("clamp"), "2096-01-01T00:00Z", 3), [
      "2096-02-29T00:00:00Z",
      "2097-02-28T00:00:00Z",
      "2098-02-28T00:00:00Z"
    ])
    // Eight years around 2100.
    assert.deepStrictEqual(due(yearly("skip"), "2096-01-01T00:00Z", 2), [
      "2096-02-29T00:00:00Z",
      "2104-02-29T00:00:00Z"
    ])
  })

  it("follows the anchor without a start: its local date, and nothing before it", () => {
    const trigger = Trigger.calendarEvery({ weeks: 2 }, { at: "09:00", timeZone })
    // Monday the 5th in Berlin, still Sunday in UTC.
    assert.deepStrictEqual(due(trigger, "2026-01-01T00:00Z", 2, ms("2026-01-04T23:30Z")), [
      "2026-01-05T08:00:00Z",
      "2026-01-19T08:00:00Z"
    ])
    assert.deepStrictEqual(due(trigger, "2026-01-01T00:00Z", 1, ms("2026-01-05T08:00Z")), ["2026-01-05T08:00:00Z"])
    assert.deepStrictEqual(due(trigger, "2026-01-01T00:00Z", 1, ms("2026-01-05T08:00Z") + 1), ["2026-01-19T08:00:00Z"])
  })

  it("treats changes of clocks as cron treats a fixed time", () => {
    const daily = (options: Trigger.CalendarEveryOptions) =>
      Trigger.calendarEvery({ days: 1 }, { at: "02:30", timeZone, start: "2026-01-01", ...options })
    const spring = (options: Trigger.CalendarEveryOptions) => due(daily(options), "2026-03-28T12:00Z", 1)
    assert.deepStrictEqual(spring({}), ["2026-03-29T01:00:00Z"])
    assert.deepStrictEqual(spring({ gap: "shift" }), ["2026-03-29T01:30:00Z"])
    assert.deepStrictEqual(spring({ gap: "skip" }), ["2026-03-30T00:30:00Z"])
    const autumn = (options: Trigger.CalendarEveryOptions) => due(daily(options), "2026-10-24T12:00Z", 2)
    assert.deepStrictEqual(autumn({}), ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"])
    assert.deepStrictEqual(autumn({ overlap: "second" }), ["2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"])
    assert.deepStrictEqual(autumn({ overlap: "both" }), ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"])
    assert.isTrue(Equal.equals(daily({ overlap: "first" }), daily({})))
  })

  it("is counted by arithmetic, also far away", () => {
    const count = (trigger: Trigger.Trigger, until: string) =>
      Trigger.countBetween(trigger, { after: "2026-01-01T00:00Z", until, limit: 0 })
    const start = "2026-01-01"
    assert.deepStrictEqual(count(Trigger.calendarEvery({ days: 1 }, { start }), "2100-01-01T00:00Z"), {
      count: 27_028,
      exact: true
    })
    assert.deepStrictEqual(
      count(Trigger.calendarEvery({ months: 1 }, { start: "2025-12-31", shortMonths: "skip" }), "2100-01-01T00:00Z"),
      { count: 74 * 7, exact: true }
    )
  })

  it("takes one period, and knows its options", () => {
    const make = (period: unknown, options?: unknown) =>
      refused(() => Trigger.calendarEvery(period as Trigger.CalendarPeriod, options as Trigger.CalendarEveryOptions))
    assert.match(make({ month: 1 }).message, /no option `month`.*did you mean `months`/)
    assert.match(make({ hours: 1 }).message, /no option `hours`/)
    for (const period of [{}, { days: 1, weeks: 1 }, undefined]) assert.match(make(period).message, /takes one of days/)
    assert.match(make([1]).message, /is an? object|are an object/)
    for (const months of [0, -1, 1.5, NaN, Infinity, "1"]) assert.strictEqual(make({ months }).reason, "count")
    assert.match(make({ days: 1 }, { start: "2026-02-30" }).message, /is a date such as/)
    assert.match(make({ days: 1 }, { start: "2026-02-03T00:00" }).message, /is a date such as/)
    assert.match(make({ days: 1 }, { at: "9:00" }).message, /not a time of day/)
    assert.match(make({ days: 1 }, { at: "24:00" }).message, /write 00:00/)
    assert.match(make({ days: 1 }, { at: 9 }).message, /`at` is a time of day/)
    assert.match(make({ days: 1 }, { shortMonths: "skip" }).message, /says nothing about days/)
    assert.match(make({ months: 1 }, { shortMonths: "drop" }).message, /"clamp", "skip"/)
    assert.match(make({ days: 1 }, { gap: "end" }).message, /"skip", "shift"/)
    assert.match(make({ days: 1 }, { timezone: "UTC" }).message, /did you mean `timeZone`/)
    assert.match(make({ days: 1 }, { timeZone: "Europe/Berln" }).message, /did you mean `Europe\/Berlin`/)
  })

  it("periods beyond the horizon are due once", () => {
    const trigger = Trigger.calendarEvery({ years: 150 }, { start: "2026-01-01" })
    assert.deepStrictEqual(due(trigger, "2025-01-01T00:00Z", 5), ["2026-01-01T00:00:00Z"])
    const sparse = Trigger.calendarEvery({ months: 12 * 99 }, { start: "2000-02-29", shortMonths: "skip" })
    assert.deepStrictEqual(due(sparse, "2025-01-01T00:00Z", 1), [])
  })
})

describe("except", () => {
  it("takes away the instants of another trigger", () => {
    const hourly = Trigger.cron("0 * * * *")
    assert.deepStrictEqual(due(hourly.pipe(Trigger.except(Trigger.cron("0 */2 * * *"))), "2026-01-01T00:00Z", 2), [
      "2026-01-01T01:00:00Z",
      "2026-01-01T03:00:00Z"
    ])
  })

  it("of itself nothing is left, and without nothing it is itself", () => {
    const daily = Trigger.cron("0 9 * * *")
    assert.isTrue(Equal.equals(Trigger.except(daily, Trigger.cron("00 9 * * SUN-SAT")), Trigger.never))
    assert.isTrue(Equal.equals(Trigger.except(daily, Trigger.never), daily))
    assert.isTrue(Equal.equals(Trigger.except(Trigger.never, daily), Trigger.never))
  })

  it("takes away dates, spelled as holidays", () => {
    const daily = Trigger.cron("0 0 * * *", { timeZone })
    const trigger = daily.pipe(Trigger.except(["2026-12-24", "12-25", "2026-12-27/2026-12-30"], { timeZone }))
    assert.deepStrictEqual(due(trigger, "2026-12-22T23:30Z", 3), [
      "2026-12-25T23:00:00Z",
      "2026-12-30T23:00:00Z",
      "2026-12-31T23:00:00Z"
    ])
    assert.isTrue(Equal.equals(
      trigger,
      Trigger.except(daily, Calendar.make({ timeZone, holidays: ["12-25", "2026-12-24", "2026-12-27/2026-12-30"] }))
    ))
    assert.isTrue(Equal.equals(Trigger.except("12-25")(daily), Trigger.except(daily, "12-25", {})))
  })

  it("takes away the days off of a calendar", () => {
    const trigger = Trigger.cron("0 9 * * *", { timeZone }).pipe(Trigger.except(workdays))
    assert.deepStrictEqual(due(trigger, "2026-04-02T00:00Z", 2), ["2026-04-02T07:00:00Z", "2026-04-07T07:00:00Z"])
    assert.deepStrictEqual(
      Trigger.previous(trigger, "2026-12-28T00:00Z").pipe(Option.map((o) => o.due.toJSON())),
      Option.some("2026-12-24T08:00:00.000Z")
    )
  })

  it("leaps over what is closed for years, and ends where everything is", () => {
    const years = Trigger.every("1 millis").pipe(Trigger.except("2026-01-01/2035-12-31"))
    assert.deepStrictEqual(due(years, "2026-06-01T00:00Z", 1), ["2036-01-01T00:00:00Z"])
    assert.strictEqual(
      Trigger.bind(years, { anchor: 0, seed: "" }).previous(ms("2030-01-01"))?.due,
      ms("2026-01-01") - 1
    )
    const always = Trigger.every("1 millis").pipe(Trigger.except("0001-01-01/9999-12-31"))
    assert.deepStrictEqual(due(always, "2026-06-01T00:00Z", 1), [])
    assert.deepStrictEqual(due(Trigger.rolled(always, workdays, "next"), "2026-06-01T00:00Z", 1), [])
    // A hundred thousand candidates, all of them taken away.
    const start = "2026-01-01T00:00:00Z"
    const none = Trigger.every("2 seconds", { start }).pipe(Trigger.except(Trigger.every("1 second", { start })))
    assert.deepStrictEqual(due(none, "2026-06-01T00:00Z", 1), [])
    const half = Trigger.every("1 second", { start }).pipe(Trigger.except(Trigger.every("2 seconds", { start })))
    assert.deepStrictEqual(due(half, "2026-06-01T00:00Z", 2), ["2026-06-01T00:00:01Z", "2026-06-01T00:00:03Z"])
  })

  it("searches within searches end together", () => {
    const start = "2026-01-01T00:00:00Z"
    const every = (period: Duration.Input) => Trigger.every(period, { start })
    // Of fifty thousand seconds one is left, and then that one is taken away.
    const rare = every("1 second").pipe(Trigger.except(Trigger.except(every("1 second"), every("50000 seconds"))))
    assert.deepStrictEqual(due(rare, "2026-01-01T00:00:01Z", 1), ["2026-01-01T13:53:20Z"])
    let asked = 0
    const Counted = Trigger.define("Counted", {
      next: (_, after) => {
        asked++
        return (Math.floor(after / 1000) + 1) * 1000
      }
    })
    const none = Counted.make().pipe(
      Trigger.except(Trigger.except(every("1 second"), every("50000 seconds"))),
      Trigger.except(every("50000 seconds"))
    )
    assert.deepStrictEqual(due(none, "2026-01-01T00:00:01Z", 1), [])
    assert.isBelow(asked, 1_100_000)
  })

  it("refuses what it cannot take away", () => {
    const daily = Trigger.cron("0 9 * * *")
    const make = (that: unknown, options?: unknown) =>
      refused(() => (Trigger.except as (...args: Array<unknown>) => unknown)(daily, that, options))
    assert.match(make("13-25").message, /`13-25` is not a date/)
    assert.strictEqual(make(["12-25", "estaer"]).reason, "calendar")
    assert.match(make([]).message, /needs a trigger, a calendar, or dates/)
    assert.match(make(undefined).message, /needs a trigger, a calendar, or dates/)
    assert.match(make("12-25", { timezone: timeZone }).message, /did you mean `timeZone`/)
    assert.match(make("12-25", { timeZone: "Nowhere" }).message, /not a time zone/)
    assert.match(make(workdays, { timeZone }).message, /have their own/)
    assert.match(make(Trigger.startup).message, /events, not instants/)
    assert.match(make(Trigger.jittered(daily, "1 minute")).message, /`jittered` must be the last step/)
    assert.match(refused(() => Trigger.except(Trigger.startup, "12-25")).message, /events, not instants/)
  })

  it.prop("except(a, b) shares nothing with b, and is a together with what a and b share", [
    inner,
    inner,
    binding,
    instant
  ], ([a, b, binding, after]) => {
    const all = take(Trigger.bind(a, binding), after, 40)
    if (all.length === 0) return
    const end = all[all.length - 1]!.due
    const left = take(Trigger.bind(Trigger.except(a, b), binding), after, 40).filter((point) => point.due <= end)
    const other = Trigger.bind(b, binding)
    for (const point of left) assert.notStrictEqual(other.next(point.due - 1)?.due, point.due)
    const shared = take(Trigger.bind(Trigger.intersect(a, b), binding), after, 40).filter((point) => point.due <= end)
    assert.deepStrictEqual(
      [...left, ...shared].map((point) => point.due).sort((x, y) => x - y),
      all.map((point) => point.due)
    )
    const nominals = new Map(all.map((point) => [point.due, point.nominal]))
    for (const point of left) assert.strictEqual(point.nominal, nominals.get(point.due))
  }, runs(80))

  it.prop("except a calendar keeps exactly what is on open days", [inner, calendar, binding, instant], (
    [a, calendar, binding, after]
  ) => {
    const zone = calendar.timeZone
    const format = new Intl.DateTimeFormat("en-CA", {
      timeZone: zone,
      year: "numeric",
      month: "2-digit",
      day: "2-digit"
    })
    const all = take(Trigger.bind(a, binding), after, 60)
    const open = all.filter(({ due }) => Calendar.isOpen(calendar, format.format(due)))
    const kept = take(Trigger.bind(Trigger.except(a, calendar), binding), after, open.length)
    assert.deepStrictEqual(kept.slice(0, open.length), open)
  }, runs(150))
})

describe("rolled", () => {
  const monthly = (day: string) => Trigger.cron(`0 17 ${day} * *`, { timeZone })

  it("the last working day of the month is the last day, or the open day before", () => {
    const trigger = monthly("L").pipe(Trigger.rolled(workdays, "previous"))
    const bound = Trigger.bind(trigger, { anchor: 0, seed: "" })
    assert.deepStrictEqual(take(bound, ms("2026-01-01T00:00Z"), 3), [
      { due: ms("2026-01-30T16:00Z"), nominal: ms("2026-01-31T16:00Z") },
      { due: ms("2026-02-27T16:00Z"), nominal: ms("2026-02-28T16:00Z") },
      { due: ms("2026-03-31T15:00Z"), nominal: ms("2026-03-31T15:00Z") }
    ])
  })

  it("goes where its direction says", () => {
    // Good Friday 3 April to Easter Monday 6 April 2026 are off, and so is the weekend of 31 January.
    const on = (date: string, direction: Trigger.RollDirection): string | undefined =>
      due(
        Trigger.calendarEvery({ years: 500 }, { at: "17:00", timeZone, start: date }).pipe(
          Trigger.rolled(workdays, direction)
        ),
        "2025-01-01T00:00Z",
        1
      )[0]?.slice(0, 10)
    const table: ReadonlyArray<readonly [date: string, ...directions: ReadonlyArray<string>]> = [
      // date, next, previous, nextInMonth, previousInMonth, nearest
      ["2026-04-03", "2026-04-07", "2026-04-02", "2026-04-07", "2026-04-02", "2026-04-02"],
      ["2026-04-05", "2026-04-07", "2026-04-02", "2026-04-07", "2026-04-02", "2026-04-07"],
      ["2026-04-06", "2026-04-07", "2026-04-02", "2026-04-07", "2026-04-02", "2026-04-07"],
      ["2026-01-31", "2026-02-02", "2026-01-30", "2026-01-30", "2026-01-30", "2026-01-30"],
      ["2026-02-01", "2026-02-02", "2026-01-30", "2026-02-02", "2026-02-02", "2026-02-02"],
      ["2026-04-07", "2026-04-07", "2026-04-07", "2026-04-07", "2026-04-07", "2026-04-07"]
    ]
    for (const [date, ...expected] of table) {
      const directions = ["next", "previous", "nextInMonth", "previousInMonth", "nearest"] as const
      assert.deepStrictEqual(directions.map((direction) => on(date, direction)), expected, date)
    }
    // Halfway between two open days, the next one.
    const single = Calendar.make({ holidays: "2026-06-10" })
    const noon = Trigger.at("2026-06-10T12:00Z")
    assert.deepStrictEqual(due(Trigger.rolled(noon, single, "nearest"), "2026-01-01T00:00Z", 1), [
      "2026-06-11T12:00:00Z"
    ])
  })

  it("what lands on one instant is one, of the earliest nominal instant, and local times may change places", () => {
    const daily = Trigger.cron("0 17 * * *", { timeZone }).pipe(Trigger.rolled(workdays, "next"))
    assert.deepStrictEqual(take(Trigger.bind(daily, { anchor: 0, seed: "" }), ms("2026-01-02T17:00Z"), 2), [
      { due: ms("2026-01-05T16:00Z"), nominal: ms("2026-01-03T16:00Z") },
      { due: ms("2026-01-06T16:00Z"), nominal: ms("2026-01-06T16:00Z") }
    ])
    const crossed = Trigger.union(Trigger.cron("0 12 * * SAT"), Trigger.cron("0 9 * * SUN")).pipe(
      Trigger.rolled(Calendar.make({ weekend: "sat,sun" }), "next")
    )
    assert.deepStrictEqual(due(crossed, "2026-01-02T00:00Z", 2), ["2026-01-05T09:00:00Z", "2026-01-05T12:00:00Z"])
  })

  it("a nominal instant may be later than the due one, also beside others", () => {
    const saturday = Trigger.at("2026-01-03T12:00Z").pipe(
      Trigger.rolled(Calendar.make({ weekend: "sat" }), "previous"),
      Trigger.union(Trigger.at("2026-01-02T13:00Z"))
    )
    assert.deepStrictEqual(take(Trigger.bind(saturday, { anchor: 0, seed: "" }), 0, 2), [
      { due: ms("2026-01-02T12:00Z"), nominal: ms("2026-01-03T12:00Z") },
      { due: ms("2026-01-02T13:00Z"), nominal: ms("2026-01-02T13:00Z") }
    ])
  })

  it("keeps the local time where the clock has it", () => {
    const saturday = (at: string) =>
      Trigger.calendarEvery({ years: 500 }, { at, timeZone, start: "2026-03-28" }).pipe(
        Trigger.rolled(Calendar.make({ timeZone, weekend: "sat" }), "next")
      )
    // On 29 March there is no 02:30.
    assert.deepStrictEqual(due(saturday("17:00"), "2026-01-01T00:00Z", 1), ["2026-03-29T15:00:00Z"])
    const gap = Trigger.bind(saturday("02:30"), { anchor: 0, seed: "" })
    assert.deepStrictEqual(gap.next(0), { due: ms("2026-03-29T01:00Z"), nominal: ms("2026-03-28T01:30Z") })
    assert.deepStrictEqual(gap.next(ms("2026-03-29T01:00Z") - 1), gap.next(0))
    const autumn = Trigger.calendarEvery({ years: 500 }, { at: "02:30", timeZone, start: "2026-10-24" }).pipe(
      Trigger.rolled(Calendar.make({ timeZone, weekend: "sat" }), "next")
    )
    assert.deepStrictEqual(due(autumn, "2026-01-01T00:00Z", 1), ["2026-10-25T00:30:00Z"])
  })

  it("never lands on the day that a zone left out", () => {
    // There was no 30 December 2011 in Apia.
    const zone = "Pacific/Apia"
    const closed = Calendar.make({ timeZone: zone, holidays: "2011-12-29" })
    const trigger = Trigger.calendarEvery({ years: 500 }, { at: "12:00", timeZone: zone, start: "2011-12-29" })
    assert.deepStrictEqual(due(Trigger.rolled(trigger, closed, "next"), "2011-01-01T00:00Z", 1), [
      "2011-12-30T22:00:00Z"
    ])
  })

  it("stays on its day when the clock skips midnight", () => {
    // On 4 May 2018 the clock of Pyongyang went from 23:30 to midnight.
    const zone = "Asia/Pyongyang"
    const closed = Calendar.make({ timeZone: zone, holidays: "2018-05-03" })
    const trigger = Trigger.calendarEvery({ years: 500 }, { at: "23:45", timeZone: zone, start: "2018-05-03" })
    const bound = Trigger.bind(Trigger.rolled(trigger, closed, "next"), { anchor: 0, seed: "" })
    assert.deepStrictEqual(bound.next(0), { due: ms("2018-05-04T15:00Z") - 1, nominal: ms("2018-05-03T15:15Z") })
  })

  it("finds what is due before midnight is repeated", () => {
    // On 7 November 2010 the clock of St. John's went from 00:01 back to 23:01 of Saturday.
    const zone = "America/St_Johns"
    const closed = Calendar.make({ timeZone: zone, weekend: "sat,sun" })
    const trigger = Trigger.calendarEvery({ years: 500 }, { at: "00:00:30", timeZone: zone, start: "2010-11-07" })
    const bound = Trigger.bind(Trigger.rolled(trigger, closed, "next"), { anchor: 0, seed: "" })
    const point = { due: ms("2010-11-08T03:30:30Z"), nominal: ms("2010-11-07T02:30:30Z") }
    assert.deepStrictEqual(bound.next(0), point)
    assert.deepStrictEqual(bound.previous(ms("2026-01-01")), point)
    // What stays in the repeated hour is after what is moved to the first minute of the day after.
    const back = Calendar.make({ timeZone: zone, holidays: "2010-11-08" })
    const two = Trigger.union(
      Trigger.at("2010-11-07T03:00:00Z"),
      Trigger.calendarEvery({ years: 500 }, { at: "00:00:30", timeZone: zone, start: "2010-11-08" })
    ).pipe(Trigger.rolled(back, "previous"))
    assert.deepStrictEqual(due(two, "2010-01-01T00:00Z", 2), ["2010-11-07T02:30:30Z", "2010-11-07T03:00:00Z"])
    assert.deepStrictEqual(
      Trigger.bind(two, { anchor: 0, seed: "" }).previous(ms("2010-11-07T03:00:00Z"))?.due,
      ms("2010-11-07T02:30:30Z")
    )
    // In the repeated hour of a day off, after the first minute of the next one.
    const alone = Trigger.at("2010-11-07T03:00:00Z").pipe(
      Trigger.rolled(Calendar.make({ timeZone: zone, holidays: "2010-11-06" }), "previous")
    )
    assert.strictEqual(
      Trigger.bind(alone, { anchor: 0, seed: "" }).previous(ms("2026-01-01"))?.due,
      ms("2010-11-06T02:00:00Z")
    )
  })

  it("is not due at all when it would have to go further than 366 days", () => {
    const at = Trigger.at("2026-01-01T12:00Z")
    const until = (date: string) => Calendar.make({ holidays: `2025-01-01/${date}` })
    assert.deepStrictEqual(due(Trigger.rolled(at, until("2027-01-01"), "next"), "2020-01-01T00:00Z", 1), [
      "2027-01-02T12:00:00Z"
    ])
    assert.deepStrictEqual(due(Trigger.rolled(at, until("2027-01-02"), "next"), "2020-01-01T00:00Z", 1), [])
    assert.deepStrictEqual(due(Trigger.rolled(at, until("2027-01-02"), "nearest"), "2020-01-01T00:00Z", 1), [
      "2024-12-31T12:00:00Z"
    ])
  })

  it("finds what is dense and long closed at once", () => {
    const closed = Calendar.make({ holidays: "2026-01-01/2026-12-31" })
    const bound = Trigger.bind(Trigger.rolled(Trigger.every("1 millis"), closed, "next"), { anchor: 0, seed: "" })
    const first = ms("2027-01-01T00:00Z")
    assert.deepStrictEqual(take(bound, first - 1, 2), [
      { due: first, nominal: ms("2026-01-01T00:00Z") },
      { due: first + 1, nominal: ms("2026-01-01T00:00Z") + 1 }
    ])
    assert.strictEqual(bound.previous(first)?.due, ms("2026-01-01T00:00Z") - 1)
  })

  it("what stays and what is moved to the same day are in order, however far away they come from", () => {
    const both = (a: string, b: string, closed: string, direction: Trigger.RollDirection) =>
      Trigger.bind(
        Trigger.rolled(Trigger.union(Trigger.at(a), Trigger.at(b)), Calendar.make({ holidays: closed }), direction),
        { anchor: 0, seed: "" }
      )
    // Moved half a year to the evening of a day on which something stays in the morning, and the other way round.
    const later = both("2026-01-02T17:00Z", "2026-07-01T09:00Z", "2026-01-01/2026-06-30", "next")
    assert.strictEqual(later.next(ms("2026-01-01T00:00Z"))?.due, ms("2026-07-01T09:00Z"))
    const earlier = both("2026-06-29T09:00Z", "2025-12-31T17:00Z", "2026-01-01/2026-06-30", "previous")
    assert.strictEqual(earlier.previous(ms("2026-06-30T00:00Z"))?.due, ms("2025-12-31T17:00Z"))
    // Something stays near, and something from beyond is moved beside it.
    const beside = both("2026-02-08T17:00Z", "2026-02-15T09:00Z", "2026-02-09/2026-02-20", "previous")
    assert.strictEqual(beside.next(ms("2026-01-01T00:00Z"))?.due, ms("2026-02-08T09:00Z"))
    const after = both("2026-02-21T09:00Z", "2026-02-15T17:00Z", "2026-02-09/2026-02-20", "next")
    assert.strictEqual(after.previous(ms("2026-03-30T00:00Z"))?.due, ms("2026-02-21T17:00Z"))
  })

  it("refuses what is no calendar and no direction", () => {
    const make = (...args: ReadonlyArray<unknown>) =>
      refused(() => (Trigger.rolled as (...args: ReadonlyArray<unknown>) => unknown)(Trigger.now, ...args))
    assert.match(make({ weekend: "sat" }, "next").message, /made by `Calendar.make`/)
    assert.match(make(workdays, "following").message, /"next", "previous", "nextInMonth"/)
    assert.match(make(workdays, undefined).message, /needs a direction/)
    assert.match(refused(() => Trigger.rolled(Trigger.shutdown, workdays, "next")).message, /events, not instants/)
  })

  it.prop("lands only on open days, and every occurrence that has a place to go is there", [
    inner,
    calendar,
    rollDirection,
    binding,
    instant
  ], ([a, calendar, direction, binding, after]) => {
    const rolled = Trigger.bind(Trigger.rolled(a, calendar, direction), binding)
    const open = Trigger.bind(Trigger.except(Trigger.every(1, { start: -3e14 }), calendar), binding)
    const moved = take(rolled, after, 15)
    for (const point of moved) assert.strictEqual(open.next(point.due - 1)?.due, point.due)
    const bound = Trigger.bind(a, binding)
    for (const { due, nominal } of take(bound, after, 8)) {
      // Alone, it goes where it goes; all together, there is one at that place, and not of a later nominal instant.
      const alone = Trigger.bind(
        Trigger.rolled(Trigger.between(a, { start: due, end: due }), calendar, direction),
        binding
      )
      const [at, ...more] = take(alone, -8e15, 2)
      assert.deepStrictEqual(more, [])
      if (at === undefined) continue
      assert.strictEqual(at.nominal, nominal)
      assert.isTrue(Math.abs(at.due - due) <= 367 * DAY + 2 * 3_600_000)
      const there = rolled.next(at.due - 1)
      assert.strictEqual(there?.due, at.due)
      assert.isTrue(there !== undefined && there.nominal <= nominal)
    }
  }, runs(120))
})

describe("delayed", () => {
  it("is later by elapsed time and keeps its nominal instant", () => {
    const trigger = Trigger.cron("0 2 * * *", { timeZone }).pipe(Trigger.delayed("90 minutes"))
    assert.deepStrictEqual(take(Trigger.bind(trigger, { anchor: 0, seed: "" }), ms("2026-03-29T00:00Z"), 2), [
      { due: ms("2026-03-29T02:30Z"), nominal: ms("2026-03-29T01:00Z") },
      { due: ms("2026-03-30T01:30Z"), nominal: ms("2026-03-30T00:00Z") }
    ])
  })

  it("meets what is as late as it is", () => {
    const grid = (start: number) => Trigger.every("1 second", { start })
    const together = Trigger.intersect(Trigger.delayed(grid(0), 500), grid(500))
    assert.strictEqual(Trigger.bind(together, { anchor: 0, seed: "" }).next(10_000)?.due, 10_500)
    assert.isUndefined(
      Trigger.bind(Trigger.intersect(Trigger.delayed(grid(0), 500), grid(0)), { anchor: 0, seed: "" }).next(0)
    )
  })

  it("two delays are one, and the end of time is the end", () => {
    const hourly = Trigger.cron("0 * * * *")
    const twice = hourly.pipe(Trigger.delayed("1 minute"), Trigger.delayed("2 minutes"))
    assert.isTrue(Equal.equals(twice, hourly.pipe(Trigger.delayed("3 minutes"))))
    const last = Trigger.bind(Trigger.delayed(Trigger.at(8.64e15), 1), { anchor: 0, seed: "" })
    assert.isUndefined(last.next(0))
    const long = Trigger.delayed(Trigger.delayed(Trigger.at(-8.64e15), 8.64e15), 8.64e15)
    assert.isTrue(Equal.equals(Schema.decodeSync(Trigger.Trigger)(Schema.encodeSync(Trigger.Trigger)(long)), long))
    assert.deepStrictEqual(Trigger.bind(long, { anchor: -8.64e15, seed: "" }).next(0), {
      due: 8.64e15,
      nominal: -8.64e15
    })
  })

  it("refuses no delay, and events, and jitter before it", () => {
    for (const delay of [0, -1, "Infinity", 0.5]) {
      assert.strictEqual(refused(() => Trigger.delayed(Trigger.now, delay as number)).reason, "duration")
    }
    assert.strictEqual(refused(() => Trigger.delayed(Trigger.startup, 1)).reason, "structure")
    assert.strictEqual(refused(() => Trigger.delayed(Trigger.jittered(Trigger.now, 5), 1)).reason, "structure")
  })

  it.prop("is one to one, and all by the same time", [inner, binding, instant], ([a, binding, after]) => {
    const by = 90_000_001
    const plain = take(Trigger.bind(a, binding), after, 30)
    const later = Trigger.bind(Trigger.delayed(a, by), binding)
    const expected = plain.map(({ due, nominal }) => ({ due: due + by, nominal }))
    assert.deepStrictEqual(take(later, after + by, plain.length + 1).slice(0, plain.length), expected)
    const last = expected[expected.length - 1]
    if (last === undefined) return
    assert.deepStrictEqual(later.previous(last.due + 1), last)
    assert.strictEqual(later.countBetween(after + by, last.due, 1_000).count, plain.length)
  }, runs(120))
})

describe("all of them", () => {
  const daily = Trigger.calendarEvery({ days: 1 }, { at: "09:00", timeZone })

  it("are said in words", () => {
    const off = "Saturday and Sunday, 12-25, 12-26, easter+1 and easter-2 (Europe/Berlin)"
    const words: ReadonlyArray<readonly [Trigger.Trigger, string]> = [
      [daily, "every day at 09:00 (Europe/Berlin)"],
      [
        Trigger.calendarEvery({ months: 3 }, {
          start: "2026-01-31",
          shortMonths: "skip",
          gap: "skip",
          overlap: "both"
        }),
        "every 3 months at 00:00 from 2026-01-31 (UTC), not in months too short, not at skipped times, repeated times both times"
      ],
      [Trigger.except(daily, workdays), `every day at 09:00 (Europe/Berlin), except on ${off}`],
      [Trigger.except(daily, "12-24/01-06"), "every day at 09:00 (Europe/Berlin), except on 12-24/01-06 (UTC)"],
      [
        Trigger.except(daily, Trigger.cron("0 9 1 * *").pipe(Trigger.upTo(3))),
        "every day at 09:00 (Europe/Berlin), except [at 09:00 on day 1 of the month (UTC), at most 3 times]"
      ],
      [
        Trigger.union(daily, Trigger.now).pipe(Trigger.rolled(workdays, "nextInMonth"), Trigger.delayed("10 minutes")),
        `[every day at 09:00 (Europe/Berlin), or once, when it is added], moved to the next open day of the month, or else ` +
        `the one before if on ${off}, 10 minutes later`
      ],
      [
        Trigger.except(
          daily,
          Calendar.make({ holidays: "easter-2,easter,easter+1,12-25,12-26".split(","), open: "2026-12-25" })
        ),
        "every day at 09:00 (Europe/Berlin), except on 5 holidays but not on 2026-12-25 (UTC)"
      ]
    ]
    for (const [trigger, text] of words) assert.strictEqual(Trigger.format(trigger), text)
  })

  it("are stored readably, and a stored one is checked", () => {
    const json = (trigger: Trigger.Trigger) => JSON.parse(JSON.stringify(trigger)) as unknown
    assert.deepStrictEqual(json(Trigger.calendarEvery({ months: 1 }, { start: "2026-01-31", shortMonths: "skip" })), {
      v: 1,
      _tag: "CalendarEvery",
      months: 1,
      at: "00:00",
      timeZone: "UTC",
      start: "2026-01-31",
      shortMonths: "skip"
    })
    assert.deepStrictEqual(json(Trigger.now.pipe(Trigger.rolled(Calendar.make({ weekend: "sun" }), "next"))), {
      v: 1,
      _tag: "Rolled",
      trigger: { _tag: "Now" },
      calendar: { timeZone: "UTC", weekend: ["sun"] },
      direction: "next"
    })
    const decode = (encoded: unknown) => Schema.decodeUnknownResult(Trigger.Trigger)(encoded)
    const now = { _tag: "Now" }
    for (
      const bad of [
        { _tag: "CalendarEvery", at: "00:00", timeZone: "UTC" },
        { _tag: "CalendarEvery", days: 1, weeks: 1, at: "00:00", timeZone: "UTC" },
        { _tag: "CalendarEvery", days: 1, at: "25:00", timeZone: "UTC" },
        { _tag: "ExceptDays", trigger: now, calendar: { timeZone: "UTC", holidays: ["13-13"] } },
        { _tag: "ExceptDays", trigger: now, calendar: { timeZone: "UTC", hollidays: [] } },
        { _tag: "Rolled", trigger: now, calendar: { timeZone: "UTC" }, direction: "up" },
        { _tag: "Except", trigger: now, that: { _tag: "Startup" } },
        { _tag: "Delayed", trigger: now, millis: 0 }
      ]
    ) {
      assert.isTrue(Result.isFailure(decode({ v: 1, ...bad })), JSON.stringify(bad))
    }
  })

  it("know whether they recur and whether they read a clock on the wall", () => {
    const at = Trigger.at(0)
    const utc = Calendar.make({ weekend: "sun" })
    const every = Trigger.every("1 hour")
    const recurs = (trigger: Trigger.Trigger) => Trigger.isRecurring(trigger)
    assert.isTrue(
      [daily, Trigger.except(every, at), Trigger.rolled(every, utc, "next"), Trigger.delayed(every, 5)].every(recurs)
    )
    assert.isFalse([Trigger.except(at, every), Trigger.except(at, utc), Trigger.delayed(at, 5)].some(recurs))
    assert.isTrue(
      [daily, Trigger.except(every, daily), Trigger.except(every, workdays), Trigger.rolled(every, workdays, "next")]
        .every(Trigger.usesTimeZone)
    )
    assert.isFalse(
      [
        Trigger.except(every, utc),
        Trigger.rolled(every, utc, "next"),
        Trigger.delayed(every, 5),
        Trigger.calendarEvery({ days: 1 })
      ].some(Trigger.usesTimeZone)
    )
  })

  it("keep the rules of structure wherever they come from", () => {
    const forged = { ...Trigger.except(daily, Trigger.now), that: Trigger.startup } as Trigger.Trigger
    assert.isTrue(Result.isFailure(Trigger.validate(forged)))
    assert.isTrue(Result.isSuccess(Trigger.validate(Trigger.except(daily, Trigger.now))))
  })
})
