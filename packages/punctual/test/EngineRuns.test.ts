import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import { CurrentRun } from "../src/CurrentRun.ts"
import * as Executor from "../src/Executor.ts"
import * as Executors from "../src/Executors.ts"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import * as Task from "../src/Task.ts"
import * as TaskScheduler from "../src/TaskScheduler.ts"
import { TaskStore } from "../src/TaskStore.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import * as FaultyStore from "./support/FaultyStore.ts"

const now = "2026-01-01T00:00:00Z"
const Scheduler = TaskScheduler.TaskScheduler
const time = (at: DateTime.DateTime) => DateTime.formatIso(at).slice(11, 19)

const isolated = <A, E, R, R2, E2>(effect: Effect.Effect<A, E, R>, layer: Layer.Layer<R2, E2>) =>
  Effect.provide(effect, layer, { local: true })

describe("overlap", () => {
  const run = (whenBusy: "skip" | "queue" | "queueAll" | "cancelPrevious" | "allow", seconds = 150) => {
    const log: Array<string> = []
    const Work = Task.make("Work", { whenBusy })
    const App = Layer.mergeAll(
      Work.toLayer(
        Effect.fn("Work")(function*() {
          const { scheduledAt } = yield* CurrentRun
          yield* Effect.onInterrupt(
            Effect.sleep(seconds * 1_000),
            () => Effect.sync(() => log.push(`${time(scheduledAt)} stopped`))
          )
          log.push(`${time(scheduledAt)} done at ${time(yield* DateTime.now)}`)
        })
      ),
      Task.layerScheduled(Work, { id: "work", trigger: Trigger.every("1 minute").pipe(Trigger.upTo(4)) })
    )
    return isolated(
      Effect.gen(function*() {
        yield* TestScheduler.advance("20 minutes")
        const info = yield* (yield* Scheduler).handle("work").snapshot
        assert.strictEqual(info.counters.ran + info.counters.skipped, 4)
        return { log, counters: info.counters }
      }),
      TestScheduler.layer(App, { now })
    )
  }

  it.effect("skip: what comes while it runs is skipped", () =>
    Effect.gen(function*() {
      const { counters, log } = yield* run("skip")
      assert.deepStrictEqual(log, ["00:01:00 done at 00:03:30", "00:04:00 done at 00:06:30"])
      assert.deepInclude(counters, { ran: 2, skipped: 2 })
    }))

  it.effect("queue: the latest waits in the place of the one that waits", () =>
    Effect.gen(function*() {
      const { counters, log } = yield* run("queue")
      assert.deepStrictEqual(log, [
        "00:01:00 done at 00:03:30",
        "00:03:00 done at 00:06:00",
        "00:04:00 done at 00:08:30"
      ])
      assert.deepInclude(counters, { ran: 3, skipped: 1 })
    }))

  it.effect("queueAll: each waits for those before it", () =>
    Effect.gen(function*() {
      const { counters, log } = yield* run("queueAll")
      assert.deepStrictEqual(log.map((line) => line.slice(-8)), ["00:03:30", "00:06:00", "00:08:30", "00:11:00"])
      assert.deepInclude(counters, { ran: 4, skipped: 0 })
    }))

  it.effect("cancelPrevious: the new one begins once the old one has stopped", () =>
    Effect.gen(function*() {
      const { log } = yield* run("cancelPrevious")
      assert.deepStrictEqual(log, [
        "00:01:00 stopped",
        "00:02:00 stopped",
        "00:03:00 stopped",
        "00:04:00 done at 00:06:30"
      ])
    }))

  it.effect("allow: all run at once", () =>
    Effect.gen(function*() {
      const { log } = yield* run("allow")
      assert.deepStrictEqual(log.map((line) => line.slice(-8)), ["00:03:30", "00:04:30", "00:05:30", "00:06:30"])
    }))

  it.effect("maxInstances holds over schedulers that share a store", () => {
    let running = 0
    let most = 0
    const Work = Task.make("Work", { maxInstances: 2, whenBusy: "queueAll" })
    const App = Work.toLayer(() =>
      Effect.acquireUseRelease(
        Effect.sync(() => {
          running++
          most = Math.max(most, running)
        }),
        () => Effect.sleep("45 seconds"),
        () => Effect.sync(() => void running--)
      )
    )
    return Effect.gen(function*() {
      const shared = Context.get(yield* Layer.build(MemoryTaskStore.layer), TaskStore)
      const node = (name: string) =>
        TaskScheduler.layer(App, { name }).pipe(Layer.provide(FaultyStore.layer(FaultyStore.makeFaults(), shared)))
      yield* isolated(
        Effect.gen(function*() {
          yield* (yield* Scheduler).add(Work, {
            id: "work",
            trigger: Trigger.every("10 seconds").pipe(Trigger.upTo(12))
          })
          const runs = yield* TestScheduler.advance("10 minutes")
          assert.strictEqual(runs.length, 12)
          assert.strictEqual(most, 2)
        }),
        TestScheduler.layerProgram(Layer.mergeAll(node("a"), node("b"), node("c")), { now })
      )
    })
  })
})

describe("delivery: \"atMostOnce\"", () => {
  const Once = Task.make("Once", { delivery: "atMostOnce" })

  it.effect("an attempt interrupted by a shutdown is abandoned, never begun again", () => {
    const log: Array<string> = []
    const App = Layer.mergeAll(
      Once.toLayer(() => Effect.andThen(Effect.sync(() => log.push("begins")), Effect.sleep("1 hour"))),
      Task.layerScheduled(Once, { id: "once", trigger: Trigger.now, onConflict: "keep" })
    )
    return Effect.gen(function*() {
      const store = Layer.succeed(TaskStore)(Context.get(yield* Layer.build(MemoryTaskStore.layer), TaskStore))
      yield* isolated(TestScheduler.advance("1 minute"), TestScheduler.layer(App, { now, store }))
      yield* isolated(
        Effect.gen(function*() {
          yield* TestScheduler.advance("1 hour")
          const runs = yield* (yield* Scheduler).handle("once").runs()
          assert.deepStrictEqual(runs.items.map((run) => run.state), ["abandoned"])
        }),
        TestScheduler.layer(App, { store })
      )
      assert.deepStrictEqual(log, ["begins"])
    })
  })

  it.effect("one that could not be marked is not begun, and begins after its lease", () => {
    const log: Array<string> = []
    const faults = FaultyStore.makeFaults()
    const App = Once.toLayer(
      Effect.fn("Once")(function*() {
        log.push(time(yield* DateTime.now))
      })
    )
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        yield* scheduler.add(Once, { id: "once", trigger: Trigger.at("2026-01-01T00:01:00Z") })
        // Only the mark fails: the claim is committed.
        faults.fail = "start"
        yield* TestScheduler.advance("61 seconds")
        faults.fail = undefined
        yield* TestScheduler.advance("2 minutes")
        assert.deepStrictEqual(log, ["00:01:30"])
      }),
      TestScheduler.layer(App, { now, store: FaultyStore.layer(faults) })
    )
  })
})

describe("cancelling", () => {
  it.effect("reaches a run that another scheduler executes", () => {
    const log: Array<string> = []
    const Work = Task.make("Work")
    const App = Work.toLayer(() =>
      Effect.onInterrupt(Effect.sleep("1 hour"), () => Effect.sync(() => log.push("stopped")))
    )
    return Effect.gen(function*() {
      const shared = Context.get(yield* Layer.build(MemoryTaskStore.layer), TaskStore)
      const store = FaultyStore.layer(FaultyStore.makeFaults(), shared)
      const program = Layer.mergeAll(
        TaskScheduler.layer(App, { name: "worker" }).pipe(Layer.provide(store)),
        TaskScheduler.layer(App, { name: "other", start: "manual" }).pipe(Layer.provide(store))
      )
      yield* isolated(
        Effect.gen(function*() {
          const other = yield* Scheduler
          const handle = yield* other.add(Work, { id: "work", trigger: Trigger.now })
          yield* TestScheduler.advance("1 minute")
          const [run] = (yield* handle.runs()).items
          assert.strictEqual(run!.state, "running")
          yield* handle.cancel(run!.id)
          const ended = yield* TestScheduler.settle
          assert.deepStrictEqual(ended.map((run) => run.state), ["cancelled"])
          assert.deepStrictEqual(log, ["stopped"])
        }),
        TestScheduler.layerProgram(program, { now })
      )
    })
  })

  it.effect("a run that does not stop when asked is left behind, recorded and named", () => {
    const Deaf = Task.make("Deaf")
    const App = Deaf.toLayer(() => Effect.uninterruptible(Effect.sleep("1 hour")))
    return isolated(
      Effect.gen(function*() {
        const handle = yield* (yield* Scheduler).add(Deaf, { id: "deaf", trigger: Trigger.now })
        yield* TestScheduler.advance("1 minute")
        yield* handle.cancel((yield* handle.runs()).items[0]!.id)
        const ended = yield* TestScheduler.advance("10 seconds")
        assert.deepStrictEqual(ended.map((run) => run.state), ["cancelled"])
        const events = yield* TestScheduler.events
        assert.isTrue(events.some((event) => event._tag === "RunDetached"))
      }),
      TestScheduler.layer(App, { now, patience: 50 })
    )
  })
})

describe("executors", () => {
  it.effect("capacity is respected; what finds no room runs as room comes free", () => {
    let running = 0
    let most = 0
    const Work = Task.make("Work")
    const App = Work.toLayer(() =>
      Effect.gen(function*() {
        most = Math.max(most, ++running)
        yield* Effect.sleep("10 seconds")
        running--
      })
    )
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        const slow = Array.from(
          { length: 9 },
          (_, i) => Task.scheduled(Work, { id: `${i}`, executor: "slow", trigger: Trigger.now })
        )
        yield* scheduler.addAll(slow)
        const runs = yield* TestScheduler.advance("31 seconds")
        assert.strictEqual(runs.length, 9)
        assert.strictEqual(most, 3)
        assert.deepStrictEqual((yield* scheduler.status).executors, [
          { alias: "default", capacity: 1_000, running: 0 },
          { alias: "slow", capacity: 3, running: 0 }
        ])
      }),
      TestScheduler.layer(App, {
        now,
        executors: Executors.layer({
          default: Executor.layerFibers(),
          slow: Executor.layerFibers({ name: "slow", concurrency: 3 })
        })
      })
    )
  })
})

describe("what happened", () => {
  it.effect("events tell a run's story in order; a listener sees what comes after it subscribed", () => {
    const Work = Task.make("Work")
    const App = Work.toLayer(() => Effect.sleep("1 second"))
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        const fiber = yield* Effect.forkChild(
          scheduler.events.pipe(Stream.map((event) => event._tag), Stream.take(6), Stream.runCollect),
          { startImmediately: true }
        )
        const handle = yield* scheduler.add(Work, { id: "work", trigger: Trigger.every("1 minute") })
        yield* TestScheduler.advance("61 seconds")
        yield* handle.pause("enough")
        yield* handle.resume
        yield* handle.remove()
        assert.deepStrictEqual([...(yield* Fiber.join(fiber))], [
          "TaskAdded",
          "RunStarted",
          "RunEnded",
          "TaskPaused",
          "TaskResumed",
          "TaskRemoved"
        ])
      }),
      TestScheduler.layer(App, { now })
    )
  })

  it.effect("the stream of events ends when the scheduler has closed", () => {
    const Work = Task.make("Work")
    return isolated(
      Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(
          (yield* Scheduler).events.pipe(Stream.map((event) => event._tag), Stream.runCollect),
          { startImmediately: true }
        )
        yield* TestScheduler.shutdown
        assert.deepStrictEqual([...(yield* Fiber.join(fiber))], ["SchedulerStopping", "SchedulerStopped"])
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), { now })
    )
  })

  it.effect("a task that its failures paused says so", () => {
    const Broken = Task.make("Broken", { error: Schema.String, pauseOnFailure: 2 })
    return isolated(
      Effect.gen(function*() {
        const handle = yield* (yield* Scheduler).add(Broken, { id: "broken", trigger: Trigger.every("1 minute") })
        yield* TestScheduler.advance("10 minutes")
        const events = yield* TestScheduler.events
        assert.deepStrictEqual(
          events.flatMap((event) => event._tag === "TaskPaused" ? [[time(event.at), event.note]] : []),
          [["00:02:00", "paused by 2 failed runs in a row"]]
        )
        const [run] = (yield* handle.runs()).items
        const exit = Option.getOrThrow(yield* Task.decodeExit(Broken, run!))
        assert.deepStrictEqual(exit, Exit.fail("no"))
      }),
      TestScheduler.layer(Broken.toLayer(() => Effect.fail("no")), { now })
    )
  })

  it.effect("metrics count runs, outcomes and lag", () => {
    const Work = Task.make("Work")
    const App = Layer.mergeAll(
      Work.toLayer(() => Effect.sleep("90 seconds")),
      Task.layerScheduled(Work, { id: "work", trigger: Trigger.every("1 minute") })
    )
    return isolated(
      Effect.gen(function*() {
        yield* TestScheduler.advance("10 minutes")
        const snapshot = yield* Metric.snapshot
        const count = (id: string, attributes: Record<string, string>) =>
          snapshot.filter((metric) =>
            metric.id === id && Object.entries(attributes).every(([key, value]) => metric.attributes?.[key] === value)
          ).map((metric) => (metric.state as { count: number }).count)
        assert.deepStrictEqual(count("punctual_runs_total", { state: "succeeded" }), [4])
        assert.deepStrictEqual(count("punctual_occurrences_total", { outcome: "skipped" }), [5])
        assert.deepStrictEqual(count("punctual_run_lag_milliseconds", {}), [5])
      }),
      TestScheduler.layer(App, { now })
    ).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  })

  it.effect("a span for each run when a tracer is installed: child of a one-off's adder, link of a recurring task's", () => {
    const spans: Array<Tracer.Span> = []
    const tracer = Tracer.make({
      span: (options) => {
        const span = new Tracer.NativeSpan(options)
        spans.push(span)
        return span
      }
    })
    const Work = Task.make("Work")
    const App = Work.toLayer(() => Effect.void)
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        yield* Effect.withSpan(
          Effect.andThen(
            scheduler.add(Work, { id: "once", trigger: Trigger.now }),
            scheduler.add(Work, { id: "often", trigger: Trigger.every("1 minute") })
          ),
          "adder"
        )
        yield* TestScheduler.advance("61 seconds")
        const adder = spans.find((span) => span.name === "adder")!
        const runs = spans.filter((span) => span.name === "punctual.run Work")
        assert.deepStrictEqual(runs.map((span) => span.attributes.get("punctual.task.id")), ["once", "often"])
        assert.strictEqual(Option.getOrUndefined(runs[0]!.parent)?.spanId, adder.spanId)
        assert.isTrue(Option.isNone(runs[1]!.parent))
        assert.deepStrictEqual(runs[1]!.links.map((link) => link.span.spanId), [adder.spanId])
        // The engine's own store calls are not traced.
        assert.strictEqual(spans.length, 3)
      }),
      TestScheduler.layer(App, { now })
    ).pipe(Effect.provideService(Tracer.Tracer, tracer))
  })
})

describe("clocks", () => {
  const Tick = Task.make("Tick", { coalesce: "none" })
  const App = Layer.mergeAll(
    Tick.toLayer(() => Effect.void),
    Task.layerScheduled(Tick, { id: "tick", trigger: Trigger.every("1 hour") })
  )

  it.effect("a suspended machine evaluates what passed meanwhile when it wakes", () =>
    isolated(
      Effect.gen(function*() {
        yield* TestScheduler.advance("30 minutes")
        yield* TestScheduler.jump("5 hours")
        const runs = yield* TestScheduler.advance("31 minutes")
        assert.deepStrictEqual(runs.map((run) => time(run.scheduledAt)), [
          "01:00:00",
          "02:00:00",
          "03:00:00",
          "04:00:00",
          "05:00:00",
          "06:00:00"
        ])
      }),
      TestScheduler.layer(App, { now })
    ))

  it.effect("a machine that was suspended in the middle of a run keeps it, when nobody took it", () => {
    let begun = 0
    const Long = Task.make("Long")
    const LongApp = Layer.mergeAll(
      Long.toLayer(() => Effect.andThen(Effect.sync(() => begun++), Effect.sleep("20 minutes"))),
      Task.layerScheduled(Long, { id: "long", trigger: Trigger.now })
    )
    return isolated(
      Effect.gen(function*() {
        yield* TestScheduler.advance("5 minutes")
        yield* TestScheduler.jump("1 hour")
        const runs = yield* TestScheduler.advance("20 minutes")
        assert.deepStrictEqual(runs.map((run) => [run.state, run.attempt, run.takeovers]), [["succeeded", 1, 0]])
        assert.strictEqual(begun, 1)
      }),
      TestScheduler.layer(LongApp, { now, store: FaultyStore.layer(FaultyStore.makeFaults()) })
    )
  })

  it.effect("a clock set back by minutes repeats nothing", () =>
    isolated(
      Effect.gen(function*() {
        yield* TestScheduler.advance("61 minutes")
        yield* TestScheduler.jump("-5 minutes")
        const runs = yield* TestScheduler.advance("2 hours")
        assert.deepStrictEqual(runs.map((run) => time(run.scheduledAt)), ["02:00:00"])
      }),
      TestScheduler.layer(App, { now })
    ))

  it.effect("one evaluation under a clock at 2099 does not silence a task for ever", () =>
    isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        yield* scheduler.handle("tick").update({ coalesce: "latest" })
        yield* TestScheduler.jump("26000 days")
        yield* TestScheduler.advance("2 hours")
        yield* TestScheduler.jump("-26000 days")
        yield* TestScheduler.advance("1 day")
        const events = yield* TestScheduler.events
        assert.isTrue(events.some((event) => event._tag === "ClockMovedBack" && event.id === "tick"))
        const before = (yield* TestScheduler.runs).length
        yield* TestScheduler.advance("1 day")
        assert.strictEqual((yield* TestScheduler.runs).length - before, 24)
      }),
      TestScheduler.layer(App, { now })
    ))
})
