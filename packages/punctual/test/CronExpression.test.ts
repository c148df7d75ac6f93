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

describe("CronExpression", () => {
  it("reads five fields, and six with seconds first", () => {
    const five = CronExpression.parseUnsafe("30 9 1 1 *")
    assert.deepStrictEqual(five.seconds, [0])
    assert.deepStrictEqual(five.minutes, [30])
    assert.deepStrictEqual(five.hours, [9])
    assert.deepStrictEqual(CronExpression.parseUnsafe("15 30 9 1 1 *").seconds, [15])
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
    const again = CronExpression.parseUnsafe(CronExpression.format(expression))
    assert.isTrue(Equal.equals(again, expression))
    assert.strictEqual(Hash.hash(again), Hash.hash(expression))
  }, { timeout: 30_000, arbitrary: { runs: 500, seed: "cron" } })

  it("is equal by what it allows, not by its spelling", () => {
    const same = (a: string, b: string) => Equal.equals(CronExpression.parseUnsafe(a), CronExpression.parseUnsafe(b))
    assert.isTrue(same("0 9 * * MON-FRI", "0 9 * * 1,2,3,4,5"))
    assert.isFalse(same("0 9 * * MON-FRI", "0 9 * * MON-SAT"))
    // A star follows real time where clocks change, a full list does not.
    assert.isFalse(same("*/30 2 * * *", "0,30 2 * * *"))
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
    ["0 0 L * *", 3, 5, "L"],
    ["0 0 15W * *", 3, 5, "15W"],
    ["0 0 * * 5#2", 5, 9, "5#2"]
  ])("refuses %s", (text, field, position, value) => {
    const error = fails(text)
    assert.deepStrictEqual([error.field, error.position, error.value], [field, position, value])
  })

  it.each(["", " ", "* * * *", "* * * * * * *", "@daily", "hello"])(
    "refuses the wrong number of fields: %j",
    (text) => {
      assert.strictEqual(fails(text).field, 0)
    }
  )

  it("suggests the expression of a macro", () => {
    assert.strictEqual(fails("@daily").suggestion, "0 0 * * *")
  })

  it("the error is data that can be stored", () => {
    const error = fails("0 9 * * MOM")
    const text = Schema.encodeSync(Schema.fromJsonString(CronExpression.CronParseError))(error)
    const back = Schema.decodeSync(Schema.fromJsonString(CronExpression.CronParseError))(text)
    assert.strictEqual(back.message, error.message)
  })

  it("an impossible date is refused where it is written, within a millisecond (B14: none is searched for)", () => {
    fails("0 0 30 2 *")
    // The best of many, since other processes may hold the machine up.
    let best = Infinity
    for (let i = 0; i < 50; i++) {
      const started = performance.now()
      fails("0 0 30 2 *")
      best = Math.min(best, performance.now() - started)
    }
    assert.isBelow(best, 1)
    assert.deepStrictEqual([fails("0 0 30 2 *").field, fails("0 0 31 4,6,9,11 *").position], [3, 5])
    assert.strictEqual(fails("0 0 0 31 FEB-FEB *").field, 4)
    assert.strictEqual(fails("0 0 30 2 MON", { dayMatch: "and" }).field, 3)
    // The day of week is enough here, and leap days exist.
    assert.isTrue(Result.isSuccess(CronExpression.parse("0 0 30 2 MON")))
    assert.isTrue(Result.isSuccess(CronExpression.parse("0 0 29 2 *")))
    assert.isTrue(Result.isSuccess(CronExpression.parse("0 0 31 2,3 *")))
  })
})
