import { assert, describe, it } from "@effect/vitest"
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as CronExpression from "../src/CronExpression.ts"
import * as TriggerArbitrary from "../src/testing/TriggerArbitrary.ts"

const fails = (
  text: string,
  options?: { readonly dayMatch?: CronExpression.DayMatch }
): CronExpression.CronParseError => {
  const result = CronExpression.parse(text, options)
  if (Result.isSuccess(result)) return assert.fail(`\`${text}\` was accepted`)
  return result.failure
}

/** The same text with both day fields required, where that can come. */
const and = (text: string, otherwise: CronExpression.CronExpression): CronExpression.CronExpression =>
  Result.getOrElse(CronExpression.parse(text, { dayMatch: "and" }), () => otherwise)

describe("CronExpression", () => {
  it("reads five fields, six with seconds first, and seven with the year last", () => {
    const five = CronExpression.parseUnsafe("30 9 1 1 *")
    assert.deepStrictEqual(five.seconds, [0])
    assert.deepStrictEqual(five.minutes, [30])
    assert.deepStrictEqual(five.hours, [9])
    assert.deepStrictEqual(CronExpression.parseUnsafe("15 30 9 1 1 *").seconds, [15])
    assert.deepStrictEqual(CronExpression.parseUnsafe("15 30 9 1 1 * 2026").years, [2026])
  })

  it("reads steps, lists, ranges and names in any letter case", () => {
    const expression = CronExpression.parseUnsafe("*/20 8-10,12 1-10/3 jan,Mar mOn-FRI")
    assert.deepStrictEqual(expression.minutes, [0, 20, 40])
    assert.deepStrictEqual(expression.hours, [8, 9, 10, 12])
    assert.deepStrictEqual(expression.days, [1, 4, 7, 10])
    assert.deepStrictEqual(expression.months, [1, 3])
    assert.deepStrictEqual(expression.weekdays, [1, 2, 3, 4, 5])
    assert.deepStrictEqual(CronExpression.parseUnsafe("5/10 * * * *").minutes, [5, 15, 25, 35, 45, 55])
  })

  it("ranges go around the end of a field, and 7 is Sunday", () => {
    const weekdays = (text: string) => CronExpression.parseUnsafe(`0 0 * * ${text}`).weekdays
    assert.deepStrictEqual(weekdays("fri-mon"), [0, 1, 5, 6])
    assert.deepStrictEqual(weekdays("5-7"), [0, 5, 6])
    assert.deepStrictEqual(weekdays("7"), [0])
    assert.deepStrictEqual(weekdays("7-2"), [0, 1, 2])
    assert.deepStrictEqual(weekdays("0-7"), [0, 1, 2, 3, 4, 5, 6])
    assert.deepStrictEqual(CronExpression.parseUnsafe("0 22-4/2 * * *").hours, [0, 2, 4, 22])
    assert.deepStrictEqual(CronExpression.parseUnsafe("0 0 1 NOV-FEB *").months, [1, 2, 11, 12])
  })

  it("day of month and day of week: either when both are restricted, a star is no restriction", () => {
    assert.isTrue(CronExpression.parseUnsafe("0 0 13 * FRI").either)
    assert.isFalse(CronExpression.parseUnsafe("0 0 13 * FRI", { dayMatch: "and" }).either)
    assert.isFalse(CronExpression.parseUnsafe("0 0 */2 * FRI").either)
    assert.isFalse(CronExpression.parseUnsafe("0 0 13 * *").either)
  })

  it("prints what was read", () => {
    assert.strictEqual(CronExpression.format(CronExpression.parseUnsafe("  0  9 * *   mon-fri ")), "0 9 * * MON-FRI")
  })

  it.prop("reading what was printed gives the same expression", [TriggerArbitrary.cronText], ([text]) => {
    const expression = CronExpression.parseUnsafe(text)
    for (const value of [expression, and(text, expression)]) {
      const again = CronExpression.parseUnsafe(CronExpression.format(value))
      assert.isTrue(Equal.equals(again, value))
      assert.strictEqual(Hash.hash(again), Hash.hash(value))
      assert.strictEqual(CronExpression.format(again), CronExpression.format(value))
    }
  }, { timeout: 30_000, arbitrary: { runs: 500, seed: "cron" } })

  const scraps = [
    "*",
    "0",
    "7",
    "31",
    "2027",
    "/",
    "-",
    ",",
    "?",
    "L",
    "W",
    "H",
    "(",
    ")",
    "#",
    "+",
    "mon",
    "2nd-",
    "last",
    "week=",
    "@",
    " "
  ]

  it.prop(
    "never throws, points into the text, and what it takes reads the same again",
    [Schema.Array(Schema.Literals(scraps)), Schema.Array(Schema.Literals(scraps))],
    ([a, b]) => {
      for (const text of [a.join(""), `${a.join("")} ${b.join("")} * * *`, `0 0 ${a.join("")} * ${b.join("")}`]) {
        const result = CronExpression.parse(text)
        if (Result.isSuccess(result)) {
          assert.isTrue(Equal.equals(CronExpression.parseUnsafe(result.success.text), result.success))
        } else {
          const { position, value } = result.failure
          if (result.failure.field !== 0) {
            assert.strictEqual(text.slice(position - 1, position - 1 + value.length), value)
          }
        }
      }
    },
    { timeout: 30_000, arbitrary: { runs: 1_000, seed: "scraps" } }
  )

  it("is equal by what it allows, not by its spelling", () => {
    const same = (a: string, b: string) => Equal.equals(CronExpression.parseUnsafe(a), CronExpression.parseUnsafe(b))
    assert.isTrue(same("0 9 * * MON-FRI", "0 9 * * 1,2,3,4,5"))
    assert.isFalse(same("0 9 * * MON-FRI", "0 9 * * MON-SAT"))
    // A star follows real time where clocks change, a full list does not.
    assert.isFalse(same("*/30 2 * * *", "0,30 2 * * *"))
    // The same days of every month, from whichever field.
    assert.isTrue(same("0 0 L * *", "0 0 last * *"))
    assert.isTrue(same("0 0 2nd-mon * *", "0 0 * * MON#2"))
    assert.isTrue(same("0 0 1-31,L * *", "0 0 1-31 * *"))
    assert.isTrue(same("0 0 * * FRI,FRI#2", "0 0 * * FRI"))
    assert.isTrue(same("0 0 L-0 * *", "0 0 L * *"))
    assert.isTrue(same("0 0 1-31 * MON", "0 0 * * *"))
    assert.isTrue(same("0 0 L * 0-6", "0 0 * * *"))
    assert.isTrue(same("0 0 1-31 * +MON", "0 0 * * MON"))
    assert.isFalse(same("0 0 L * *", "0 0 LW * *"))
    assert.isFalse(same("0 0 13 * FRI", "0 0 13 * +FRI"))
    assert.isFalse(same("0 0 L * FRI", "0 0 L * +FRI"))
    assert.isTrue(same("0 0 0 1 1 * *", "0 0 1 1 *"))
    assert.isFalse(same("0 0 0 1 1 * 2026", "0 0 1 1 *"))
    assert.isFalse(same("0 0 * * 1 week=1", "0 0 * * 1"))
    assert.isFalse(same("0 0 * * 1 week=1", "0 0 0 * * 1 2026"))
    assert.isTrue(same("H * * * *", "h(0-59) * * * *"))
    assert.isTrue(same("0 0 5,H * *", "0 0 H,5 * *"))
    assert.isFalse(same("H * * * *", "H(0-58) * * * *"))
    assert.isFalse(same("0 H * * *", "H 0 * * *"))
    assert.isFalse(same("H/10 * * * *", "H * * * *"))
    assert.isFalse(same("0 0 H * MON", "0 0 H * +MON"))
    assert.isFalse(same("0 0 H,2nd-mon * MON#2", "0 0 H,2nd-mon * +MON#2"))
  })

  it("says which field, which character, what may stand there and what was perhaps meant", () => {
    const error = fails("0 9 * * MOM")
    assert.strictEqual(error._tag, "CronParseError")
    assert.deepInclude(error, { input: "0 9 * * MOM", field: 5, position: 9, value: "MOM", suggestion: "MON" })
    assert.strictEqual(
      error.message,
      "`MOM` is not a day of week (field 5, character 9): use 0-7 or SUN-SAT; did you mean `MON`?"
    )
  })

  it.each([
    ["61 * * * *", 1, 1, "61"],
    ["0 24 * * *", 2, 3, "24"],
    ["0 0 0 * *", 3, 5, "0"],
    ["0 0 32 * *", 3, 5, "32"],
    ["0 0 1 13 *", 4, 7, "13"],
    ["0 0 * * 8", 5, 9, "8"],
    ["*/0 * * * *", 1, 3, "0"],
    ["*/60 * * * *", 1, 3, "60"],
    ["*/x * * * *", 1, 3, "x"],
    ["1,2,x * * * *", 1, 5, "x"],
    ["5-9x * * * *", 1, 3, "9x"],
    ["mon#1x * * * *", 1, 1, "mon#1x"],
    ["0 0 * * mon-fri-sun", 5, 13, "fri-sun"],
    ["1,,2 * * * *", 1, 1, "1,,2"],
    ["-5 * * * *", 1, 1, "-5"],
    ["1.5 * * * *", 1, 1, "1.5"],
    ["1- * * * *", 1, 1, "1-"],
    ["00005 * * * *", 1, 1, "00005"],
    ["* * * * mond", 5, 9, "mond"],
    ["* * * * moŭ", 5, 9, "moŭ"],
    ["0\u00a00 * * *", 0, 1, "0\u00a00 * * *"],
    // years: four digits, and a range does not go around
    ["0 0 0 1 1 * 1969", 7, 13, "1969"],
    ["0 0 0 1 1 * 10000", 7, 13, "10000"],
    ["0 0 0 1 1 * 2030-2026", 7, 13, "2030-2026"],
    ["0 0 0 1 1 * */8030", 7, 15, "8030"],
    ["0 0 0 1 1 * H", 7, 13, "H"],
    // days that a month decides, where or as they cannot be
    ["L * * * *", 1, 1, "L"],
    ["0 0 1 L *", 4, 7, "L"],
    ["0 0 0W * *", 3, 5, "0W"],
    ["0 0 32W * *", 3, 5, "32W"],
    ["0 0 W * *", 3, 5, "W"],
    ["0 0 1-15W * *", 3, 7, "15W"],
    ["0 0 1-L * *", 3, 7, "L"],
    ["0 0 L-31 * *", 3, 5, "L-31"],
    ["0 0 L/2 * *", 3, 5, "L/2"],
    ["0 0 15W/2 * *", 3, 5, "15W/2"],
    ["0 0 1,5L * *", 3, 7, "5L"],
    ["0 0 MON#2 * *", 3, 5, "MON#2"],
    ["0 0 6th-mon * *", 3, 5, "6th-mon"],
    ["0 0 * * 15W", 5, 9, "15W"],
    ["0 0 * * LW", 5, 9, "LW"],
    ["0 0 * * MON#6", 5, 9, "MON#6"],
    ["0 0 * * MON#0", 5, 9, "MON#0"],
    ["0 0 * * 8#1", 5, 9, "8#1"],
    ["0 0 * * MON#2/2", 5, 9, "MON#2/2"],
    ["0 0 * * MON-FRI#2", 5, 13, "FRI#2"],
    ["0 0 * * last-fri", 5, 9, "last-fri"],
    // a question mark is a whole day field
    ["? * * * *", 1, 1, "?"],
    ["0 0 1 ? *", 4, 7, "?"],
    ["0 0 ?,1 * *", 3, 5, "?"],
    ["0 0 1,? * *", 3, 7, "?"],
    ["0 0 ?/2 * *", 3, 5, "?"],
    // a plus begins the day of week, and nothing else
    ["0 0 * * +", 5, 9, "+"],
    ["0 0 +1 * *", 3, 5, "+1"],
    ["0 0 1 * MON,+FRI", 5, 13, "+FRI"],
    ["0 0 1 * ++FRI", 5, 10, "+FRI"],
    // H
    ["H(5 * * * *", 1, 1, "H(5"],
    ["H() * * * *", 1, 1, "H()"],
    ["H(0-60) * * * *", 1, 1, "H(0-60)"],
    ["H(9-5) * * * *", 1, 1, "H(9-5)"],
    ["H(0-5)/7 * * * *", 1, 8, "7"],
    ["H/0 * * * *", 1, 3, "0"],
    ["0 0 H(1-29) * *", 3, 5, "H(1-29)"],
    ["0 0 * * H(0-7)", 5, 9, "H(0-7)"],
    ["H-5 * * * *", 1, 1, "H-5"],
    ["1-H * * * *", 1, 3, "H"],
    // ISO weeks
    ["0 0 * * * week=0", 6, 16, "0"],
    ["0 0 * * * week=54", 6, 16, "54"],
    ["0 0 * * * week=", 6, 16, ""]
  ])("refuses %s", (text, field, position, value) => {
    const error = fails(text)
    assert.deepStrictEqual([error.field, error.position, error.value], [field, position, value])
  })

  it.each(["", " ", "* * * *", "* * * * * * * *", "hello", "* * * * week=1", "week=1 * * * *"])(
    "refuses the wrong number of fields: %j",
    (text) => {
      assert.strictEqual(fails(text).field, text.startsWith("week") ? 1 : 0)
    }
  )

  it.each([
    [
      "1,15,5L * * * *",
      "`5L` belongs in the day of week (field 1, character 6): use 0-59"
    ],
    [
      "0 0 W * *",
      "`W` is not a day of month (field 3, character 5): use 1-31, L, L-1 to L-30, LW, or 1W to 31W; did you mean `LW`?"
    ],
    ["0 0 1-15W * *", "`15W` cannot end a range (field 3, character 7): use plain values in a range, or a list"],
    [
      "0 0 * * MON#6",
      "`MON#6` is not a day of week (field 5, character 9): use 0-7 or SUN-SAT, MON#1 to MON#5, or MON#L"
    ],
    ["0 0 * * MON#2/2", "`MON#2/2` takes no step (field 5, character 9): use `MON#2`"],
    ["? * * * *", "`?` stands alone, in a day field (field 1, character 1): use *; did you mean `*`?"],
    ["H(5 * * * *", "`H(5` is not a form of H (field 1, character 1): use H, H(0-59), H/2 or H(0-59)/2"],
    ["0 0 H(1-31) * *", "`H(1-31)` is not a range to choose from (field 3, character 5): use H(1-28), or a part of it"],
    ["0 0 0 1 1 * H", "`H` cannot choose a year (field 7, character 13): use 1970-9999"],
    ["0 0 0 1 1 * 2030-2026", "`2030-2026` ends before it begins (field 7, character 13): use the earlier year first"],
    ["0 0 * JANUARY *", "`JANUARY` is not a month (field 4, character 7): use 1-12 or JAN-DEC; did you mean `JAN`?"],
    ["@every 5m", "`@every 5m` is an interval, not times of a calendar: use Trigger.every(\"5 minutes\")"],
    ["@every 90s", "`@every 90s` is an interval, not times of a calendar: use Trigger.every(\"90 seconds\")"],
    ["@every", "`@every` is an interval, not times of a calendar: use Trigger.every(\"5 minutes\")"],
    ["@reboot", "`@reboot` is an event, not a time: use Trigger.startup"],
    [
      "@dayly",
      "`@dayly` is not a macro: use @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly; did you mean `@daily`?"
    ],
    [
      "@constructor",
      "`@constructor` is not a macro: use @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly"
    ],
    [
      "@daily 5",
      "`@daily 5` is not a macro: use @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly; did you mean `@daily`?"
    ],
    [
      "* *",
      "`* *` has 2 fields: use 5 fields (minute hour day-of-month month day-of-week), 6 with seconds first, 7 with the year " +
      "last, or a macro such as @daily"
    ]
  ])("says of %s what to do", (text, message) => {
    assert.strictEqual(fails(text).message, message)
  })

  it.each([
    ["@yearly", "0 0 1 1 *"],
    ["@annually", "0 0 1 1 *"],
    ["@monthly", "0 0 1 * *"],
    ["@weekly", "0 0 * * 0"],
    ["@daily", "0 0 * * *"],
    ["@midnight", "0 0 * * *"],
    ["@hourly", "0 * * * *"]
  ])("reads %s in any letter case, and keeps it", (macro, expansion) => {
    const expression = CronExpression.parseUnsafe(` ${macro.toUpperCase()} `)
    assert.isTrue(Equal.equals(expression, CronExpression.parseUnsafe(expansion)))
    assert.strictEqual(CronExpression.format(expression), macro)
  })

  it("reads years, and a full list of them is none", () => {
    const years = (text: string) => CronExpression.parseUnsafe(`0 0 0 1 1 * ${text}`).years
    assert.isUndefined(years("*"))
    assert.isUndefined(years("1970-9999"))
    assert.isUndefined(years("*/1"))
    assert.deepStrictEqual(years("2026,2024,2026-2028"), [2024, 2026, 2027, 2028])
    assert.deepStrictEqual(years("2026-2032/3"), [2026, 2029, 2032])
    assert.deepStrictEqual(years("9997/2"), [9997, 9999])
    const even = years("*/2")!
    assert.deepStrictEqual([even[0], even.length, even[4014]], [1970, 4015, 9998])
  })

  it("reads days that each month decides, in the lists of both day fields", () => {
    const expression = CronExpression.parseUnsafe(
      "0 0 1,15,L,l-3,LW,L-2w,15W,last,2nd-mon,last-fri * 1#2,FRI#L,tueL,0,5#1"
    )
    assert.deepStrictEqual(expression.days, [1, 15])
    assert.deepStrictEqual(expression.dayRules, [
      { _tag: "FromEnd", back: 0, workday: false },
      { _tag: "FromEnd", back: 3, workday: false },
      { _tag: "FromEnd", back: 0, workday: true },
      { _tag: "FromEnd", back: 2, workday: true },
      { _tag: "Workday", day: 15 },
      { _tag: "FromEnd", back: 0, workday: false },
      { _tag: "Nth", weekday: 1, nth: 2 },
      { _tag: "Nth", weekday: 5, nth: "last" }
    ])
    assert.deepStrictEqual(expression.weekdays, [0])
    assert.deepStrictEqual(expression.weekdayRules, [
      { _tag: "Nth", weekday: 1, nth: 2 },
      { _tag: "Nth", weekday: 5, nth: "last" },
      { _tag: "Nth", weekday: 2, nth: "last" },
      { _tag: "Nth", weekday: 5, nth: 1 }
    ])
    assert.isTrue(expression.either)
    assert.deepStrictEqual(CronExpression.parseUnsafe("0 0 * * 7L").weekdayRules, [{
      _tag: "Nth",
      weekday: 0,
      nth: "last"
    }])
  })

  it("an L by itself in the day of week is Saturday, as in Quartz", () => {
    assert.deepStrictEqual(CronExpression.parseUnsafe("0 0 * * L").weekdays, [6])
    assert.deepStrictEqual(CronExpression.parseUnsafe("0 0 * * MON,L").weekdays, [1, 6])
  })

  it("a question mark is a star", () => {
    const star = CronExpression.parseUnsafe("0 0 * * MON")
    assert.isTrue(Equal.equals(CronExpression.parseUnsafe("0 0 ? * MON"), star))
    assert.isTrue(Equal.equals(CronExpression.parseUnsafe("0 0 13 * ?"), CronExpression.parseUnsafe("0 0 13 * *")))
    assert.isFalse(CronExpression.parseUnsafe("0 0 13 * ?").either)
  })

  it("a plus is `dayMatch: \"and\"`, and the text says it", () => {
    const plus = CronExpression.parseUnsafe("0 0 13 * +fri")
    assert.strictEqual(plus.dayMatch, "and")
    assert.isFalse(plus.either)
    const option = CronExpression.parseUnsafe("0 0 13 * FRI", { dayMatch: "and" })
    assert.strictEqual(option.text, "0 0 13 * +FRI")
    assert.isTrue(Equal.equals(option, plus))
    // The option decides over the text, and the text follows.
    const or = CronExpression.parseUnsafe("0 0 0 13 * +FRI 2026", { dayMatch: "or" })
    assert.deepStrictEqual([or.dayMatch, or.either, or.text], ["or", true, "0 0 0 13 * FRI 2026"])
    // Where it makes no difference it is not written.
    assert.strictEqual(CronExpression.parseUnsafe("0 0 * * FRI", { dayMatch: "and" }).text, "0 0 * * FRI")
    assert.strictEqual(CronExpression.parseUnsafe("@weekly", { dayMatch: "and" }).text, "@weekly")
  })

  it("ISO weeks have a text", () => {
    const expression = CronExpression.parseUnsafe("0 9 * * mon  Week=1,52-53")
    assert.deepStrictEqual(expression.weeks, [1, 52, 53])
    assert.strictEqual(expression.text, "0 9 * * MON WEEK=1,52-53")
    assert.isUndefined(CronExpression.parseUnsafe("0 9 * * * week=*").weeks)
    assert.deepStrictEqual(CronExpression.parseUnsafe("0 0 9 * * * 2026 week=1").years, [2026])
  })

  it("the error is data that can be stored", () => {
    const error = fails("0 9 * * MOM")
    const text = Schema.encodeSync(Schema.fromJsonString(CronExpression.CronParseError))(error)
    const back = Schema.decodeSync(Schema.fromJsonString(CronExpression.CronParseError))(text)
    assert.strictEqual(back.message, error.message)
  })

  it("an impossible date is refused where it is written (B14: none is searched for)", () => {
    assert.strictEqual(fails("0 0 0 20 * +MON#1 1970-9998").field, 6)
    assert.deepStrictEqual([fails("0 0 30 2 *").field, fails("0 0 31 4,6,9,11 *").position], [3, 5])
    assert.strictEqual(fails("0 0 0 31 FEB-FEB *").field, 4)
    assert.strictEqual(fails("0 0 30 2 MON", { dayMatch: "and" }).field, 3)
    // The day of week is enough here, and leap days exist.
    assert.isTrue(Result.isSuccess(CronExpression.parse("0 0 30 2 MON")))
    assert.isTrue(Result.isSuccess(CronExpression.parse("0 0 29 2 *")))
    assert.isTrue(Result.isSuccess(CronExpression.parse("0 0 31 2,3 *")))
  })

  const impossible = [
    ["0 0 31W 4 *", "`31W` is a day that APR never has (field 3, character 5): use 1-30 with this month"],
    ["0 0 L-30 2,4 *", "`L-30` is a day that FEB, APR never has (field 3, character 5): use 1-30 with this month"],
    ["0 0 30,30W 2 *", "`30,30W` is a day that FEB never has (field 3, character 5): use 1-29 with this month"],
    [
      "0 0 0 29 2 * 2027",
      "`2027` has no such date (field 7, character 14): use years that have it; did you mean `2028`?"
    ],
    [
      "0 0 0 29 2 * 2097-2103",
      "`2097-2103` has no such date (field 7, character 14): use years that have it; did you mean `2104`?"
    ],
    [
      "0 0 0 * 2 FRI#5 2025-2030",
      "`2025-2030` has no such date (field 7, character 17): use years that have it; did you mean `2036`?"
    ],
    [
      "0 0 0 13 1 +FRI 2027",
      "`2027` has no such date (field 7, character 17): use years that have it; did you mean `2034`?"
    ],
    [
      "0 0 0 * * * 2025 week=53",
      "`2025` has no such date (field 7, character 13): use years that have it; did you mean `2026`?"
    ],
    [
      "0 0 20 * +MON#1",
      "`+MON#1` never falls on the day of month that must match too (field 5, character 10): use one of the two fields"
    ],
    [
      "0 0 1W * +SUN",
      "`+SUN` never falls on the day of month that must match too (field 5, character 10): use one of the two fields"
    ],
    ["0 0 * 3 * week=53", "`week=53` has no such day in MAR (field 6, character 11): use a week of these months"],
    ["0 0 30 H(2-2) *", "`30` is a day that FEB never has (field 3, character 5): use 1-29 with this month"]
  ] as const

  it.each(impossible)("knows at once that %s never comes", (text, message) => {
    assert.strictEqual(fails(text).message, message)
  })

  it.each([
    "0 0 31W * *",
    "0 0 29W 2 *",
    "0 0 L-28 2 *",
    "0 0 * 2 FRI#5",
    "0 0 29 2 +FRI",
    "0 0 29 2 +FRI#5",
    "0 0 * * * week=53",
    "0 0 1 1 +SUN week=52",
    "0 0 31 12 +THU week=53",
    // The 1st of January is a Saturday in both; it is in week 53 only when the year before was a leap year.
    "0 0 0 1 1 * 2011,2033 week=53",
    "0 0 L * +MON#5",
    "0 0 1W * +MON",
    "0 0 0 29 2 * 2096-2104",
    "0 0 0 1 1 * 9999",
    "0 0 0 1 1 * 1970",
    "0 0 31 H *"
  ])("takes %s, which comes, if rarely", (text) => {
    assert.isTrue(Result.isSuccess(CronExpression.parse(text)))
  })
})
