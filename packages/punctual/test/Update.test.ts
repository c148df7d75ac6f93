import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { TaskScheduler } from "../src/TaskScheduler.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import { at, clock, counts, Echo, hourly, nextTime, scheduled, Slow, Tick, times } from "./utils.ts"

const echo = Effect.flatMap(
  TaskScheduler,
  (scheduler) => scheduler.add(Echo, { id: "a", payload: { text: "one" }, trigger: hourly })
)

describe("update", () => {
  it.effect("changes what it is given and nothing else", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* echo
      const before = yield* handle.snapshot
      const info = yield* handle.update({
        name: "Renamed",
        payload: { text: "two" },
        priority: 3,
        labels: { team: "ops" },
        misfireGrace: "2 minutes"
      })
      assert.deepInclude(info, {
        name: "Renamed",
        payload: { text: "two" },
        priority: 3,
        labels: { team: "ops" },
        when: before.when,
        revision: 2
      })
      assert.strictEqual(nextTime(info), "01:00")
      assert.deepInclude(Option.getOrThrow(info.policy), { misfireGrace: 120_000, maxInstances: 1 })
      const untouched = yield* handle.update({ priority: 4 })
      assert.deepInclude(untouched, { name: "Renamed", payload: { text: "two" }, labels: { team: "ops" } })
      assert.strictEqual(Option.getOrThrow(untouched.policy).misfireGrace, 120_000)
    })))

  const refusals: ReadonlyArray<readonly [string, object, string, RegExp]> = [
    ["another id", { id: "b" }, "InvalidOption", /id never changes/],
    ["its own id", { id: "a" }, "InvalidOption", /id never changes/],
    ["an unknown key", { maxInstance: 3 }, "InvalidOption", /did you mean `maxInstances`\?/],
    ["a store", { store: "other" }, "InvalidOption", /unknown option `store`/],
    ["an empty name", { name: "" }, "InvalidOption", /name/],
    ["a fractional priority", { priority: 0.5 }, "InvalidOption", /priority/],
    ["bad labels", { labels: { a: 1 } }, "InvalidOption", /Labels/],
    ["an unknown executor", { executor: "defalt" }, "UnknownExecutor", /Did you mean `default`/],
    ["a bad policy", { misfireGrace: "-1 minute" }, "InvalidPolicy", /misfireGrace/],
    ["a bad payload", { payload: { text: 7 } }, "InvalidPayload", /text/],
    ["no trigger", { trigger: {} }, "InvalidOption", /trigger/],
    ["no instant", { nextRunTime: "soon" }, "InvalidOption", /soon/]
  ]
  for (const [name, bad, tag, message] of refusals) {
    it.effect(`refuses ${name}, and changes nothing of the rest`, () =>
      scheduled(Effect.gen(function*() {
        const handle = yield* echo
        const before = yield* handle.snapshot
        const error = yield* Effect.flip(handle.update({ priority: 5, maxRuns: 9, ...bad } as never))
        assert.strictEqual(error._tag, tag)
        assert.match(error.message, message)
        assert.deepStrictEqual(yield* handle.snapshot, before)
      })))
  }

  it.effect("refuses a trigger that never fires, and a task that does not exist", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const handle = yield* echo
      const before = yield* handle.snapshot
      const error = yield* Effect.flip(handle.update({ trigger: Trigger.never, name: "x" }))
      assert.strictEqual(error._tag, "TriggerNeverFires")
      assert.strictEqual((yield* Effect.flip(handle.reschedule(Trigger.never)))._tag, "TriggerNeverFires")
      assert.deepStrictEqual(yield* handle.snapshot, before)
      const gone = yield* Effect.flip(scheduler.handle("nobody").update({ name: "x" }))
      assert.deepInclude(gone, { _tag: "TaskNotFound", id: "nobody" })
    })))

  it.effect("needs a typed handle for a payload, of the same task", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      yield* echo
      const untyped = yield* Effect.flip(scheduler.handle("a").update({ payload: { text: "x" } }))
      assert.match(untyped.message, /scheduler\.handle\(id, \{ task: Definition \}\)/)
      const other = yield* Effect.flip(scheduler.handle("a", { task: Slow }).update({ payload: { minutes: 1 } }))
      assert.match(other.message, /`a` is a `Echo`; a payload of `Slow` does not fit it/)
      const typed = yield* scheduler.handle("a", { task: Echo }).update({ payload: { text: "x" } })
      assert.deepStrictEqual(typed.payload, { text: "x" })
    })))

  it.effect("settles what is due under the rules as they were", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const handle = yield* echo
      yield* scheduler.pause
      yield* TestScheduler.advance("210 minutes")
      const info = yield* handle.update({ coalesce: "none" })
      assert.deepStrictEqual(counts(info.counters), { ran: 1, coalesced: 2 })
      assert.strictEqual(clock(info.evaluatedUntil), "03:30")
      yield* TestScheduler.advance("2 hours")
      yield* scheduler.resume
      assert.deepStrictEqual(times(yield* TestScheduler.settle), ["03:00"])
      assert.deepStrictEqual(counts((yield* handle.snapshot).counters), { ran: 1, coalesced: 2, skipped: 2 })
    })))

  it.effect("a lower maxRuns finishes, a higher one continues", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* echo
      yield* TestScheduler.advance("150 minutes")
      const finished = yield* handle.update({ maxRuns: 2 })
      assert.deepInclude(finished, { state: "finished", nextRunTime: Option.none() })
      assert.deepStrictEqual(times(yield* TestScheduler.advance("3 hours")), [])
      const on = yield* handle.update({ maxRuns: 3 })
      assert.strictEqual(on.state, "scheduled")
      assert.strictEqual(nextTime(on), "06:00")
      // What came due while it was finished has its outcome too.
      assert.deepStrictEqual(counts(on.counters), { ran: 2, skipped: 3 })
      assert.deepStrictEqual(times(yield* TestScheduler.advance("1 day")), ["06:00"])
      assert.strictEqual((yield* handle.snapshot).state, "finished")
    })))

  it.effect("more instances make room at once for what waits", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const handle = yield* scheduler.add(Slow, {
        id: "a",
        payload: { minutes: 100 },
        trigger: hourly,
        whenBusy: "queueAll",
        maxRuns: 2
      })
      yield* TestScheduler.advance("130 minutes")
      yield* handle.update({ maxInstances: 2 })
      yield* TestScheduler.settle
      assert.deepStrictEqual((yield* handle.runs()).items.map((run) => run.state), ["running", "running"])
    })))

  it.effect("nextRunTime: one occurrence then, and the trigger's own after it", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* echo
      yield* TestScheduler.advance("90 minutes")
      const later = yield* handle.update({ nextRunTime: at("03:30") })
      assert.strictEqual(nextTime(later), "03:30")
      const runs = yield* TestScheduler.advance("3 hours")
      assert.deepStrictEqual(times(runs), ["03:30", "04:00"])
      const earlier = yield* handle.update({ nextRunTime: at("04:40") })
      assert.strictEqual(nextTime(earlier), "04:40")
      assert.deepStrictEqual(times(yield* TestScheduler.advance("1 hour")), ["04:40", "05:00"])
      yield* handle.update({ nextRunTime: at("01:00") })
      assert.strictEqual((yield* TestScheduler.advance("1 minute")).length, 1)
      assert.strictEqual(nextTime(yield* handle.snapshot), "06:00")
    })))

  it.effect("on a paused task it stays paused, and takes effect when resumed", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* echo
      yield* handle.pause("note")
      const info = yield* handle.update({ nextRunTime: at("05:30"), trigger: Trigger.every("2 hours"), maxRuns: 7 })
      assert.deepInclude(info, { state: "paused", nextRunTime: Option.none(), pauseNote: Option.some("note") })
      yield* TestScheduler.advance("4 hours")
      assert.strictEqual(nextTime(yield* handle.resume), "05:30")
      assert.deepStrictEqual(times(yield* TestScheduler.advance("3 hours")), ["05:30", "06:00"])
    })))

  it.effect("a finished task with a new trigger or time is scheduled", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const handle = yield* scheduler.add(Tick, { id: "a", trigger: Trigger.at(at("00:30")) })
      yield* TestScheduler.advance("1 hour")
      const info = yield* handle.update({ trigger: Trigger.at(at("02:00")) })
      assert.strictEqual(info.state, "scheduled")
      assert.deepStrictEqual(times(yield* TestScheduler.advance("2 hours")), ["02:00"])
      yield* handle.update({ nextRunTime: at("04:00") })
      assert.deepStrictEqual(times(yield* TestScheduler.advance("2 hours")), ["04:00"])
      assert.strictEqual((yield* handle.snapshot).state, "finished")
    })))

  it.effect("moves waiting work to another version of it: a run uses the payload of its claim", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const handle = yield* scheduler.add(Slow, {
        id: "a",
        payload: { minutes: 90 },
        trigger: hourly,
        whenBusy: "queue"
      })
      yield* TestScheduler.advance("130 minutes")
      yield* handle.update({ payload: { minutes: 5 } })
      const runs = yield* TestScheduler.advance("30 minutes")
      assert.deepStrictEqual(times(runs), ["01:00", "02:00"])
      assert.deepStrictEqual(runs.map((run) => clock(Option.getOrThrow(run.endedAt))), ["02:30", "02:35"])
    })))
})

describe("reschedule", () => {
  it.effect("settles the old trigger, counts from now, and computes the next run time", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* echo
      yield* TestScheduler.advance("90 minutes")
      const info = yield* handle.reschedule(Trigger.every("20 minutes"))
      assert.strictEqual(nextTime(info), "01:50")
      assert.strictEqual(clock(info.evaluatedUntil), "01:30")
      assert.deepStrictEqual(counts(info.counters), {})
      assert.deepStrictEqual(times(yield* TestScheduler.advance("40 minutes")), ["01:50", "02:10"])
    })))

  it.effect("to `now` it runs once, at once, also when its old trigger is due at that very instant", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* echo
      yield* TestScheduler.advance("1 hour")
      yield* handle.reschedule(Trigger.now)
      assert.strictEqual((yield* TestScheduler.advance("1 minute")).length, 1)
      const info = yield* handle.snapshot
      assert.strictEqual(info.state, "finished")
      assert.deepStrictEqual(counts(info.counters), { ran: 1 })
    })))

  it.effect("what waits since the trigger before is not counted under the new one: neither replaced nor missed", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const add = (id: string, options: object) =>
        scheduler.add(Slow, { id, payload: { minutes: 100 }, trigger: hourly, whenBusy: "queue", ...options })
      const replaced = yield* add("replaced", {})
      const missed = yield* add("missed", { misfireGrace: "10 minutes" })
      yield* TestScheduler.advance("130 minutes")
      yield* replaced.reschedule(Trigger.every("20 minutes"))
      yield* missed.reschedule(Trigger.every("1 day"))
      yield* TestScheduler.advance("20 minutes")
      assert.deepStrictEqual(counts((yield* replaced.snapshot).counters), { ran: 1 })
      yield* TestScheduler.advance("20 minutes")
      assert.deepStrictEqual((yield* missed.runs()).items.map((run) => run.state), ["missed", "succeeded"])
      assert.deepStrictEqual(counts((yield* missed.snapshot).counters), {})
    })))

  it.effect("a paused task stays paused", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* echo
      yield* handle.pause()
      const info = yield* handle.reschedule(Trigger.every("10 minutes"))
      assert.strictEqual(info.state, "paused")
      assert.deepStrictEqual(times(yield* TestScheduler.advance("25 minutes")), [])
      assert.strictEqual(nextTime(yield* handle.resume), "00:30")
    })))

  it.effect("to events and back", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* echo
      assert.strictEqual((yield* handle.reschedule(Trigger.shutdown)).state, "onShutdown")
      assert.deepStrictEqual(times(yield* TestScheduler.advance("3 hours")), [])
      assert.strictEqual((yield* handle.reschedule(hourly)).state, "scheduled")
      assert.deepStrictEqual(times(yield* TestScheduler.advance("1 hour")), ["04:00"])
      yield* TestScheduler.shutdown
      assert.strictEqual((yield* TestScheduler.runs).length, 1)
    })))
})
