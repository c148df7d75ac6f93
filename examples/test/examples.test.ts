/**
 * Every numbered example under virtual time: what it prints, exactly.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { type Duration, Effect, Fiber, FileSystem, Layer, Metric } from "effect"
import { TestClock, TestConsole } from "effect/testing"
import { MemoryTaskStore } from "punctual"
import { TestScheduler } from "punctual/testing"
import * as Hello from "../01-hello.ts"
import * as CronTimeZone from "../02-cron-time-zone.ts"
import * as PayloadAndServices from "../03-payload-and-services.ts"
import * as RetriesAndTimeout from "../04-retries-and-timeout.ts"
import * as Misfire from "../05-misfire-and-coalescing.ts"
import * as Overlap from "../06-overlap.ts"
import * as Operator from "../07-pause-resume-run-now.ts"
import * as LifecycleAndShutdown from "../08-lifecycle-and-shutdown.ts"
import * as SeveralStores from "../09-several-stores.ts"
import * as EventsAndMetrics from "../10-events-and-metrics.ts"
import * as Itself from "../12-a-task-that-schedules-itself.ts"
import * as ToSchedule from "../13-to-schedule.ts"

/** A Thursday. */
const now = "2026-01-01T00:00:00Z"

/** What is printed while time moves on. */
const printed = <E, R>(advance: Effect.Effect<unknown, E, R>) =>
  Effect.gen(function*() {
    const before = (yield* TestConsole.logLines).length
    yield* advance
    return (yield* TestConsole.logLines).slice(before)
  })

const during = (duration: Duration.Input) => printed(TestScheduler.advance(duration))

describe("examples", () => {
  it.effect("01-hello", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* during("3500 millis"), ["Hello!", "Hello!", "Hello!"])
    }).pipe(Effect.provide(TestScheduler.layer(Hello.App, { now }))))

  it.effect("02-cron-time-zone: the clock goes forward", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* during("4 days"), [
        "2026-03-27T09:00:00.000+01:00 standup",
        "2026-03-28T02:30:00.000+01:00 backup",
        "2026-03-29T03:00:00.000+02:00 backup", // 02:30 does not exist
        "2026-03-30T02:30:00.000+02:00 backup",
        "2026-03-30T09:00:00.000+02:00 standup",
        "2026-03-31T02:30:00.000+02:00 backup"
      ])
    }).pipe(Effect.provide(TestScheduler.layer(CronTimeZone.App, { now: "2026-03-27T06:00:00Z" }))))

  it.effect("02-cron-time-zone: the clock goes back", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* during("4 days"), [
        "2026-10-23T09:00:00.000+02:00 standup",
        "2026-10-24T02:30:00.000+02:00 backup",
        "2026-10-25T02:30:00.000+02:00 backup",
        "2026-10-25T02:30:00.000+02:00 chime",
        "2026-10-25T02:30:00.000+01:00 chime", // and an hour later once more
        "2026-10-26T02:30:00.000+01:00 backup",
        "2026-10-26T09:00:00.000+01:00 standup",
        "2026-10-27T02:30:00.000+01:00 backup"
      ])
    }).pipe(Effect.provide(TestScheduler.layer(CronTimeZone.App, { now: "2026-10-23T06:00:00Z" }))))

  it.effect("03-payload-and-services", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* during("1 day"), [
        "digest of 2026-01-01 for zenith",
        "digest of 2026-01-01 for acme",
        "digest of 2026-01-01 for zenith",
        "digest of 2026-01-02 for zenith"
      ])
    }).pipe(Effect.provide(
      TestScheduler.layer(PayloadAndServices.App, { now }).pipe(Layer.provide(PayloadAndServices.Mail.layer))
    )))

  it.effect("04-retries-and-timeout", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* during("0 seconds"), ["home: attempt 1", "nowhere: attempt 1"])
      assert.deepStrictEqual(yield* during("1 second"), ["call: hung up", "home: attempt 2"])
      assert.deepStrictEqual(yield* during("2 seconds"), ["home: attempt 3"])
      assert.deepStrictEqual(yield* during("4 seconds"), ["home: attempt 4"])
      assert.deepStrictEqual((yield* TestScheduler.runs).map((run) => [run.taskId, run.state, run.attempt]), [
        ["lost-letter", "failed", 1],
        ["call", "timedOut", 1],
        ["letter", "succeeded", 4]
      ])
    }).pipe(Effect.provide(TestScheduler.layer(RetriesAndTimeout.App, { now }))))

  it.effect("05-misfire-and-coalescing", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* during("1 minute"), [
        "00:05 the latest",
        "00:05 the last 4",
        "00:05 the present",
        "00:10 the latest",
        "00:10 the last 4",
        "00:10 the present",
        "away for 30 seconds",
        "back again",
        "00:40 the latest",
        "00:25 the last 4",
        "00:40 the present",
        "00:30 the last 4",
        "00:35 the last 4",
        "00:40 the last 4",
        "00:45 the latest",
        "00:45 the last 4",
        "00:45 the present",
        "00:50 the latest",
        "00:50 the last 4",
        "00:50 the present"
      ])
    }).pipe(Effect.provide(
      TestScheduler.layerProgram(
        Layer.effectDiscard(Effect.forkScoped(Misfire.program)).pipe(Layer.provide(MemoryTaskStore.layer)),
        { now }
      )
    )))

  it.effect("06-overlap", () =>
    Effect.gen(function*() {
      const lines = yield* during("1 minute")
      const of = (policy: string) => lines.filter((line) => String(line).includes(`: ${policy} `))
      assert.deepStrictEqual(of("skip"), [
        "at 2: skip begins 2",
        "at 7: skip ends 2",
        "at 8: skip begins 8",
        "at 13: skip ends 8"
      ])
      assert.deepStrictEqual(of("queue"), [
        "at 2: queue begins 2",
        "at 7: queue ends 2",
        "at 7: queue begins 6",
        "at 12: queue ends 6",
        "at 12: queue begins 10",
        "at 17: queue ends 10"
      ])
      assert.deepStrictEqual(of("queueAll").filter((line) => String(line).includes("begins")), [
        "at 2: queueAll begins 2",
        "at 7: queueAll begins 4",
        "at 12: queueAll begins 6",
        "at 17: queueAll begins 8",
        "at 22: queueAll begins 10"
      ])
      assert.deepStrictEqual(of("cancelPrevious"), [
        "at 2: cancelPrevious begins 2",
        "at 4: cancelPrevious is cancelled in 2",
        "at 4: cancelPrevious begins 4",
        "at 6: cancelPrevious is cancelled in 4",
        "at 6: cancelPrevious begins 6",
        "at 8: cancelPrevious is cancelled in 6",
        "at 8: cancelPrevious begins 8",
        "at 10: cancelPrevious is cancelled in 8",
        "at 10: cancelPrevious begins 10",
        "at 15: cancelPrevious ends 10"
      ])
      assert.deepStrictEqual(of("two").filter((line) => String(line).includes("begins")), [
        "at 2: two begins 2",
        "at 4: two begins 4",
        "at 8: two begins 8",
        "at 10: two begins 10"
      ])
    }).pipe(Effect.provide(TestScheduler.layer(Overlap.App, { now }))))

  it.effect("07-pause-resume-run-now", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* during("1 minute"), [
        "counting from 1",
        "counting from 1",
        "paused: the counter is being repaired",
        "counting from 1",
        "result: 2",
        "2 left out, next at 2026-01-01T00:00:10.000Z",
        "counting from 10",
        "counting from 10",
        "0 tasks left"
      ])
    }).pipe(Effect.provide(TestScheduler.layer(Operator.App, { now }))))

  it.effect("08-lifecycle-and-shutdown", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* printed(TestScheduler.advance("6 seconds")), [
        "cache: 1 entries",
        "cache: 2 entries",
        "work: begins",
        "cache: 3 entries"
      ])
      assert.deepStrictEqual(yield* printed(TestScheduler.shutdown), [
        "work: ends",
        "announce: good night",
        "cache: closed with 3 entries"
      ])
      assert.deepStrictEqual((yield* TestConsole.logLines).slice(0, 2), ["cache: opened", "announce: good morning"])
    }).pipe(Effect.provide(TestScheduler.layer(LifecycleAndShutdown.App, { now, drainTimeout: "10 seconds" }))))

  it.effect("09-several-stores", () =>
    Effect.gen(function*() {
      const folder = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
      yield* Effect.gen(function*() {
        assert.deepStrictEqual(yield* during("0 seconds"), ["picture 1", "picture 2"])
        assert.deepStrictEqual(yield* during("1 second"), ["picture 3", "picture 4"])
        assert.sameMembers([...yield* during("1500 millis")], ["picture 5", "still here"])
        assert.deepStrictEqual(yield* during("1 second"), ["invoice for acme"])
      }).pipe(Effect.provide(TestScheduler.layer(SeveralStores.App, {
        now,
        executors: SeveralStores.executors,
        store: SeveralStores.stores(`${folder}/stores.db`)
      })))
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("10-events-and-metrics", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* during("6 seconds"), [
        "SchedulerStarted",
        "toss started, 0 ms late",
        "toss failed",
        "toss started, 0 ms late",
        "toss succeeded",
        "toss started, 0 ms late",
        "toss failed",
        "toss started, 0 ms late",
        "toss succeeded",
        "toss started, 0 ms late",
        "toss failed",
        "failed so far: 3",
        "succeeded so far: 2",
        "toss started, 0 ms late",
        "toss succeeded"
      ])
    }).pipe(
      Effect.provide(TestScheduler.layer(EventsAndMetrics.App, { now })),
      Effect.provideServiceEffect(Metric.MetricRegistry, Effect.sync(() => new Map()))
    ))

  it.effect("12-a-task-that-schedules-itself", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* during("0 seconds"), ["Are we there? Not yet. I shall ask again in 1 s."])
      assert.deepStrictEqual(yield* during("1 second"), ["Are we there? Not yet. I shall ask again in 1 s."])
      assert.deepStrictEqual(yield* during("1 second"), ["Are we there? Not yet. I shall ask again in 2 s."])
      assert.deepStrictEqual(yield* during("1 minute"), ["Are we there? Yes, after 4 seconds."])
    }).pipe(Effect.provide(TestScheduler.layer(Itself.App, { now }))))

  it.effect("13-to-schedule", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.UTC(2026, 0, 1))
      const fiber = yield* Effect.forkChild(ToSchedule.program)
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(yield* TestConsole.logLines, [
        "every 20 minutes (Europe/Berlin), only from 09:00 to 17:00, on Monday to Friday (Europe/Berlin)",
        "next 2026-01-01T08:00:00.000Z",
        "tick 2026-01-01T00:00:00.000Z",
        "tick 2026-01-01T00:00:01.000Z",
        "tick 2026-01-01T00:00:02.000Z",
        "tick 2026-01-01T00:00:03.000Z",
        "done"
      ])
    }))
})
