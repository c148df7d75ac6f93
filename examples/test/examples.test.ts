/**
 * Every numbered example under virtual time: what it prints, exactly.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, type Duration, Effect, Fiber, FileSystem, Layer, Metric, Option } from "effect"
import { TestClock, TestConsole } from "effect/testing"
import { Calendar, Lock, MemoryTaskStore, TaskScheduler, Trigger } from "punctual"
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
import * as HolidayCalendar from "../14-holiday-calendar.ts"
import * as LastWorkingDay from "../15-last-working-day.ts"
import * as Sunrise from "../16-sunrise.ts"
import * as DstHalves from "../17-dst-halves.ts"
import * as CalendarApp from "../18-calendar-app.ts"
import * as Outbox from "../19-outbox.ts"
import * as MoveAStore from "../21-move-a-store.ts"
import * as PayloadVersions from "../22-payload-versions.ts"
import * as Locks from "../23-locks.ts"
import * as AGenerator from "../26-a-generator.ts"
import * as EventsEverywhere from "../30-events-everywhere.ts"
import * as ConcurrencyKeys from "../31-concurrency-keys.ts"
import * as RateLimits from "../32-rate-limits.ts"

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

  it.effect("14-holiday-calendar", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* during("8 days"), [
        "digest of 2026-04-02",
        "digest of 2026-04-07", // after Easter
        "digest of 2026-04-09" // after the move
      ])
      assert.deepStrictEqual(Calendar.holidays(HolidayCalendar.calendar, { from: "2026-04-01", to: "2026-04-30" }), [
        { date: "2026-04-03", name: "Karfreitag" },
        { date: "2026-04-06", name: "Ostermontag" },
        { date: "2026-04-08", name: "We move" }
      ])
    }).pipe(Effect.provide(TestScheduler.layer(HolidayCalendar.App, { now: "2026-04-01T12:00:00Z" }))))

  it.effect("15-last-working-day", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* during("90 days"), [
        "2026-01-30: report of the month to 2026-01-31",
        "is it there?",
        "2026-02-27: report of the month to 2026-02-28",
        "is it there?",
        "2026-03-31: report of the month to 2026-03-31",
        "is it there?"
      ])
    }).pipe(Effect.provide(TestScheduler.layer(LastWorkingDay.App, { now }))))

  it.effect("16-sunrise", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* during("4 days"), [
        "open 2026-06-19T04:42:00.000+02:00",
        "open 2026-06-22T04:43:00.000+02:00"
      ])
    }).pipe(Effect.provide(
      TestScheduler.layer(Sunrise.App, { now: "2026-06-18T12:00:00Z" }).pipe(Layer.provide(Sunrise.Definitions))
    )))

  it("16-sunrise: within a minute and a half of the almanac", () => {
    const almanac = [
      ["Berlin", 52.52, 13.405, "2026-06-21T04:43+02:00"],
      ["Berlin", 52.52, 13.405, "2026-12-21T08:15+01:00"],
      ["New York", 40.7128, -74.006, "2026-06-21T05:25-04:00"],
      ["New York", 40.7128, -74.006, "2026-12-21T07:17-05:00"],
      ["Auckland", -36.8485, 174.7633, "2026-12-21T05:58+13:00"]
    ] as const
    for (const [place, latitude, longitude, known] of almanac) {
      const at = Date.parse(known)
      const next = Trigger.next(Sunrise.Sunrise.make({ latitude, longitude }), at - 3_600_000)
      const computed = Option.getOrThrow(next).due.epochMilliseconds
      assert.isAtMost(Math.abs(computed - at), 90_000, `${place}, ${known}`)
    }
    // Tromsø: the sun stays away from November to January.
    const night = Trigger.next(Sunrise.Sunrise.make({ latitude: 69.65, longitude: 18.96 }), "2026-12-01T00:00:00Z")
    assert.match(DateTime.formatIso(Option.getOrThrow(night).due), /^2027-01-1\d/)
  })

  it.effect("17-dst-halves", () =>
    Effect.gen(function*() {
      yield* DstHalves.program
      assert.deepStrictEqual(yield* TestConsole.logLines, [
        "                               29 March: 02:00 becomes 03:00    25 October: 03:00 becomes 02:00",
        "30 2 * * *                     03:00                            02:30",
        "  gap: skip, overlap: both                                      02:30 02:30'",
        "  gap: shift, overlap: second  03:30                            02:30'",
        "*/30 * * * *                   01:00 01:30 03:00 03:30 04:00    01:00 01:30 02:00 02:30 02:00' 02:30' 03:00 03:30 04:00",
        "every hour                     01:00 03:00 04:00                01:00 02:00 02:00' 03:00 04:00",
        "at 02:30 (Europe/Berlin)",
        "- on 2026-03-29 02:30 does not exist in Europe/Berlin: runs at 03:00",
        "- on 2026-10-25 02:30 comes twice in Europe/Berlin: runs the first time (+02:00)",
        "at 02:30 (Europe/Berlin), not at skipped times, repeated times both times",
        "- on 2026-03-29 02:30 does not exist in Europe/Berlin: no run of its own",
        "- on 2026-10-25 02:30 comes twice in Europe/Berlin: runs both times"
      ])
    }))

  it.effect("18-calendar-app", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* during("90 days"), [
        "2026-01-06T17:30 in an hour: rehearsal",
        "2026-01-20T17:30 in an hour: rehearsal",
        "2026-02-17T17:30 in an hour: rehearsal",
        "2026-02-21T09:00 in an hour: rehearsal",
        "2026-03-03T17:30 in an hour: rehearsal",
        "2026-03-17T17:30 in an hour: rehearsal",
        "2026-03-31T17:30 in an hour: rehearsal"
      ])
    }).pipe(Effect.provide(TestScheduler.layer(CalendarApp.App, { now }))))

  it.effect("18-calendar-app: a rule that is none says which part", () =>
    Effect.gen(function*() {
      const bad = CalendarApp.event.replace("BYDAY=TU", "BYDAY=TUE")
      const error = yield* Effect.flip(Effect.scoped(Layer.build(CalendarApp.reminders(bad)))).pipe(
        Effect.provide(TestScheduler.layer(CalendarApp.App, { now }))
      )
      assert.match(String(error), /`TUE` is not a day of the week \(BYDAY.*did you mean `TU`/)
    }))

  it.effect("19-outbox", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* TestConsole.logLines, ["umbrella cannot pay 9000"])
      assert.deepStrictEqual(yield* printed(TestScheduler.settle), [
        "mail to acme: thank you for order 1",
        "mail to hooli: thank you for order 2" // the number of the order that was taken back
      ])
    }).pipe(Effect.provide(
      TestScheduler.layer(Outbox.App, { now, store: Outbox.store }).pipe(Layer.provide(Outbox.client(":memory:")))
    )))
  it.effect("21-move-a-store", () =>
    Effect.gen(function*() {
      const folder = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
      const { after, before } = MoveAStore.stores(folder)
      assert.deepStrictEqual(
        yield* during("5 seconds").pipe(
          Effect.provide(TestScheduler.layer(MoveAStore.App, { now, store: before }), { local: true })
        ),
        ["00:00:02 invoice for acme, first attempt", "00:00:04 invoice for acme, first attempt"]
      )
      assert.deepStrictEqual(yield* printed(MoveAStore.move(folder)), ["1 task moved"])
      // Three seconds in which nobody was there: 00:00:06 is made up for.
      assert.deepStrictEqual(
        yield* during("1 second").pipe(
          Effect.provide(
            TestScheduler.layer(MoveAStore.App, { now: "2026-01-01T00:00:07Z", store: after }),
            { local: true }
          )
        ),
        ["00:00:06 invoice for acme, first attempt", "00:00:08 invoice for acme, first attempt"]
      )
    }).pipe(Effect.provide(NodeServices.layer)))
  it.effect("22-payload-versions", () =>
    Effect.gen(function*() {
      const lines = yield* during("1 day")
      assert.deepStrictEqual(lines.filter((line) => String(line).includes("asked")), [
        "ann@example.com in en, asked in 1970",
        "cem@example.com in tr, asked in 1970"
      ])
      const scheduler = yield* TaskScheduler.TaskScheduler
      assert.deepStrictEqual((yield* scheduler.quarantined()).map(({ id, reason }) => [id, reason]), [
        ["bob", "the payload cannot be decoded: its step from version 2 to 3 threw: not an address"]
      ])
    }).pipe(Effect.provide(TestScheduler.layer(PayloadVersions.App, { now }))))

  it.effect("23-locks", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* during("12 seconds"), [
        "tidy: done",
        "export: begins",
        "tidy: not now, a test writes",
        "export: ends",
        "tidy: done",
        "export: begins",
        "tidy: not now, a test writes"
      ])
    }).pipe(
      Effect.provide(TestScheduler.layer(Locks.App, { now })),
      Effect.provide(Lock.layerLocal({ identity: "a test" }))
    ))

  it.effect("23-locks: what another holds for too long is done without", () =>
    Effect.gen(function*() {
      const lock = yield* Lock.Lock
      yield* lock.hold("report")
      const lines = yield* Effect.provide(during("8 seconds"), TestScheduler.layer(Locks.App, { now }))
      assert.deepStrictEqual(lines.filter((line) => String(line).startsWith("export")), [
        "export: 2000 ms were not enough"
      ])
    }).pipe(Effect.provide(Lock.layerLocal())))

  it.effect("26-a-generator", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* during("6500 millis"), ["effects: tick", "effects: tick"])
      assert.deepStrictEqual(yield* printed(TestScheduler.shutdown), ["effects: cleanup", "plain: 3 ticks"])
      assert.deepStrictEqual((yield* TestConsole.logLines).slice(0, 1), ["effects: setup"])
    }).pipe(Effect.provide(TestScheduler.layer(AGenerator.App, { now }))))

  it.effect("30-events-everywhere", () =>
    Effect.gen(function*() {
      const lines = (yield* during("6500 millis")).map(String)
      const of = (name: string) => lines.filter((line) => line.startsWith(name))
      assert.strictEqual(of("bakery").length + of("shop").length, lines.length)
      assert.deepStrictEqual(of("bakery"), [
        "bakery: SchedulerStarted",
        ...Array.from({ length: 3 }, () => "bakery: bread succeeded")
      ])
      assert.deepStrictEqual(of("shop"), [
        "shop: SchedulerStarted",
        ...Array.from({ length: 2 }, () => "shop: gift succeeded")
      ])
    }).pipe(Effect.provide(TestScheduler.layerProgram(EventsEverywhere.Main, { now }))))

  it.effect("31-concurrency-keys", () =>
    Effect.gen(function*() {
      const lines = yield* during("5 seconds")
      const at = (second: number) => lines.map(String).filter((line) => line.startsWith(`${second} s`)).sort()
      assert.deepStrictEqual(at(1), [
        "1 s: page 0 for acme",
        "1 s: page 0 for acme", // the urgent one
        "1 s: page 0 for beta",
        "1 s: page 0 for us",
        "1 s: page 1 for us",
        "1 s: page 2 for us"
      ])
      assert.deepStrictEqual(at(2), ["2 s: page 1 for acme", "2 s: page 2 for acme"])
      assert.deepStrictEqual(at(3), ["3 s: page 3 for acme", "3 s: page 4 for acme"])
      assert.strictEqual(lines.length, 10)
    }).pipe(Effect.provide(TestScheduler.layer(ConcurrencyKeys.App, { now: "2026-01-01T00:00:00Z" }))))
  it.effect("32-rate-limits", () =>
    Effect.gen(function*() {
      const atOnce = yield* printed(TestScheduler.settle)
      assert.deepStrictEqual(atOnce.filter((line) => line === "zeta: call 1"), ["zeta: call 1"])
      assert.strictEqual(atOnce.length, 3)
      assert.deepStrictEqual(yield* during("4999 millis"), [])
      assert.strictEqual((yield* during("1 millis")).length, 1)
      assert.strictEqual((yield* during("5 seconds")).length, 1)
      assert.deepStrictEqual((yield* TestConsole.logLines).map(String).toSorted(), [
        "acme: call 1",
        "acme: call 2",
        "acme: call 3",
        "acme: call 4",
        "zeta: call 1"
      ])
    }).pipe(Effect.provide(TestScheduler.layer(RateLimits.App, { now }))))
})
