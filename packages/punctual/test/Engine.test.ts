import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Activity from "../src/Activity.ts"
import { CurrentRun } from "../src/CurrentRun.ts"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import * as Task from "../src/Task.ts"
import * as TaskScheduler from "../src/TaskScheduler.ts"
import { TaskStore } from "../src/TaskStore.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import * as FaultyStore from "./support/FaultyStore.ts"

const now = "2026-01-01T00:00:00Z"
const iso = (at: DateTime.DateTime) => DateTime.formatIso(at).slice(0, 19)
const Scheduler = TaskScheduler.TaskScheduler

class Mail extends Context.Service<Mail, { readonly send: (to: string) => Effect.Effect<void> }>()("test/Mail") {}

describe("start and stop", () => {
  it.effect("starts when App is built, drains before its services close", () => {
    const log: Array<string> = []
    const Send = Task.make("Send")
    const Bye = Task.make("Bye")
    const MailLive = Layer.effect(Mail)(Effect.gen(function*() {
      let open = true
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          open = false
          log.push("mail closed")
        })
      )
      return {
        send: (to) => Effect.sync(() => void log.push(open ? `mail to ${to}` : `mail to ${to} over a closed pool`))
      }
    }))
    const SendLive = Send.toLayer(
      Effect.fn("Send")(function*() {
        log.push("begins")
        yield* Effect.sleep("10 seconds")
        yield* Mail.use((mail) => mail.send("ann"))
      })
    )
    const ByeLive = Bye.toLayer(() => Mail.use((mail) => mail.send("everybody")))
    const App = Layer.mergeAll(
      Task.layerScheduled(Send, { id: "send", trigger: Trigger.every("1 minute") }),
      Task.layerScheduled(Bye, { id: "bye", trigger: Trigger.shutdown }),
      SendLive,
      ByeLive,
      Layer.effectDiscard(Effect.acquireRelease(
        Effect.sync(() => log.push("app built")),
        () => Effect.sync(() => log.push("app closed"))
      ))
    )
    return Effect.gen(function*() {
      yield* TestScheduler.advance("61 seconds")
      assert.deepStrictEqual(log, ["app built", "begins"])
      const runs = yield* TestScheduler.shutdown
      assert.deepStrictEqual(runs.map((run) => [run.taskId, run.state]), [["send", "succeeded"], ["bye", "succeeded"]])
      assert.deepStrictEqual(log.slice(2, 4), ["mail to ann", "mail to everybody"])
      assert.deepStrictEqual(log.slice(4), ["app closed", "mail closed"])
    }).pipe(Effect.provide(TestScheduler.layerProgram(
      TaskScheduler.layer(App, { drainTimeout: "30 seconds" }).pipe(
        Layer.provide(MailLive),
        Layer.provide(MemoryTaskStore.layer)
      ),
      { now }
    )))
  })

  it.effect("a drain that is too short interrupts the rest, gives the attempt back and runs it again", () => {
    const log: Array<string> = []
    const Slow = Task.make("Slow")
    const SlowLive = Slow.toLayer(
      Effect.fn("Slow")(function*() {
        const run = yield* CurrentRun
        log.push(`attempt ${run.attempt}`)
        yield* Effect.addFinalizer(() => Effect.sync(() => void log.push("cleaned up")))
        yield* Effect.sleep("10 seconds")
        log.push("done")
      })
    )
    const App = Layer.mergeAll(
      SlowLive,
      Task.layerScheduled(Slow, { id: "slow", trigger: Trigger.every("1 hour"), onConflict: "update" })
    )
    return Effect.gen(function*() {
      const store = Context.get(yield* Layer.build(MemoryTaskStore.layer), TaskStore)
      const program = TestScheduler.layer(App, { drainTimeout: "3 seconds", store: Layer.succeed(TaskStore)(store) })
      yield* Effect.gen(function*() {
        yield* TestScheduler.advance("3605 seconds")
        const runs = yield* TestScheduler.shutdown
        assert.deepStrictEqual(runs, [])
        const events = yield* TestScheduler.events
        const stopped = events.find((event) => event._tag === "SchedulerStopped")
        assert.deepInclude(stopped, { drained: 0, interrupted: 1, detached: [] })
      }).pipe(Effect.provide(program, { local: true }))
      yield* Effect.gen(function*() {
        const runs = yield* TestScheduler.advance("10 seconds")
        assert.deepStrictEqual(runs.map((run) => [run.attempt, run.state]), [[1, "succeeded"]])
      }).pipe(Effect.provide(program, { local: true }))
      assert.deepStrictEqual(log, ["attempt 1", "cleaned up", "attempt 1", "done", "cleaned up"])
    })
  })

  it.effect("shutdown tasks run once, the last added first; one that fails or hangs does not stop the others", () => {
    const log: Array<string> = []
    const Close = Task.make("Close", { payload: { name: Schema.String }, error: Schema.String })
    const CloseLive = Close.toLayer(
      Effect.fn("Close")(function*({ name }) {
        log.push(name)
        if (name === "fails") return yield* Effect.fail("no")
        if (name === "hangs") return yield* Effect.never
      })
    )
    const App = Layer.mergeAll(
      CloseLive,
      Layer.effectDiscard(
        Scheduler.use((scheduler) =>
          Effect.forEach(["hangs", "b", "fails", "a"], (name) =>
            Effect.andThen(
              scheduler.add(Close, { id: name, payload: { name }, trigger: Trigger.shutdown }),
              Effect.sleep(0)
            ))
        )
      )
    )
    return Effect.gen(function*() {
      yield* TestScheduler.advance("1 hour")
      assert.deepStrictEqual(log, [])
      assert.strictEqual((yield* (yield* Scheduler).handle("a").snapshot).state, "onShutdown")
      yield* TestScheduler.shutdown
      assert.deepStrictEqual(log, ["a", "fails", "b", "hangs"])
    }).pipe(Effect.provide(TestScheduler.layer(App, { now, shutdownTimeout: "5 seconds", patience: 50 })))
  })

  it.effect("startup tasks run once for each scheduler", () => {
    const log: Array<string> = []
    const Hello = Task.make("Hello")
    const HelloLive = Hello.toLayer((_, run) => Effect.sync(() => void log.push(run.taskId)))
    const App = Layer.mergeAll(
      HelloLive,
      Task.layerScheduled(Hello, {
        id: "hello",
        onConflict: "keep",
        trigger: Trigger.union(Trigger.startup, Trigger.every("1 hour"))
      })
    )
    const program = Layer.mergeAll(
      TaskScheduler.layer(App, { name: "one" }),
      TaskScheduler.layer(App, { name: "two" })
    ).pipe(Layer.provide(MemoryTaskStore.layer))
    return Effect.gen(function*() {
      yield* TestScheduler.settle
      assert.deepStrictEqual(log, ["hello", "hello"])
      yield* TestScheduler.advance("1 hour")
      assert.strictEqual(log.length, 3)
    }).pipe(Effect.provide(TestScheduler.layerProgram(program, { now })))
  })

  it.effect("several schedulers from one App value each handle every tag, and share what it requires", () => {
    const log: Array<string> = []
    let built = 0
    const Ping = Task.make("Ping", { maxInstances: 100, whenBusy: "allow" })
    const Shared = Layer.effect(Mail)(Effect.sync(() => {
      built++
      return { send: (to) => Effect.sync(() => void log.push(to)) }
    }))
    const App = Ping.toLayer((_, run) =>
      Effect.andThen(Mail.use((mail) => mail.send(run.taskId)), Effect.sleep("1 minute"))
    )
    const program = Layer.mergeAll(
      TaskScheduler.layer(App, { name: "one", executors: undefined }),
      TaskScheduler.layer(App, { name: "two" })
    ).pipe(Layer.provide(Shared), Layer.provideMerge(MemoryTaskStore.layer))
    return Effect.gen(function*() {
      const scheduler = yield* Scheduler
      yield* Effect.forEach(["a", "b"], (id) => scheduler.add(Ping, { id, trigger: Trigger.every("2 minutes") }))
      const runs = yield* TestScheduler.advance("10 minutes")
      assert.strictEqual(runs.length, 8)
      assert.strictEqual(log.length, 10)
      assert.strictEqual(built, 1)
    }).pipe(Effect.provide(TestScheduler.layerProgram(program, { now })))
  })

  it.effect("a tag handled twice is refused", () => {
    const Ping = Task.make("Ping")
    const App = Layer.mergeAll(Ping.toLayer(() => Effect.void), Ping.toLayer(() => Effect.void))
    return Effect.gen(function*() {
      const exit = yield* Effect.exit(Layer.build(TestScheduler.layer(App, { now })))
      assert.isTrue(Exit.isFailure(exit))
      const error = Exit.isFailure(exit) ? Cause.findErrorOption(exit.cause) : Option.none()
      assert.strictEqual(Option.getOrThrow(error)._tag, "TaskAlreadyHandled")
    }).pipe(Effect.scoped)
  })

  it.effect("start: \"manual\" waits for start; \"paused\" for resume; nothing that came due is lost", () => {
    const Ping = Task.make("Ping")
    const App = Layer.mergeAll(
      Ping.toLayer(() => Effect.void),
      Task.layerScheduled(Ping, {
        id: "ping",
        trigger: Trigger.every("1 minute"),
        coalesce: "none"
      })
    )
    return Effect.gen(function*() {
      for (const start of ["manual", "paused"] as const) {
        yield* Effect.gen(function*() {
          const scheduler = yield* Scheduler
          assert.deepStrictEqual(yield* TestScheduler.advance("3 minutes"), [])
          assert.strictEqual((yield* scheduler.status).state, start === "manual" ? "idle" : "paused")
          assert.strictEqual(
            (yield* scheduler.handle("ping").snapshot).state,
            start === "manual" ? "pending" : "scheduled"
          )
          yield* start === "manual" ? scheduler.start : scheduler.resume
          assert.strictEqual((yield* TestScheduler.settle).length, 3)
          yield* scheduler.pause
          assert.deepStrictEqual(yield* TestScheduler.advance("2 minutes"), [])
          yield* scheduler.resume
          assert.strictEqual((yield* TestScheduler.settle).length, 2)
          assert.strictEqual((yield* scheduler.handle("ping").snapshot).counters.ran, 5)
        }).pipe(Effect.provide(TestScheduler.layer(App, { now, start }), { local: true }))
      }
    })
  })
})

describe("attempts", () => {
  class Refused extends Schema.TaggedError<Refused>()("Refused", { again: Schema.Boolean }) {}

  it.effect("retries follow the schedule, and continue it after a restart", () => {
    const log: Array<string> = []
    const Flaky = Task.make("Flaky", {
      error: Refused,
      retry: { times: 3, schedule: Schedule.exponential("1 minute"), while: (error) => error.again }
    })
    const FlakyLive = Flaky.toLayer(
      Effect.fn("Flaky")(function*() {
        const run = yield* CurrentRun
        log.push(`${run.attempt} at ${iso(yield* DateTime.now)}`)
        return yield* new Refused({ again: true })
      })
    )
    const App = Layer.mergeAll(
      FlakyLive,
      Task.layerScheduled(Flaky, { id: "flaky", trigger: Trigger.at("2026-01-01T01:00:00Z"), onConflict: "update" })
    )
    return Effect.gen(function*() {
      const store = Context.get(yield* Layer.build(MemoryTaskStore.layer), TaskStore)
      const program = TestScheduler.layer(App, { store: Layer.succeed(TaskStore)(store) })
      yield* TestScheduler.advanceTo("2026-01-01T01:01:30Z").pipe(
        Effect.provide(TestScheduler.layer(App, { now, store: Layer.succeed(TaskStore)(store) }), { local: true })
      )
      const runs = yield* TestScheduler.advance("1 hour").pipe(Effect.provide(program, { local: true }))
      assert.deepStrictEqual(log, [
        "1 at 2026-01-01T01:00:00",
        "2 at 2026-01-01T01:01:00",
        "3 at 2026-01-01T01:03:00",
        "4 at 2026-01-01T01:07:00"
      ])
      assert.deepStrictEqual(runs.map((run) => [run.attempt, run.state]), [[4, "failed"]])
    })
  })

  it.effect("a timeout interrupts, and is retried as `times` and `schedule` say", () => {
    const log: Array<string> = []
    const Hang = Task.make("Hang", {
      timeout: "10 seconds",
      retry: { times: 1, schedule: Schedule.spaced("1 minute") }
    })
    const App = Layer.mergeAll(
      Hang.toLayer(() =>
        Effect.onInterrupt(
          Effect.andThen(Effect.sync(() => log.push("begins")), Effect.sleep("1 hour")),
          () => Effect.sync(() => log.push("interrupted"))
        )
      ),
      Task.layerScheduled(Hang, { id: "hang", trigger: Trigger.now })
    )
    return Effect.gen(function*() {
      const runs = yield* TestScheduler.advance("5 minutes")
      assert.deepStrictEqual(runs.map((run) => [run.attempt, run.state]), [[2, "timedOut"]])
      assert.deepStrictEqual(log, ["begins", "interrupted", "begins", "interrupted"])
    }).pipe(Effect.provide(TestScheduler.layer(App, { now })))
  })

  it.effect("a handler that waits for something other than time holds it, and is named", () => {
    const Stuck = Task.make("Stuck")
    const App = Layer.mergeAll(
      Stuck.toLayer(() => Effect.never),
      Task.layerScheduled(Stuck, { id: "the-stuck-one", trigger: Trigger.every("1 minute") })
    )
    return Effect.gen(function*() {
      const error = yield* Effect.flip(TestScheduler.advance("5 minutes"))
      assert.strictEqual(error._tag, "NeverIdle")
      assert.include(error.message, "the-stuck-one")
    }).pipe(Effect.provide(TestScheduler.layer(App, { now, patience: 50 })))
  })

  it.effect("Activity.idle lets time pass while a handler waits for another", () => {
    const log: Array<string> = []
    const gate = Deferred.makeUnsafe<void>()
    const Wait = Task.make("Wait")
    const Open = Task.make("Open")
    const App = Layer.mergeAll(
      Wait.toLayer(() => Effect.andThen(Activity.idle(Deferred.await(gate)), Effect.sync(() => log.push("opened")))),
      Open.toLayer(() => Effect.asVoid(Deferred.succeed(gate, undefined))),
      Task.layerScheduled(Wait, { id: "wait", trigger: Trigger.now }),
      Task.layerScheduled(Open, { id: "open", trigger: Trigger.at("2026-01-01T01:00:00Z") })
    )
    return Effect.gen(function*() {
      const runs = yield* TestScheduler.advance("2 hours")
      assert.deepStrictEqual(runs.map((run) => run.taskId).sort(), ["open", "wait"])
      assert.deepStrictEqual(log, ["opened"])
    }).pipe(Effect.provide(TestScheduler.layer(App, { now })))
  })
})

describe("without a test runner", () => {
  it.live("a program under virtual time brings its own clock", () => {
    const Ping = Task.make("Ping")
    return Effect.gen(function*() {
      const handle = yield* (yield* Scheduler).add(Ping, { id: "ping", trigger: Trigger.every("1 day") })
      const runs = yield* TestScheduler.advance("3 days")
      assert.deepStrictEqual(runs.map((run) => iso(run.scheduledAt)), [
        "2026-01-02T00:00:00",
        "2026-01-03T00:00:00",
        "2026-01-04T00:00:00"
      ])
      assert.strictEqual(iso((yield* handle.snapshot).createdAt), "2026-01-01T00:00:00")
    }).pipe(Effect.provide(TestScheduler.layer(Ping.toLayer(() => Effect.void), { now })))
  })
})

describe("leases", () => {
  const Slow = Task.make("Slow", { maxInstances: 1 })
  const makeApp = (log: Array<string>, name: string, seconds: number) =>
    Slow.toLayer(
      Effect.fn("Slow")(function*() {
        const run = yield* CurrentRun
        log.push(`${name} begins attempt ${run.attempt}, token ${run.fencingToken}`)
        yield* Effect.onInterrupt(
          Effect.sleep(seconds * 1000),
          () => Effect.sync(() => log.push(`${name} interrupted`))
        )
        log.push(`${name} done`)
      })
    )

  it.effect("a process cut off from its store stops before its lease ends; another runs it again", () => {
    const log: Array<string> = []
    const faults = FaultyStore.makeFaults()
    return Effect.gen(function*() {
      const shared = Context.get(yield* Layer.build(MemoryTaskStore.layer), TaskStore)
      const program = Layer.mergeAll(
        TaskScheduler.layer(makeApp(log, "one", 300), { name: "one" }).pipe(
          Layer.provide(FaultyStore.layer(faults, shared))
        ),
        TaskScheduler.layer(makeApp(log, "two", 300), { name: "two", start: "manual" }).pipe(
          Layer.provide(FaultyStore.layer(FaultyStore.makeFaults(), shared))
        )
      )
      yield* Effect.gen(function*() {
        // The scheduler in the context is the last built: "two".
        const two = yield* Scheduler
        yield* two.add(Slow, { id: "slow", trigger: Trigger.now })
        yield* TestScheduler.advance("5 seconds")
        assert.deepStrictEqual(log, ["one begins attempt 1, token 1"])
        faults.down = true
        yield* two.start
        yield* TestScheduler.advance("22 seconds")
        assert.deepStrictEqual(log.slice(1), ["one interrupted"])
        yield* TestScheduler.advance("10 minutes")
        assert.deepStrictEqual(log.slice(2), ["two begins attempt 2, token 2", "two done"])
        const events = yield* TestScheduler.events
        assert.isTrue(events.some((event) => event._tag === "RunLost"))
        assert.isTrue(events.some((event) => event._tag === "StoreUnavailable"))
        const runs = yield* two.handle("slow").runs()
        assert.deepStrictEqual(runs.items.map((run) => [run.state, run.takeovers]), [["succeeded", 1]])
        faults.down = false
      }).pipe(Effect.provide(TestScheduler.layerProgram(program, { now })))
    })
  })

  it.effect("a run that outlives many leases is extended by heartbeats and not run twice", () => {
    const log: Array<string> = []
    return Effect.gen(function*() {
      const shared = Context.get(yield* Layer.build(MemoryTaskStore.layer), TaskStore)
      const node = (name: string) =>
        TaskScheduler.layer(makeApp(log, name, 600), { name }).pipe(
          Layer.provide(FaultyStore.layer(FaultyStore.makeFaults(), shared))
        )
      yield* Effect.gen(function*() {
        yield* (yield* Scheduler).add(Slow, { id: "slow", trigger: Trigger.now })
        const runs = yield* TestScheduler.advance("20 minutes")
        assert.deepStrictEqual(runs.map((run) => [run.state, run.attempt, run.takeovers]), [["succeeded", 1, 0]])
        assert.strictEqual(log.length, 2)
      }).pipe(Effect.provide(TestScheduler.layerProgram(Layer.mergeAll(node("one"), node("two")), { now })))
    })
  })

  it.effect("after maxTakeovers lost leases a run is abandoned", () => {
    const Kill = Task.make("Kill")
    return Effect.gen(function*() {
      const shared = Context.get(yield* Layer.build(MemoryTaskStore.layer), TaskStore)
      const log: Array<string> = []
      const program = TestScheduler.layer(
        Kill.toLayer(() => Effect.andThen(Effect.sync(() => log.push("begins")), Effect.sleep("1 hour"))),
        { now, store: FaultyStore.layer(FaultyStore.makeFaults(), shared), maxTakeovers: 2 }
      )
      yield* Effect.gen(function*() {
        const scheduler = yield* Scheduler
        yield* scheduler.add(Kill, { id: "kill", trigger: Trigger.at("2026-01-01T00:00:01Z") })
        // Processes that claim and are never heard of again.
        for (let i = 0; i < 2; i++) {
          const at = Date.parse(now) + 1_000 + i * 1_000
          if (i === 0) {
            const [task] = (yield* shared.due({ now: at, limit: 10, reader: "x", zoneRules: "9999z" })).tasks
            yield* shared.commit([{
              id: "kill",
              generation: task!.row.generation,
              revision: task!.row.revision,
              set: { cursor: at, due: null, nominal: null, state: "finished" },
              now: at,
              runs: [{
                _tag: "Create",
                run: {
                  key: "k",
                  due: at,
                  nominal: at,
                  state: "ready",
                  readyAt: at,
                  slots: 1,
                  queues: false,
                  atMostOnce: false
                }
              }]
            }])
          }
          const { runs } = yield* shared.claim({
            now: at,
            lease: { owner: `dead-${i}`, until: at + 10 },
            slots: [{ executor: "default", tag: "Kill", version: 1, limit: 1 }],
            limit: 1,
            reader: "x"
          })
          assert.strictEqual(runs.length, 1)
          yield* shared.takeover({ now: at + 20, limit: 10, maxTakeovers: 2, keep: 10 })
        }
        yield* TestScheduler.advance("1 minute")
        const runs = yield* scheduler.handle("kill").runs()
        assert.deepStrictEqual(runs.items.map((run) => [run.state, run.takeovers]), [["abandoned", 2]])
        assert.deepStrictEqual(log, [])
      }).pipe(Effect.provide(program))
    })
  })

  it.effect("a claim whose reply was lost lapses by itself and is run by its lease's end", () => {
    const log: Array<string> = []
    const faults = FaultyStore.makeFaults()
    return Effect.gen(function*() {
      const program = TestScheduler.layer(makeApp(log, "one", 1), { now, store: FaultyStore.layer(faults) })
      yield* Effect.gen(function*() {
        const scheduler = yield* Scheduler
        yield* scheduler.add(Slow, { id: "slow", trigger: Trigger.at("2026-01-01T00:01:00Z") })
        yield* TestScheduler.advance("59 seconds")
        faults.loseReplies = "commit"
        yield* TestScheduler.advance("1200 millis")
        faults.loseReplies = undefined
        const runs = yield* TestScheduler.advance("2 minutes")
        assert.deepStrictEqual(runs.map((run) => run.state), ["succeeded"])
        assert.deepStrictEqual(log, ["one begins attempt 2, token 2", "one done"])
      }).pipe(Effect.provide(program))
    })
  })
})

describe("a store that fails", () => {
  it.effect("a store that is down for a minute costs a minute, not the process", () => {
    const faults = FaultyStore.makeFaults()
    const Ping = Task.make("Ping", { coalesce: "none" })
    const App = Layer.mergeAll(
      Ping.toLayer(() => Effect.void),
      Task.layerScheduled(Ping, { id: "ping", trigger: Trigger.every("10 seconds") })
    )
    return Effect.gen(function*() {
      assert.strictEqual((yield* TestScheduler.advance("1 minute")).length, 6)
      faults.down = true
      assert.strictEqual((yield* TestScheduler.advance("1 minute")).length, 0)
      faults.down = false
      assert.strictEqual((yield* TestScheduler.advance("1 minute")).length, 12)
      const info = yield* (yield* Scheduler).handle("ping").snapshot
      assert.strictEqual(info.counters.ran, 18)
      const events = (yield* TestScheduler.events).map((event) => event._tag)
      assert.strictEqual(events.filter((tag) => tag === "StoreUnavailable").length, 1)
      assert.strictEqual(events.filter((tag) => tag === "StoreRecovered").length, 1)
    }).pipe(Effect.provide(TestScheduler.layer(App, { now, store: FaultyStore.layer(faults) })))
  })

  for (const [what, reason] of [["", "Unavailable"], [", also one that was full", "Full"]] as const) {
    it.effect(`an outcome is kept until the store takes it${what}`, () => {
      const faults = FaultyStore.makeFaults()
      const Work = Task.make("Work")
      const App = Layer.mergeAll(
        Work.toLayer(() => Effect.sleep("10 seconds")),
        Task.layerScheduled(Work, { id: "work", trigger: Trigger.now })
      )
      return Effect.gen(function*() {
        yield* TestScheduler.advance("5 seconds")
        faults.down = reason
        yield* TestScheduler.advance("15 seconds")
        faults.down = false
        const runs = yield* TestScheduler.advance("10 seconds")
        assert.deepStrictEqual(runs.map((run) => [run.state, run.attempt]), [["succeeded", 1]])
      }).pipe(Effect.provide(TestScheduler.layer(App, { now, store: FaultyStore.layer(faults) })))
    })
  }

  it.effect("one outcome the store refuses keeps no other from being stored", () => {
    const faults = FaultyStore.makeFaults()
    const Ping = Task.make("Ping")
    const App = Layer.mergeAll(
      Ping.toLayer(() => Effect.sleep("1 second")),
      Layer.effectDiscard(
        Scheduler.use((scheduler) =>
          scheduler.addAll(
            Array.from(
              { length: 9 },
              (_, i) => Task.scheduled(Ping, { id: `${i}`, trigger: Trigger.every("1 minute") })
            )
          )
        )
      )
    )
    return Effect.gen(function*() {
      yield* TestScheduler.advance("60 seconds")
      faults.refuse = "4"
      const runs = yield* TestScheduler.advance("1 second")
      assert.deepStrictEqual(runs.map((run) => run.taskId).sort(), ["0", "1", "2", "3", "5", "6", "7", "8"])
    }).pipe(Effect.provide(TestScheduler.layer(App, { now, store: FaultyStore.layer(faults) })))
  })

  it.effect("one change the store refuses is set aside; the other tasks of its batch go on", () => {
    const faults = FaultyStore.makeFaults()
    faults.refuse = "4"
    const Ping = Task.make("Ping")
    const App = Layer.mergeAll(
      Ping.toLayer(() => Effect.void),
      Layer.effectDiscard(
        Scheduler.use((scheduler) =>
          scheduler.addAll(
            Array.from(
              { length: 9 },
              (_, i) => Task.scheduled(Ping, { id: `${i}`, trigger: Trigger.every("1 minute") })
            )
          )
        )
      )
    )
    return Effect.gen(function*() {
      const runs = yield* TestScheduler.advance("2 minutes")
      assert.strictEqual(runs.length, 16)
      assert.isFalse(runs.some((run) => run.taskId === "4"))
      assert.deepStrictEqual((yield* (yield* Scheduler).quarantined()).map((verdict) => verdict.id), ["4"])
    }).pipe(Effect.provide(TestScheduler.layer(App, { now, store: FaultyStore.layer(faults) })))
  })

  it.effect("a row nobody can read is set aside; every other task goes on; repairing it brings it back", () => {
    const Ping = Task.make("Ping")
    const App = Layer.mergeAll(
      Ping.toLayer(() => Effect.void),
      Task.layerScheduled(Ping, { id: "good", trigger: Trigger.every("1 minute") }),
      Task.layerScheduled(Ping, { id: "bad", trigger: Trigger.every("1 minute") })
    )
    return Effect.gen(function*() {
      const scheduler = yield* Scheduler
      const store = yield* TaskStore
      const [task] = yield* store.get(["bad"])
      yield* store.commit([{
        id: "bad",
        generation: task!.row.generation,
        revision: task!.row.revision,
        set: { trigger: "{\"v\":99,\"_tag\":\"Tomorrow\"}" },
        runs: [],
        now: 0
      }])
      const runs = yield* TestScheduler.advance("3 minutes")
      assert.deepStrictEqual(runs.map((run) => run.taskId), ["good", "good", "good"])
      const quarantined = yield* scheduler.quarantined()
      assert.deepStrictEqual(quarantined.map((verdict) => verdict.id), ["bad"])
      const info = yield* scheduler.handle("bad").snapshot
      assert.isTrue(Option.isSome(info.unreadable))
      yield* scheduler.handle("bad").reschedule(Trigger.every("1 minute"))
      const repaired = yield* TestScheduler.advance("2 minutes")
      assert.deepStrictEqual(repaired.map((run) => run.taskId).sort(), ["bad", "bad", "good", "good"])
      assert.deepStrictEqual(yield* scheduler.quarantined(), [])
    }).pipe(Effect.provide(
      TestScheduler.layerProgram(TaskScheduler.layer(App).pipe(Layer.provideMerge(MemoryTaskStore.layer)), { now })
    ))
  })
})

describe("the same runs at the same times", () => {
  const Work = Task.make("Work", { payload: { seconds: Schema.Int }, maxInstances: 2, whenBusy: "queue" })
  const App = Layer.mergeAll(
    Work.toLayer(({ seconds }) => Effect.sleep(seconds * 1_000)),
    Layer.effectDiscard(Scheduler.use((scheduler) =>
      scheduler.addAll(
        Array.from({ length: 12 }, (_, i) =>
          Task.scheduled(Work, {
            id: `work-${i}`,
            payload: { seconds: i * 7 },
            trigger: i % 3 === 0
              ? Trigger.cron(`*/${i % 5 + 1} * * * *`)
              : Trigger.every({ seconds: 20 + i * 3 }).pipe(Trigger.jittered("10 seconds"))
          }))
      )
    ))
  )
  const ledger = Effect.gen(function*() {
    yield* TestScheduler.advance("10 minutes")
    const events = yield* TestScheduler.events
    return events.flatMap((event) =>
      event._tag === "RunStarted" || event._tag === "RunEnded"
        ? [`${iso(event.at)} ${event._tag} ${event.run.taskId} ${iso(event.run.dueAt)}`]
        : []
    ).sort()
  })

  it.effect("in memory as on a store whose every call takes 1 to 5 ms of real time", () => {
    const faults = FaultyStore.makeFaults()
    let n = 0
    faults.delay = () => 1 + (n = (n * 31 + 7) % 5)
    return Effect.gen(function*() {
      const memory = yield* ledger.pipe(Effect.provide(TestScheduler.layer(App, { now }), { local: true }))
      const slow = yield* ledger.pipe(
        Effect.provide(TestScheduler.layer(App, { now, store: FaultyStore.layer(faults) }), { local: true })
      )
      assert.isAbove(memory.length, 200)
      assert.deepStrictEqual(slow, memory)
    })
  }, 30_000)

  it.effect("thirty days of 200 tasks", () => {
    const Tick = Task.make("Tick")
    const Many = Layer.mergeAll(
      Tick.toLayer(() => Effect.void),
      Layer.effectDiscard(Scheduler.use((scheduler) =>
        scheduler.addAll(
          Array.from({ length: 200 }, (_, i) =>
            Task.scheduled(Tick, { id: `tick-${i}`, trigger: Trigger.cron(`${i % 60} */6 * * *`) }))
        )
      ))
    )
    return Effect.gen(function*() {
      const runs = yield* TestScheduler.advance("30 days")
      assert.strictEqual(runs.length, 200 * 4 * 30)
    }).pipe(Effect.provide(TestScheduler.layer(Many, { now: "2026-01-01T00:00:30Z" })))
  }, 30_000)
})
