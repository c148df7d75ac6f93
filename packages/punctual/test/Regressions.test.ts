/**
 * One test for each defect of the system whose behaviour this product started from, by its number in that inventory, so
 * that none of them is repeated. Those of cron, time zones, stores and command lines are beside their modules.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import type { SchedulerEvent } from "../src/SchedulerEvent.ts"
import * as Task from "../src/Task.ts"
import { TaskScheduler } from "../src/TaskScheduler.ts"
import * as Scheduler from "../src/TaskScheduler.ts"
import { TaskSchedulerClient } from "../src/TaskSchedulerClient.ts"
import * as Client from "../src/TaskSchedulerClient.ts"
import * as TaskStore from "../src/TaskStore.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import { at, clock, counts, Echo, Handlers, hourly, nextTime, scheduled, Slow, start, Tick, times } from "./utils.ts"

const damage = (change: (task: TaskStore.NewTask) => TaskStore.NewTask) =>
  Layer.effect(TaskStore.TaskStore)(Effect.map(MemoryTaskStore.make, (store) => ({
    ...store,
    insert: (tasks: ReadonlyArray<TaskStore.NewTask>) =>
      store.insert(tasks.map((task) => task.id === "bad" ? change(task) : task))
  })))

describe("B1", () => {
  const rows: ReadonlyArray<readonly [string, (task: TaskStore.NewTask) => TaskStore.NewTask]> = [
    ["a trigger that cannot be read", (task) => ({ ...task, trigger: "{\"v\":99}" })],
    ["a trigger that is no JSON", (task) => ({ ...task, trigger: "nonsense" })],
    ["a policy that cannot be read", (task) => ({ ...task, policy: "{\"v\":1,\"misfireGrace\":\"soon\"}" })],
    ["a payload that cannot be decoded", (task) => ({ ...task, payload: "{\"text\":7}" })],
    ["counters and ranges that mean nothing", (task) => ({ ...task, ranges: "}{" })]
  ]
  for (const [name, change] of rows) {
    it.effect(`B1 one failing row never stops the loop: ${name}`, () =>
      scheduled(
        Effect.gen(function*() {
          const scheduler = yield* TaskScheduler
          yield* scheduler.add(Echo, { id: "bad", payload: { text: "x" }, trigger: hourly })
          yield* scheduler.add(Echo, { id: "good", payload: { text: "x" }, trigger: hourly })
          const runs = yield* TestScheduler.advance("3 hours")
          assert.deepStrictEqual(times(runs.filter((run) => run.taskId === "good")), ["01:00", "02:00", "03:00"])
          assert.strictEqual((yield* scheduler.list()).items.length, 2)
        }),
        { store: damage(change) }
      ))
  }

  it.effect("B1 a handler that dies never stops the loop, nor its own next run", () => {
    const Dies = Task.make("Dies")
    const App = Layer.mergeAll(Dies.toLayer(() => Effect.die(new Error("boom"))), Handlers)
    return Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      yield* scheduler.add(Dies, { id: "dies", trigger: hourly })
      yield* scheduler.add(Tick, { id: "tick", trigger: hourly })
      const runs = yield* TestScheduler.advance("2 hours")
      assert.deepStrictEqual(runs.filter((run) => run.taskId === "dies").map((run) => run.state), ["failed", "failed"])
      assert.strictEqual(runs.filter((run) => run.taskId === "tick").length, 2)
    }).pipe(Effect.provide(TestScheduler.layer(App, { now: start })))
  })
})

describe("what a restart must keep", () => {
  /** Runs each part as a scheduler of its own over one store: a restart between them. */
  const restarts = (
    ...parts: ReadonlyArray<
      Effect.Effect<void, unknown, TaskScheduler | TestScheduler.TestScheduler | Layer.Success<typeof Handlers>>
    >
  ) =>
    Effect.gen(function*() {
      const store = Layer.succeed(TaskStore.TaskStore)(yield* MemoryTaskStore.make)
      let now: number = at("00:00")
      for (const part of parts) {
        yield* Effect.andThen(
          part,
          Effect.flatMap(TestScheduler.TestScheduler, (test) =>
            Effect.map(test.now, (instant) => {
              now = instant.epochMilliseconds
            }))
        ).pipe(scheduledFrom(now, store))
      }
    })
  const scheduledFrom = (now: number, store: Layer.Layer<TaskStore.TaskStore>) =>
  (
    part: Effect.Effect<void, unknown, TaskScheduler | TestScheduler.TestScheduler | Layer.Success<typeof Handlers>>
  ) => Effect.scoped(Effect.provide(part, TestScheduler.layer(Handlers, { now, store })))

  it.effect("B3 a stored interval resumes, previews and fires after a restart", () =>
    restarts(
      Effect.gen(function*() {
        const scheduler = yield* TaskScheduler
        const handle = yield* scheduler.add(Tick, { id: "a", trigger: Trigger.every("90 minutes") })
        yield* TestScheduler.advance("2 hours")
        yield* handle.pause()
      }),
      Effect.gen(function*() {
        const handle = (yield* TaskScheduler).handle("a")
        assert.strictEqual(nextTime(yield* handle.resume), "03:00")
        assert.deepStrictEqual((yield* handle.preview(3)).map((point) => clock(point.due)), ["03:00", "04:30", "06:00"])
        assert.deepStrictEqual(times(yield* TestScheduler.advance("3 hours")), ["03:00", "04:30"])
      })
    ))

  it.effect("B18 a deploy does not un-pause or re-phase a task, and adds it once", () => {
    const deploy = Effect.flatMap(
      TaskScheduler,
      (scheduler) => scheduler.add(Tick, { id: "a", trigger: Trigger.every("2 hours"), onConflict: "update" })
    )
    return restarts(
      Effect.gen(function*() {
        yield* deploy
        yield* TestScheduler.advance("3 hours")
      }),
      Effect.gen(function*() {
        const handle = yield* deploy
        assert.strictEqual(nextTime(yield* handle.snapshot), "04:00")
        yield* handle.pause("operator")
      }),
      Effect.gen(function*() {
        const handle = yield* deploy
        assert.deepInclude(yield* handle.snapshot, { state: "paused", pauseNote: Option.some("operator") })
        assert.deepStrictEqual(times(yield* TestScheduler.advance("6 hours")), [])
        assert.strictEqual((yield* (yield* TaskScheduler).list()).items.length, 1)
        assert.strictEqual(nextTime(yield* handle.resume), "10:00")
      })
    )
  })
})

describe("B5", () => {
  it.effect("B5 a row this program cannot read is kept, listed with its reason, and never deleted", () =>
    scheduled(
      Effect.gen(function*() {
        const scheduler = yield* TaskScheduler
        yield* scheduler.add(Tick, { id: "bad", trigger: hourly })
        yield* TestScheduler.advance("3 days")
        const [info] = (yield* scheduler.list()).items
        assert.strictEqual(info!.id, "bad")
        assert.isTrue(Option.isSome(info!.unreadable))
        assert.strictEqual((yield* scheduler.quarantined()).length, 1)
      }),
      { store: damage((task) => ({ ...task, trigger: "{\"v\":2,\"_tag\":\"Every\",\"millis\":1}" })) }
    ))

  it.effect("B5 a payload of a newer version waits for a program that reads it", () =>
    scheduled(
      Effect.gen(function*() {
        const scheduler = yield* TaskScheduler
        const handle = yield* scheduler.add(Tick, { id: "bad", trigger: hourly })
        assert.deepStrictEqual(times(yield* TestScheduler.advance("3 hours")), [])
        assert.strictEqual((yield* handle.runs()).items[0]!.state, "ready")
        assert.strictEqual((yield* scheduler.list()).items.length, 1)
      }),
      { store: damage((task) => ({ ...task, version: 2 })) }
    ))
})

describe("B8", () => {
  it.effect("B8 run now does not un-pause, re-phase or consume the schedule", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const paused = yield* scheduler.add(Tick, { id: "paused", trigger: hourly, paused: true })
      const every = yield* scheduler.add(Tick, { id: "every", trigger: hourly })
      const once = yield* scheduler.add(Tick, { id: "once", trigger: Trigger.at(at("03:00")) })
      yield* TestScheduler.advance("30 minutes")
      for (const handle of [paused, every, once]) yield* (yield* handle.runNow()).await
      assert.strictEqual((yield* paused.snapshot).state, "paused")
      assert.strictEqual(nextTime(yield* every.snapshot), "01:00")
      assert.strictEqual(nextTime(yield* once.snapshot), "03:00")
      const runs = yield* TestScheduler.advance("3 hours")
      const scheduledRuns = runs.filter((run) => !run.extra)
      assert.deepStrictEqual(times(scheduledRuns.filter((run) => run.taskId === "every")), ["01:00", "02:00", "03:00"])
      assert.deepStrictEqual(times(scheduledRuns.filter((run) => run.taskId === "once")), ["03:00"])
      assert.deepStrictEqual(scheduledRuns.filter((run) => run.taskId === "paused"), [])
    })))
})

describe("B9", () => {
  it.effect("B9 every command works by id, by handle and by the snapshot of a list", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      yield* scheduler.add(Tick, { id: "a", trigger: hourly })
      const [info] = (yield* scheduler.list()).items
      const handle = scheduler.handle(info!.id, { store: info!.store })
      assert.strictEqual((yield* handle.update({ name: "b" })).name, "b")
      assert.strictEqual((yield* handle.pause()).state, "paused")
      assert.strictEqual((yield* handle.resume).state, "scheduled")
      assert.strictEqual(nextTime(yield* handle.reschedule(Trigger.every("2 hours"))), "02:00")
      yield* handle.runNow()
      yield* handle.remove()
      assert.deepStrictEqual((yield* scheduler.list()).items, [])
    })))
})

describe("B10", () => {
  it.effect("B10 an id that exists is refused at once, before the start as after it", () =>
    scheduled(
      Effect.gen(function*() {
        const scheduler = yield* TaskScheduler
        yield* scheduler.add(Tick, { id: "a", trigger: hourly })
        const error = yield* Effect.flip(scheduler.add(Tick, { id: "a", trigger: Trigger.every("2 hours") }))
        assert.strictEqual(error._tag, "DuplicateTask")
        yield* scheduler.start
        yield* scheduler.start
        assert.deepStrictEqual(times(yield* TestScheduler.advance("2 hours")), ["01:00", "02:00"])
        yield* TestScheduler.shutdown
        yield* TestScheduler.shutdown
      }),
      { start: "manual" }
    ))

  it.effect("B10 an application that fails to build leaves nothing behind, and the next one starts", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const App = (fail: boolean) =>
        Layer.mergeAll(
          Handlers,
          Layer.effectDiscard(
            Effect.acquireRelease(Effect.sync(() => log.push("open")), () => Effect.sync(() => log.push("close")))
          ),
          Layer.effectDiscard(TaskScheduler.use((scheduler) =>
            scheduler.add(Tick, { id: "a", trigger: hourly, ...fail ? { store: "typo" } : {} })
          ))
        )
      const exit = yield* Effect.exit(Effect.scoped(Layer.build(TestScheduler.layer(App(true), { now: start }))))
      const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) as { readonly _tag: string } : undefined
      assert.strictEqual(error?._tag, "UnknownStore")
      assert.deepStrictEqual(log, ["open", "close"])
      const runs = yield* Effect.provide(
        TestScheduler.advance("1 hour"),
        TestScheduler.layer(App(false), { now: start })
      )
      assert.strictEqual(runs.length, 1)
    }))
})

describe("B11", () => {
  it.effect("B11 an executor typo is refused when added and never deletes a task", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const error = yield* Effect.flip(scheduler.add(Tick, { id: "a", trigger: hourly, executor: "defualt" }))
      assert.strictEqual(error._tag, "UnknownExecutor")
      assert.match(error.message, /Did you mean `default`/)
      assert.strictEqual((yield* Effect.flip(scheduler.handle("a").snapshot))._tag, "TaskNotFound")
    })))

  it.effect("B11 a task for an executor that only others have waits, and is never deleted", () =>
    Effect.gen(function*() {
      const client = yield* TaskSchedulerClient
      const elsewhere = yield* client.add(Tick, { id: "a", trigger: hourly, executor: "gpu" })
      yield* client.add(Tick, { id: "b", trigger: hourly })
      const runs = yield* TestScheduler.advance("3 hours")
      assert.deepStrictEqual([...new Set(runs.map((run) => run.taskId))], ["b"])
      assert.strictEqual((yield* elsewhere.snapshot).executor, "gpu")
      assert.deepStrictEqual((yield* elsewhere.runs()).items.map((run) => run.state), ["ready"])
    }).pipe(Effect.provide(TestScheduler.layerProgram(
      Layer.mergeAll(Layer.orDie(Scheduler.layer(Handlers, { drainTimeout: 0 })), Client.layer()).pipe(
        Layer.provide(MemoryTaskStore.layer)
      ),
      { now: start }
    ))))
})

describe("B12", () => {
  it.effect("B12 a shutdown waits for what runs, then for shutdown tasks; one that fails does not stop the rest", () => {
    const log: Array<string> = []
    const Note = Task.make("Note", { payload: { text: Schema.String } })
    const App = Layer.mergeAll(
      Note.toLayer(({ text }) =>
        Effect.andThen(
          Effect.sleep("1 minute"),
          text === "bad" ? Effect.die(new Error("no")) : Effect.sync(() => void log.push(text))
        )
      ),
      Layer.effectDiscard(Effect.acquireRelease(Effect.void, () => Effect.sync(() => void log.push("app closed"))))
    )
    return Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      yield* scheduler.add(Note, { id: "work", payload: { text: "work" }, trigger: Trigger.at(at("01:00")) })
      for (const text of ["first", "bad", "last"]) {
        yield* scheduler.add(Note, { id: text, payload: { text }, trigger: Trigger.shutdown })
      }
      yield* TestScheduler.advance("1 hour")
      const runs = yield* TestScheduler.shutdown
      assert.deepStrictEqual(runs.map((run) => [run.taskId, run.state]), [
        ["work", "succeeded"],
        ["last", "succeeded"],
        ["bad", "failed"],
        ["first", "succeeded"]
      ])
      assert.deepStrictEqual(log, ["work", "last", "first", "app closed"])
    }).pipe(
      Effect.provide(TestScheduler.layer(App, { now: start, drainTimeout: "5 minutes", shutdownTimeout: "5 minutes" }))
    )
  })

  it.effect("B12 what does not end in time is interrupted, given back and told of", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      yield* scheduler.add(Slow, { id: "a", payload: { minutes: 600 }, trigger: hourly })
      yield* TestScheduler.advance("1 hour")
      yield* TestScheduler.shutdown
      const events = yield* TestScheduler.events
      assert.isTrue(events.some((event) => event._tag === "RunReleased" && event.reason === "shutdown"))
      assert.deepInclude(events.at(-1), { _tag: "SchedulerStopped", interrupted: 1 })
    })))
})

describe("B13", () => {
  it.effect("B13 a scheduler ends by itself, can be built again, and inside the handler of another one", () =>
    Effect.gen(function*() {
      const inner = Scheduler.layer(Handlers).pipe(Layer.provide(MemoryTaskStore.layer))
      const Outer = Task.make("Outer", { success: Schema.Array(Schema.String) })
      // A scheduler of its own for each run: built, used, closed.
      const OuterLive = Outer.toLayer(() =>
        Effect.gen(function*() {
          const scheduler = yield* TaskScheduler
          const handles = yield* Effect.forEach(["a", "b"], (text) => scheduler.add(Echo, { payload: { text } }))
          return yield* Effect.forEach(handles, (handle) =>
            Effect.flatMap(handle.runNow({ whenBusy: "allow" }), (run) => run.await))
        }).pipe(Effect.provide(inner, { local: true }), Effect.orDie)
      )
      for (let i = 0; i < 2; i++) {
        yield* Effect.gen(function*() {
          const handle = yield* (yield* TaskScheduler).add(Outer, { trigger: hourly })
          const run = yield* handle.runNow()
          assert.deepStrictEqual(yield* run.await, ["A", "B"])
          yield* TestScheduler.shutdown
          const events = yield* TestScheduler.events
          assert.strictEqual(events.filter((event) => event._tag === "SchedulerStopped").length, 2)
        }).pipe(Effect.provide(TestScheduler.layer(OuterLive, { now: start }), { local: true }))
      }
    }))
})

describe("B14", () => {
  const mistakes: ReadonlyArray<readonly [string, () => unknown]> = [
    ["a misspelt option of every", () => Trigger.every("1 hour", { imediately: true } as never)],
    ["a negative interval", () => Trigger.every("-1 hours")],
    ["an interval of nothing", () => Trigger.every(0)],
    ["no interval at all", () => Trigger.every({} as never)],
    ["trailing junk in a cron expression", () => Trigger.cron("0 9 * * MON junk words")],
    ["a field out of range", () => Trigger.cron("61 * * * *")],
    ["a misspelt option of cron", () => Trigger.cron("0 9 * * *", { timezone: "UTC" } as never)],
    ["an unknown zone", () => Trigger.cron("0 9 * * *", { timeZone: "Europe/Berlinn" })],
    ["a misspelt option of a task", () => Task.make("A", { maxInstance: 1 } as never)]
  ]
  for (const [name, make] of mistakes) {
    it(`B14 a typo is refused where it is written: ${name}`, () => {
      assert.throws(make)
    })
  }
})

describe("B15", () => {
  it.effect("B15 a run has ended only when its handler has, however it waits", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const handle = yield* scheduler.add(Slow, { id: "a", payload: { minutes: 5 }, trigger: hourly })
      yield* TestScheduler.advance("64 minutes")
      assert.strictEqual((yield* handle.runs()).items[0]!.state, "running")
      const [run] = yield* TestScheduler.advance("1 minute")
      assert.strictEqual(clock(Option.getOrThrow(run!.endedAt)), "01:05")
      assert.deepInclude(Option.getOrThrow(run!.exit) as object, { _tag: "Success", value: 5 })
    })))
})

describe("B16", () => {
  it.effect("B16 a grace of less than a second, and a payload of a megabyte, are kept as they are", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const text = "x".repeat(1_000_000)
      const handle = yield* scheduler.add(Echo, {
        id: "a",
        payload: { text },
        trigger: hourly,
        misfireGrace: "500 millis"
      })
      const info = yield* handle.snapshot
      assert.strictEqual(Option.getOrThrow(info.policy).misfireGrace, 500)
      assert.deepStrictEqual(info.payload, { text })
      assert.strictEqual((yield* (yield* handle.runNow()).await).length, 1_000_000)
    })))
})

describe("B17", () => {
  it.effect("B17 an unlimited grace among the scheduler's defaults, or over them, is unlimited", () =>
    Effect.gen(function*() {
      const grace = (defaults: "unlimited" | "1 second", own: object) =>
        scheduled(
          Effect.gen(function*() {
            const scheduler = yield* TaskScheduler
            const handle = yield* scheduler.add(Tick, { id: "a", trigger: hourly, ...own })
            return Option.getOrThrow((yield* handle.snapshot).policy).misfireGrace
          }),
          { defaults: { misfireGrace: defaults } }
        )
      assert.isNull(yield* grace("unlimited", {}))
      assert.strictEqual(yield* grace("1 second", {}), 1_000)
      assert.isNull(yield* grace("1 second", { misfireGrace: "unlimited" }))
      assert.strictEqual(yield* grace("unlimited", { misfireGrace: "2 seconds" }), 2_000)
    }))
})

describe("B18", () => {
  it.effect("B18 a pause before the start survives the start; so does being added paused", () =>
    scheduled(
      Effect.gen(function*() {
        const scheduler = yield* TaskScheduler
        const a = yield* scheduler.add(Tick, { id: "a", trigger: hourly })
        const b = yield* scheduler.add(Tick, { id: "b", trigger: hourly, paused: true })
        assert.strictEqual((yield* a.snapshot).state, "pending")
        yield* a.pause()
        yield* scheduler.start
        assert.deepStrictEqual(yield* TestScheduler.advance("3 hours"), [])
        assert.strictEqual((yield* a.snapshot).state, "paused")
        assert.strictEqual((yield* b.snapshot).state, "paused")
      }),
      { start: "manual" }
    ))
})

describe("B19", () => {
  it.effect("B19 resume never deletes a shutdown task, nor schedules the past", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const shutdown = yield* scheduler.add(Tick, { id: "shutdown", trigger: Trigger.shutdown })
      const once = yield* scheduler.add(Tick, { id: "once", trigger: Trigger.at(at("00:30")) })
      assert.strictEqual((yield* shutdown.resume).state, "onShutdown")
      yield* shutdown.pause()
      yield* once.pause()
      yield* TestScheduler.advance("1 hour")
      assert.strictEqual((yield* shutdown.resume).state, "onShutdown")
      assert.strictEqual((yield* Effect.flip(once.resume))._tag, "TaskFinished")
      assert.deepStrictEqual(times(yield* TestScheduler.advance("1 hour")), [])
      assert.strictEqual((yield* scheduler.list()).items.length, 2)
      assert.deepStrictEqual((yield* TestScheduler.shutdown).map((run) => run.taskId), ["shutdown"])
    })))
})

describe("B20", () => {
  it.effect("B20 jitter is off the nominal instant and never drifts", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      yield* scheduler.add(Tick, { id: "a", trigger: Trigger.jittered(hourly, "30 minutes") })
      const runs = yield* TestScheduler.advance("10 days")
      assert.isAtLeast(runs.length, 239)
      runs.forEach((run, n) => {
        assert.strictEqual(run.scheduledAt.epochMilliseconds, at("00:00") + (n + 1) * 3_600_000)
        const offset = run.dueAt.epochMilliseconds - run.scheduledAt.epochMilliseconds
        assert.isTrue(offset >= 0 && offset < 1_800_000)
      })
      assert.isAbove(
        new Set(runs.map((run) => run.dueAt.epochMilliseconds - run.scheduledAt.epochMilliseconds)).size,
        100
      )
    })))
})

describe("B21", () => {
  it.effect("B21 exactly one terminal event and one terminal state per run, however it ends", () => {
    const Ends = Task.make("Ends", { payload: { how: Schema.String }, error: Schema.String })
    const App = Ends.toLayer(({ how }) => {
      switch (how) {
        case "die":
          return Effect.die("boom")
        case "fail":
          return Effect.fail("no")
        case "interrupt":
          return Effect.interrupt
        case "throw":
          return Effect.sync(() => {
            throw new TypeError("oops")
          })
        case "long":
          return Effect.sleep("10 minutes")
        case "stubborn":
          return Effect.uninterruptible(Effect.sleep("10 minutes"))
        default:
          return Effect.void
      }
    })
    return Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const add = (id: string, how: string, options: object = {}) =>
        scheduler.add(Ends, { id, payload: { how }, trigger: Trigger.at(at("01:00")), ...options })
      for (const how of ["die", "fail", "interrupt", "throw", "ok"]) yield* add(how, how)
      yield* add("timeout", "long", { timeout: "1 minute" })
      yield* add("cancel", "long")
      yield* add("stubborn", "stubborn")
      const queued = yield* add("queued", "long")
      yield* TestScheduler.advance("61 minutes")
      for (const run of (yield* scheduler.runs({ state: "running" })).items) {
        if (run.taskId === "cancel" || run.taskId === "stubborn") yield* scheduler.cancel(run)
      }
      yield* queued.runNow({ whenBusy: "queue" })
      yield* queued.remove()
      yield* TestScheduler.advance("1 hour")
      const ended = (yield* TestScheduler.events).filter((
        event
      ): event is Extract<SchedulerEvent, { readonly _tag: "RunEnded" }> => event._tag === "RunEnded")
      assert.deepStrictEqual(
        ended.map(({ run }) => `${run.taskId}${run.extra ? " extra" : ""}: ${run.state}`).sort(),
        [
          "cancel: cancelled",
          "die: failed",
          "fail: failed",
          "interrupt: failed",
          "ok: succeeded",
          "queued extra: cancelled",
          "queued: succeeded",
          "stubborn: cancelled",
          "throw: failed",
          "timeout: timedOut"
        ]
      )
      assert.strictEqual(new Set(ended.map(({ run }) => run.id)).size, ended.length)
      const open = (yield* scheduler.runs()).items.filter((run) =>
        ["ready", "waiting", "running", "held"].includes(run.state)
      )
      assert.deepStrictEqual(open, [])
      for (const { run } of ended) {
        const stored = (yield* scheduler.handle(run.taskId).runs()).items.find(({ id }) => id === run.id)
        assert.strictEqual(stored?.state, run.state)
      }
    }).pipe(Effect.provide(TestScheduler.layer(App, { now: start })))
  })
})

describe("B22", () => {
  it.effect("B22 years of missed occurrences are decided at once, never as a list", () =>
    scheduled(
      Effect.gen(function*() {
        const scheduler = yield* TaskScheduler
        const every = yield* scheduler.add(Tick, { id: "every", trigger: Trigger.every("1 second") })
        const union = yield* scheduler.add(Tick, {
          id: "union",
          trigger: Trigger.union(Trigger.every("1 second"), Trigger.cron("*/7 * * * * *"))
        })
        const all = yield* scheduler.add(Tick, { id: "all", trigger: Trigger.every("1 second"), coalesce: "none" })
        yield* TestScheduler.jump("1000 days")
        yield* scheduler.start
        yield* TestScheduler.settle
        const seconds = 1_000 * 86_400
        const { counters } = yield* every.snapshot
        assert.strictEqual(counters.ran + counters.coalesced, seconds)
        assert.isBelow(counters.ran, 20)
        const caught = (yield* all.snapshot).counters
        assert.strictEqual(caught.ran + caught.missed, seconds)
        assert.strictEqual(caught.ran, 100)
        // Where counting is not arithmetic it stops at a limit and says so.
        const counted = (yield* union.snapshot).counters
        assert.isFalse(counted.exact)
        assert.isAtLeast(counted.coalesced, 10_000)
        const ranges = (yield* every.snapshot).ranges
        assert.isAtMost(ranges.length, 32)
      }),
      { start: "manual" }
    ))
})

describe("the page this product grew from", () => {
  it.effect("B23 its examples, in this idiom, do what it says", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      // task = scheduler.add_task(cleanup, "interval", minutes=5, id="cleanup"); info = task.snapshot()
      const cleanup = yield* scheduler.add(Tick, { id: "cleanup", trigger: Trigger.every("5 minutes") })
      const info = yield* cleanup.snapshot
      assert.deepInclude(info, { callable: "Tick", when: "every 5 minutes", state: "scheduled" })
      // Task(id="my-task", name="my-func", trigger=Cron(…), max_instances=3, coalesce=True)
      const task = yield* scheduler.add(Tick, {
        id: "my-task",
        name: "my-func",
        trigger: Trigger.cron("1 8 * * MON-SUN"),
        maxInstances: 3,
        coalesce: "latest"
      })
      assert.strictEqual(nextTime(yield* task.snapshot), "08:01")
      // task.update(name="my-new-task-id", max_instances=5, coalesce=False)
      const updated = yield* task.update({ name: "my-new-task-id", maxInstances: 5, coalesce: "none" })
      assert.strictEqual(updated.name, "my-new-task-id")
      assert.deepInclude(Option.getOrThrow(updated.policy), { maxInstances: 5, coalesce: "none" })
      // task ids are immutable
      assert.match((yield* Effect.flip(task.update({ id: "other" } as never))).message, /never changes/)
      // task.reschedule("my-task", trigger="cron", hour=10, minute=5)
      assert.strictEqual(nextTime(yield* task.reschedule(Trigger.cron("5 10 * * *"))), "10:05")
      // scheduler.stop() runs the shutdown task
      yield* scheduler.add(Tick, { id: "at-the-end", trigger: Trigger.shutdown })
      assert.deepStrictEqual((yield* TestScheduler.shutdown).map((run) => run.taskId), ["at-the-end"])
      assert.deepStrictEqual(counts(info.counters), {})
    })))
})
