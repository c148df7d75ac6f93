/** Between triggers and Effect's own `Cron`. */
import { assert, describe, it } from "@effect/vitest"
import * as Cron from "effect/Cron"
import * as DateTime from "effect/DateTime"
import * as Equal from "effect/Equal"
import * as Result from "effect/Result"
import * as TriggerArbitrary from "../src/testing/TriggerArbitrary.ts"
import * as Trigger from "../src/Trigger.ts"
import { int, pick, plainDay, plainWeekday } from "./support/cronOracle.ts"

const theirs = (cron: Cron.Cron, after: number, n: number): Array<string> => {
  const out: Array<string> = []
  let last = new Date(after)
  while (out.length < n) {
    last = Cron.next(cron, last)
    out.push(last.toISOString())
  }
  return out
}

const ours = (trigger: Trigger.Trigger, after: number, n: number): Array<string> =>
  Array.from(
    Trigger.occurrences(trigger, { after, limit: n }),
    (occurrence) => new Date(occurrence.due.epochMilliseconds).toISOString()
  )

const stored = (cron: Cron.Cron): string => JSON.stringify(Trigger.fromCron(cron))

const runs = (n: number, seed: string) => ({ timeout: 30_000, arbitrary: { runs: n, seed } })

describe("Trigger.fromCron", () => {
  it("reads all fields, the zone and the policies", () => {
    assert.strictEqual(
      stored(Cron.parseUnsafe("0 9 * * 1-5", "Europe/Berlin")),
      `{"v":1,"_tag":"Cron","expression":"0 9 * * 1-5","timeZone":"Europe/Berlin","gap":"shift","overlap":"first"}`
    )
    assert.strictEqual(
      stored(Cron.parseUnsafe("*/20 0 9 1,15 1-3 *", undefined, { onDstOverlap: "both" })),
      `{"v":1,"_tag":"Cron","expression":"0-40/20 0 9 1,15 1-3 *","timeZone":"UTC","gap":"shift","overlap":"both"}`
    )
    assert.strictEqual(
      stored(Cron.parseUnsafe("0 0 13 * 5", "+05:30", { onDstOverlap: "later" })),
      `{"v":1,"_tag":"Cron","expression":"0 0 13 * 5","timeZone":"+05:30","gap":"shift","overlap":"second"}`
    )
  })

  it("knows how the days combine", () => {
    const make = (and: boolean) => Cron.make({ minutes: [0], hours: [0], days: [13], months: [], weekdays: [5], and })
    assert.isTrue(stored(make(true)).includes(`"0 0 13 * +5"`))
    assert.isTrue(stored(make(false)).includes(`"0 0 13 * 5"`))
  })

  it("options decide over it", () => {
    const trigger = Trigger.fromCron(Cron.parseUnsafe("0 9 * * *", "Europe/Berlin"), {
      timeZone: "Asia/Tokyo",
      gap: "skip"
    })
    assert.isTrue(
      Equal.equals(trigger, Trigger.cron("0 9 * * *", { timeZone: "Asia/Tokyo", gap: "skip", overlap: "first" }))
    )
    assert.throws(
      () => Trigger.fromCron(Cron.parseUnsafe("0 9 * * *"), { timezone: "UTC" } as never),
      /did you mean `timeZone`/
    )
  })

  it.prop("in UTC the times are the same", [
    pick(["0", "30", "*/7", "15-45", "*"]),
    pick(["0", "23", "*/5", "9-17", "*"]),
    plainDay,
    pick(["*", "*", "1-6", "2,4"]),
    plainWeekday,
    int(0, 4_000_000)
  ], ([minute, hour, day, month, weekday, minutes]) => {
    // A range that goes around the end is an error there.
    const text = `${minute} ${hour} ${day.text} ${month} ${weekday.text}`
    const parsed = Cron.parse(text)
    if (Result.isFailure(parsed)) return
    let expected: Array<string>
    const after = Date.UTC(2024, 0, 1) + minutes * 60_000
    try {
      expected = theirs(parsed.success, after, 5)
    } catch {
      return
    }
    assert.deepStrictEqual(ours(Trigger.fromCron(parsed.success), after, 5), expected, text)
  }, runs(150, "from"))

  it("and where clocks change, but for what Effect passes over in a gap", () => {
    const newYork = (text: string, onDstOverlap?: Cron.DstOverlapPolicy) =>
      Cron.parseUnsafe(text, "America/New_York", onDstOverlap === undefined ? {} : { onDstOverlap })
    const spring = Date.UTC(2026, 2, 8)
    const autumn = Date.UTC(2026, 10, 1)
    for (
      const [cron, after] of [
        [newYork("30 2 * * *"), spring],
        [newYork("0 * * * *"), spring],
        [newYork("30 1 * * *"), autumn],
        [newYork("*/15 * * * *"), autumn],
        [newYork("30 1 * * *", "later"), autumn],
        [newYork("*/15 * * * *", "later"), autumn],
        [newYork("*/15 * * * *", "both"), autumn]
      ] as const
    ) {
      assert.deepStrictEqual(ours(Trigger.fromCron(cron), after, 60), theirs(cron, after, 60))
    }
    const some = newYork("0,30 2 * * *")
    assert.deepStrictEqual(ours(Trigger.fromCron(some), spring, 2), [
      "2026-03-08T07:00:00.000Z",
      "2026-03-08T07:30:00.000Z"
    ])
    assert.deepStrictEqual(theirs(some, spring, 2), ["2026-03-08T07:00:00.000Z", "2026-03-09T06:00:00.000Z"])
  })
})

describe("Trigger.toCron", () => {
  const reason = (trigger: Trigger.Trigger): string => {
    const result = Trigger.toCron(trigger)
    return Result.isFailure(result) ? result.failure.message : assert.fail("it was accepted")
  }

  it("says why there is none", () => {
    assert.strictEqual(reason(Trigger.every("1 hour")), "only a trigger made by `cron` can be a Cron of Effect")
    assert.strictEqual(
      reason(Trigger.cron("0 0 L * *")),
      "a Cron of Effect has no days such as L, 15W or MON#2: `0 0 L * *` stays a trigger"
    )
    assert.strictEqual(
      reason(Trigger.cron("0 0 * * 1#2")),
      "a Cron of Effect has no days such as L, 15W or MON#2: `0 0 * * 1#2` stays a trigger"
    )
    assert.strictEqual(
      reason(Trigger.cron("0 0 0 1 1 * 2026")),
      "a Cron of Effect has no years: `0 0 0 1 1 * 2026` stays a trigger"
    )
    assert.strictEqual(
      reason(Trigger.cron({ week: 1 })),
      "a Cron of Effect has no weeks: `0 0 * * * WEEK=1` stays a trigger"
    )
    assert.strictEqual(reason(Trigger.cron("H * * * *")), "a Cron of Effect has no H: `H * * * *` stays a trigger")
  })

  it("keeps what it can say", () => {
    const back = (trigger: Trigger.Trigger) => Result.getOrThrow(Trigger.toCron(trigger))
    const berlin = { timeZone: "Europe/Berlin" }
    const same = (trigger: Trigger.Trigger, cron: Cron.Cron) =>
      assert.isTrue(Equal.equals(back(trigger), cron), String(trigger))
    same(Trigger.cron("0 9 * * MON-FRI", berlin), Cron.parseUnsafe("0 9 * * 1-5", "Europe/Berlin"))
    same(
      Trigger.cron("*/15 * * * *", berlin),
      Cron.parseUnsafe("*/15 * * * *", "Europe/Berlin", { onDstOverlap: "both" })
    )
    same(
      Trigger.cron("0 9 * * *", { overlap: "second" }),
      Cron.parseUnsafe("0 9 * * *", "UTC", { onDstOverlap: "later" })
    )
    same(
      Trigger.cron("0 0 13 * FRI", { dayMatch: "and" }),
      Cron.make({
        minutes: [0],
        hours: [0],
        days: [13],
        months: [],
        weekdays: [5],
        and: true,
        tz: DateTime.zoneMakeNamedUnsafe("UTC")
      })
    )
  })

  it.prop("the times are the same in zones without changes of clocks", [
    TriggerArbitrary.cron,
    pick(["UTC", "Asia/Tokyo", "+05:45"]),
    int(0, 4_000_000)
  ], ([trigger, timeZone, minutes]) => {
    if (trigger._tag !== "Cron") return
    const moved = Trigger.cron(trigger.expression, { timeZone })
    const cron = Trigger.toCron(moved)
    if (Result.isFailure(cron)) return
    const after = Date.UTC(2024, 0, 1) + minutes * 60_000
    let expected: Array<string>
    try {
      expected = theirs(cron.success, after, 4)
    } catch {
      // Effect gives up after 10,000 steps.
      return
    }
    assert.deepStrictEqual(ours(moved, after, 4), expected, trigger.expression.text)
  }, runs(200, "to"))
})
