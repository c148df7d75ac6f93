import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import * as CronExpression from "../src/CronExpression.ts"
import * as Trigger from "../src/Trigger.ts"

const iso = (dateTime: DateTime.Utc): string => DateTime.formatIso(dateTime).replace(".000Z", "Z")
const ms = (text: string): number => Date.parse(text)

/** The first `n` due instants after an instant. */
const due = (trigger: Trigger.Trigger, after: string | number, n: number, binding?: Partial<Trigger.Binding>) =>
  Array.from(
    Trigger.occurrences(trigger, { after, limit: n, ...(binding === undefined ? {} : { binding }) }),
    (o) => iso(o.due)
  )

const refused = (make: () => unknown): Trigger.InvalidTrigger => {
  try {
    make()
  } catch (error) {
    if (error instanceof Trigger.InvalidTrigger) return error
    throw error
  }
  return assert.fail("it was accepted")
}

describe("at and now", () => {
  it("at is due once", () => {
    const trigger = Trigger.at("2026-12-24T18:00:00+01:00")
    assert.deepStrictEqual(due(trigger, "2026-01-01T00:00Z", 3), ["2026-12-24T17:00:00Z"])
    assert.deepStrictEqual(due(trigger, "2026-12-24T17:00:00Z", 3), [])
  })

  it("an instant before the anchor is due at the anchor and keeps its nominal instant", () => {
    const bound = Trigger.bind(Trigger.at(1_000), { anchor: 5_000, seed: "" })
    assert.deepStrictEqual(bound.next(4_999), { due: 5_000, nominal: 1_000 })
    assert.isUndefined(bound.next(5_000))
    const combined = Trigger.at(1_000).pipe(Trigger.union(Trigger.now), Trigger.upTo(3))
    assert.deepStrictEqual(Trigger.bind(combined, { anchor: 5_000, seed: "" }).next(0), { due: 5_000, nominal: 1_000 })
  })

  it("all spellings of an instant are the same trigger", () => {
    const instant = "2026-03-29T09:00:00Z"
    for (
      const same of [
        Trigger.at(DateTime.makeUnsafe(instant)),
        Trigger.at(DateTime.makeZonedUnsafe(instant, { timeZone: "Asia/Tokyo" })),
        Trigger.at(new Date(instant)),
        Trigger.at(ms(instant)),
        Trigger.at("2026-03-29T11:00+02:00"),
        Trigger.at("2026-03-29T11:00:00.000+02:00[Europe/Berlin]"),
        Trigger.at("2026-03-29T11:00", { timeZone: "Europe/Berlin" }),
        Trigger.at("2026-03-29 11:00", { timeZone: DateTime.zoneMakeNamedUnsafe("Europe/Berlin") })
      ]
    ) {
      assert.isTrue(Equal.equals(same, Trigger.at(instant)))
    }
  })

  it("a text without a zone is refused, and so is what is not a date", () => {
    assert.match(refused(() => Trigger.at("2026-03-29T09:00:00")).message, /has no time zone.*`timeZone`/)
    assert.strictEqual(refused(() => Trigger.at("2026-02-30T09:00:00Z")).reason, "instant")
    assert.strictEqual(refused(() => Trigger.at("2026-02-20T24:00:00Z")).reason, "instant")
    assert.strictEqual(refused(() => Trigger.at("tomorrow")).reason, "instant")
    assert.strictEqual(refused(() => Trigger.at(NaN)).reason, "instant")
    assert.strictEqual(refused(() => Trigger.at(new Date(NaN))).reason, "instant")
    assert.strictEqual(refused(() => Trigger.at(1.5)).reason, "instant")
    assert.strictEqual(refused(() => Trigger.at(8.64e15 + 1)).reason, "range")
    assert.strictEqual(Trigger.at(8.64e15)._tag, "At")
  })

  it("now is due once, at the anchor", () => {
    const bound = Trigger.bind(Trigger.now, { anchor: 5_000, seed: "" })
    assert.deepStrictEqual(bound.next(4_999), { due: 5_000, nominal: 5_000 })
    assert.isUndefined(bound.next(5_000))
  })
})

describe("every", () => {
  const anchor = ms("2026-01-01T00:00:05Z")

  it("follows the anchor, from the first period or at once", () => {
    assert.deepStrictEqual(due(Trigger.every("1 hour"), anchor - 1, 2, { anchor }), [
      "2026-01-01T01:00:05Z",
      "2026-01-01T02:00:05Z"
    ])
    assert.deepStrictEqual(due(Trigger.every("1 hour", { immediately: true }), anchor - 1, 2, { anchor }), [
      "2026-01-01T00:00:05Z",
      "2026-01-01T01:00:05Z"
    ])
  })

  it("a start makes a grid of its own", () => {
    const trigger = Trigger.every("6 hours", { start: "2026-01-01T03:00Z" })
    assert.deepStrictEqual(due(trigger, anchor, 2, { anchor }), ["2026-01-01T03:00:00Z", "2026-01-01T09:00:00Z"])
    assert.deepStrictEqual(due(trigger, "2026-01-03T03:00Z", 1, { anchor }), ["2026-01-03T09:00:00Z"])
  })

  it("zero, negative, infinite and too fine periods are refused (B14: they were every second, or a loop without end)", () => {
    for (const period of [0, -1, "-5 minutes", "Infinity", Infinity, NaN, 0.5, "100 micros", "nonsense"]) {
      assert.strictEqual(refused(() => Trigger.every(period as number)).reason, "duration")
    }
  })

  it("misspelt options are refused (B14: they were silently ignored)", () => {
    const error = refused(() => Trigger.every("1 hour", { strat: 0 } as unknown as Trigger.EveryOptions))
    assert.match(error.message, /no option `strat`.*did you mean `start`/)
    assert.strictEqual(
      refused(() => Trigger.cron("* * * * *", { timezone: "UTC" } as Trigger.CronOptions)).reason,
      "options"
    )
    assert.strictEqual(refused(() => Trigger.cron("* * * * *", { gap: "jump" as "skip" })).reason, "options")
    assert.strictEqual(
      refused(() => Trigger.during(Trigger.now, { hours: "1" } as Trigger.DuringOptions)).reason,
      "options"
    )
    assert.strictEqual(refused(() => Trigger.every("1 hour", { start: 0, immediately: true })).reason, "options")
  })

  it("a year of occurrences is counted without a walk (B22: no list as long as the outage)", () => {
    const bound = Trigger.bind(Trigger.every("1 second"), { anchor: 0, seed: "" })
    assert.deepStrictEqual(bound.countBetween(0, 31_536_000_000, 0), { count: 31_536_000, exact: true })
    assert.deepStrictEqual(bound.previous(31_536_000_001)?.due, 31_536_000_000)
    const union = Trigger.bind(Trigger.union(Trigger.every("1 second"), Trigger.now), { anchor: 0, seed: "" })
    assert.deepStrictEqual(union.countBetween(0, 31_536_000_000, 100), { count: 100, exact: false })
  })
})

describe("cron", () => {
  const berlin = { timeZone: "Europe/Berlin" }
  const york = { timeZone: "America/New_York" }

  it("is in UTC unless a zone is given", () => {
    assert.deepStrictEqual(due(Trigger.cron("0 9 * * *"), "2026-06-01T00:00Z", 1), ["2026-06-01T09:00:00Z"])
    assert.deepStrictEqual(due(Trigger.cron("0 9 * * *", berlin), "2026-06-01T00:00Z", 1), ["2026-06-01T07:00:00Z"])
    assert.deepStrictEqual(due(Trigger.cron("0 9 * * *", { timeZone: "+05:30" }), "2026-06-01T00:00Z", 1), [
      "2026-06-01T03:30:00Z"
    ])
  })

  it("a fixed time inside a gap runs once, right after the gap", () => {
    assert.deepStrictEqual(due(Trigger.cron("30 2 * * *", berlin), "2026-03-28T12:00Z", 2), [
      "2026-03-29T01:00:00Z",
      "2026-03-30T00:30:00Z"
    ])
    assert.deepStrictEqual(due(Trigger.cron("0,30 2,3 * * *", york), "2026-03-08T00:00Z", 3), [
      "2026-03-08T07:00:00Z",
      "2026-03-08T07:30:00Z",
      "2026-03-09T06:00:00Z"
    ])
  })

  it("gap: skip leaves it out, shift moves it by the length of the gap", () => {
    assert.deepStrictEqual(due(Trigger.cron("30 2 * * *", { ...berlin, gap: "skip" }), "2026-03-28T12:00Z", 1), [
      "2026-03-30T00:30:00Z"
    ])
    assert.deepStrictEqual(due(Trigger.cron("30 2 * * *", { ...berlin, gap: "shift" }), "2026-03-28T12:00Z", 1), [
      "2026-03-29T01:30:00Z"
    ])
  })

  it("a fixed time in a repeated hour runs once, in the first pass, or as the option says", () => {
    const after = "2026-10-24T12:00Z"
    assert.deepStrictEqual(due(Trigger.cron("30 2 * * *", berlin), after, 2), [
      "2026-10-25T00:30:00Z",
      "2026-10-26T01:30:00Z"
    ])
    assert.deepStrictEqual(due(Trigger.cron("30 2 * * *", { ...berlin, overlap: "second" }), after, 1), [
      "2026-10-25T01:30:00Z"
    ])
    assert.deepStrictEqual(due(Trigger.cron("30 2 * * *", { ...berlin, overlap: "both" }), after, 2), [
      "2026-10-25T00:30:00Z",
      "2026-10-25T01:30:00Z"
    ])
  })

  it("the second pass is found although the expression is rare", () => {
    const yearly = Trigger.bind(Trigger.cron("30 2 25 10 *", { ...berlin, overlap: "both" }), { anchor: 0, seed: "" })
    assert.strictEqual(yearly.next(ms("2026-10-25T00:30Z"))?.due, ms("2026-10-25T01:30Z"))
    assert.strictEqual(yearly.previous(ms("2026-10-25T01:30Z"))?.due, ms("2026-10-25T00:30Z"))
  })

  it("a wildcard hour runs on every real hour: 23, 24 or 25 a day (B4: the repeated hour was silent)", () => {
    const count = (expression: string, from: string, until: string) =>
      Trigger.bind(Trigger.cron(expression, york), { anchor: 0, seed: "" }).countBetween(ms(from) - 1, ms(until) - 1, 0)
        .count
    assert.strictEqual(count("0 * * * *", "2026-03-08T05:00Z", "2026-03-09T04:00Z"), 23)
    assert.strictEqual(count("0 * * * *", "2026-06-08T04:00Z", "2026-06-09T04:00Z"), 24)
    assert.strictEqual(count("0 * * * *", "2026-11-01T04:00Z", "2026-11-02T05:00Z"), 25)
    assert.strictEqual(count("*/15 * * * *", "2026-11-01T04:00Z", "2026-11-02T05:00Z"), 100)
  })

  it("asked inside the repeated hour it answers a later instant (B4: it was 40 minutes in the past)", () => {
    // 01:10 in the second pass.
    const after = ms("2025-11-02T06:10:00Z")
    assert.deepStrictEqual(due(Trigger.cron("*/30 * * * *", york), after, 2), [
      "2025-11-02T06:30:00Z",
      "2025-11-02T07:00:00Z"
    ])
  })

  it("an hour of elapsed time stays one across a change of clocks (B4: it became two)", () => {
    const trigger = Trigger.every("1 hour", { start: "2026-11-01T04:30Z" })
    assert.deepStrictEqual(due(trigger, "2026-11-01T04:30Z", 3), [
      "2026-11-01T05:30:00Z",
      "2026-11-01T06:30:00Z",
      "2026-11-01T07:30:00Z"
    ])
  })

  it("the day after a gap it is at its own time again (B4: it stayed an hour late for ever)", () => {
    assert.deepStrictEqual(due(Trigger.cron("30 2 * * *", york), "2026-03-07T12:00Z", 3), [
      "2026-03-08T07:00:00Z",
      "2026-03-09T06:30:00Z",
      "2026-03-10T06:30:00Z"
    ])
  })

  it("a midnight that does not exist, a half-hour change and a missing day", () => {
    assert.deepStrictEqual(due(Trigger.cron("0 0 * * *", { timeZone: "America/Sao_Paulo" }), "2018-11-03T12:00Z", 2), [
      "2018-11-04T03:00:00Z",
      "2018-11-05T02:00:00Z"
    ])
    assert.deepStrictEqual(
      due(Trigger.cron("15 2 * * *", { timeZone: "Australia/Lord_Howe" }), "2026-10-03T12:00Z", 1),
      [
        "2026-10-03T15:30:00Z"
      ]
    )
    assert.deepStrictEqual(due(Trigger.cron("0 12 * * *", { timeZone: "Pacific/Apia" }), "2011-12-29T12:00Z", 3), [
      "2011-12-29T22:00:00Z",
      "2011-12-30T10:00:00Z",
      "2011-12-30T22:00:00Z"
    ])
  })

  it("leap days far away are found, also across 2100", () => {
    assert.deepStrictEqual(due(Trigger.cron("0 0 29 2 *"), "2096-03-01T00:00Z", 2), [
      "2104-02-29T00:00:00Z",
      "2108-02-29T00:00:00Z"
    ])
    assert.deepStrictEqual(due(Trigger.cron("0 0 29 2 MON", { ...berlin, dayMatch: "and" }), "2072-03-01T00:00Z", 1), [
      "2112-02-28T23:00:00Z"
    ])
  })

  it("day of month and day of week are alternatives, or both must hold", () => {
    assert.deepStrictEqual(due(Trigger.cron("0 0 13 * FRI"), "2026-02-01T00:00Z", 3), [
      "2026-02-06T00:00:00Z",
      "2026-02-13T00:00:00Z",
      "2026-02-20T00:00:00Z"
    ])
    assert.deepStrictEqual(due(Trigger.cron("0 0 13 * FRI", { dayMatch: "and" }), "2026-02-01T00:00Z", 3), [
      "2026-02-13T00:00:00Z",
      "2026-03-13T00:00:00Z",
      "2026-11-13T00:00:00Z"
    ])
  })

  it("seconds", () => {
    assert.deepStrictEqual(due(Trigger.cron("*/20 59 23 * * *"), "2026-01-01T23:59:20.001Z", 3), [
      "2026-01-01T23:59:40Z",
      "2026-01-02T23:59:00Z",
      "2026-01-02T23:59:20Z"
    ])
  })

  it("a bad expression is thrown with its own error inside, and an unknown zone with a suggestion", () => {
    const error = refused(() => Trigger.cron("0 9 * * MOM"))
    assert.strictEqual(error.reason, "cron")
    assert.strictEqual(error.cron?.suggestion, "MON")
    const zone = refused(() => Trigger.cron("0 9 * * *", { timeZone: "Europe/Berln" }))
    assert.match(zone.message, /not a time zone.*did you mean `Europe\/Berlin`/)
  })

  it("takes an expression that was read before, and keeps how its days combine", () => {
    const expression = CronExpression.parseUnsafe("0 0 13 * FRI", { dayMatch: "and" })
    assert.isTrue(Equal.equals(Trigger.cron(expression), Trigger.cron("0 0 13 * FRI", { dayMatch: "and" })))
    assert.isTrue(Equal.equals(Trigger.cron(expression, { dayMatch: "or" }), Trigger.cron("0 0 13 * FRI")))
  })

  it("letter case of a zone and the spelling of an expression do not make another trigger", () => {
    assert.isTrue(
      Equal.equals(
        Trigger.cron("0 9 * * mon-fri", { timeZone: "europe/berlin" }),
        Trigger.cron("0 9 * * 1-5", { timeZone: "Europe/Berlin" })
      )
    )
    assert.isFalse(Equal.equals(Trigger.cron("0 9 * * *"), Trigger.cron("0 9 * * *", { timeZone: "Europe/Berlin" })))
  })
})

describe("combinators", () => {
  it("union loses nobody (B2: of two dates only the first ever fired)", () => {
    const trigger = Trigger.union(Trigger.at("2026-01-01T00:00Z"), Trigger.at("2026-01-02T00:00Z")).pipe(
      Trigger.union(Trigger.every("12 hours", { start: "2026-01-01T06:00Z" }))
    )
    assert.deepStrictEqual(due(trigger, "2025-12-31T00:00Z", 4), [
      "2026-01-01T00:00:00Z",
      "2026-01-01T06:00:00Z",
      "2026-01-01T18:00:00Z",
      "2026-01-02T00:00:00Z"
    ])
  })

  it("intersect goes on after its first occurrence (B2: it hung on the second)", () => {
    const trigger = Trigger.intersect(Trigger.cron("0 9 * * *"), Trigger.cron("0 * * * MON"))
    assert.deepStrictEqual(due(trigger, "2026-01-01T00:00Z", 3), [
      "2026-01-05T09:00:00Z",
      "2026-01-12T09:00:00Z",
      "2026-01-19T09:00:00Z"
    ])
  })

  it("intersect of what never meets ends (B2: interval and cron hung for ever)", () => {
    const never = [
      Trigger.intersect(Trigger.every("1 hour"), Trigger.cron("* * * * *")),
      Trigger.intersect(Trigger.cron("0 0 1 * *"), Trigger.cron("0 0 2 * *")),
      Trigger.intersect(Trigger.cron("0 12 * * *", { timeZone: "Asia/Tokyo" }), Trigger.cron("0 12 * * *")),
      Trigger.during(Trigger.every("1 minute"), { dates: "2020-01-01" }),
      Trigger.intersect(
        Trigger.union(Trigger.every("1 second", { start: 0 }), Trigger.now),
        Trigger.every("1 second", { start: 500 })
      )
    ]
    for (const trigger of never) {
      const bound = Trigger.bind(trigger, { anchor: ms("2026-01-01T00:00:00.123Z"), seed: "" })
      assert.isUndefined(bound.next(ms("2026-01-01T00:00Z")))
    }
  })

  it("intersect finds where grids of different phase meet", () => {
    const trigger = Trigger.intersect(
      Trigger.every("1500 millis", { start: 500 }),
      Trigger.every("1 second", { start: 0 })
    )
    assert.deepStrictEqual(due(trigger, 0, 2), ["1970-01-01T00:00:02Z", "1970-01-01T00:00:05Z"])
  })

  it("during: hours, weekdays, dates", () => {
    const hourly = Trigger.cron("0 * * * *", { timeZone: "Europe/Berlin" })
    const office = Trigger.during(hourly, { timeZone: "Europe/Berlin", weekdays: "mon-fri", times: "09:00-11:00" })
    assert.deepStrictEqual(due(office, "2026-03-27T00:00Z", 4), [
      "2026-03-27T08:00:00Z",
      "2026-03-27T09:00:00Z",
      "2026-03-30T07:00:00Z",
      "2026-03-30T08:00:00Z"
    ])
    const holidays = Trigger.during(Trigger.cron("0 12 * * *"), { dates: ["12-24/01-02", "2026-05-01"] })
    assert.deepStrictEqual(due(holidays, "2026-01-01T00:00Z", 4), [
      "2026-01-01T12:00:00Z",
      "2026-01-02T12:00:00Z",
      "2026-05-01T12:00:00Z",
      "2026-12-24T12:00:00Z"
    ])
  })

  it("during: a window across midnight belongs to the day it opens on", () => {
    const night = Trigger.during(Trigger.every("2 hours", { start: 0 }), { weekdays: ["fri"], times: "22:00-06:00" })
    assert.deepStrictEqual(due(night, "2026-03-27T00:00Z", 5), [
      "2026-03-27T22:00:00Z",
      "2026-03-28T00:00:00Z",
      "2026-03-28T02:00:00Z",
      "2026-03-28T04:00:00Z",
      "2026-04-03T22:00:00Z"
    ])
  })

  it("during: the last instant of a window is inside, its end is not", () => {
    const trigger = Trigger.during(Trigger.every(1, { start: 0 }), { times: "09:00-17:00" })
    const bound = Trigger.bind(trigger, { anchor: 0, seed: "" })
    assert.strictEqual(bound.previous(ms("2026-01-01T20:00Z"))?.due, ms("2026-01-01T17:00Z") - 1)
    assert.strictEqual(bound.next(ms("2026-01-01T17:00Z") - 1)?.due, ms("2026-01-02T09:00Z"))
  })

  it("during: windows that are no windows are refused", () => {
    const during = (options: Trigger.DuringOptions) => refused(() => Trigger.during(Trigger.now, options)).reason
    assert.strictEqual(during({}), "window")
    assert.strictEqual(during({ times: [] }), "window")
    assert.strictEqual(during({ times: "9-17" }), "window")
    assert.strictEqual(during({ times: "09:00-09:00" }), "window")
    assert.strictEqual(during({ times: "09:00-24:01" }), "window")
    assert.strictEqual(during({ dates: "2026-02-29" }), "window")
    assert.strictEqual(during({ dates: "02-30" }), "window")
    assert.strictEqual(during({ dates: "2026-02-02/02-03" }), "window")
    assert.strictEqual(during({ dates: "2026-02-02/2026-02-01" }), "window")
    assert.strictEqual(during({ weekdays: "mom" }), "window")
    assert.strictEqual(during({ weekdays: [] }), "window")
    assert.strictEqual(during({ weekdays: "mon", timeZone: "Nowhere" }), "timeZone")
  })

  it("between includes both ends", () => {
    const trigger = Trigger.every("1 hour", { start: 0 }).pipe(
      Trigger.between({ start: "2026-01-01T10:00Z", end: "2026-01-01T12:00Z" })
    )
    assert.deepStrictEqual(due(trigger, 0, 9), ["2026-01-01T10:00:00Z", "2026-01-01T11:00:00Z", "2026-01-01T12:00:00Z"])
    assert.strictEqual(refused(() => Trigger.between(Trigger.now, {})).reason, "options")
    assert.strictEqual(refused(() => Trigger.between(Trigger.now, { start: 1, end: 0 })).reason, "range")
  })

  it("upTo counts from the anchor", () => {
    const anchor = ms("2026-01-01T08:00Z")
    assert.deepStrictEqual(due(Trigger.cron("0 9 * * *").pipe(Trigger.upTo(2)), "2020-01-01T00:00Z", 9, { anchor }), [
      "2026-01-01T09:00:00Z",
      "2026-01-02T09:00:00Z"
    ])
    assert.strictEqual(
      Trigger.bind(Trigger.every("1 second").pipe(Trigger.upTo(1e12)), { anchor: 0, seed: "" }).previous(8.64e15)?.due,
      1e15
    )
    for (const n of [0, -1, 1.5, NaN, Infinity]) {
      assert.strictEqual(refused(() => Trigger.upTo(Trigger.now, n)).reason, "count")
    }
  })

  it("a thousand jittered runs do not drift (B20: they were 84 minutes late)", () => {
    const trigger = Trigger.every("1 minute").pipe(Trigger.jittered("10 seconds"))
    const bound = Trigger.bind(trigger, { anchor: 0, seed: "a" })
    let point = bound.next(0)!
    for (let i = 1; i < 1_000; i++) point = bound.next(point.due)!
    assert.strictEqual(point.nominal, 60_000_000)
    assert.isTrue(point.due >= 60_000_000 && point.due < 60_010_000)
  })

  it("jitter is for ever the same for a seed, and another one for another", () => {
    const trigger = Trigger.every("1 minute").pipe(Trigger.jittered("1 minute"))
    const offsets = (seed: string) => {
      const bound = Trigger.bind(trigger, { anchor: 0, seed })
      return [0, 60_000, 120_000].map((after) => bound.next(after + 59_999)).map((point) => point!.due - point!.nominal)
    }
    // Stored schedules rely on these figures: a change of them is a change of the stored form.
    assert.deepStrictEqual(offsets("digest-acme"), [23_852, 44_172, 15_351])
    assert.notDeepEqual(offsets("digest-zenith"), [23_852, 44_172, 15_351])
  })
})

describe("structure", () => {
  it("startup and shutdown stand alone or in a union at the top", () => {
    const trigger = Trigger.union(Trigger.startup, Trigger.every("1 hour"))
    assert.deepStrictEqual(Trigger.events(trigger), { startup: true, shutdown: false })
    assert.deepStrictEqual(Trigger.events(Trigger.shutdown), { startup: false, shutdown: true })
    assert.isTrue(Option.isNone(Trigger.next(Trigger.startup, 0)))
    for (
      const make of [
        () => Trigger.upTo(Trigger.startup, 1),
        () => Trigger.during(trigger, { times: "09:00-10:00" }),
        () => Trigger.intersect(Trigger.every("1 hour"), Trigger.shutdown),
        () => Trigger.jittered(trigger, "1 second"),
        () => Trigger.between(trigger, { start: 0 })
      ]
    ) assert.strictEqual(refused(make).reason, "structure")
  })

  it("jittered is the last step, beside events in a union", () => {
    const jittered = Trigger.every("1 hour").pipe(Trigger.jittered("1 minute"))
    assert.match(refused(() => Trigger.upTo(jittered, 3)).message, /apply `upTo` first, then `jittered`/)
    assert.strictEqual(refused(() => Trigger.jittered(jittered, "1 minute")).reason, "structure")
    assert.strictEqual(refused(() => Trigger.union(jittered, Trigger.now)).reason, "structure")
    const withEvent = Trigger.union(Trigger.startup, jittered)
    assert.isTrue(Result.isSuccess(Trigger.validate(withEvent)))
  })

  it("validate answers what a foreign tree breaks", () => {
    const jittered = Trigger.every("1 hour").pipe(Trigger.jittered("1 minute"))
    const foreign = Object.assign(Object.create(Object.getPrototypeOf(jittered)), {
      _tag: "UpTo",
      trigger: jittered,
      count: 1
    })
    assert.isTrue(Result.isFailure(Trigger.validate(foreign as Trigger.Trigger)))
  })

  it("union is flat, without repetitions and without never", () => {
    const a = Trigger.every("1 hour")
    const b = Trigger.cron("0 9 * * *")
    assert.isTrue(Equal.equals(Trigger.union(a, a), a))
    assert.isTrue(Equal.equals(Trigger.union(a, Trigger.never), a))
    assert.isTrue(Equal.equals(Trigger.union(Trigger.union(a, b), a), Trigger.union(a, Trigger.union(b, b))))
    assert.isTrue(Equal.equals(Trigger.intersect(a, Trigger.never), Trigger.never))
  })

  it("isRecurring and usesTimeZone", () => {
    assert.isFalse(Trigger.isRecurring(Trigger.at(0)))
    assert.isFalse(Trigger.isRecurring(Trigger.startup))
    assert.isFalse(Trigger.isRecurring(Trigger.every("1 hour").pipe(Trigger.upTo(1))))
    assert.isTrue(Trigger.isRecurring(Trigger.every("1 hour").pipe(Trigger.upTo(2), Trigger.jittered("1 second"))))
    assert.isFalse(Trigger.usesTimeZone(Trigger.cron("* * * * *")))
    assert.isFalse(Trigger.usesTimeZone(Trigger.every("1 hour")))
    assert.isTrue(Trigger.usesTimeZone(Trigger.cron("* * * * *", { timeZone: "Europe/Berlin" })))
    assert.isTrue(Trigger.usesTimeZone(Trigger.during(Trigger.now, { timeZone: "Europe/Berlin", weekdays: "mon" })))
    assert.isTrue(Trigger.usesTimeZone(Trigger.rrule("FREQ=DAILY", { timeZone: "Europe/Berlin" })))
    assert.isTrue(Trigger.usesTimeZone(Trigger.rrule("DTSTART;TZID=Europe/Berlin:20260105T090000\nRRULE:FREQ=DAILY")))
    assert.isFalse(Trigger.usesTimeZone(Trigger.rrule("DTSTART:20260105T090000Z\nRRULE:FREQ=DAILY")))
    assert.isTrue(
      Trigger.usesTimeZone(
        Trigger.rrule(
          "DTSTART:20260105T090000Z\nRRULE:FREQ=DAILY\nEXDATE;TZID=Europe/Berlin:20260106T100000"
        )
      )
    )
  })
})

describe("stored form", () => {
  const codec = Schema.fromJsonString(Trigger.Trigger)
  const decode = (text: string) => Schema.decodeUnknownResult(codec)(text)
  const message = (text: string): string => {
    const result = decode(text)
    return Result.isFailure(result) ? result.failure.message : assert.fail(`${text} was accepted`)
  }

  it("is versioned JSON, also from JSON.stringify and inside other schemas", () => {
    const trigger = Trigger.cron("0 9 * * mon-fri", { timeZone: "Europe/Berlin" }).pipe(Trigger.jittered("2 minutes"))
    const text =
      `{"v":1,"_tag":"Jittered","trigger":{"_tag":"Cron","expression":"0 9 * * MON-FRI","timeZone":"Europe/Berlin"},"millis":120000}`
    assert.strictEqual(Schema.encodeSync(codec)(trigger), text)
    assert.strictEqual(JSON.stringify(trigger), text)
    const row = Schema.toCodecJson(Schema.Struct({ trigger: Trigger.Trigger }))
    assert.deepStrictEqual(Schema.encodeSync(row)({ trigger }), { trigger: JSON.parse(text) })
  })

  it("keeps everything it needs to go on (B3: an interval forgot its size)", () => {
    const trigger = Trigger.every("90 minutes", { start: "2026-01-01T00:00Z" }).pipe(
      Trigger.during({ timeZone: "Europe/Berlin", weekdays: "mon-fri", times: ["09:00-12:00", "22:00-02:00:30"] }),
      Trigger.between({ end: "2027-01-01T00:00Z" }),
      Trigger.upTo(50),
      Trigger.jittered("3 seconds")
    )
    const back = Schema.decodeSync(codec)(Schema.encodeSync(codec)(trigger))
    assert.deepStrictEqual(back, trigger)
    assert.deepStrictEqual(due(back, 0, 60, { seed: "x" }), due(trigger, 0, 60, { seed: "x" }))
  })

  it("unknown keys, kinds and newer versions are refused (B14)", () => {
    assert.match(message(`{"v":2,"_tag":"Now"}`), /newer version \(v 2\).*upgrade/)
    assert.match(message(`{"_tag":"Now"}`), /version in `v`/)
    assert.match(message(`{"v":1,"_tag":"Tides"}`), /unknown kind of trigger `Tides`/)
    assert.match(message(`{"v":1,"_tag":"Rule"}`), /did you mean `Rrule`/)
    assert.match(message(`{"v":1,"_tag":"Every","millis":5,"jitter":1}`), /excess property[^]*jitter/)
    assert.match(
      message(`{"v":1,"_tag":"UpTo","count":1,"trigger":{"_tag":"Every","millis":5,"x":1}}`),
      /excess property[^]*x/
    )
    assert.match(message(`{"v":1,"_tag":"UpTo","count":1,"trigger":{"v":1,"_tag":"Now"}}`), /excess property/)
  })

  it("what a constructor refuses is refused here too", () => {
    assert.match(message(`{"v":1,"_tag":"Every","millis":0}`), /at least 1/)
    assert.match(message(`{"v":1,"_tag":"At","instant":"2026-01-01T00:00:00"}`), /no time zone/)
    assert.match(message(`{"v":1,"_tag":"Cron","expression":"0 0 30 2 *","timeZone":"UTC"}`), /FEB never has/)
    assert.match(message(`{"v":1,"_tag":"Cron","expression":"0 0 * * *","timeZone":"Nowhere"}`), /not a time zone/)
    assert.match(message(`{"v":1,"_tag":"UpTo","count":2,"trigger":{"_tag":"Startup"}}`), /events, not instants/)
    assert.match(message(`{"v":1,"_tag":"Intersect","triggers":[]}`), /nothing/)
  })
})

describe("questions", () => {
  it("next works in a pipe and directly, with all spellings of an instant", () => {
    const trigger = Trigger.every("1 hour")
    const expected = Option.some("1970-01-01T01:00:00Z")
    assert.deepStrictEqual(Option.map(Trigger.next(trigger, 0), (o) => iso(o.due)), expected)
    assert.deepStrictEqual(trigger.pipe(Trigger.next(new Date(0)), Option.map((o) => iso(o.due))), expected)
    assert.deepStrictEqual(
      trigger.pipe(Trigger.next(DateTime.makeUnsafe(0), { anchor: 500 }), Option.map((o) => iso(o.due))),
      Option.some("1970-01-01T01:00:00.500Z")
    )
    assert.strictEqual(refused(() => Trigger.next(trigger, NaN)).reason, "instant")
    assert.isTrue(Option.isSome(Trigger.next(trigger, -Infinity)))
    assert.isTrue(Option.isNone(Trigger.next(trigger, Infinity)))
    assert.isTrue(Option.isNone(Trigger.next(Trigger.cron("* * * * *", { timeZone: "Europe/Berlin" }), 8.64e15)))
  })

  it("occurrences stop at `until`, itself included, and can be iterated again", () => {
    const list = Trigger.every("1 hour").pipe(Trigger.occurrences({ after: 0, until: 7_200_000 }))
    assert.strictEqual(Array.from(list).length, 2)
    assert.strictEqual(Array.from(list).length, 2)
  })

  it("format says it in words", () => {
    const cases: ReadonlyArray<readonly [Trigger.Trigger, string]> = [
      [
        Trigger.cron("0 9 * * MON-FRI", { timeZone: "Europe/Berlin" }).pipe(Trigger.jittered("2 minutes")),
        "at 09:00 on Monday to Friday (Europe/Berlin), up to 2 minutes late by jitter"
      ],
      [Trigger.cron("* * * * *"), "every minute (UTC)"],
      [Trigger.cron("* * * * * *"), "every second (UTC)"],
      [Trigger.cron("*/5 * * * *"), "every 5 minutes (UTC)"],
      [Trigger.cron("0 * * * *"), "every hour (UTC)"],
      [Trigger.cron("0 */6 * * *"), "at 00:00, 06:00, 12:00 and 18:00 (UTC)"],
      [Trigger.cron("10,40 * * * *"), "at minutes 10 and 40 of every hour (UTC)"],
      [Trigger.cron("*/15 9-17 * * 6,7"), "every 15 minutes of hours 9 to 17 on Saturday and Sunday (UTC)"],
      [Trigger.cron("0 0 13 * FRI"), "at 00:00 on day 13 of the month or on Friday (UTC)"],
      [Trigger.cron("0 0 13 * FRI", { dayMatch: "and" }), "at 00:00 on day 13 of the month when that is Friday (UTC)"],
      [Trigger.cron("0 0 1 1,6-8 *"), "at 00:00 on day 1 of the month in January and June to August (UTC)"],
      [Trigger.every("90 minutes"), "every 1 hour 30 minutes"],
      [Trigger.every("1 hour", { immediately: true }), "every hour, starting immediately"],
      [Trigger.every("1 day", { start: 0 }), "every day from 1970-01-01T00:00:00Z"],
      [Trigger.union(Trigger.startup, Trigger.at(0)), "when the scheduler starts, or once at 1970-01-01T00:00:00Z"],
      [
        Trigger.union(Trigger.every("1 hour"), Trigger.now).pipe(Trigger.upTo(3)),
        "[every hour, or once, when it is added], at most 3 times"
      ],
      [
        Trigger.every("1 hour").pipe(
          Trigger.during({ weekdays: "sat-sun", dates: "12-24/01-06", times: "22:00-06:00" })
        ),
        "every hour, only from 22:00 to 06:00, on Saturday and Sunday, on 24 December to 6 January (UTC)"
      ]
    ]
    for (const [trigger, text] of cases) assert.strictEqual(Trigger.format(trigger), text)
  })

  it("answers do not depend on the zone of the process", () => {
    const script = fileURLToPath(new URL("../src/Trigger.ts", import.meta.url))
    const program = `
      const Trigger = await import(${JSON.stringify(script)})
      const out = []
      for (const timeZone of ["UTC", "Europe/Berlin", "America/Havana", "Australia/Lord_Howe"]) {
        for (const trigger of [
          Trigger.cron("*/30 * * * *", { timeZone }), Trigger.cron("30 0-3 * * *", { timeZone }),
          Trigger.every("50 minutes").pipe(Trigger.during({ timeZone, weekdays: "sat,sun", times: "22:00-03:00" })),
          Trigger.at("2026-10-25T02:30", { timeZone })
        ]) {
          for (const after of ["2026-03-07T12:00Z", "2026-10-24T12:00Z"]) {
            for (const o of Trigger.occurrences(trigger, { after, limit: 40 })) out.push(o.due.epochMilliseconds)
          }
          out.push(Trigger.format(trigger), JSON.stringify(trigger))
        }
      }
      console.log(JSON.stringify(out))
    `
    const outputs = ["UTC", "America/New_York", "Pacific/Apia", "Europe/Berlin"].map((TZ) =>
      execFileSync(process.execPath, [
        "--experimental-strip-types",
        "--no-warnings",
        "--input-type=module",
        "-e",
        program
      ], {
        env: { ...process.env, TZ, NODE_OPTIONS: "" },
        encoding: "utf8"
      })
    )
    assert.isAbove(outputs[0]!.length, 5_000)
    for (const output of outputs) assert.strictEqual(output, outputs[0])
  }, 60_000)
})

describe("toSchedule", () => {
  it.effect("steps on the grid of the trigger, from its own occurrence before", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(ms("2026-01-01T00:02:00Z"))
      const at: Array<string> = []
      const run = Effect.gen(function*() {
        at.push(iso(yield* DateTime.now))
        // The second run takes longer than a period.
        if (at.length === 2) yield* Effect.sleep("12 minutes")
      })
      const fiber = yield* Effect.forkChild(
        Effect.repeat(run, Trigger.toSchedule(Trigger.cron("*/5 * * * *").pipe(Trigger.upTo(5))))
      )
      yield* TestClock.adjust("1 hour")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(at, [
        "2026-01-01T00:02:00Z",
        "2026-01-01T00:05:00Z",
        "2026-01-01T00:17:00Z",
        "2026-01-01T00:17:00Z",
        "2026-01-01T00:20:00Z",
        "2026-01-01T00:25:00Z"
      ])
    }))

  it.effect("ends with the trigger", () =>
    Effect.gen(function*() {
      let n = 0
      yield* Effect.repeat(Effect.sync(() => n++), Trigger.toSchedule(Trigger.never))
      assert.strictEqual(n, 1)
      yield* Effect.repeat(Effect.sync(() => n++), Trigger.toSchedule(Trigger.at(0)))
      assert.strictEqual(n, 2)
    }))
})
