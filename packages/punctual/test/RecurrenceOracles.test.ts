/**
 * The recurrence engine against two other libraries, where those agree with RFC 5545, and a table of where they do not.
 *
 * `rrule-temporal` needs `Temporal`, which this file brings along for runtimes without it.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { rrulestr } from "rrule"
import { RRuleTemporal } from "rrule-temporal"
import "temporal-polyfill/global"
import { makeRecurrence } from "../src/internal/recurrenceEngine.ts"
import { lookup } from "../src/internal/timeZone.ts"
import * as RecurrenceRule from "../src/RecurrenceRule.ts"
import { dateText, frequencies, iso, pick, type Spec, specOf, starts, textOf } from "./support/recurrenceSpecs.ts"

const DAY = 86_400

const ours = (text: string, from: number, until: number, limit: number): ReadonlyArray<string> => {
  const engine = makeRecurrence(RecurrenceRule.parseUnsafe(text), lookup("UTC")!, 0)
  const found: Array<string> = []
  for (let t = engine.next(from); t <= until && found.length < limit; t = engine.next(t + 1)) found.push(iso(t))
  return found
}

const date = (seconds: number): Date => new Date(seconds * 1000)

/** Without the `UNTIL` it walks to the year 9999. */
const rruleSays = (text: string, from: number, until: number, limit: number): ReadonlyArray<string> => {
  const found: Array<string> = []
  rrulestr(`${text};UNTIL=${dateText(until)}Z`).between(date(from), date(until), true, (at) => {
    found.push(iso(at.getTime() / 1000))
    return found.length < limit
  })
  return found.slice(0, limit)
}

const temporalSays = (text: string, from: number, until: number, limit: number): ReadonlyArray<string> =>
  new RRuleTemporal({ rruleString: text, maxIterations: 1_000_000 })
    .between(date(from), date(until), true)
    .slice(0, limit)
    .map((at) => iso(at.epochMilliseconds / 1000))

/** How far they are asked: they step through everything in between. */
const reach = (spec: Spec): number =>
  DAY *
  (spec.freq === "YEARLY"
    ? 1500
    : spec.freq === "MONTHLY"
    ? 800
    : spec.freq === "MINUTELY"
    ? 2
    : spec.freq === "HOURLY"
    ? 20
    : 200)

const mixesDays = ({ day }: Spec): boolean => day.some(({ n }) => n === 0) && day.some(({ n }) => n !== 0)

const yearOrdinals = ({ day, freq, month }: Spec): boolean =>
  freq === "YEARLY" && month.length > 0 && day.some(({ n }) => Math.abs(n) > 5)

// What follows is left to the table below, and to the filter of RecurrenceDifferential.test.ts.

/** They miss days of the last week that lie in the next year, unless weeks begin on Monday. */
const weeksFromMonday = ({ weekNo, weekStart }: Spec): boolean => weekNo.length === 0 || weekStart === 1

const rruleAgrees = (spec: Spec): boolean =>
  weeksFromMonday(spec) &&
  spec.setPos.length === 0 &&
  !mixesDays(spec) && !yearOrdinals(spec) &&
  !(spec.weekNo.length > 0 && (spec.day.length === 0 || spec.interval > 1))

const temporalAgrees = (spec: Spec): boolean =>
  weeksFromMonday(spec) &&
  !(spec.freq === "YEARLY" && spec.day.some(({ n }) => Math.abs(n) > 52)) &&
  !mixesDays(spec) && !yearOrdinals(spec) &&
  [spec.weekNo, spec.yearDay, spec.monthDay].filter((list) => list.length > 0).length < 2 &&
  !(spec.freq === "YEARLY" && spec.yearDay.length + spec.monthDay.length > 0 && spec.day.length > 0) &&
  !(spec.weekNo.length > 0 && (spec.interval > 1 || spec.setPos.length > 0 || spec.month.length > 0))

describe("recurrences and other libraries", () => {
  const compare = (
    says: typeof rruleSays,
    agrees: (spec: Spec) => boolean
  ) =>
  ([spec, start]: readonly [Spec, number]): void => {
    const rule = RecurrenceRule.parse(`DTSTART:${dateText(start)}Z\nRRULE:${textOf(spec)}`)
    if (!agrees(spec) || Result.isFailure(rule)) return
    // As we print it: `rrule` lists times in the order they are written in.
    const { text } = rule.success
    // What never occurs is walked to the year 9999.
    if (makeRecurrence(rule.success, lookup("UTC")!, 0).next(start) === Infinity) return
    const until = start + reach(spec)
    assert.deepStrictEqual(ours(text, start, until, 12), says(text, start, until, 12), text)
  }

  it.prop("rrule", [specOf(frequencies.slice(0, 4)), starts], compare(rruleSays, rruleAgrees))
  it.prop("rrule-temporal", [specOf(frequencies.slice(0, 6)), starts], compare(temporalSays, temporalAgrees))

  it.prop("rrule-temporal in a zone, by days at times that are there once", [
    specOf(frequencies.slice(1, 4)),
    starts,
    pick(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
    pick([5, 9, 12, 22])
  ], ([anySpec, start, timeZone, hour]) => {
    const spec = { ...anySpec, hour: [hour] }
    const text = `DTSTART;TZID=${timeZone}:${dateText(start)}\nRRULE:${textOf(spec)}`
    if (!temporalAgrees(spec) || Result.isFailure(RecurrenceRule.parse(text))) return
    const from = start - 2 * DAY
    const until = start + reach(spec)
    assert.deepStrictEqual(ours(text, from, until, 12), temporalSays(text, from, until, 12), text)
  })
})

describe("where they differ", () => {
  interface Divergence {
    readonly why: string
    readonly text: string
    /** The end of the year they are asked up to; they step through all of it. */
    readonly year?: number
    readonly ours: ReadonlyArray<string>
    readonly rrule?: ReadonlyArray<string>
    readonly temporal?: ReadonlyArray<string>
  }

  const zone = "DTSTART;TZID=America/New_York:"

  const divergences: ReadonlyArray<Divergence> = [
    {
      why: "days with and without a number are one list (rrule wants a day to be both)",
      text: "DTSTART:20260101T090000Z\nRRULE:FREQ=YEARLY;BYDAY=MO,15MO",
      year: 2028,
      ours: ["2026-01-05T09:00", "2026-01-12T09:00", "2026-01-19T09:00"],
      rrule: ["2026-04-13T09:00", "2027-04-12T09:00", "2028-04-10T09:00"]
    },
    {
      why: "BYDAY limits the days of BYYEARDAY (§3.3.10, note 2; rrule-temporal does not)",
      text: "DTSTART:20260101T090000Z\nRRULE:FREQ=YEARLY;BYYEARDAY=146;BYDAY=MO",
      year: 2031,
      ours: ["2031-05-26T09:00"],
      rrule: ["2031-05-26T09:00"],
      temporal: ["2026-05-26T09:00", "2027-05-26T09:00", "2028-05-25T09:00"]
    },
    {
      why: "BYDAY limits the days of BYMONTHDAY, numbers and all (note 2; rrule-temporal does not)",
      text: "DTSTART:20260101T090000Z\nRRULE:FREQ=YEARLY;BYMONTHDAY=1;BYDAY=5TH",
      year: 2036,
      ours: ["2029-02-01T09:00", "2035-02-01T09:00"],
      rrule: ["2029-02-01T09:00", "2035-02-01T09:00"],
      temporal: ["2026-01-29T09:00", "2027-02-04T09:00", "2028-02-03T09:00"]
    },
    {
      why: "BYMONTHDAY stays when BYWEEKNO was applied before it (rrule-temporal drops it)",
      text: "DTSTART:20260101T090000Z\nRRULE:FREQ=YEARLY;BYWEEKNO=20;BYMONTHDAY=15;BYDAY=FR",
      year: 2037,
      ours: ["2026-05-15T09:00", "2037-05-15T09:00"],
      rrule: ["2026-05-15T09:00", "2037-05-15T09:00"],
      temporal: ["2026-05-15T09:00", "2027-05-21T09:00", "2028-05-19T09:00"]
    },
    {
      why: "a missing BYDAY comes from the start, with BYWEEKNO too (rrule takes the whole week)",
      text: "DTSTART:20260101T090000Z\nRRULE:FREQ=YEARLY;BYWEEKNO=20",
      year: 2028,
      ours: ["2026-05-14T09:00", "2027-05-20T09:00", "2028-05-18T09:00"],
      rrule: ["2026-05-11T09:00", "2026-05-12T09:00", "2026-05-13T09:00"],
      temporal: ["2026-05-14T09:00", "2027-05-20T09:00", "2028-05-18T09:00"]
    },
    {
      why: "a week of the year is all of it, also in the next year (rrule misses 1 January 2027)",
      text: "DTSTART:20251230T090000Z\nRRULE:FREQ=YEARLY;BYWEEKNO=52;BYDAY=FR;WKST=SU",
      year: 2027,
      ours: ["2027-01-01T09:00", "2027-12-31T09:00"],
      rrule: ["2027-12-31T09:00"]
    },
    {
      why: "a year without a 53rd Sunday has none (rrule-temporal takes the next year's first)",
      text: "DTSTART:20260101T090000Z\nRRULE:FREQ=YEARLY;BYDAY=53SU;BYSETPOS=1",
      year: 2027,
      ours: [],
      temporal: ["2027-01-03T09:00"]
    },
    {
      why: "every other year of BYWEEKNO is every other year of weeks (they count the year of the day)",
      text: "DTSTART:20251229T090000Z\nRRULE:FREQ=YEARLY;INTERVAL=2;BYWEEKNO=1;BYDAY=MO",
      year: 2031,
      ours: ["2025-12-29T09:00", "2028-01-03T09:00", "2029-12-31T09:00"],
      rrule: ["2025-12-29T09:00", "2027-01-04T09:00", "2029-01-01T09:00"],
      temporal: ["2027-01-04T09:00", "2029-01-01T09:00", "2030-12-30T09:00"]
    },
    {
      why: "two positions of one occurrence are one (rrule lists it twice)",
      text: "DTSTART:20260101T000000Z\nRRULE:FREQ=DAILY;BYHOUR=9;BYSETPOS=1,-1",
      ours: ["2026-01-01T09:00", "2026-01-02T09:00", "2026-01-03T09:00"],
      rrule: ["2026-01-01T09:00", "2026-01-01T09:00", "2026-01-02T09:00"]
    },
    {
      why: "BYSETPOS counts from the beginning of the first period (rrule counts from the start)",
      text: "DTSTART:20260107T090000Z\nRRULE:FREQ=WEEKLY;BYDAY=MO,WE,FR;BYSETPOS=1",
      ours: ["2026-01-12T09:00", "2026-01-19T09:00", "2026-01-26T09:00"],
      rrule: ["2026-01-07T09:00", "2026-01-12T09:00", "2026-01-19T09:00"],
      temporal: ["2026-01-12T09:00", "2026-01-19T09:00", "2026-01-26T09:00"]
    },
    {
      why: "the order in a list is nothing (rrule lists the times of a day as they are written)",
      text: "DTSTART:20260101T000000Z\nRRULE:FREQ=DAILY;BYHOUR=17,9",
      ours: ["2026-01-01T09:00", "2026-01-01T17:00", "2026-01-02T09:00"],
      rrule: ["2026-01-01T17:00", "2026-01-01T09:00", "2026-01-02T17:00"]
    },
    {
      why: "minutes that are stepped to a later hour lose none (rrule misses three weeks)",
      text: "DTSTART:20260616T070000Z\nRRULE:FREQ=MINUTELY;INTERVAL=3;BYDAY=WE,TH;BYHOUR=15",
      ours: ["2026-06-17T15:00", "2026-06-17T15:03", "2026-06-17T15:06"],
      rrule: ["2026-07-09T15:00", "2026-07-09T15:03", "2026-07-09T15:06"],
      temporal: ["2026-06-17T15:00", "2026-06-17T15:03", "2026-06-17T15:06"]
    },
    {
      why: "a date in EXDATE leaves out the day (they look for midnight)",
      text: "DTSTART:20260101T090000Z\nRRULE:FREQ=DAILY\nEXDATE;VALUE=DATE:20260102",
      ours: ["2026-01-01T09:00", "2026-01-03T09:00", "2026-01-04T09:00"],
      temporal: ["2026-01-01T09:00", "2026-01-02T09:00", "2026-01-03T09:00"]
    },
    {
      why: "second 60 is 59 (§3.3.5; rrule makes it the next minute)",
      text: "DTSTART:20260101T090000Z\nRRULE:FREQ=DAILY;BYSECOND=60",
      ours: ["2026-01-01T09:00", "2026-01-02T09:00", "2026-01-03T09:00"],
      rrule: ["2026-01-01T09:01", "2026-01-02T09:01", "2026-01-03T09:01"]
    },
    {
      why: "a skipped time is kept (erratum 4271; rrule-temporal follows the text before it)",
      text: `${zone}20260307T023000\nRRULE:FREQ=DAILY`,
      ours: ["2026-03-07T07:30", "2026-03-08T07:30", "2026-03-09T06:30"],
      temporal: ["2026-03-07T07:30", "2026-03-09T06:30", "2026-03-10T06:30"]
    },
    {
      why: "every hour is every real hour (rrule-temporal is silent for two hours in autumn)",
      text: `${zone}20261101T003000\nRRULE:FREQ=HOURLY`,
      ours: ["2026-11-01T04:30", "2026-11-01T05:30", "2026-11-01T06:30"],
      temporal: ["2026-11-01T04:30", "2026-11-01T05:30", "2026-11-01T07:30"]
    },
    {
      why: "a repeated time of an hour that is named is its first pass (rrule-temporal has both)",
      text: `${zone}20261101T003000\nRRULE:FREQ=MINUTELY;INTERVAL=60;BYHOUR=1`,
      ours: ["2026-11-01T05:30", "2026-11-02T06:30", "2026-11-03T06:30"],
      temporal: ["2026-11-01T05:30", "2026-11-01T06:30", "2026-11-02T06:30"]
    },
    {
      why: "a step of more than an hour keeps to the clock (rrule-temporal counts elapsed time)",
      text: `${zone}20261031T220000\nRRULE:FREQ=HOURLY;INTERVAL=3`,
      ours: ["2026-11-01T02:00", "2026-11-01T05:00", "2026-11-01T09:00"],
      temporal: ["2026-11-01T02:00", "2026-11-01T05:00", "2026-11-01T08:00"]
    }
  ]

  for (const { ours: mine, rrule: theirs, temporal, text, why, year = 2026 } of divergences) {
    it(why, () => {
      const from = Date.parse("2025-12-01T00:00Z") / 1000
      const until = Date.parse(`${year + 1}-01-01T00:00Z`) / 1000
      const short = (list: ReadonlyArray<string>) => list.map((at) => at.slice(0, 16))
      assert.deepStrictEqual(short(ours(text, from, until, 3)), mine)
      // Where a library comes round, its column goes.
      if (theirs !== undefined) assert.deepStrictEqual(short(rruleSays(text, from, until, 3)), theirs)
      if (temporal !== undefined) assert.deepStrictEqual(short(temporalSays(text, from, until, 3)), temporal)
    })
  }
})
