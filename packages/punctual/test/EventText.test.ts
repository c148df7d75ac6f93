/**
 * Events as texts: every kind comes back as it went, in texts that fit what carries them.
 */
import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { decode, encode, type Numbered } from "../src/internal/engine/eventText.ts"
import type { SchedulerEvent } from "../src/SchedulerEvent.ts"
import type { RunInfo } from "../src/TaskInfo.ts"

const at = DateTime.makeUnsafe(1_700_000_000_123)
const store = "default"
const id = "a task, ü, 日本語, \u0000, \"quoted\", \\ and 👩‍👩‍👧"

const run = (fields: Partial<RunInfo> = {}): RunInfo => ({
  id: "7:1700000000000",
  taskId: id,
  callable: "Task",
  scheduledAt: at,
  dueAt: at,
  readyAt: at,
  extra: false,
  state: "running",
  attempt: 1,
  takeovers: 0,
  concurrency: Option.some({ key: "acme", limit: 2 }),
  owner: Option.some("worker#1"),
  fencingToken: Option.some(41),
  startedAt: Option.some(at),
  endedAt: Option.none(),
  exit: Option.none(),
  ...fields
})

const ended = run({
  state: "succeeded",
  endedAt: Option.some(at),
  exit: Option.some({ _tag: "Success", value: [1, "é"] })
})
const range = { at, store, id, from: at, to: at, count: 3, exact: true, reason: "older than misfireGrace" } as const

/** One of each kind: the type names one that is missing. */
const samples: { readonly [Tag in SchedulerEvent["_tag"]]: SchedulerEvent & { readonly _tag: Tag } } = {
  SchedulerStarted: { _tag: "SchedulerStarted", at },
  SchedulerPaused: { _tag: "SchedulerPaused", at },
  SchedulerResumed: { _tag: "SchedulerResumed", at },
  SchedulerStopping: { _tag: "SchedulerStopping", at },
  SchedulerStopped: { _tag: "SchedulerStopped", at, drained: 1, interrupted: 2, detached: ["Task 7:1"] },
  TaskAdded: { _tag: "TaskAdded", at, store, id },
  TaskUpdated: { _tag: "TaskUpdated", at, store, id },
  TaskRescheduled: { _tag: "TaskRescheduled", at, store, id },
  TaskResumed: { _tag: "TaskResumed", at, store, id },
  TaskRemoved: { _tag: "TaskRemoved", at, store, id },
  TaskFinished: { _tag: "TaskFinished", at, store, id },
  TaskPaused: { _tag: "TaskPaused", at, store, id, note: null },
  TaskRetimed: { _tag: "TaskRetimed", at, store, id, from: at, to: null, zoneRules: "2026a" },
  OccurrencesMissed: { _tag: "OccurrencesMissed", ...range },
  OccurrencesCoalesced: { _tag: "OccurrencesCoalesced", ...range },
  OccurrencesSkipped: { _tag: "OccurrencesSkipped", ...range },
  OccurrencesPaused: { _tag: "OccurrencesPaused", ...range, exact: false },
  RunStarted: { _tag: "RunStarted", at, store, run: run(), lag: 12 },
  RunEnded: { _tag: "RunEnded", at, store, run: ended },
  RunRetrying: { _tag: "RunRetrying", at, store, run: ended, nextAttemptAt: at },
  RunReleased: { _tag: "RunReleased", at, store, run: run({ owner: Option.none() }), reason: "leaseEnded" },
  RunLost: { _tag: "RunLost", at, store, run: run({ state: "held" }) },
  RunDetached: { _tag: "RunDetached", at, store, run: run() },
  TaskQuarantined: { _tag: "TaskQuarantined", at, store, id, reason: "its trigger is of another program" },
  StoreUnavailable: { _tag: "StoreUnavailable", at, store, operation: "due", message: "gone" },
  StoreRecovered: { _tag: "StoreRecovered", at, store },
  ClockMovedBack: { _tag: "ClockMovedBack", at, store, id, cursor: at },
  ClockSkew: { _tag: "ClockSkew", at, store, ahead: -3_600_000 }
}

const numbered = (events: ReadonlyArray<SchedulerEvent>): ReadonlyArray<Numbered> =>
  events.map((event, i) => [i + 1, event])

const read = (texts: ReadonlyArray<string>) => texts.map((text) => Option.getOrThrow(decode(text)))

const eventsOf = (texts: ReadonlyArray<string>) =>
  read(texts).flatMap(({ events }) => events.map(({ event, n }) => [n, Option.getOrNull(event)] as const))

describe("events as texts", () => {
  it("every kind comes back as it went", () => {
    const events = numbered(Object.values(samples))
    const texts = encode("worker ü#1", events, 65_536)
    assert.deepStrictEqual(eventsOf(texts), [...events])
    for (const { from } of read(texts)) assert.strictEqual(from, "worker ü#1")
  })

  it.prop(
    "texts fit what carries them, are ASCII and keep the order; what does not fit is in none",
    [Schema.Int.check(Schema.isBetween({ minimum: 400, maximum: 9_000 }))],
    ([limit]) => {
      const events = numbered([...Object.values(samples), ...Object.values(samples)])
      const texts = encode("worker#1", events, limit)
      for (const text of texts) {
        assert.isAtMost(text.length, limit)
        assert.match(text, /^[ -~]*$/)
      }
      const numbers = eventsOf(texts).map(([n]) => n)
      assert.deepStrictEqual(numbers, [...numbers].sort((a, b) => a - b))
      assert.include(numbers, 1)
      // the longest of them has fewer characters than this
      if (limit >= 1_000) assert.strictEqual(numbers.length, events.length)
    }
  )

  it("a few are together, but not more than are to be lost together", () => {
    const many = numbered(Array.from({ length: 500 }, () => samples.TaskAdded))
    const texts = encode("worker#1", many, 65_536)
    assert.strictEqual(eventsOf(texts).length, 500)
    assert.isBelow(texts.length, 50)
    for (const text of texts) assert.isBelow(text.length, 9_000)
  })

  const shown = (event: SchedulerEvent, limit = 7_999) => eventsOf(encode("worker#1", [[1, event]], limit))

  it("a result that does not fit is withheld, and it says so", () => {
    const large = run({ state: "succeeded", exit: Option.some({ _tag: "Success", value: "x".repeat(10_000) }) })
    const [[n, event] = []] = shown({ ...samples.RunEnded, run: large })
    assert.strictEqual(n, 1)
    assert.deepStrictEqual({ ...event, run: undefined }, { ...samples.RunEnded, run: undefined } as never)
    const { exit, ...rest } = (event as typeof samples.RunEnded).run
    assert.deepStrictEqual({ ...rest, exit: Option.none() }, { ...large, exit: Option.none() })
    const { _tag, reason } = Option.getOrThrow(exit) as { readonly _tag: string; readonly reason: string }
    assert.strictEqual(_tag, "Withheld")
    assert.match(reason, /^an event of 10,\d\d\d characters does not fit; the run in the store has it$/)
    assert.deepStrictEqual(shown({ ...samples.RunEnded, run: large }, 65_536), [[1, {
      ...samples.RunEnded,
      run: large
    }]])
  })

  it("long words are cut, and long lists", () => {
    const words = "word ".repeat(2_000)
    const cut = `${words.slice(0, 1_000)}…`
    assert.deepStrictEqual(shown({ ...samples.TaskPaused, note: words }), [[1, { ...samples.TaskPaused, note: cut }]])
    assert.deepStrictEqual(shown({ ...samples.StoreUnavailable, message: words }), [[1, {
      ...samples.StoreUnavailable,
      message: cut
    }]])
    const detached = Array.from({ length: 1_000 }, (_, i) => `Task 7:${i}`)
    assert.deepStrictEqual(shown({ ...samples.SchedulerStopped, detached }), [[1, {
      ...samples.SchedulerStopped,
      detached: [...detached.slice(0, 10), "… and 990 more"]
    }]])
    assert.deepStrictEqual(shown({ ...samples.TaskPaused, note: words }, 65_536), [[1, {
      ...samples.TaskPaused,
      note: words
    }]])
  })

  it("an event of an id that does not fit is in no text, and the others are", () => {
    const long = { ...samples.TaskAdded, id: "x".repeat(10_000) }
    assert.deepStrictEqual(
      eventsOf(encode("worker#1", numbered([samples.TaskAdded, long, samples.TaskRemoved]), 7_999)).map(([n]) => n),
      [1, 3]
    )
  })
})
