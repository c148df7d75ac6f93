/**
 * The Open Cron Pattern Specification (https://github.com/open-source-cron/ocps), section by section: 1.0 revision 2, and the
 * drafts 1.1 to 1.4. Where we do something else, the test says so and why.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Equal from "effect/Equal"
import * as Result from "effect/Result"
import * as CronExpression from "../src/CronExpression.ts"
import * as Trigger from "../src/Trigger.ts"

/** The first dates at which a pattern is due, in UTC; times other than midnight are written out. */
const due = (text: string, after: string, limit: number, options?: Trigger.CronOptions): Array<string> =>
  Array.from(
    Trigger.occurrences(Trigger.cron(text, options), { after: `${after}T00:00:00Z`, limit }),
    (occurrence) =>
      new Date(occurrence.due.epochMilliseconds).toISOString().replace("T00:00:00.000Z", "").replace(".000Z", "Z")
  )

const accepts = (text: string): void => assert.isTrue(Result.isSuccess(CronExpression.parse(text)), text)
const refuses = (text: string): void => assert.isTrue(Result.isFailure(CronExpression.parse(text)), text)
const same = (a: string, b: string): void =>
  assert.isTrue(Equal.equals(CronExpression.parseUnsafe(a), CronExpression.parseUnsafe(b)), `${a} and ${b}`)

describe("OCPS 1.0", () => {
  describe("4.1 structure", () => {
    it("five fields, blanks around and between them", () => {
      same("  0\t9  * \t * MON ", "0 9 * * MON")
      refuses("* * * *")
    })

    it("refuses characters that are not allowed", () => {
      for (const text of ["0 0 * * $", "0 0 * * 1!", "0;0 * * *", "0 0 * * MON|TUE", "٠ 0 * * *"]) refuses(text)
    })
  })

  describe("4.2 field values", () => {
    it.each([
      ["minute", "0 * * * *", "59 * * * *", ["60 * * * *", "-1 * * * *"]],
      ["hour", "0 0 * * *", "0 23 * * *", ["0 24 * * *"]],
      ["day of month", "0 0 1 * *", "0 0 31 * *", ["0 0 0 * *", "0 0 32 * *"]],
      ["month", "0 0 1 1 *", "0 0 1 12 *", ["0 0 1 0 *", "0 0 1 13 *"]],
      ["day of week", "0 0 * * 0", "0 0 * * 7", ["0 0 * * 8"]]
    ])("%s", (_, low, high, beyond) => {
      accepts(low)
      accepts(high)
      beyond.forEach(refuses)
    })

    it("names of months and days, in any letter case", () => {
      const months = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
      months.forEach((name, i) => {
        same(`0 0 1 ${name} *`, `0 0 1 ${i + 1} *`)
        same(`0 0 1 ${name.toLowerCase()} *`, `0 0 1 ${i + 1} *`)
      })
      const days = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
      days.forEach((name, i) => same(`0 0 * * ${name.toLowerCase()}`, `0 0 * * ${i}`))
    })

    it("0 and 7 are both Sunday", () => {
      same("0 0 * * 7", "0 0 * * 0")
      assert.deepStrictEqual(due("0 0 * * 7", "2026-01-01", 1), ["2026-01-04"])
    })
  })

  describe("4.3 character set", () => {
    it("ours is larger by the characters of 1.1 to 1.4, H and parentheses; anything else is refused", () => {
      for (
        const text of ["@daily", "0 0 L * *", "0 0 1W * *", "0 0 * * 1#1", "0 0 1 * +1", "0 0 ? * *", "H(0-5) * * * *"]
      ) {
        accepts(text)
      }
      refuses("0 0 * * {1}")
    })
  })

  describe("5 special characters", () => {
    it("* every value, a list, a range, a step", () => {
      assert.deepStrictEqual(CronExpression.parseUnsafe("0,15,30,45 * * * *").minutes, [0, 15, 30, 45])
      assert.deepStrictEqual(CronExpression.parseUnsafe("0 9-17 * * *").hours, [9, 10, 11, 12, 13, 14, 15, 16, 17])
      assert.deepStrictEqual(CronExpression.parseUnsafe("5-59/15 * * * *").minutes, [5, 20, 35, 50])
    })
  })

  describe("5.1 combining", () => {
    it("a list is a union of ranges and stars, each with its step", () => {
      assert.deepStrictEqual(CronExpression.parseUnsafe("0-10/5,30,50-59/4 * * * *").minutes, [
        0,
        5,
        10,
        30,
        50,
        54,
        58
      ])
      assert.deepStrictEqual(CronExpression.parseUnsafe("0 0 */10 * *").days, [1, 11, 21, 31])
    })
  })

  describe("6.1 day of month and day of week", () => {
    it("either, when both are restricted", () => {
      assert.deepStrictEqual(due("0 12 1 * MON", "2026-05-30", 3), [
        "2026-06-01T12:00:00Z",
        "2026-06-08T12:00:00Z",
        "2026-06-15T12:00:00Z"
      ])
      assert.deepStrictEqual(due("0 12 3 * MON", "2026-06-01", 2), ["2026-06-01T12:00:00Z", "2026-06-03T12:00:00Z"])
    })

    it("differs: a field that begins with a star is no restriction, also with a step; that is Vixie's code", () => {
      assert.isFalse(CronExpression.parseUnsafe("0 0 */2 * MON").either)
      assert.isTrue(CronExpression.parseUnsafe("0 0 1-31/2 * MON").either)
    })
  })

  describe("6.2 errors and edges", () => {
    it("values out of range", () => {
      refuses("60 * * * *")
      refuses("0 0 32 * *")
    })

    it("differs: a range whose end is smaller goes around the end of the field, as people mean it", () => {
      assert.deepStrictEqual(CronExpression.parseUnsafe("0 22-2 * * *").hours, [0, 1, 2, 22, 23])
      assert.deepStrictEqual(CronExpression.parseUnsafe("0 0 * * FRI-MON").weekdays, [0, 1, 5, 6])
    })

    it("a step of zero, and one without a range before it", () => {
      refuses("*/0 * * * *")
      refuses("/30 * * * *")
      refuses("*/ * * * *")
    })

    it("differs: a step may follow a single value, and goes to the end of the field, as in Quartz and most crontabs", () => {
      assert.deepStrictEqual(CronExpression.parseUnsafe("10/20 * * * *").minutes, [10, 30, 50])
    })

    it("differs: dates that never come are refused where they are written, not when they are looked for", () => {
      refuses("* * 31 2 *")
      refuses("0 0 30 2 *")
      accepts("0 0 29 2 *")
    })
  })

  describe("6.3 options", () => {
    it("may change the defaults, and are not needed for anything above", () => {
      assert.isTrue(CronExpression.parseUnsafe("0 0 1 * MON").either)
      assert.isFalse(CronExpression.parseUnsafe("0 0 1 * MON", { dayMatch: "and" }).either)
    })
  })

  describe("6.4 time zones", () => {
    it("an expression has none; the trigger does, and it is never that of the host", () => {
      assert.deepStrictEqual(due("0 9 * * *", "2026-01-01", 1), ["2026-01-01T09:00:00Z"])
      assert.deepStrictEqual(due("0 9 * * *", "2026-01-01", 1, { timeZone: "Asia/Tokyo" }), ["2026-01-02"])
    })
  })
})

describe("OCPS 1.1", () => {
  describe("4.1 nicknames", () => {
    it.each([
      ["@yearly", "0 0 1 1 *"],
      ["@annually", "0 0 1 1 *"],
      ["@monthly", "0 0 1 * *"],
      ["@weekly", "0 0 * * 0"],
      ["@daily", "0 0 * * *"],
      ["@midnight", "0 0 * * *"],
      ["@hourly", "0 * * * *"]
    ])("%s is %s", (nickname, pattern) => same(nickname, pattern))

    it("are not combined with fields", () => {
      refuses("@daily * * * *")
      refuses("0 0 * * @daily")
    })

    it("differs: in any letter case, like names of days", () => same("@Daily", "@daily"))
  })

  describe("4.2 @reboot", () => {
    it("differs: it is no expression, and the error says which trigger it is", () => {
      const result = CronExpression.parse("@reboot")
      assert.isTrue(Result.isFailure(result) && result.failure.allowed === "Trigger.startup")
    })
  })
})

describe("OCPS 1.2", () => {
  describe("4.1 seconds", () => {
    it("six fields begin with the second; without it, it is 0", () => {
      assert.deepStrictEqual(due("*/30 0 0 * * *", "2026-01-01", 2), ["2026-01-01T00:00:30Z", "2026-01-02"])
      same("0 9 * * *", "0 0 9 * * *")
      same("@daily", "0 0 0 * * *")
      refuses("60 * * * * *")
    })
  })

  describe("4.2 years", () => {
    it("seven fields end with the year", () => {
      assert.deepStrictEqual(due("0 15 10 * * * 2025", "2025-12-30", 5), [
        "2025-12-30T10:15:00Z",
        "2025-12-31T10:15:00Z"
      ])
      assert.deepStrictEqual(due("0 0 12 1 1 * 2025-2030", "2028-06-01", 9), [
        "2029-01-01T12:00:00Z",
        "2030-01-01T12:00:00Z"
      ])
      same("0 0 12 1 1 * *", "0 12 1 1 *")
    })

    it("a star begins with 1970", () => {
      assert.deepStrictEqual(due("0 0 0 1 1 * */2", "2026-06-01", 3), ["2028-01-01", "2030-01-01", "2032-01-01"])
      assert.deepStrictEqual(due("0 0 0 1 1 * 1971-2199/2", "2026-06-01", 2), ["2027-01-01", "2029-01-01"])
    })

    it("1970 to 2199, and beyond: ours end with 9999", () => {
      accepts("0 0 0 1 1 * 1970")
      accepts("0 0 0 1 1 * 2199")
      accepts("0 0 0 1 1 * 9999")
      refuses("0 0 0 1 1 * 1969")
      refuses("0 0 0 1 1 * 10000")
    })
  })
})

describe("OCPS 1.3", () => {
  describe("4.1 L", () => {
    it("the last day of the month", () => {
      assert.deepStrictEqual(due("0 0 L * *", "2028-01-01", 3), ["2028-01-31", "2028-02-29", "2028-03-31"])
    })

    it("the last such weekday of the month, in both spellings", () => {
      const fridays = ["2026-01-30", "2026-02-27", "2026-03-27"]
      for (const text of ["0 0 * * 5L", "0 0 * * FRI#L", "0 0 * * 5#L", "0 0 * * FRIL"]) {
        assert.deepStrictEqual(due(text, "2026-01-01", 3), fridays)
      }
    })

    it("differs: in any letter case", () => same("0 0 l * fri#l", "0 0 L * FRI#L"))
  })

  describe("4.2 #", () => {
    it("the n-th such weekday of the month", () => {
      assert.deepStrictEqual(due("0 0 * * 2#3", "2026-01-01", 2), ["2026-01-20", "2026-02-17"])
      assert.deepStrictEqual(due("0 0 * * MON#1", "2026-01-01", 2), ["2026-01-05", "2026-02-02"])
      assert.deepStrictEqual(due("0 0 * * 7#5", "2026-01-01", 2), ["2026-03-29", "2026-05-31"])
      refuses("0 0 * * 1#0")
      refuses("0 0 * * 1#6")
      refuses("0 0 * * 8#1")
    })
  })

  describe("4.3 W", () => {
    it("the working day nearest to a day", () => {
      // The 15th is a Wednesday in April 2026, a Saturday in August, a Sunday in March.
      assert.deepStrictEqual(due("0 12 15W 3,4,8 *", "2026-01-01", 3), [
        "2026-03-16T12:00:00Z",
        "2026-04-15T12:00:00Z",
        "2026-08-14T12:00:00Z"
      ])
    })

    it("stays inside of the month", () => {
      // The 1st of August 2026 is a Saturday, the 31st of May is a Sunday.
      assert.deepStrictEqual(due("0 12 1W 8 *", "2026-01-01", 1), ["2026-08-03T12:00:00Z"])
      assert.deepStrictEqual(due("0 12 31W 5 *", "2026-01-01", 1), ["2026-05-29T12:00:00Z"])
    })

    it("not in ranges", () => {
      refuses("0 0 1-15W * *")
      refuses("0 0 15W-20 * *")
      refuses("0 0 15W/2 * *")
      refuses("0 0 W * *")
    })

    it("differs: in lists, like every other day; and LW, as in Quartz", () => {
      assert.deepStrictEqual(due("0 0 1W,LW 8 *", "2026-01-01", 2), ["2026-08-03", "2026-08-31"])
    })
  })
})

describe("OCPS 1.4", () => {
  describe("4.1.1 either", () => {
    it("is the default", () => assert.isTrue(CronExpression.parseUnsafe("0 12 1 * MON").either))
  })

  describe("4.1.2 both, by a plus", () => {
    it("0 12 1 * +MON", () => {
      assert.deepStrictEqual(due("0 12 1 * +MON", "2026-01-01", 2), ["2026-06-01T12:00:00Z", "2027-02-01T12:00:00Z"])
    })

    it("nowhere else", () => {
      for (
        const text of ["+0 0 * * *", "0 +0 * * *", "0 0 +1 * MON", "0 0 1 +1 MON", "0 0 1 * MON,+TUE", "0 0 1 * MON+"]
      ) {
        refuses(text)
      }
    })
  })

  describe("4.2 the question mark", () => {
    it("is a star, in the day fields only", () => {
      same("0 0 ? * MON", "0 0 * * MON")
      same("0 0 1 * ?", "0 0 1 * *")
      for (const text of ["? * * * *", "0 ? * * *", "0 0 1 ? *", "? 0 0 * * *", "0 0 0 1 1 * ?"]) refuses(text)
    })
  })

  describe("4.3.1 changes of clocks", () => {
    const newYork = { timeZone: "America/New_York" }

    it("differs: a fixed time in a gap runs once, at its end, so that no day is left out; that is what Vixie's cron does", () => {
      assert.deepStrictEqual(due("30 2 * * *", "2026-03-08", 2, newYork), [
        "2026-03-08T07:00:00Z",
        "2026-03-09T06:30:00Z"
      ])
    })

    it("`gap: \"skip\"` is what the specification recommends", () => {
      assert.deepStrictEqual(due("30 2 * * *", "2026-03-08", 1, { ...newYork, gap: "skip" }), ["2026-03-09T06:30:00Z"])
    })

    it("a fixed time that is repeated runs once, the first time", () => {
      assert.deepStrictEqual(due("30 1 * * *", "2026-11-01", 2, newYork), [
        "2026-11-01T05:30:00Z",
        "2026-11-02T06:30:00Z"
      ])
    })

    it("differs: a wildcard goes on through a repeated hour, for it follows real time; `overlap: \"first\"` does not", () => {
      const after = "2026-11-01"
      assert.strictEqual(due("0 * * * *", after, 8, newYork)[6], "2026-11-01T07:00:00Z")
      assert.strictEqual(due("0 * * * *", after, 8, { ...newYork, overlap: "first" })[5], "2026-11-01T07:00:00Z")
    })
  })

  describe("4.3.2 ranges of dates", () => {
    it("the proleptic Gregorian calendar", () => {
      assert.deepStrictEqual(due("0 0 29 2 *", "2095-01-01", 2), ["2096-02-29", "2104-02-29"])
      assert.deepStrictEqual(due("0 0 29 2 *", "1999-01-01", 1), ["2000-02-29"])
    })

    it("no valid time within the range is an answer, at once", () => {
      assert.deepStrictEqual(due("0 0 0 1 1 * 1999", "2026-01-01", 1), [])
      assert.deepStrictEqual(due("0 0 0 1 1 * 9999", "2026-01-01", 1), [])
    })
  })
})
