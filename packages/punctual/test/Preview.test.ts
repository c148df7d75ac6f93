import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { TaskScheduler } from "../src/TaskScheduler.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import { at, clock, counts, hourly, scheduled, Slow, Tick, times } from "./utils.ts"

const tick = (options: object = {}) =>
  Effect.flatMap(TaskScheduler, (scheduler) => scheduler.add(Tick, { id: "a", trigger: hourly, ...options }))

const due = (points: ReadonlyArray<Trigger.Occurrence>) => points.map((point) => clock(point.due))

describe("preview", () => {
  it.effect("answers the next occurrences from now on, and changes nothing", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* tick()
      yield* TestScheduler.advance("90 minutes")
      const before = yield* handle.snapshot
      assert.deepStrictEqual(due(yield* handle.preview(3)), ["02:00", "03:00", "04:00"])
      assert.deepStrictEqual(due(yield* handle.preview(3)), ["02:00", "03:00", "04:00"])
      assert.deepStrictEqual(yield* handle.snapshot, before)
      assert.deepStrictEqual(times(yield* TestScheduler.advance("1 hour")).slice(-1), ["02:00"])
    })))

  it.effect("is what then happens, jitter included", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* tick({ trigger: Trigger.jittered(hourly, "20 minutes") })
      const preview = yield* handle.preview(5)
      const runs = yield* TestScheduler.advance("330 minutes")
      assert.deepStrictEqual(
        runs.slice(0, 5).map((run) => [clock(run.dueAt), clock(run.scheduledAt)]),
        preview.map((point) => [clock(point.due), clock(point.nominal)])
      )
      assert.deepStrictEqual(preview.map((point) => clock(point.nominal)), [
        "01:00",
        "02:00",
        "03:00",
        "04:00",
        "05:00"
      ])
    })))

  it.effect("respects what is left of maxRuns, a next run time, and the end of the trigger", () =>
    scheduled(Effect.gen(function*() {
      const limited = yield* tick({ maxRuns: 3 })
      yield* TestScheduler.advance("1 hour")
      assert.deepStrictEqual(due(yield* limited.preview(10)), ["02:00", "03:00"])
      yield* TestScheduler.advance("2 hours")
      assert.deepStrictEqual(yield* limited.preview(10), [])
      const moved = yield* tick({ id: "b", nextRunTime: at("05:15") })
      assert.deepStrictEqual(due(yield* moved.preview(3)), ["05:15", "06:00", "07:00"])
      const short = yield* tick({ id: "c", trigger: Trigger.upTo(hourly, 2) })
      assert.deepStrictEqual(due(yield* short.preview(10)), ["04:00", "05:00"])
      const shutdown = yield* tick({ id: "d", trigger: Trigger.shutdown })
      assert.deepStrictEqual(yield* shutdown.preview(10), [])
    })))

  it.effect("of a paused task is what it would have if it were resumed now", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* tick()
      yield* handle.pause()
      yield* TestScheduler.advance("150 minutes")
      assert.deepStrictEqual(due(yield* handle.preview(2)), ["03:00", "04:00"])
      assert.strictEqual((yield* handle.snapshot).state, "paused")
    })))

  it.effect("refuses counts out of bounds", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* tick()
      for (const n of [0, -1, 1.5, 10_001, Number.NaN]) {
        assert.strictEqual((yield* Effect.flip(handle.preview(n)))._tag, "InvalidOption")
      }
      assert.strictEqual((yield* handle.preview(10_000)).length, 10_000)
    })))
})

describe("explain", () => {
  const outcome = (instant: Trigger.InstantInput) =>
    Effect.flatMap(TaskScheduler, (scheduler) => scheduler.handle("a").explain(instant))

  it.effect("ran, due, notAnOccurrence", () =>
    scheduled(Effect.gen(function*() {
      yield* tick()
      yield* TestScheduler.advance("2 hours")
      const ran = yield* outcome("2026-01-01T01:00:00Z")
      assert.strictEqual(ran.outcome, "ran")
      assert.strictEqual(ran.run?.state, "succeeded")
      assert.include(ran.reason, ran.run!.id)
      assert.strictEqual((yield* outcome(at("03:00"))).outcome, "due")
      assert.strictEqual((yield* outcome(at("01:30"))).outcome, "notAnOccurrence")
      assert.strictEqual((yield* outcome(at("03:30"))).outcome, "notAnOccurrence")
      assert.strictEqual((yield* Effect.flip(outcome("yesterday")))._tag, "InvalidOption")
    })))

  it.effect("missed and coalesced, and into which run", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      yield* tick({ misfireGrace: "90 minutes" })
      yield* scheduler.pause
      yield* TestScheduler.advance("250 minutes")
      yield* scheduler.resume
      yield* TestScheduler.settle
      assert.deepStrictEqual(counts((yield* scheduler.handle("a").snapshot).counters), {
        ran: 1,
        missed: 2,
        coalesced: 1
      })
      const missed = yield* outcome(at("02:00"))
      assert.strictEqual(missed.outcome, "missed")
      assert.match(missed.reason, /later than its grace/)
      const coalesced = yield* outcome(at("03:00"))
      assert.strictEqual(coalesced.outcome, "coalesced")
      assert.match(coalesced.reason, /one run with the occurrence of 2026-01-01T04:00:00\.000Z/)
      assert.strictEqual((yield* outcome(at("04:00"))).outcome, "ran")
      // Within a range of missed ones, but named by nobody.
      assert.strictEqual((yield* outcome(at("01:30"))).outcome, "notAnOccurrence")
    })))

  it.effect("skipped, by which run", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const slow = yield* scheduler.add(Slow, { id: "a", payload: { minutes: 90 }, trigger: hourly })
      yield* TestScheduler.advance("2 hours")
      const [run] = (yield* slow.runs()).items
      const skipped = yield* outcome(at("02:00"))
      assert.strictEqual(skipped.outcome, "skipped")
      assert.include(skipped.reason, `busy with run ${run!.id}`)
    })))

  it.effect("paused, in the past and to come; skipped for a task that has had its runs", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* tick({ maxRuns: 1 })
      yield* handle.pause()
      yield* TestScheduler.advance("210 minutes")
      assert.strictEqual((yield* outcome(at("02:00"))).outcome, "paused")
      assert.strictEqual((yield* outcome(at("05:00"))).outcome, "paused")
      yield* handle.resume
      assert.deepInclude(yield* outcome(at("02:00")), { outcome: "paused", reason: "the task was paused" })
      yield* TestScheduler.advance("1 hour")
      assert.strictEqual((yield* outcome(at("04:00"))).outcome, "ran")
      assert.deepInclude(yield* outcome(at("05:00")), { outcome: "skipped", reason: "the task had had all its runs" })
    })))

  it.effect("unknown: from before the present trigger, or older than what is kept", () =>
    scheduled(
      Effect.gen(function*() {
        const handle = yield* tick()
        yield* TestScheduler.advance("4 hours")
        const pruned = yield* outcome(at("01:00"))
        assert.deepInclude(pruned, { outcome: "unknown" })
        assert.match(pruned.reason, /older than the history/)
        assert.strictEqual((yield* outcome(at("04:00"))).outcome, "ran")
        yield* handle.reschedule(Trigger.every("30 minutes"))
        const before = yield* outcome(at("02:00"))
        assert.strictEqual(before.outcome, "unknown")
        assert.match(before.reason, /before the present trigger/)
        // Its run is kept, so it is known all the same.
        assert.strictEqual((yield* outcome(at("04:00"))).outcome, "ran")
        const long = yield* outcome("2020-01-01T00:00:00Z")
        assert.strictEqual(long.outcome, "unknown")
      }),
      { retention: { runs: 1 } }
    ))

  it.effect("missed by a queue that was too slow", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      yield* scheduler.add(Slow, {
        id: "a",
        payload: { minutes: 100 },
        trigger: hourly,
        whenBusy: "queue",
        misfireGrace: "10 minutes"
      })
      yield* TestScheduler.advance("170 minutes")
      const missed = yield* outcome(at("02:00"))
      assert.strictEqual(missed.outcome, "missed")
      assert.strictEqual(missed.run?.state, "missed")
    })))
})
