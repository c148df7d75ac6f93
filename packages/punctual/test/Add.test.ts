import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import * as Task from "../src/Task.ts"
import { TaskScheduler } from "../src/TaskScheduler.ts"
import * as TaskStores from "../src/TaskStores.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import { at, clock, counts, Echo, hourly, nextTime, scheduled, Slow, start, Tick, times } from "./utils.ts"

describe("add", () => {
  it.effect("commits at once, with the definition's and the scheduler's defaults", () =>
    scheduled(
      Effect.gen(function*() {
        const scheduler = yield* TaskScheduler
        const handle = yield* scheduler.add(Echo, {
          id: "a",
          payload: { text: "hi" },
          trigger: hourly,
          maxInstances: 2
        })
        assert.strictEqual(handle.id, "a")
        assert.strictEqual(handle.store, "default")
        const info = yield* handle.snapshot
        assert.deepInclude(info, {
          id: "a",
          store: "default",
          name: "Echo",
          callable: "Echo",
          payload: { text: "hi" },
          executor: "default",
          priority: 0,
          labels: {},
          state: "scheduled",
          revision: 1
        })
        assert.strictEqual(nextTime(info), "01:00")
        const policy = Option.getOrThrow(info.policy)
        assert.strictEqual(policy.maxInstances, 2)
        assert.strictEqual(policy.misfireGrace, 60_000)
        assert.strictEqual(clock(info.createdAt), "00:00")
      }),
      { defaults: { misfireGrace: "1 minute", maxInstances: 5 } }
    ))

  it.effect("gives a random id to who gives none", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const a = yield* scheduler.add(Tick, { trigger: hourly })
      const b = yield* scheduler.add(Tick, { trigger: hourly })
      assert.match(a.id, /^[0-9a-z]{20}$/)
      assert.notStrictEqual(a.id, b.id)
      assert.deepStrictEqual((yield* scheduler.list()).items.map((info) => info.id).sort(), [a.id, b.id].sort())
    })))

  it.effect("says what the definition says, unless it is said otherwise", () => {
    const Report = Task.make("Report", {
      payload: { title: Schema.String.pipe(Schema.withConstructorDefault(Effect.succeed("none"))) },
      name: "Weekly report",
      trigger: Trigger.every("3 hours"),
      priority: 7,
      labels: { team: "growth" },
      maxRuns: 2
    })
    const App = Report.toLayer(() => Effect.void)
    return Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const plain = yield* (yield* scheduler.add(Report, { payload: {} })).snapshot
      assert.deepInclude(plain, {
        name: "Weekly report",
        priority: 7,
        labels: { team: "growth" },
        payload: { title: "none" }
      })
      assert.strictEqual(nextTime(plain), "03:00")
      const own = yield* (yield* scheduler.add(Report, {
        payload: { title: "own" },
        name: "Own",
        trigger: hourly,
        priority: -1,
        labels: { team: "ops" },
        maxRuns: "unlimited"
      })).snapshot
      assert.deepInclude(own, { name: "Own", priority: -1, labels: { team: "ops" } })
      assert.isNull(Option.getOrThrow(own.policy).maxRuns)
      assert.strictEqual(nextTime(own), "01:00")
    }).pipe(Effect.provide(TestScheduler.layer(App, { now: start })))
  })

  it.effect("runs at once where no trigger is given", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const handle = yield* scheduler.add(Tick, { id: "once" })
      assert.deepStrictEqual(times(yield* TestScheduler.settle), ["00:00"])
      assert.strictEqual((yield* handle.snapshot).state, "finished")
      assert.deepStrictEqual(times(yield* TestScheduler.advance("1 day")), [])
    })))

  it.effect("runs an `at` of the past at once, under its own instant; grace decides when nobody evaluates it in time", () =>
    scheduled(
      Effect.gen(function*() {
        const scheduler = yield* TaskScheduler
        const past = Trigger.at("2025-12-31T20:00:00Z")
        yield* scheduler.add(Tick, { id: "strict", trigger: past, misfireGrace: "1 minute" })
        yield* scheduler.add(Tick, { id: "patient", trigger: past })
        yield* TestScheduler.advance("2 minutes")
        yield* scheduler.start
        const runs = yield* TestScheduler.settle
        assert.deepStrictEqual(runs.map((run) => run.taskId), ["patient"])
        assert.deepStrictEqual(times(runs), ["2025-12-31 20:00"])
        assert.strictEqual(clock(runs[0]!.dueAt), "00:00")
        assert.deepStrictEqual(counts((yield* scheduler.handle("strict").snapshot).counters), { missed: 1 })
        assert.deepStrictEqual(counts((yield* scheduler.handle("patient").snapshot).counters), { ran: 1 })
        yield* scheduler.add(Tick, { id: "prompt", trigger: past, misfireGrace: "1 minute" })
        assert.deepStrictEqual((yield* TestScheduler.settle).map((run) => run.taskId), ["prompt"])
      }),
      { start: "manual" }
    ))

  describe("nextRunTime", () => {
    const spellings: ReadonlyArray<readonly [string, Trigger.InstantInput, string]> = [
      ["a DateTime", DateTime.makeUnsafe("2026-01-01T05:30:00Z"), "05:30"],
      ["a zoned DateTime", DateTime.makeZonedUnsafe(at("05:30"), { timeZone: "Asia/Tokyo" }), "05:30"],
      ["a Date", new Date(at("05:30")), "05:30"],
      ["epoch milliseconds", at("05:30"), "05:30"],
      ["text with Z", "2026-01-01T05:30:00Z", "05:30"],
      ["text with an offset", "2026-01-01T05:30:00+02:00", "03:30"],
      ["text without an offset, read in the scheduler's zone", "2026-01-01T05:30", "04:30"],
      ["a date, midnight in the scheduler's zone", "2026-01-02", "23:00"]
    ]
    for (const [name, input, expected] of spellings) {
      it.effect(`takes ${name}`, () =>
        scheduled(
          Effect.gen(function*() {
            const scheduler = yield* TaskScheduler
            const handle = yield* scheduler.add(Tick, { trigger: Trigger.every("1 day"), nextRunTime: input })
            assert.strictEqual(nextTime(yield* handle.snapshot), expected)
            const runs = yield* TestScheduler.advance("23 hours")
            assert.deepStrictEqual(times(runs), [expected])
            assert.strictEqual(nextTime(yield* handle.snapshot), "2026-01-02 00:00")
          }),
          { timeZone: "Europe/Berlin" }
        ))
    }

    it.effect("silences the trigger until then, whether it is earlier or later than its own", () =>
      scheduled(Effect.gen(function*() {
        const scheduler = yield* TaskScheduler
        yield* scheduler.add(Tick, { id: "earlier", trigger: hourly, nextRunTime: at("00:20") })
        yield* scheduler.add(Tick, { id: "later", trigger: hourly, nextRunTime: at("02:30") })
        const runs = yield* TestScheduler.advance("4 hours")
        const of = (id: string) => times(runs.filter((run) => run.taskId === id))
        assert.deepStrictEqual(of("earlier"), ["00:20", "01:00", "02:00", "03:00", "04:00"])
        assert.deepStrictEqual(of("later"), ["02:30", "03:00", "04:00"])
      })))

    it.effect("is at once when it is in the past", () =>
      scheduled(Effect.gen(function*() {
        const scheduler = yield* TaskScheduler
        yield* scheduler.add(Tick, { trigger: hourly, nextRunTime: "2020-01-01T00:00:00Z" })
        assert.strictEqual((yield* TestScheduler.settle).length, 1)
        assert.deepStrictEqual(times(yield* TestScheduler.advance("1 hour")), ["01:00"])
      })))

    it.effect("gives a task a run whose trigger has none", () =>
      scheduled(Effect.gen(function*() {
        const scheduler = yield* TaskScheduler
        const handle = yield* scheduler.add(Tick, { trigger: Trigger.never, nextRunTime: at("01:00") })
        assert.deepStrictEqual(times(yield* TestScheduler.advance("1 day")), ["01:00"])
        assert.strictEqual((yield* handle.snapshot).state, "finished")
      })))

    for (const bad of ["tomorrow", Number.NaN, 1.5, "2026-02-30", new Date(Number.NaN), {}, null]) {
      it.effect(`refuses ${JSON.stringify(bad)}`, () =>
        scheduled(Effect.gen(function*() {
          const scheduler = yield* TaskScheduler
          const error = yield* Effect.flip(scheduler.add(Tick, { trigger: hourly, nextRunTime: bad as never }))
          assert.strictEqual(error._tag, "InvalidOption")
          assert.deepInclude(error, { option: "nextRunTime" })
          assert.strictEqual((yield* scheduler.list()).items.length, 0)
        })))
    }
  })

  it.effect("adds paused, with a note", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const noted = yield* scheduler.add(Tick, { id: "noted", trigger: hourly, paused: "until the move" })
      const plain = yield* scheduler.add(Tick, { id: "plain", trigger: hourly, paused: true })
      yield* scheduler.add(Tick, { id: "running", trigger: hourly, paused: false })
      const info = yield* noted.snapshot
      assert.deepInclude(info, {
        state: "paused",
        pauseNote: Option.some("until the move"),
        nextRunTime: Option.none()
      })
      assert.strictEqual(clock(Option.getOrThrow(info.pausedSince)), "00:00")
      assert.deepInclude(yield* plain.snapshot, { state: "paused", pauseNote: Option.none() })
      const runs = yield* TestScheduler.advance("2 hours")
      assert.deepStrictEqual([...new Set(runs.map((run) => run.taskId))], ["running"])
      const resumed = yield* noted.resume
      assert.deepInclude(resumed, { state: "scheduled", pauseNote: Option.none(), pausedSince: Option.none() })
      assert.deepStrictEqual(counts(resumed.counters), { paused: 2 })
    })))
})

describe("add refuses", () => {
  const refusals: ReadonlyArray<readonly [string, object, string, RegExp]> = [
    ["an empty id", { id: "" }, "InvalidOption", /id must be a text/],
    ["a blank id", { id: "  " }, "InvalidOption", /id must be a text/],
    ["an id that is no text", { id: 7 }, "InvalidOption", /id must be a text/],
    ["an empty name", { name: " " }, "InvalidOption", /name must be a text/],
    ["a name that is no text", { name: 7 }, "InvalidOption", /name must be a text/],
    ["a fractional priority", { priority: 1.5 }, "InvalidOption", /priority must be an integer, not 1.5/],
    ["a label that is no text", { labels: { team: 7 } }, "InvalidOption", /`team` is not/],
    ["a label without a key", { labels: { "": "x" } }, "InvalidOption", /Labels are texts/],
    ["labels that are no object", { labels: "team" }, "InvalidOption", /Labels are/],
    ["an unknown option", { misfireGrase: "1 minute" }, "InvalidOption", /did you mean `misfireGrace`\?/],
    ["an option of other schedulers", { replaceExisting: true }, "InvalidOption", /unknown option `replaceExisting`/],
    ["an unknown onConflict", { onConflict: "overwrite" }, "InvalidOption", /"fail", "keep", "update" or "replace"/],
    ["a pause that is no note", { paused: 1 }, "InvalidOption", /`paused` is/],
    ["a fractional revision", { revision: 1.5 }, "InvalidOption", /revision must be an integer/],
    ["a trigger that is none", { trigger: "every hour" }, "InvalidOption", /Trigger\.every/],
    ["a policy out of bounds", { maxInstances: 0 }, "InvalidPolicy", /maxInstances/],
    ["an unknown store", { store: "memry" }, "UnknownStore", /Did you mean `memory`\?/],
    ["an unknown executor", { executor: "defualt" }, "UnknownExecutor", /Did you mean `default`\?/],
    ["a trigger that never fires", { trigger: Trigger.never }, "TriggerNeverFires", /would never run/],
    [
      "a trigger that is over",
      { trigger: Trigger.between(hourly, { start: "2025-01-01T00:00:00Z", end: "2025-02-01T00:00:00Z" }) },
      "TriggerNeverFires",
      /no occurrence from now on/
    ]
  ]
  const stores = TaskStores.layer({ default: MemoryTaskStore.layer, memory: MemoryTaskStore.layer })
  for (const [name, options, tag, message] of refusals) {
    it.effect(name, () =>
      scheduled(
        Effect.gen(function*() {
          const scheduler = yield* TaskScheduler
          const error = yield* Effect.flip(scheduler.add(Tick, { trigger: hourly, ...options } as never))
          assert.strictEqual(error._tag, tag)
          assert.match(error.message, message)
          const among = yield* Effect.flip(scheduler.addAll([
            Task.scheduled(Tick, { id: "good", trigger: hourly }),
            Task.scheduled(Tick, { trigger: hourly, ...options } as never)
          ]))
          assert.strictEqual(among._tag, tag)
          assert.deepStrictEqual((yield* scheduler.list()).items, [])
          assert.deepStrictEqual((yield* scheduler.list({ store: "memory" })).items, [])
        }),
        { store: stores }
      ))
  }

  it.effect("a payload that does not fit, naming the field", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const error = yield* Effect.flip(scheduler.add(Slow, { payload: { minutes: 1.5 }, trigger: hourly }))
      assert.strictEqual(error._tag, "InvalidPayload")
      assert.match(error.message, /minutes/)
      const missing = yield* Effect.flip(scheduler.add(Echo, { trigger: hourly } as never))
      assert.strictEqual(missing._tag, "InvalidPayload")
      assert.deepStrictEqual((yield* scheduler.list()).items, [])
    })))

  it.effect("labels of the definition that are no texts", () => {
    const Odd = Task.make("Odd", { labels: { team: 7 } as never })
    return Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const error = yield* Effect.flip(scheduler.add(Odd, { trigger: hourly }))
      assert.strictEqual(error._tag, "InvalidOption")
    }).pipe(Effect.provide(TestScheduler.layer(Odd.toLayer(() => Effect.void), { now: start })))
  })

  it.effect("at most once beside retry", () => {
    const Retried = Task.make("Retried", { retry: { times: 3 } })
    return Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const error = yield* Effect.flip(scheduler.add(Retried, { trigger: hourly, delivery: "atMostOnce" }))
      assert.strictEqual(error._tag, "InvalidOption")
      assert.match(error.message, /`retry`, which starts an attempt again/)
      const handle = yield* scheduler.add(Retried, { id: "ok", trigger: hourly })
      const update = yield* Effect.flip(handle.update({ delivery: "atMostOnce" }))
      assert.strictEqual(update._tag, "InvalidOption")
      assert.strictEqual((yield* handle.snapshot).revision, 1)
    }).pipe(Effect.provide(TestScheduler.layer(Retried.toLayer(() => Effect.void), { now: start })))
  })

  it("at most once beside retry in the definition", () => {
    assert.throws(() => Task.make("Both", { retry: { times: 3 }, delivery: "atMostOnce" }), /atMostOnce/)
  })
})

describe("add of an id that exists", () => {
  it.effect("fails, unless told what to do", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      yield* scheduler.add(Tick, { id: "a", trigger: hourly })
      const error = yield* Effect.flip(scheduler.add(Tick, { id: "a", trigger: Trigger.every("2 hours") }))
      assert.strictEqual(error._tag, "DuplicateTask")
      assert.match(error.message, /`a` exists in store `default`/)
      assert.strictEqual(nextTime(yield* scheduler.handle("a").snapshot), "01:00")
    })))

  it.effect("keep: leaves it as it is", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      yield* scheduler.add(Echo, { id: "a", payload: { text: "old" }, trigger: hourly })
      const before = yield* scheduler.handle("a").snapshot
      yield* scheduler.add(Echo, { id: "a", payload: { text: "new" }, trigger: Trigger.now, onConflict: "keep" })
      assert.deepStrictEqual(yield* scheduler.handle("a").snapshot, before)
    })))

  it.effect("replace: starts a new generation and keeps nothing", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const handle = yield* scheduler.add(Echo, {
        id: "a",
        payload: { text: "old" },
        trigger: hourly,
        labels: { x: "1" }
      })
      yield* TestScheduler.advance("90 minutes")
      yield* handle.runNow()
      yield* TestScheduler.settle
      yield* handle.pause("operator")
      const [old] = (yield* handle.runs()).items
      yield* scheduler.add(Echo, { id: "a", payload: { text: "new" }, trigger: hourly, onConflict: "replace" })
      const info = yield* handle.snapshot
      assert.deepInclude(info, {
        state: "scheduled",
        payload: { text: "new" },
        labels: {},
        revision: 1,
        pauseNote: Option.none()
      })
      assert.deepStrictEqual(counts(info.counters), {})
      assert.strictEqual(nextTime(info), "02:30")
      assert.deepStrictEqual((yield* handle.runs()).items, [])
      const [run] = yield* TestScheduler.advance("1 hour")
      assert.notStrictEqual(run!.id.split(":")[0], old!.id.split(":")[0])
    })))

  it.effect("replace: the new task is added where none exists", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      yield* scheduler.add(Tick, { id: "a", trigger: hourly, onConflict: "replace" })
      assert.strictEqual(nextTime(yield* scheduler.handle("a").snapshot), "01:00")
    })))
})

describe("add with onConflict: update", () => {
  const declare = (options: object = {}) =>
    Effect.flatMap(TaskScheduler, (scheduler) =>
      scheduler.add(Echo, {
        id: "a",
        payload: { text: "one" },
        trigger: Trigger.every("6 hours"),
        onConflict: "update",
        ...options
      } as never as { readonly payload: { readonly text: string } }))

  it.effect("changes nothing where the declaration is the same, the phase of `every` included", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* declare()
      yield* TestScheduler.advance("7 hours")
      const before = yield* handle.snapshot
      yield* declare()
      assert.deepStrictEqual(yield* handle.snapshot, before)
      assert.strictEqual(nextTime(before), "12:00")
    })))

  it.effect("leaves alone what an operator did: a reschedule, a pause, a name, a policy", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* declare({ misfireGrace: "5 minutes" })
      yield* handle.reschedule(Trigger.every("2 hours"))
      yield* handle.update({ name: "Renamed", maxInstances: 4, priority: 9, labels: { by: "operator" } })
      yield* handle.pause("incident")
      const before = yield* handle.snapshot
      yield* declare({ misfireGrace: "5 minutes" })
      assert.deepStrictEqual(yield* handle.snapshot, before)
      // One policy of the program changes: the operator's other one stays.
      yield* declare({ misfireGrace: "10 minutes", payload: { text: "two" } })
      const after = yield* handle.snapshot
      assert.deepInclude(after, {
        name: "Renamed",
        priority: 9,
        labels: { by: "operator" },
        payload: { text: "two" },
        state: "paused",
        pauseNote: Option.some("incident"),
        when: before.when
      })
      assert.deepInclude(Option.getOrThrow(after.policy), { maxInstances: 4, misfireGrace: 600_000 })
    })))

  it.effect("applies a changed payload, and the next run uses it", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* declare()
      yield* declare({ payload: { text: "two" } })
      assert.deepStrictEqual((yield* handle.snapshot).payload, { text: "two" })
      const run = yield* handle.runNow()
      yield* TestScheduler.settle
      assert.strictEqual(yield* run.await, "TWO")
    })))

  it.effect("settles the old trigger up to now and binds the new one at now", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const handle = yield* declare({ trigger: hourly })
      yield* scheduler.pause
      yield* TestScheduler.advance("150 minutes")
      yield* declare({ trigger: Trigger.every("20 minutes") })
      const info = yield* handle.snapshot
      assert.strictEqual(nextTime(info), "02:50")
      assert.strictEqual(clock(info.evaluatedUntil), "02:30")
      assert.deepStrictEqual(counts(info.counters), {})
      assert.deepInclude(info.ranges[0], { outcome: "coalesced", count: 1, from: at("01:00") })
      yield* scheduler.resume
      assert.deepStrictEqual(times(yield* TestScheduler.advance("20 minutes")), ["02:00", "02:50"])
    })))

  it.effect("does not re-phase what an operator has given that trigger already", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* declare()
      yield* handle.reschedule(hourly)
      yield* TestScheduler.advance("90 minutes")
      yield* declare({ trigger: hourly })
      const info = yield* handle.snapshot
      assert.strictEqual(nextTime(info), "02:00")
      assert.deepStrictEqual(counts(info.counters), { ran: 1 })
    })))

  it.effect("changes nothing from a lower revision", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* declare({ revision: 3 })
      const before = yield* handle.snapshot
      yield* declare({ revision: 2, payload: { text: "older" }, trigger: hourly })
      assert.deepStrictEqual(yield* handle.snapshot, before)
      yield* declare({ revision: 4, payload: { text: "newer" } })
      assert.deepStrictEqual((yield* handle.snapshot).payload, { text: "newer" })
      yield* declare({ revision: 3, payload: { text: "older" } })
      assert.deepStrictEqual((yield* handle.snapshot).payload, { text: "newer" })
    })))

  it.effect("adds it where none exists, also after it was removed", () =>
    scheduled(Effect.gen(function*() {
      const handle = yield* declare()
      yield* handle.remove()
      yield* TestScheduler.advance("1 hour")
      yield* declare()
      assert.strictEqual(nextTime(yield* handle.snapshot), "07:00")
    })))
})

describe("addAll", () => {
  it.effect("adds all, in order", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const handles = yield* scheduler.addAll([
        Task.scheduled(Echo, { id: "b", payload: { text: "b" }, trigger: hourly }),
        Task.scheduled(Slow, { id: "a", payload: { minutes: 1 }, trigger: hourly })
      ])
      assert.deepStrictEqual(handles.map((handle) => handle.id), ["b", "a"])
      assert.deepStrictEqual((yield* scheduler.list()).items.map((info) => info.id), ["a", "b"])
      assert.deepStrictEqual(yield* scheduler.addAll([]), [])
    })))

  it.effect("refuses an id given twice in one call", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const one = Task.scheduled(Tick, { id: "a", trigger: hourly, onConflict: "replace" })
      const error = yield* Effect.flip(scheduler.addAll([one, Task.scheduled(Tick, { id: "b", trigger: hourly }), one]))
      assert.strictEqual(error._tag, "DuplicateTask")
      assert.deepStrictEqual((yield* scheduler.list()).items, [])
    })))

  it.effect("stores nothing when one of them exists and must not, in whichever store", () => {
    const stores = TaskStores.layer({ default: MemoryTaskStore.layer, other: MemoryTaskStore.layer })
    return scheduled(
      Effect.gen(function*() {
        const scheduler = yield* TaskScheduler
        yield* scheduler.add(Tick, { id: "taken", trigger: hourly, store: "other" })
        const error = yield* Effect.flip(scheduler.addAll([
          Task.scheduled(Tick, { id: "a", trigger: hourly }),
          Task.scheduled(Tick, { id: "taken", trigger: hourly, store: "other" })
        ]))
        assert.deepInclude(error, { _tag: "DuplicateTask", id: "taken", store: "other" })
        assert.deepStrictEqual((yield* scheduler.list()).items, [])
        const same = yield* scheduler.addAll([
          Task.scheduled(Tick, { id: "taken", trigger: hourly }),
          Task.scheduled(Tick, { id: "a", trigger: hourly, store: "other" })
        ])
        assert.deepStrictEqual(same.map((handle) => handle.store), ["default", "other"])
      }),
      { store: stores }
    )
  })

  it.effect("does with each what it says", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      for (const id of ["keep", "update", "replace"]) {
        yield* scheduler.add(Echo, { id, payload: { text: "old" }, trigger: hourly, onConflict: "update" })
      }
      yield* TestScheduler.advance("90 minutes")
      yield* scheduler.addAll((["keep", "update", "replace"] as const).map((id) =>
        Task.scheduled(Echo, { id, payload: { text: "new" }, trigger: hourly, onConflict: id })
      ))
      const list = (yield* scheduler.list()).items
      assert.deepStrictEqual(list.map((info) => [info.id, info.payload, nextTime(info)]), [
        ["keep", { text: "old" }, "02:00"],
        ["replace", { text: "new" }, "02:30"],
        ["update", { text: "new" }, "02:00"]
      ])
    })))
})
