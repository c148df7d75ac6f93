import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { TaskScheduler } from "../src/TaskScheduler.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import { at, clock, counts, hourly, nextTime, scheduled, Slow, Tick, times } from "./utils.ts"

const tick = (options: object = {}) =>
  Effect.flatMap(TaskScheduler, (scheduler) => scheduler.add(Tick, { id: "a", trigger: hourly, ...options }))

describe("pause", () => {
  it.effect("keeps the task, with since when and why, and stops it from firing", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* tick()
      yield* TestScheduler.advance("90 minutes")
      const info = yield* handle.pause("incident 7")
      assert.deepInclude(info, { state: "paused", nextRunTime: Option.none(), pauseNote: Option.some("incident 7") })
      assert.strictEqual(clock(Option.getOrThrow(info.pausedSince)), "01:30")
      assert.deepStrictEqual(times(yield* TestScheduler.advance("3 hours")), [])
    })))

  it.effect("settles first what is late, under the rules as they were; what becomes of it waits for the resume", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const handle = yield* tick()
      yield* scheduler.pause
      yield* TestScheduler.advance("150 minutes")
      const info = yield* handle.pause()
      assert.deepStrictEqual(counts(info.counters), { ran: 1, coalesced: 1 })
      yield* scheduler.resume
      assert.deepStrictEqual(times(yield* TestScheduler.advance("2 hours")), [])
      assert.deepStrictEqual((yield* handle.runs()).items.map((run) => run.state), ["held"])
      yield* handle.resume
      assert.deepStrictEqual(times(yield* TestScheduler.settle), ["02:00"])
      assert.deepStrictEqual(counts((yield* handle.snapshot).counters), { ran: 1, coalesced: 1, paused: 2 })
    })))

  it.effect("holds runs that wait and releases them in order; a running one goes on", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const handle = yield* scheduler.add(Slow, {
        id: "a",
        payload: { minutes: 150 },
        trigger: hourly,
        whenBusy: "queueAll",
        maxRuns: 3
      })
      yield* TestScheduler.advance("190 minutes")
      yield* handle.pause()
      const states = Effect.map(handle.runs(), ({ items }) => items.map((run) => run.state))
      assert.deepStrictEqual(yield* states, ["held", "held", "running"])
      assert.deepStrictEqual(times(yield* TestScheduler.advance("5 hours")), ["01:00"])
      assert.deepStrictEqual(yield* states, ["held", "held", "succeeded"])
      yield* handle.resume
      assert.deepStrictEqual(times(yield* TestScheduler.advance("5 hours")), ["02:00", "03:00"])
    })))

  it.effect("twice changes nothing, except a note that is given", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* tick()
      const first = yield* handle.pause("one")
      yield* TestScheduler.advance("1 hour")
      assert.deepStrictEqual(yield* handle.pause(), first)
      const noted = yield* handle.pause("two")
      assert.deepInclude(noted, { pauseNote: Option.some("two"), pausedSince: first.pausedSince })
      const events = (yield* TestScheduler.events).filter((event) => event._tag === "TaskPaused")
      assert.deepStrictEqual(events.map((event) => event.note), ["one", "two"])
    })))

  it.effect("of a task that does not exist fails", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      assert.strictEqual((yield* Effect.flip(scheduler.handle("x").pause()))._tag, "TaskNotFound")
      assert.strictEqual((yield* Effect.flip(scheduler.handle("x").resume))._tag, "TaskNotFound")
    })))
})

describe("resume", () => {
  it.effect("goes on with the first occurrence after now; those in between are counted as paused, none runs", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* tick({ misfireGrace: "unlimited", coalesce: "none" })
      yield* handle.pause()
      yield* TestScheduler.advance("210 minutes")
      const info = yield* handle.resume
      assert.strictEqual(nextTime(info), "04:00")
      assert.deepStrictEqual(counts(info.counters), { paused: 3 })
      assert.deepInclude(info.ranges[0], { outcome: "paused", from: at("01:00"), to: at("03:00"), count: 3 })
      assert.deepStrictEqual(times(yield* TestScheduler.advance("30 minutes")), ["04:00"])
      const told = (yield* TestScheduler.events).flatMap((event) =>
        event._tag === "OccurrencesPaused" ? [[clock(event.from), clock(event.to), event.count]] : []
      )
      assert.deepStrictEqual(told, [["01:00", "03:00", 3]])
    })))

  it.effect("at the very instant of an occurrence counts it as paused: no surprise run", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* tick()
      yield* TestScheduler.advance("30 minutes")
      yield* handle.pause()
      yield* TestScheduler.advance("90 minutes")
      const info = yield* handle.resume
      assert.strictEqual(nextTime(info), "03:00")
      assert.deepStrictEqual(counts(info.counters), { paused: 2 })
      assert.deepStrictEqual(times(yield* TestScheduler.settle), [])
    })))

  it.effect("pause, resume, pause within one window", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* tick()
      yield* handle.pause()
      yield* TestScheduler.advance("10 minutes")
      yield* handle.resume
      yield* TestScheduler.advance("10 minutes")
      yield* handle.pause()
      yield* TestScheduler.advance("10 minutes")
      const info = yield* handle.resume
      assert.deepStrictEqual(counts(info.counters), {})
      assert.deepStrictEqual(times(yield* TestScheduler.advance("1 hour")), ["01:00"])
    })))

  it.effect("of a task that is not paused is no change", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* tick()
      const before = yield* handle.snapshot
      assert.deepStrictEqual(yield* handle.resume, before)
    })))

  it.effect("of a finished task fails with TaskFinished and changes nothing", () =>
    scheduled(Effect.gen(function*() {
      const once = yield* tick({ trigger: Trigger.at(at("00:30")) })
      yield* TestScheduler.advance("1 hour")
      const before = yield* once.snapshot
      const error = yield* Effect.flip(once.resume)
      assert.strictEqual(error._tag, "TaskFinished")
      assert.match(error.message, /`reschedule`/)
      assert.deepStrictEqual(yield* once.snapshot, before)
    })))

  it.effect("of an `at` that passed meanwhile fails with TaskFinished; a new time brings it back", () =>
    scheduled(Effect.gen(function*() {
      const once = yield* tick({ trigger: Trigger.at(at("00:30")) })
      yield* once.pause("wait")
      yield* TestScheduler.advance("1 hour")
      const error = yield* Effect.flip(once.resume)
      assert.strictEqual(error._tag, "TaskFinished")
      assert.deepInclude(yield* once.snapshot, { state: "paused", pauseNote: Option.some("wait") })
      yield* once.reschedule(Trigger.at(at("02:00")))
      assert.strictEqual((yield* once.resume).state, "scheduled")
      assert.deepStrictEqual(times(yield* TestScheduler.advance("1 hour")), ["02:00"])
    })))

  it.effect("of tasks that wait for an event", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* tick({ trigger: Trigger.shutdown })
      assert.strictEqual((yield* handle.pause()).state, "paused")
      assert.strictEqual((yield* handle.resume).state, "onShutdown")
      assert.deepStrictEqual((yield* TestScheduler.shutdown).map((run) => run.taskId), ["a"])
    })))

  it.effect("a paused shutdown task does not run", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* tick({ trigger: Trigger.shutdown })
      yield* handle.pause()
      assert.deepStrictEqual(yield* TestScheduler.shutdown, [])
    })))
})
