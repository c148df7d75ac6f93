/** Cron expressions in words. */
import { assert, describe, it } from "@effect/vitest"
import * as TriggerArbitrary from "../src/testing/TriggerArbitrary.ts"
import * as Trigger from "../src/Trigger.ts"

const words = (input: Parameters<typeof Trigger.cron>[0]): string =>
  Trigger.format(Trigger.cron(input)).replace(" (UTC)", "")

describe("cron in words", () => {
  it.each([
    ["@daily", "at 00:00"],
    ["0 17 LW * *", "at 17:00 on the last weekday of the month"],
    ["0 0 L * *", "at 00:00 on the last day of the month"],
    ["0 0 L-1 * *", "at 00:00 on the day before the last day of the month"],
    ["0 0 L-2 * *", "at 00:00 on the 2nd day before the last day of the month"],
    ["0 0 L-13 * *", "at 00:00 on the 13th day before the last day of the month"],
    ["0 0 L-22 * *", "at 00:00 on the 22nd day before the last day of the month"],
    ["0 0 L-3W * *", "at 00:00 on the weekday nearest to the 3rd day before the last day of the month"],
    ["0 0 15W * *", "at 00:00 on the weekday nearest to day 15 of the month"],
    ["0 0 1,15,L * *", "at 00:00 on days 1 and 15 of the month and the last day of the month"],
    ["0 0 2nd-mon * *", "at 00:00 on the 2nd Monday of the month"],
    ["0 0 * * MON#1,FRI#L", "at 00:00 on the 1st Monday of the month and the last Friday of the month"],
    ["0 0 * * TUE,FRI#5", "at 00:00 on Tuesday and the 5th Friday of the month"],
    ["0 0 L * +FRI", "at 00:00 on the last day of the month when that is Friday"],
    ["0 0 L * FRI", "at 00:00 on the last day of the month or on Friday"],
    ["0 0 0 1 1 * 2026", "at 00:00 on day 1 of the month in January in 2026"],
    ["0 0 0 1 1 * 2026-2028,2030", "at 00:00 on day 1 of the month in January in 2026 to 2028 and 2030"],
    ["0 0 0 1 1 * 2026-2040/2", "at 00:00 on day 1 of the month in January in every 2 years from 2026 to 2040"],
    ["0 9 * * mon week=1", "at 09:00 on Monday in ISO week 1"],
    ["0 9 * * mon week=1,52-53", "at 09:00 on Monday in ISO weeks 1, 52 and 53"],
    ["H H(1-4) * * *", "at a minute of 0 to 59, an hour of 1 to 4, as the id of the task decides"],
    ["H/15 9-17 * * *", "at every 15th minute of 0 to 59, hours 9 to 17, as the id of the task decides"],
    ["H,30 * * * *", "at minute 30 and a minute of 0 to 59, every hour, as the id of the task decides"],
    [
      "H 0 3 H H H(1-5)",
      "at a second of 0 to 59, minute 0, hour 3 on a day of 1 to 28 or on a weekday of Monday to Friday in a month of January to December, as the id of the task decides"
    ],
    ["0 3 H * *", "at 03:00 on a day of 1 to 28, as the id of the task decides"],
    [
      "0 3 1 3,H(6-8) *",
      "at 03:00 on day 1 of the month in March and a month of June to August, as the id of the task decides"
    ]
  ])("%s", (text, expected) => {
    assert.strictEqual(words(text), expected)
  })

  it.prop("says of different times different things", [TriggerArbitrary.cron, TriggerArbitrary.cron], ([a, b]) => {
    if (a._tag !== "Cron" || b._tag !== "Cron") return
    const said = (trigger: Trigger.Cron) => Trigger.format(Trigger.cron(trigger.expression))
    if (said(a) === said(b)) assert.strictEqual(due(a), due(b))
  }, { timeout: 30_000, arbitrary: { runs: 300, seed: "words" } })
})

const due = (trigger: Trigger.Cron): string =>
  Array.from(
    Trigger.occurrences(Trigger.cron(trigger.expression), { after: "2024-01-01T00:00:00Z", limit: 20 }),
    (occurrence) => occurrence.due.epochMilliseconds
  ).join()
