/**
 * An hour of virtual load leaves a scheduler as it was: what is remembered of runs and tasks that are gone is bounded.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Mark } from "./fixtures/soak.ts"
import { databaseFile } from "./internal/files.ts"
import { start } from "./internal/processes.ts"

/**
 * Bytes that the heap may grow by from the first mark to the last, when twenty minutes have filled what is bounded.
 * Measured: 100,000 to 300,000, of caches that are not full yet and of V8's own lists. There are over 4,000 runs between
 * the marks, and an object of 100 bytes takes 180.
 */
const bound = 500_000

const soak = (store: string, pace: number, leak: number) =>
  Effect.gen(function*() {
    const program = yield* start("soak", store, String(pace), String(leak))
    const marks: Array<Mark> = []
    while (marks.at(-1)?.minute !== null) marks.push(JSON.parse(yield* program.heard) as Mark)
    yield* program.gone
    return marks
  })

const runs = ({ told }: Mark) => told["RunStarted"] ?? 0

const growth = (marks: ReadonlyArray<Mark>) => marks[2]!.heap - marks[0]!.heap

const check = (marks: ReadonlyArray<Mark>, pace: number) => {
  const last = marks[2]!
  // Whatever can become of a run did, and finished tasks were forgotten.
  for (const what of ["succeeded", "failed", "cancelled", "timedOut", "RunRetrying", "TaskUpdated", "TaskRemoved"]) {
    assert.isAtLeast(last.told[what] ?? 0, 3_000 / pace, what)
  }
  assert.isAtLeast(runs(last) - runs(marks[0]!), 4_000)
  assert.isBelow(growth(marks), bound, marks.map(({ heap }) => heap).join(", "))
  for (const { handles, minute } of marks) assert.deepStrictEqual(handles, [], `handles at minute ${minute}`)
}

describe("an hour of virtual load", () => {
  it.live("in memory leaves the heap as it was", () => Effect.map(soak("memory", 4, 0), (marks) => check(marks, 4)), {
    timeout: 300_000
  })

  it.live("over SQLite leaves the heap as it was", () =>
    Effect.gen(function*() {
      const marks = yield* soak(yield* databaseFile, 10, 0)
      check(marks, 10)
    }), { timeout: 300_000 })

  it.live(
    "would show a leak of 100 bytes a run",
    () => Effect.map(soak("memory", 4, 100), (marks) => assert.isAbove(growth(marks), 2 * bound)),
    {
      timeout: 300_000
    }
  )
})
