/**
 * Calendars as values: what they are made of, published lists of holidays, and what is refused.
 */
import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as util from "node:util"
import * as Calendar from "../src/Calendar.ts"
import * as TriggerArbitrary from "../src/testing/TriggerArbitrary.ts"

const refused = (make: () => unknown): Calendar.CalendarError => {
  try {
    make()
  } catch (error) {
    if (error instanceof Calendar.CalendarError) return error
    throw error
  }
  return assert.fail("it was accepted")
}

/** The holidays of a year that are no weekend, as month and day. */
const offIn = (calendar: Calendar.Calendar, year: number): ReadonlyArray<string> =>
  Calendar.holidays(calendar, { from: `${year}-01-01`, to: `${year}-12-31` })
    .filter(({ date }) => ![0, 6].includes(new Date(`${date}T00:00:00Z`).getUTCDay()))
    .map(({ date }) => date.slice(5))

describe("Easter", () => {
  it("falls on the published dates, also in the years that other formulas miss", () => {
    const calendar = Calendar.make({ holidays: "easter" })
    const dates =
      "1900-04-15 1913-03-23 1943-04-25 1954-04-18 1961-04-02 1970-03-29 1981-04-19 1990-04-15 2000-04-23 2008-03-23 " +
      "2011-04-24 2016-03-27 2019-04-21 2024-03-31 2025-04-20 2026-04-05 2027-03-28 2038-04-25 2049-04-18 2076-04-19 2100-03-28"
    for (const date of dates.split(" ")) {
      const year = date.slice(0, 4)
      assert.deepStrictEqual(Calendar.holidays(calendar, { from: `${year}-01-01`, to: `${year}-12-31` }), [
        { date, name: undefined }
      ])
    }
  })
})

describe("published lists of holidays", () => {
  it("United States: federal holidays, observed", () => {
    const calendar = Calendar.make({
      timeZone: "America/New_York",
      weekend: "sat,sun",
      holidays: [
        "01-01 observed",
        "3rd mon jan",
        "3rd mon feb",
        "last mon may",
        "06-19 observed since 2021",
        "07-04 observed",
        "1st mon sep",
        "2nd mon oct",
        "11-11 observed",
        "4th thu nov",
        "12-25 observed"
      ]
    })
    const lists: { readonly [year: number]: string } = {
      2020: "01-01 01-20 02-17 05-25 07-03 09-07 10-12 11-11 11-26 12-25",
      2021: "01-01 01-18 02-15 05-31 06-18 07-05 09-06 10-11 11-11 11-25 12-24 12-31",
      2022: "01-17 02-21 05-30 06-20 07-04 09-05 10-10 11-11 11-24 12-26",
      2026: "01-01 01-19 02-16 05-25 06-19 07-03 09-07 10-12 11-11 11-26 12-25"
    }
    for (const [year, list] of Object.entries(lists)) assert.strictEqual(offIn(calendar, Number(year)).join(" "), list)
  })

  it("England and Wales: bank holidays, with substitute days", () => {
    const calendar = Calendar.make({
      timeZone: "Europe/London",
      weekend: "sat,sun",
      holidays: [
        { date: "01-01 substitute", name: "New Year's Day" },
        "easter-2",
        "easter+1",
        "1st mon may",
        "last mon may",
        "last mon aug",
        { date: "12-25 substitute", name: "Christmas Day" },
        { date: "12-26 substitute", name: "Boxing Day" },
        "2022-06-02/2022-06-03",
        "2022-09-19"
      ],
      open: ["2022-05-30"]
    })
    const lists: { readonly [year: number]: string } = {
      2019: "01-01 04-19 04-22 05-06 05-27 08-26 12-25 12-26",
      2021: "01-01 04-02 04-05 05-03 05-31 08-30 12-27 12-28",
      2022: "01-03 04-15 04-18 05-02 06-02 06-03 08-29 09-19 12-26 12-27",
      2026: "01-01 04-03 04-06 05-04 05-25 08-31 12-25 12-28"
    }
    for (const [year, list] of Object.entries(lists)) assert.strictEqual(offIn(calendar, Number(year)).join(" "), list)
    assert.deepStrictEqual(
      Calendar.holidays(calendar, { from: "2022-12-20", to: "2022-12-31" }),
      [
        { date: "2022-12-25", name: "Christmas Day" },
        { date: "2022-12-26", name: "Boxing Day" },
        { date: "2022-12-27", name: "Christmas Day (substitute)" }
      ]
    )
  })

  it("Germany, with a day of Saxony", () => {
    const calendar = Calendar.make({
      timeZone: "Europe/Berlin",
      holidays: "01-01,easter-2,easter+1,05-01,easter+39,easter+50,10-03,wed before 11-23,12-25,12-26".split(",")
    })
    const all = (year: number) =>
      Calendar.holidays(calendar, { from: `${year}-01-01`, to: `${year}-12-31` }).map(({ date }) => date.slice(5))
    assert.strictEqual(all(2024).join(" "), "01-01 03-29 04-01 05-01 05-09 05-20 10-03 11-20 12-25 12-26")
    assert.strictEqual(all(2026).join(" "), "01-01 04-03 04-06 05-01 05-14 05-25 10-03 11-18 12-25 12-26")
  })

  it("Victoria Day and Midsummer Day", () => {
    const calendar = Calendar.make({ holidays: ["mon before 05-25", "sat after 06-19"] })
    const dates = (year: number) => Calendar.holidays(calendar, { from: `${year}-01-01`, to: `${year}-12-31` })
    assert.deepStrictEqual(dates(2024).map(({ date }) => date), ["2024-05-20", "2024-06-22"])
    assert.deepStrictEqual(dates(2026).map(({ date }) => date), ["2026-05-18", "2026-06-20"])
  })
})

describe("a calendar", () => {
  const berlin = Calendar.make({
    timeZone: "europe/berlin",
    weekend: ["sun", "sat"],
    holidays: ["12-25", { date: "Easter - 2", name: "Karfreitag" }, "3rd Monday of January"],
    open: "2026-12-27"
  })

  it("is open by default", () => {
    const calendar = Calendar.make({})
    assert.strictEqual(calendar.timeZone, "UTC")
    assert.isTrue(Calendar.isOpen(calendar, "2026-12-26"))
    assert.deepStrictEqual(Calendar.next(calendar, "2026-12-31"), Option.some("2027-01-01"))
  })

  it("knows its days off, and the ones that are open in spite of it", () => {
    assert.isFalse(Calendar.isOpen(berlin, "2026-12-25"))
    assert.isFalse(Calendar.isOpen(berlin, "2026-12-26"))
    assert.isTrue(Calendar.isOpen(berlin, "2026-12-27"))
    assert.isFalse(berlin.pipe(Calendar.isOpen("2026-04-03")))
    assert.deepStrictEqual(Calendar.next(berlin, "2026-12-24"), Option.some("2026-12-27"))
    assert.deepStrictEqual(Calendar.previous(berlin, "2026-12-27"), Option.some("2026-12-24"))
    assert.deepStrictEqual(berlin.pipe(Calendar.previous("2026-01-19")), Option.some("2026-01-16"))
  })

  it("takes an instant for its date there", () => {
    const instant = DateTime.makeUnsafe("2026-12-24T23:30:00Z")
    assert.isFalse(Calendar.isOpen(berlin, instant))
    assert.isTrue(Calendar.isOpen(Calendar.make({ holidays: "12-25" }), instant))
  })

  it("has no next open day when there is none in a hundred years", () => {
    const closed = Calendar.make({ holidays: "1900-01-01/2500-12-31" })
    assert.deepStrictEqual(Calendar.next(closed, "2026-01-01"), Option.none())
    assert.deepStrictEqual(Calendar.previous(closed, "2026-01-01"), Option.none())
    // A hundred years are 36,600 days.
    const until = (date: string) => Calendar.make({ holidays: `1900-01-01/${date}` })
    assert.deepStrictEqual(Calendar.next(until("2126-03-17"), "2026-01-01"), Option.some("2126-03-18"))
    assert.deepStrictEqual(Calendar.next(until("2126-03-18"), "2026-01-01"), Option.none())
  })

  it("is equal by value, in any order and spelling", () => {
    const same = Calendar.make({
      timeZone: DateTime.zoneMakeNamedUnsafe("Europe/Berlin"),
      weekend: "sat,sun",
      holidays: ["3rd mon jan", "12-25/12-25", { date: "easter-2", name: "Karfreitag" }, "12-25"],
      open: ["2026-12-27"]
    })
    assert.isTrue(Equal.equals(same, berlin))
    assert.strictEqual(Hash.hash(same), Hash.hash(berlin))
    assert.isFalse(Equal.equals(berlin, Calendar.make({ timeZone: "Europe/Berlin" })))
    assert.isFalse(Equal.equals(berlin, { timeZone: berlin.timeZone, parts: berlin.parts }))
    assert.isTrue(
      Object.isFrozen(berlin) && Object.isFrozen(berlin.parts) && Object.isFrozen(berlin.parts[0]?.holidays)
    )
  })

  it("shows itself as what it was made of", () => {
    const json = {
      timeZone: "Europe/Berlin",
      weekend: ["sun", "sat"],
      holidays: ["12-25", "3rd mon jan", { date: "easter-2", name: "Karfreitag" }],
      open: ["2026-12-27"]
    }
    assert.deepStrictEqual(JSON.parse(JSON.stringify(berlin)), json)
    assert.strictEqual(String(berlin), `Calendar(${JSON.stringify(json)})`)
    assert.include(util.inspect(berlin), "Karfreitag")
    assert.isTrue(Calendar.isCalendar(berlin))
    assert.isFalse(Calendar.isCalendar(json))
  })

  it.effect.prop("decode ∘ encode is the identity, also of unions", [
    TriggerArbitrary.calendar,
    TriggerArbitrary.calendar
  ], ([a, b]) =>
    Effect.gen(function*() {
      const codec = Schema.fromJsonString(Calendar.Calendar)
      const c = a.timeZone === b.timeZone ? b : Calendar.make({ timeZone: a.timeZone, weekend: "fri", open: "05-01" })
      for (const calendar of [a, Calendar.union(a, c)]) {
        const back = yield* Schema.decodeEffect(codec)(yield* Schema.encodeEffect(codec)(calendar))
        assert.isTrue(Equal.equals(back, calendar))
      }
    }))

  it("a stored one is checked like one that is made", () => {
    const decode = Schema.decodeUnknownResult(Calendar.Calendar)
    const problem = (encoded: unknown) => {
      const result = decode(encoded)
      return Result.isFailure(result) ? String(result.failure) : assert.fail("it was accepted")
    }
    assert.match(problem({ timeZone: "UTC", holidays: ["13-01"] }), /`13-01` is not a date/)
    assert.match(problem({ timeZone: "UTC", weekends: ["sat"] }), /weekends/)
    assert.match(problem({ timeZone: "UTC", union: [] }), /a union of no calendars/)
    assert.match(problem({ timeZone: "UTC", union: [{}], weekend: ["sat"] }), /no `weekend`/)
    assert.match(problem({ weekend: ["sat"] }), /timeZone/)
  })
})

describe("union", () => {
  const make = (options: Calendar.Options) => Calendar.make({ timeZone: "Europe/Berlin", ...options })
  const a = make({ weekend: "sat,sun", holidays: "12-24", open: ["2026-12-26", "2026-12-24"] })
  const b = make({ holidays: ["12-24", "12-31 observed"] })
  const c = make({ weekend: "fri" })

  it("is associative, commutative and idempotent, and what is always open adds nothing", () => {
    const { union } = Calendar
    assert.isTrue(Equal.equals(union(union(a, b), c), union(a, union(b, c))))
    assert.isTrue(Equal.equals(union(a, b), union(b, a)))
    assert.isTrue(Equal.equals(union(a, a), a))
    assert.isTrue(Equal.equals(a.pipe(union(make({}))), a))
    assert.isTrue(Equal.equals(union(make({}), make({})), make({})))
  })

  it("what one opens the other may close", () => {
    const both = Calendar.union(a, b)
    assert.isTrue(Calendar.isOpen(a, "2026-12-24"))
    assert.isFalse(Calendar.isOpen(both, "2026-12-24"))
    assert.isTrue(Calendar.isOpen(both, "2026-12-26"))
    // Each is observed by its own weekend: b has none.
    assert.isTrue(Calendar.isOpen(both, "2028-01-03"))
  })

  it("refuses another time zone", () => {
    const error = refused(() => Calendar.union(a, Calendar.make({ timeZone: "Asia/Tokyo" })))
    assert.strictEqual(error.reason, "timeZone")
  })
})

describe("rules", () => {
  it("are kept in one spelling", () => {
    const spellings: ReadonlyArray<readonly [written: string, kept: string]> = [
      [" 2026-12-24 / 2027-01-01 ", "2026-12-24/2027-01-01"],
      ["12-25/12-25", "12-25"],
      ["EASTER + 39", "easter+39"],
      ["easter+0", "easter"],
      ["Last Monday of May", "last mon may"],
      ["4th thursday in november +1", "4th thu nov+1"],
      ["Wed  before 11-23", "wed before 11-23"],
      ["06-19 Observed Since 2021 until 2030", "06-19 observed since 2021 until 2030"]
    ]
    for (const [written, kept] of spellings) {
      assert.deepStrictEqual(Calendar.make({ holidays: written }).parts[0]?.holidays, [{ date: kept, name: undefined }])
    }
  })

  it("a name is kept where one spelling of a date has it", () => {
    const named = { date: "12-25", name: "Christmas" }
    for (const holidays of [["12-25", named], [named, "12-25"], [named, { date: "12-25", name: "Noel" }]]) {
      assert.deepStrictEqual(Calendar.make({ holidays }).parts[0]?.holidays, [named])
    }
  })

  it("since and until include their years", () => {
    const calendar = Calendar.make({ holidays: "12-24/01-02 since 2025 until 2026" })
    const dates = Calendar.holidays(calendar, { from: "2020-01-01", to: "2030-12-31" }).map(({ date }) => date)
    assert.strictEqual(dates.length, 20)
    assert.deepStrictEqual([dates[0], dates[19]], ["2025-12-24", "2027-01-02"])
  })

  it("a rule may name a day of the year beside its own", () => {
    const calendar = Calendar.make({
      weekend: "mon",
      holidays: ["12-24/12-31", "sun after 12-31"],
      open: ["wed before 01-01", "mon after 12-31"]
    })
    const open = (date: string) => Calendar.isOpen(calendar, date)
    assert.deepStrictEqual(["2026-12-29", "2026-12-30", "2026-12-31"].map(open), [false, true, false])
    assert.deepStrictEqual(["2027-01-02", "2027-01-03", "2027-01-04", "2027-01-11"].map(open), [
      true,
      false,
      true,
      false
    ])
  })

  it("29 February is a date that some years have", () => {
    const calendar = Calendar.make({ holidays: "02-29" })
    const dates = Calendar.holidays(calendar, { from: "2023-01-01", to: "2032-12-31" }).map(({ date }) => date)
    assert.deepStrictEqual(dates, ["2024-02-29", "2028-02-29", "2032-02-29"])
  })

  it("what is no holiday is refused, with what to write", () => {
    const cases: ReadonlyArray<readonly [input: string, problem: RegExp]> = [
      ["2026-02-29", /`2026-02-29` is not a date/],
      ["02-30", /`02-30` is not a date/],
      ["2026-12-24/2026-12-23", /2026-12-23 is before 2026-12-24/],
      ["2026-12-24/12-26", /is not a holiday: write 2026-12-24/],
      ["estaer+1", /did you mean `easter`/],
      ["3rd mon jna", /did you mean `jan`/],
      ["3rd mno jan", /did you mean `mon`/],
      ["6th mon jan", /is not a holiday/],
      ["", /is not a holiday/],
      ["easter+301", /301 days are too many/],
      ["wed before 02-31", /`02-31` is not a date/],
      ["2026-12-24 observed", /has a year, so nothing can follow it/],
      ["12-24/12-26 observed", /`observed` can only follow a single date/],
      ["easter substitute", /`substitute` can only follow a single date/],
      ["12-25 since 2030 until 2020", /ends before it begins/]
    ]
    for (const [holidays, problem] of cases) {
      const error = refused(() => Calendar.make({ holidays }))
      assert.match(error.message, problem)
      assert.strictEqual(error.reason, "holiday")
      assert.strictEqual(error.input, holidays)
    }
  })

  it("other options are refused, with what was meant", () => {
    const make = (options: unknown) => refused(() => Calendar.make(options as Calendar.Options))
    assert.match(make({ holiday: [] }).message, /no `holiday`.*did you mean `holidays`/)
    assert.match(make({ timeZone: "Europe/Berln" }).message, /did you mean `Europe\/Berlin`/)
    assert.match(make({ timeZone: 1 }).message, /IANA name/)
    assert.match(make({ weekend: "sat,sin" }).message, /sin/i)
    assert.match(make({ weekend: "mon-sun" }).message, /no day is ever open/)
    assert.match(make({ holidays: [{ day: "12-25" }] }).message, /no `day`.*use date, name/)
    assert.match(make({ holidays: [{ date: 5 }] }).message, /a text such as "12-25"/)
    assert.match(make({ open: ["never"] }).message, /is not a holiday/)
    assert.match(make([]).message, /is an object/)
    assert.match(refused(() => Calendar.isOpen(Calendar.make({}), "tomorrow")).message, /`tomorrow` is not a date/)
  })
})
