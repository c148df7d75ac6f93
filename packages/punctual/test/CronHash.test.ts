/** `H`: values that the id of the task decides. */
import { assert, describe, it } from "@effect/vitest"
import * as CronExpression from "../src/CronExpression.ts"
import { resolve } from "../src/internal/cronHash.ts"
import * as Trigger from "../src/Trigger.ts"

const fields = (text: string, seed: string) => resolve(CronExpression.parseUnsafe(text), seed)

const seeds = Array.from({ length: 2_000 }, (_, i) => `task-${i}`)

/** The values a field takes over many tasks. */
const seen = (text: string, field: "seconds" | "minutes" | "hours" | "days" | "months" | "weekdays"): Array<number> =>
  Array.from(new Set(seeds.flatMap((seed) => fields(text, seed)[field]))).sort((a, b) => a - b)

const span = (low: number, high: number): Array<number> => Array.from({ length: high - low + 1 }, (_, i) => low + i)

describe("H", () => {
  it("takes every value of its field, and in a month only those that all months have", () => {
    const text = "H H H H H H"
    assert.deepStrictEqual(seen(text, "seconds"), span(0, 59))
    assert.deepStrictEqual(seen(text, "minutes"), span(0, 59))
    assert.deepStrictEqual(seen(text, "hours"), span(0, 23))
    assert.deepStrictEqual(seen(text, "days"), span(1, 28))
    assert.deepStrictEqual(seen(text, "months"), span(1, 12))
    assert.deepStrictEqual(seen(text, "weekdays"), span(0, 6))
  })

  it("takes values of a range", () => {
    assert.deepStrictEqual(seen("H(5-9) * * * *", "minutes"), span(5, 9))
    assert.deepStrictEqual(seen("0 0 1 H(MAR-MAY) *", "months"), span(3, 5))
    assert.deepStrictEqual(seen("0 0 * * H(1-5)", "weekdays"), span(1, 5))
    assert.deepStrictEqual(seen("H(7-7) * * * *", "minutes"), [7])
  })

  it("a step begins anywhere in its first stretch, and stays in the range", () => {
    assert.deepStrictEqual(seen("H/15 * * * *", "minutes"), span(0, 59))
    assert.deepStrictEqual(seen("H(10-29)/10 * * * *", "minutes"), span(10, 29))
    for (const seed of seeds.slice(0, 100)) {
      const { minutes } = fields("H/15 * * * *", seed)
      assert.strictEqual(minutes.length, 4)
      minutes.forEach((minute, i) => assert.strictEqual(minute, minutes[0]! + 15 * i))
      assert.isBelow(minutes[0]!, 15)
      assert.strictEqual(fields("H(10-29)/10 * * * *", seed).minutes.length, 2)
    }
  })

  it("stands in lists beside plain values", () => {
    for (const seed of seeds.slice(0, 50)) {
      const { minutes } = fields("30,H(0-9),50-52 * * * *", seed)
      assert.deepStrictEqual(minutes.slice(1), [30, 50, 51, 52])
      assert.isBelow(minutes[0]!, 10)
    }
  })

  it("spreads tasks evenly", () => {
    const counts = new Map<number, number>()
    for (const seed of seeds) {
      const [minute = -1] = fields("H * * * *", seed).minutes
      counts.set(minute, (counts.get(minute) ?? 0) + 1)
    }
    for (const count of counts.values()) assert.isTrue(count > 10 && count < 65, String(count))
  })

  it("decides each field by itself", () => {
    const both = seeds.map((seed) => {
      const { hours, minutes } = fields("H(0-23) H * * *", seed)
      return minutes[0] === hours[0]
    })
    assert.isBelow(both.filter((equal) => equal).length, 200)
  })

  it("is the same for ever: these values are in stores", () => {
    const at = (text: string, seed: string) => {
      const { days, hours, minutes, months, seconds, weekdays } = fields(text, seed)
      return [seconds, minutes, hours, days, months, weekdays].map((values) => values[0])
    }
    assert.deepStrictEqual(at("H H H H H H", ""), [55, 40, 9, 24, 1, 1])
    assert.deepStrictEqual(at("H H H H H H", "digest-acme"), [47, 46, 0, 19, 2, 3])
    assert.deepStrictEqual(fields("H/10 * * * *", "digest-acme").minutes, [6, 16, 26, 36, 46, 56])
  })

  it("is bound by the id of the task", () => {
    const trigger = Trigger.cron("H H(1-4) * * *")
    const due = (seed: string) => Trigger.bind(trigger, { anchor: 0, seed }).next(0)!.due
    for (const seed of seeds.slice(0, 20)) {
      const { hours, minutes } = fields("H H(1-4) * * *", seed)
      assert.strictEqual(due(seed), (hours[0]! * 60 + minutes[0]!) * 60_000)
      assert.strictEqual(due(seed), due(seed))
    }
    assert.strictEqual(new Set(seeds.slice(0, 100).map(due)).size > 50, true)
    // Another binding of the same trigger is not disturbed by the first.
    const a = Trigger.bind(trigger, { anchor: 0, seed: "a" })
    const b = Trigger.bind(trigger, { anchor: 0, seed: "b" })
    assert.deepStrictEqual([a.next(0)!.due, b.next(0)!.due], [due("a"), due("b")])
  })

  it("is a value to everything else: fixed when clocks change, a restriction among the days", () => {
    assert.isFalse(CronExpression.parseUnsafe("H H * * *").wild)
    assert.isTrue(CronExpression.parseUnsafe("H * * * *").wild)
    assert.isTrue(CronExpression.parseUnsafe("0 0 H * MON").either)
  })

  it("may leave a task without a time, where only some choices have one", () => {
    const trigger = Trigger.cron("0 0 31 H *")
    const due = seeds.map((seed) => Trigger.bind(trigger, { anchor: 0, seed }).next(0))
    assert.isTrue(due.some((point) => point === undefined) && due.some((point) => point !== undefined))
  })
})
