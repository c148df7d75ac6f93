import { assert, describe, it } from "@effect/vitest"
import { DateTime } from "effect"
import type { TaskInfo } from "punctual"
import * as Report from "../ops/report.ts"

describe("report", () => {
  it("says how long in its two largest units", () => {
    const said = [0, 999, 1_000, 9_990, 10_000, 59_499, 60_000, 3_599_000, 3_600_000, 90_061_000, 8 * 86_400_000]
    assert.deepStrictEqual(said.map(Report.span), [
      "0 ms",
      "999 ms",
      "1.0 s",
      "10.0 s",
      "10 s",
      "59 s",
      "1 min",
      "59 min 59 s",
      "1 h",
      "1 d 1 h",
      "8 d"
    ])
  })

  it("says when, with the date unless it is today", () => {
    const zone = DateTime.zoneMakeNamedUnsafe("Europe/Berlin")
    const at = DateTime.makeUnsafe("2026-03-28T23:30:00Z")
    assert.strictEqual(Report.clock(at, zone), "00:30:00")
    assert.strictEqual(Report.clock(at, zone, DateTime.makeUnsafe("2026-03-28T22:00:00Z")), "2026-03-29 00:30:00")
  })

  it("counts, and leaves out what did not happen", () => {
    const at = DateTime.makeUnsafe(0)
    const range = { at, store: "default", id: "a", from: at, to: at, exact: true, reason: "grace" }
    const tally = Report.count(
      Report.count({ succeeded: 2 }, { _tag: "OccurrencesMissed", count: 3, ...range }),
      { _tag: "OccurrencesMissed", count: 1, ...range }
    )
    assert.strictEqual(
      Report.closing(tally, at, DateTime.makeUnsafe(61_000)),
      "done after 1 min 1 s: 2 succeeded, 4 missed"
    )
    assert.strictEqual(Report.closing({}, at, at), "done after 0 ms: 0 succeeded")
  })

  it("says of a run that was given back why, and what becomes of it", () => {
    const at = DateTime.makeUnsafe(0)
    const run = { taskId: "backup" } as TaskInfo.RunInfo
    const said = (["shutdown", "leaseEnded", "unreadable", "unhandled", "lateClaim"] as const).map((reason) =>
      Report.line({
        event: { _tag: "RunReleased", at, store: "default", run, reason },
        zone: DateTime.zoneMakeNamedUnsafe("UTC"),
        startedAt: at,
        begunAt: undefined
      })
    )
    assert.strictEqual(
      said[0],
      "00:00:00  given back  backup            interrupted; it runs again at the next start"
    )
    assert.strictEqual(new Set(said).size, said.length)
    assert.deepStrictEqual(said.filter((line) => line?.includes("at the next start")), [said[0]])
  })

  it("says where new rules of time zones move a task", () => {
    const at = DateTime.makeUnsafe("2026-03-28T05:00:00Z")
    const said = [DateTime.makeUnsafe("2026-03-28T08:00:00Z"), null].map((to) =>
      Report.line({
        event: { _tag: "TaskRetimed", at, store: "default", id: "backup", from: at, to, zoneRules: "2026a" },
        zone: DateTime.zoneMakeNamedUnsafe("UTC"),
        startedAt: at,
        begunAt: undefined
      })
    )
    assert.deepStrictEqual(said, [
      "05:00:00  moved      backup            next at 08:00:00, by time zone rules 2026a",
      "05:00:00  moved      backup            next never, by time zone rules 2026a"
    ])
  })
})
