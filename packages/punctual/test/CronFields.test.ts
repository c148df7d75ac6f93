/** The form with names of fields. */
import { assert, describe, it } from "@effect/vitest"
import * as Equal from "effect/Equal"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as CronExpression from "../src/CronExpression.ts"
import * as Trigger from "../src/Trigger.ts"

const text = (fields: CronExpression.Fields, options?: { readonly dayMatch: CronExpression.DayMatch }): string =>
  CronExpression.format(CronExpression.makeUnsafe(fields, options))

const message = (fields: unknown): string => {
  const result = CronExpression.make(fields as CronExpression.Fields)
  return Result.isFailure(result) ? result.failure.message : assert.fail("it was accepted")
}

const first = (trigger: Trigger.Trigger, after: string): string | undefined => {
  const point = Trigger.bind(trigger, { anchor: 0, seed: "" }).next(Date.parse(after))
  return point === undefined ? undefined : new Date(point.due).toISOString()
}

describe("CronExpression.make", () => {
  it("fields less significant than all the given ones are their least value, the others are every value", () => {
    const table: ReadonlyArray<readonly [CronExpression.Fields, string]> = [
      [{ year: 2027 }, "0 0 0 1 1 * 2027"],
      [{ month: 6 }, "0 0 1 6 *"],
      [{ day: 15 }, "0 0 15 * *"],
      [{ week: 10 }, "0 0 * * * WEEK=10"],
      [{ dayOfWeek: "mon" }, "0 0 * * MON"],
      [{ hour: 8 }, "0 8 * * *"],
      [{ minute: 30 }, "30 * * * *"],
      [{ second: 5 }, "5 * * * * *"],
      [{ year: 2027, hour: 8 }, "0 0 8 * * * 2027"],
      [{ year: 2027, second: 5 }, "5 * * * * * 2027"],
      [{ month: 6, week: 25 }, "0 0 * 6 * WEEK=25"],
      [{ day: 1, minute: 5 }, "5 * 1 * *"],
      [
        { year: 2027, month: 2, day: 3, week: 5, dayOfWeek: "wed", hour: 4, minute: 5, second: 6 },
        "6 5 4 3 2 +WED 2027 WEEK=5"
      ]
    ]
    for (const [fields, expected] of table) assert.strictEqual(text(fields), expected)
  })

  it("what is not given may be said so", () => {
    assert.strictEqual(text({ hour: 8, minute: undefined, day: undefined }), "0 8 * * *")
  })

  it("takes numbers, text and lists of them", () => {
    assert.strictEqual(text({ hour: [8, "12-14", 17] }), "0 8,12-14,17 * * *")
    assert.strictEqual(text({ dayOfWeek: " mon , tue,wed " }), "0 0 * * MON,TUE,WED")
    assert.strictEqual(text({ minute: "*/15", hour: "9-17" }), "*/15 9-17 * * *")
    assert.strictEqual(text({ hour: "H(1-4)" }), "0 H(1-4) * * *")
  })

  it("takes the words of days", () => {
    assert.strictEqual(text({ day: "last" }), "0 0 LAST * *")
    assert.strictEqual(text({ day: "2nd mon" }), "0 0 2ND-MON * *")
    assert.strictEqual(
      text({ day: ["1st  sun", "3rd-tue", "4th wed", "5th thu", "last fri", 15] }),
      "0 0 1ST-SUN,3RD-TUE,4TH-WED,5TH-THU,LAST-FRI,15 * *"
    )
    assert.strictEqual(text({ day: "1,15,last" }), "0 0 1,15,LAST * *")
    assert.strictEqual(
      first(Trigger.cron({ day: "last fri", hour: 17 }), "2026-02-01T00:00:00Z"),
      "2026-02-27T17:00:00.000Z"
    )
    assert.strictEqual(
      first(Trigger.cron({ month: "6-8,11-12", day: "3rd fri", hour: "0-3" }), "2026-01-01T00:00:00Z"),
      "2026-06-19T00:00:00.000Z"
    )
  })

  it("the day and the day of week must both hold, unless told otherwise", () => {
    assert.strictEqual(text({ day: 13, dayOfWeek: "fri" }), "0 0 13 * +FRI")
    assert.strictEqual(text({ day: 13, dayOfWeek: "fri" }, { dayMatch: "or" }), "0 0 13 * FRI")
    assert.strictEqual(
      first(Trigger.cron({ day: 13, dayOfWeek: "fri" }), "2026-04-01T00:00:00Z"),
      "2026-11-13T00:00:00.000Z"
    )
    assert.strictEqual(
      first(Trigger.cron({ day: 13, dayOfWeek: "fri" }, { dayMatch: "or" }), "2026-04-01T00:00:00Z"),
      "2026-04-03T00:00:00.000Z"
    )
  })

  it("Sunday is 0 and 7", () => {
    assert.strictEqual(first(Trigger.cron({ dayOfWeek: 0 }), "2026-01-01T00:00:00Z"), "2026-01-04T00:00:00.000Z")
    assert.isTrue(
      Equal.equals(CronExpression.makeUnsafe({ dayOfWeek: 7 }), CronExpression.makeUnsafe({ dayOfWeek: "sun" }))
    )
  })

  it("weeks are ISO weeks: the first has the year's first Thursday", () => {
    const mondays = (week: number | string, after: string) => first(Trigger.cron({ week, dayOfWeek: "mon" }), after)
    assert.strictEqual(mondays(1, "2025-06-01T00:00:00Z"), "2025-12-29T00:00:00.000Z")
    assert.strictEqual(mondays(53, "2021-01-01T00:00:00Z"), "2026-12-28T00:00:00.000Z")
    // Days of January may be in the last week of the year before.
    assert.strictEqual(
      first(Trigger.cron({ month: 1, week: "52,53", day: "*" }), "2026-06-01T00:00:00Z"),
      "2027-01-01T00:00:00.000Z"
    )
  })

  it("is equal to its text, and reads as it", () => {
    for (
      const fields of [{ dayOfWeek: "mon,tue", hour: 8, minute: 1 }, { year: "2026-2030", week: 53 }, {
        day: 13,
        dayOfWeek: "fri"
      }]
    ) {
      const expression = CronExpression.makeUnsafe(fields)
      assert.isTrue(Equal.equals(CronExpression.parseUnsafe(expression.text), expression))
    }
    assert.isTrue(
      Equal.equals(Trigger.cron({ dayOfWeek: "mon,tue", hour: 8, minute: 1 }), Trigger.cron("1 8 * * MON,TUE"))
    )
  })

  it("is stored as text", () => {
    assert.strictEqual(
      JSON.stringify(Trigger.cron({ day: "2nd mon", dayOfWeek: "mon", week: 2 }, { timeZone: "Europe/Berlin" })),
      `{"v":1,"_tag":"Cron","expression":"0 0 2ND-MON * +MON WEEK=2","timeZone":"Europe/Berlin"}`
    )
  })

  it("a stored `dayMatch` of before there was a plus is read", () => {
    const stored = `{"v":1,"_tag":"Cron","expression":"0 0 13 * FRI","timeZone":"UTC","dayMatch":"and"}`
    const trigger = Schema.decodeSync(Schema.fromJsonString(Trigger.Trigger))(stored)
    assert.isTrue(Equal.equals(trigger, Trigger.cron("0 0 13 * +FRI")))
  })

  it.each([
    [{}, "`{}` names no field: use year, month, day, week, dayOfWeek, hour, minute, second"],
    [{ hour: undefined }, "`{}` names no field: use year, month, day, week, dayOfWeek, hour, minute, second"],
    [
      { hours: 3 },
      "`hours` is not a field: use year, month, day, week, dayOfWeek, hour, minute, second; did you mean `hour`?"
    ],
    [
      { day_of_week: 1, hour: 3 },
      "`day_of_week` is not a field: use year, month, day, week, dayOfWeek, hour, minute, second; did you mean `dayOfWeek`?"
    ],
    [{ hour: 24 }, "`24` is not an hour (`hour`, character 1): use 0-23; did you mean `0`?"],
    [{ hour: -1 }, "`-1` is not an hour (`hour`, character 1): use 0-23"],
    [{ hour: 1.5 }, "`1.5` is not an hour (`hour`, character 1): use 0-23"],
    [{ hour: "" }, "`` has an empty item (`hour`, character 1): use 0-23"],
    [{ hour: [] }, "`` has an empty item (`hour`, character 1): use 0-23"],
    [{ hour: null }, "`null` is not a value (`hour`, character 1): use a number, text, or a list of them"],
    [{ hour: [true] }, "`true` is not a value (`hour`, character 1): use a number, text, or a list of them"],
    [
      { dayOfWeek: "mon,mom" },
      "`MOM` is not a day of week (`dayOfWeek`, character 5): use 0-7 or SUN-SAT; did you mean `MON`?"
    ],
    [{ dayOfWeek: "2nd mon" }, "`2ND-MON` belongs in the day of month (`dayOfWeek`, character 1): use 0-7 or SUN-SAT"],
    [
      { dayOfWeek: "+fri" },
      "`+FRI` is not a day of week (`dayOfWeek`, character 1): use 0-7 or SUN-SAT"
    ],
    [{ week: 54 }, "`54` is not an ISO week (`week`, character 1): use 1-53"],
    [{ day: 30, month: 2 }, "`30` is a day that FEB never has (`day`, character 1): use 1-29 with this month"],
    [{ month: 6, week: 53 }, "`53` has no such day in JUN (`week`, character 1): use a week of these months"],
    [
      { year: 2027, month: 2, day: 29 },
      "`2027` has no such date (`year`, character 1): use years that have it; did you mean `2028`?"
    ],
    [
      { day: 20, dayOfWeek: "mon#1" },
      "`MON#1` never falls on the day of month that must match too (`dayOfWeek`, character 1): use one of the two fields"
    ]
  ])("refuses %j", (fields, expected) => {
    assert.strictEqual(message(fields), expected)
    assert.throws(() => CronExpression.makeUnsafe(fields as CronExpression.Fields), CronExpression.CronParseError)
    assert.throws(() => Trigger.cron(fields as CronExpression.Fields), Trigger.InvalidTrigger)
  })

  it.each([[null], [[1]], [5]])("`Trigger.cron` refuses %j", (input) => {
    assert.throws(
      () => Trigger.cron(input as never),
      /a cron expression is text, such as "0 9 \* \* MON-FRI", or an object/
    )
  })
})
