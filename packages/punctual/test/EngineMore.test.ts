/**
 * What the engine does when things go wrong, or come at the wrong moment.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import type * as TestClock from "effect/testing/TestClock"
import * as Tracer from "effect/Tracer"
import * as Activity from "../src/Activity.ts"
import { CurrentRun } from "../src/CurrentRun.ts"
import * as Executor from "../src/Executor.ts"
import * as Executors from "../src/Executors.ts"
import { rangeEvent } from "../src/internal/engine/telling.ts"
import { encodeParent } from "../src/internal/engine/trace.ts"
import { makeVirtualTime, type VirtualTime } from "../src/internal/virtualTime.ts"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import type { SchedulerEvent } from "../src/SchedulerEvent.ts"
import * as Task from "../src/Task.ts"
import * as TaskRegistry from "../src/TaskRegistry.ts"
import * as TaskScheduler from "../src/TaskScheduler.ts"
import * as TaskSchedulerClient from "../src/TaskSchedulerClient.ts"
import { type Capabilities, TaskStore, TaskStoreError, type Wake } from "../src/TaskStore.ts"
import * as TaskStores from "../src/TaskStores.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import * as FaultyStore from "./support/FaultyStore.ts"
import { at, clock, start, times } from "./utils.ts"

const now = start
const Scheduler = TaskScheduler.TaskScheduler
type Store = TaskStore["Service"]

const isolated = <A, E, R, R2, E2>(effect: Effect.Effect<A, E, R>, layer: Layer.Layer<R2, E2>) =>
  Effect.provide(effect, layer, { local: true })

const unavailable = (operation: string) =>
  new TaskStoreError({ store: "test", operation, reason: "Unavailable", message: "it is down" })

interface Time {
  readonly clock: Clock.Clock
  readonly activity: Activity.Activity
}

/** A memory store of which some operations are others; it survives and is shared, unless told otherwise. */
const patched = (
  patch: (store: Store, time: Time) => Partial<Store>,
  capabilities: Partial<Capabilities> = {},
  memory: Effect.Effect<Store> = MemoryTaskStore.make
): Layer.Layer<TaskStore> =>
  Layer.effect(TaskStore)(Effect.gen(function*() {
    const store = yield* memory
    const time = { clock: yield* Clock.Clock, activity: yield* Activity.Activity }
    return {
      ...store,
      capabilities: { ...store.capabilities, durable: true, shared: true, ...capabilities },
      ...patch(store, time)
    }
  }))

/** Takes so long on the virtual clock; the label is that under which the engine asks. */
const slowly = <A, E>(effect: Effect.Effect<A, E>, time: Time, label: string, millis: number): Effect.Effect<A, E> =>
  Effect.flatMap(
    Effect.exit(effect),
    (exit) => Effect.andThen(Activity.asleep(time.clock.sleep(Duration.millis(millis)), time.activity, label), exit)
  )

const told = (tag: SchedulerEvent["_tag"]) =>
  Effect.map(TestScheduler.events, (events) => events.filter((event) => event._tag === tag))

const count = (tag: SchedulerEvent["_tag"]) => Effect.map(told(tag), (events) => events.length)

const runsOf = (id: string) =>
  Effect.flatMap(Scheduler, (scheduler) => Effect.map(scheduler.handle(id).runs(), ({ items }) => items))

/** An executor of our own: what it answers is what the engine must deal with. */
const executing = (run: Executor.Executor["Service"]["run"], capacity = 10) =>
  Executors.layer({
    default: Layer.effect(Executor.Executor)(
      Effect.map(TaskRegistry.TaskRegistry, (registry) => ({
        name: "own",
        tags: Effect.succeed(registry.tags),
        capacity,
        run
      }))
    )
  })

const forked = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.tap(Effect.forkChild(effect, { startImmediately: true }), () => Effect.yieldNow)

/** Where virtual time is once everything had many chances to go on. */
const standsAt = Effect.gen(function*() {
  const test = yield* TestScheduler.TestScheduler
  for (let i = 0; i < 5_000; i++) yield* Effect.yieldNow
  return clock(yield* test.now)
})

/** Writes down when it begins and how it ends. */
const logged = (log: Array<string>, work: Effect.Effect<void>, name = "") =>
  Effect.gen(function*() {
    const line = (what: string) => Effect.map(DateTime.now, (at) => void log.push(`${name}${what} ${clock(at)}`))
    yield* line("begins")
    yield* Effect.onInterrupt(work, () => line("interrupted"))
    yield* line("done")
  })

const Work = Task.make("Work")

describe("leases", () => {
  it.effect("a handler that does not stop when its lease is lost is left behind and named", () => {
    const faults = FaultyStore.makeFaults()
    return isolated(
      Effect.gen(function*() {
        yield* (yield* Scheduler).add(Work, { id: "deaf", trigger: Trigger.now })
        yield* TestScheduler.advance("1 second")
        faults.down = true
        yield* TestScheduler.advance("28 seconds")
        assert.strictEqual(yield* count("RunDetached"), 0)
        yield* TestScheduler.advance("2 seconds")
        assert.strictEqual(yield* count("RunDetached"), 1)
        assert.strictEqual(yield* count("RunLost"), 1)
        assert.deepStrictEqual((yield* (yield* Scheduler).status).running, [])
        faults.down = false
        yield* TestScheduler.advance("20 minutes")
        assert.strictEqual(yield* count("RunEnded"), 1)
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.uninterruptible(Effect.sleep("5 minutes"))), {
        now,
        store: FaultyStore.layer(faults)
      })
    )
  })

  it.effect("a drain does not wait for a handler that was left behind", () => {
    const faults = FaultyStore.makeFaults()
    return isolated(
      Effect.gen(function*() {
        const test = yield* TestScheduler.TestScheduler
        yield* (yield* Scheduler).add(Work, { id: "deaf", trigger: Trigger.now })
        faults.fail = "heartbeat"
        yield* TestScheduler.advance("20 seconds")
        yield* test.shutdown
        const [stopping] = yield* told("SchedulerStopping")
        const [stopped] = yield* told("SchedulerStopped")
        // Lost after 25 s, left behind after 30 s, long before the drain ends.
        assert.strictEqual(stopped!.at.epochMilliseconds - stopping!.at.epochMilliseconds, 10_000)
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.uninterruptible(Effect.sleep("1 minute"))), {
        now,
        patience: 20,
        drainTimeout: "10 minutes",
        store: FaultyStore.layer(faults)
      })
    )
  })

  it.effect("a run that was lost is not extended again, so that its successor need not wait", () => {
    const faults = FaultyStore.makeFaults()
    const log: Array<string> = []
    return Effect.gen(function*() {
      const shared = yield* MemoryTaskStore.make
      const node = (name: string, view: FaultyStore.Faults, start: "auto" | "manual") =>
        TaskScheduler.layer(
          Work.toLayer(() => logged(log, Effect.uninterruptible(Effect.sleep("2 minutes")), `${name} `)),
          { name, start }
        ).pipe(Layer.provide(FaultyStore.layer(view, shared)))
      yield* isolated(
        Effect.gen(function*() {
          const two = yield* Scheduler
          yield* two.add(Work, { id: "work", trigger: Trigger.now })
          yield* TestScheduler.advance("5 seconds")
          faults.down = true
          yield* two.start
          yield* TestScheduler.advance("21 seconds")
          faults.down = false
          yield* TestScheduler.advance("10 seconds")
          assert.deepStrictEqual(log, ["one begins 00:00", "two begins 00:00:30"])
        }),
        TestScheduler.layerProgram(
          Layer.mergeAll(node("one", faults, "auto"), node("two", FaultyStore.makeFaults(), "manual")),
          { now, patience: 20 }
        )
      )
    })
  })

  it.effect("what another took is interrupted at the next heartbeat, its result is lost and told so once", () => {
    const log: Array<string> = []
    return Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      yield* isolated(
        Effect.gen(function*() {
          yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.now })
          yield* TestScheduler.advance("1 second")
          yield* (yield* Scheduler).pause
          yield* memory.takeover({ now: at("01:00"), limit: 10, maxTakeovers: 9, keep: 9 })
          const stolen = yield* memory.claim({
            now: at("00:00:01"),
            lease: { owner: "thief", until: at("02:00") },
            slots: [{ executor: "default", tag: "Work", version: 1, limit: 1 }],
            limit: 1,
            reader: "thief"
          })
          assert.strictEqual(stolen.runs.length, 1)
          yield* TestScheduler.advance("9 seconds")
          assert.deepStrictEqual(log, ["begins 00:00", "interrupted 00:00:10"])
          assert.strictEqual(yield* count("RunLost"), 1)
          assert.strictEqual(yield* count("RunEnded"), 0)
        }),
        TestScheduler.layer(Work.toLayer(() => logged(log, Effect.sleep("1 minute"))), {
          now,
          store: Layer.succeed(TaskStore)(memory)
        })
      )
    })
  })

  it.effect("a result that comes after another took the run is refused, and is no end", () => {
    const faults = FaultyStore.makeFaults()
    return Effect.gen(function*() {
      const shared = yield* MemoryTaskStore.make
      const node = (name: string, view: FaultyStore.Faults, start: "auto" | "manual") =>
        TaskScheduler.layer(Work.toLayer(() => Effect.sleep("10 seconds")), { name, start }).pipe(
          Layer.provide(FaultyStore.layer(view, shared))
        )
      yield* isolated(
        Effect.gen(function*() {
          const two = yield* Scheduler
          yield* two.add(Work, { id: "work", trigger: Trigger.now })
          yield* TestScheduler.advance("5 seconds")
          faults.down = true
          yield* two.start
          yield* TestScheduler.advance("2 minutes")
          assert.strictEqual(yield* count("RunEnded"), 1)
          faults.down = false
          yield* TestScheduler.advance("1 minute")
          assert.strictEqual(yield* count("RunEnded"), 1)
          assert.strictEqual(yield* count("RunLost"), 1)
          const snapshot = yield* Metric.snapshot
          const lost = snapshot.filter((metric) => metric.id === "punctual_leases_lost_total")
          assert.deepStrictEqual(lost.map((metric) => (metric.state as { count: number }).count), [1])
        }),
        TestScheduler.layerProgram(
          Layer.mergeAll(node("one", faults, "auto"), node("two", FaultyStore.makeFaults(), "manual")),
          { now }
        )
      )
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  })

  for (const operation of ["commit", "claim"] as const) {
    it.effect(`a lease counts from before the question, however long the answer to ${operation} takes`, () => {
      const log: Array<string> = []
      let cutOff = false
      const store = patched((store, time) => ({
        commit: (changes) =>
          operation === "commit"
            ? slowly(store.commit(changes), time, "engine", 8_000)
            : store.commit(changes.map((change) => ({
              ...change,
              runs: change.runs.map((run) => run._tag === "Create" ? { ...run, claim: undefined } : run)
            }))),
        claim: (options) =>
          operation === "claim" ? slowly(store.claim(options), time, "engine", 8_000) : store.claim(options),
        heartbeat: (options) => cutOff ? Effect.fail(unavailable("heartbeat")) : store.heartbeat(options)
      }))
      return isolated(
        Effect.gen(function*() {
          yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.at("2026-01-01T00:01:00Z") })
          cutOff = true
          yield* TestScheduler.advance("90 seconds")
          assert.deepStrictEqual(log.slice(0, 2), ["begins 00:01:08", "interrupted 00:01:25"])
        }),
        TestScheduler.layer(Work.toLayer(() => logged(log, Effect.sleep("10 minutes"))), { now, store })
      )
    })
  }

  it.effect("a handler stops at the very instant, not at the next heartbeat after it", () => {
    const log: Array<string> = []
    const faults = FaultyStore.makeFaults()
    faults.fail = "heartbeat"
    return isolated(
      Effect.gen(function*() {
        yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.now })
        yield* TestScheduler.advance("29 seconds")
        assert.deepStrictEqual(log, ["begins 00:00", "interrupted 00:00:25.600"])
      }),
      TestScheduler.layer(Work.toLayer(() => logged(log, Effect.sleep("10 minutes"))), {
        now,
        interruptGrace: "4400 millis",
        store: FaultyStore.layer(faults)
      })
    )
  })

  it.effect("a longer lease counts from before the heartbeat, however long its answer takes", () => {
    const log: Array<string> = []
    let beats = 0
    const store = patched((store, time) => ({
      heartbeat: (options) =>
        ++beats === 1
          ? slowly(store.heartbeat(options), time, "heartbeat", 9_000)
          : Effect.fail(unavailable("heartbeat"))
    }))
    return isolated(
      Effect.gen(function*() {
        yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.now })
        yield* TestScheduler.advance("1 minute")
        assert.deepStrictEqual(log.slice(0, 2), ["begins 00:00", "interrupted 00:00:35"])
      }),
      TestScheduler.layer(Work.toLayer(() => logged(log, Effect.sleep("10 minutes"))), { now, store })
    )
  })

  it.effect("a run whose claim was answered too late is given back, not begun to be stopped at once", () => {
    const log: Array<string> = []
    let slow = true
    const store = patched((store, time) => ({
      commit: (changes) => slow ? slowly(store.commit(changes), time, "engine", 26_000) : store.commit(changes)
    }))
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        yield* scheduler.add(Work, { id: "work", trigger: Trigger.at("2026-01-01T00:01:00Z") })
        yield* TestScheduler.advance("70 seconds")
        slow = false
        yield* TestScheduler.advance("1 minute")
        assert.deepStrictEqual(log, ["begins 00:01:26", "done 00:01:27"])
        assert.deepStrictEqual([yield* count("RunStarted"), yield* count("RunReleased")], [1, 1])
        assert.deepStrictEqual((yield* runsOf("work")).map((run) => [run.state, run.attempt]), [["succeeded", 1]])
        assert.deepStrictEqual((yield* scheduler.status).executors.map(({ running }) => running), [0])
      }),
      TestScheduler.layer(Work.toLayer(() => logged(log, Effect.sleep("1 second"))), { now, store })
    )
  })

  it.effect("a run whose claim was answered at the last moment is extended", () => {
    const log: Array<string> = []
    let slow = true
    const store = patched((store, time) => ({
      commit: (changes) => slow ? slowly(store.commit(changes), time, "engine", 24_500) : store.commit(changes)
    }))
    return isolated(
      Effect.gen(function*() {
        yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.at("2026-01-01T00:01:00Z") })
        yield* TestScheduler.advance("70 seconds")
        slow = false
        yield* TestScheduler.advance("1 minute")
        assert.deepStrictEqual(log, ["begins 00:01:24.500", "done 00:01:44.500"])
      }),
      TestScheduler.layer(Work.toLayer(() => logged(log, Effect.sleep("20 seconds"))), { now, store })
    )
  })

  it.effect("after a heartbeat without an answer the next comes soon", () => {
    const faults = FaultyStore.makeFaults()
    return isolated(
      Effect.gen(function*() {
        yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.now })
        yield* TestScheduler.advance("15 seconds")
        faults.fail = "heartbeat"
        // The second heartbeat fails, at 20 s; the lease of the first ends at 40 s, its run stops at 35 s.
        yield* TestScheduler.advance("17 seconds")
        faults.fail = undefined
        const runs = yield* TestScheduler.advance("1 minute")
        assert.deepStrictEqual(runs.map((run) => [run.state, run.attempt]), [["succeeded", 1]])
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.sleep("50 seconds")), {
        now,
        // So that no heartbeat falls between 32 s, when the store is back, and the stop.
        store: FaultyStore.layer(faults)
      })
    )
  })

  it.effect("a claim whose reply was lost is found again in a store of one process, too", () => {
    let lose = false
    const store = patched((store) => ({
      commit: (changes) =>
        lose ? Effect.andThen(store.commit(changes), Effect.fail(unavailable("commit"))) : store.commit(changes)
    }), { shared: false })
    return isolated(
      Effect.gen(function*() {
        yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.at("2026-01-01T00:01:00Z") })
        yield* TestScheduler.advance("59 seconds")
        lose = true
        yield* TestScheduler.advance("1 second")
        lose = false
        yield* TestScheduler.advance("1 minute")
        assert.deepStrictEqual((yield* runsOf("work")).map((run) => [run.state, run.takeovers]), [["succeeded", 1]])
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), { now, store })
    )
  })

  it.effect("what runs is extended three times in a lease", () => {
    const faults = FaultyStore.makeFaults()
    return isolated(
      Effect.gen(function*() {
        yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.now })
        yield* TestScheduler.advance("24 seconds")
        assert.strictEqual(faults.calls.get("heartbeat"), 2)
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.sleep("1 minute")), { now, store: FaultyStore.layer(faults) })
    )
  })

  it.effect("runs that lost their leases are told of: given back, or abandoned to whoever waits", () =>
    Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      yield* isolated(
        Effect.gen(function*() {
          const scheduler = yield* Scheduler
          const handle = yield* scheduler.add(Work, { id: "work", trigger: Trigger.never, onConflict: "keep" }).pipe(
            Effect.orElseSucceed(() => scheduler.handle("work"))
          )
          // Nothing here claims it: a process that is gone did.
          const run = yield* handle.runNow()
          const waiting = yield* Effect.forkChild(Effect.flip(run.await), { startImmediately: true })
          for (const owner of ["first", "second"]) {
            const claimed = yield* memory.claim({
              now: at("00:00"),
              lease: { owner, until: at("00:00") },
              slots: [{ executor: "default", tag: "Work", version: 1, limit: 1 }],
              limit: 1,
              reader: owner
            })
            assert.strictEqual(claimed.runs.length, 1)
            if (owner === "first") yield* memory.takeover({ now: at("00:00:01"), limit: 1, maxTakeovers: 3, keep: 9 })
          }
          yield* scheduler.start
          // At once, not when whoever waits looks by itself.
          yield* TestScheduler.settle
          assert.deepInclude(yield* Fiber.join(waiting), { _tag: "RunNotCompleted" })
          assert.deepStrictEqual((yield* told("RunEnded")).map((event) => "run" in event && event.run.state), [
            "abandoned"
          ])
          const snapshot = yield* Metric.snapshot
          const ended = snapshot.filter((metric) =>
            metric.id === "punctual_runs_total" && metric.attributes?.["state"] === "abandoned"
          )
          assert.deepStrictEqual(ended.map((metric) => (metric.state as { count: number }).count), [1])
        }),
        TestScheduler.layer(
          Layer.mergeAll(
            Work.toLayer(() => Effect.void),
            Task.layerScheduled(Work, { id: "work", trigger: Trigger.every("100 days") })
          ),
          { now, start: "manual", maxTakeovers: 2, store: Layer.succeed(TaskStore)(memory) }
        )
      )
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))
})

/** On a clock that the test moves, without the help of `TestScheduler`: as in production, engines poll. */
const inProduction = <A, E, R>(
  layer: Layer.Layer<R, unknown>,
  test: (
    services: Context.Context<R>,
    time: VirtualTime & { readonly adjust: (duration: Duration.Input) => Effect.Effect<void> }
  ) => Effect.Effect<A, E>
) =>
  Effect.gen(function*() {
    const testClock = (yield* Clock.Clock) as TestClock.TestClock
    const time = yield* makeVirtualTime(testClock)
    yield* testClock.setTime(at("00:00"))
    return yield* Effect.scoped(
      Effect.flatMap(Layer.build(layer), (services) =>
        test(services, { ...time, adjust: (duration) => testClock.adjust(duration) }))
    ).pipe(Effect.provideService(Clock.Clock, time.clock))
  })

describe("on real time", () => {
  it.effect("a handler stops before its lease ends although the store never answers", () => {
    const log: Array<string> = []
    const store = patched(() => ({ heartbeat: () => Effect.never }))
    return inProduction(
      TaskScheduler.layer(Work.toLayer(() => logged(log, Effect.sleep("10 minutes"))), { drainTimeout: 0 }).pipe(
        Layer.provide(store)
      ),
      (services, time) =>
        Effect.gen(function*() {
          yield* Context.get(services, TaskSchedulerClient.TaskSchedulerClient).add(Work, {
            id: "work",
            trigger: Trigger.now
          })
          for (let i = 0; i < 26; i++) yield* time.adjust("1 second")
          assert.deepStrictEqual(log, ["begins 00:00", "interrupted 00:00:25"])
        })
    )
  })

  it.effect("a handler stops before its lease ends although the last question hangs", () => {
    const log: Array<string> = []
    const store = patched((_, time) => ({
      heartbeat: () =>
        Effect.suspend(() =>
          time.clock.currentTimeMillisUnsafe() < at("00:00:24") + 500
            ? Effect.fail(unavailable("heartbeat"))
            : Effect.never
        )
    }))
    return inProduction(
      TaskScheduler.layer(Work.toLayer(() => logged(log, Effect.sleep("10 minutes"))), { drainTimeout: 0 }).pipe(
        Layer.provide(store)
      ),
      (services, time) =>
        Effect.gen(function*() {
          yield* Context.get(services, TaskSchedulerClient.TaskSchedulerClient).add(Work, {
            id: "work",
            trigger: Trigger.now
          })
          for (let i = 0; i < 27; i++) yield* time.adjust("1 second")
          assert.deepStrictEqual(log, ["begins 00:00", "interrupted 00:00:25"])
        })
    )
  })

  it.effect("a store call that is never answered has failed after a while, and is asked again", () => {
    const log: Array<string> = []
    let hang = false
    const store = patched((store) => ({ due: (options) => hang ? Effect.never : store.due(options) }))
    return inProduction(
      TaskScheduler.layer(Work.toLayer(() => logged(log, Effect.void))).pipe(Layer.provide(store)),
      (services, time) =>
        Effect.gen(function*() {
          yield* Context.get(services, TaskSchedulerClient.TaskSchedulerClient).add(Work, {
            id: "work",
            trigger: Trigger.at(at("00:01"))
          })
          hang = true
          for (let i = 0; i < 65; i++) yield* time.adjust("1 second")
          hang = false
          assert.deepStrictEqual(log, [])
          for (let i = 0; i < 16; i++) yield* time.adjust("1 second")
          assert.strictEqual(log.length, 2)
        })
    )
  })

  it.effect("a clock that jumps ahead is noticed within a minute", () => {
    const log: Array<string> = []
    return inProduction(
      TaskScheduler.layer(Work.toLayer(() => logged(log, Effect.void))).pipe(Layer.provide(MemoryTaskStore.layer)),
      (services, time) =>
        Effect.gen(function*() {
          yield* Context.get(services, TaskSchedulerClient.TaskSchedulerClient).add(Work, {
            id: "work",
            trigger: Trigger.every("1 day")
          })
          yield* time.adjust("1 second")
          time.jump(2 * 86_400_000)
          yield* time.adjust("1 minute")
          assert.strictEqual(log.length, 2)
        })
    )
  })

  it.effect("a wake-up that was lost costs a second", () => {
    const log: Array<string> = []
    return Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      const client = Context.get(
        yield* Layer.build(TaskSchedulerClient.layer().pipe(Layer.provide(Layer.succeed(TaskStore)(memory)))),
        TaskSchedulerClient.TaskSchedulerClient
      )
      const store = patched(() => ({ listen: () => Effect.void }), {}, Effect.succeed(memory))
      yield* inProduction(
        TaskScheduler.layer(Work.toLayer(() => logged(log, Effect.sleep("1 hour")))).pipe(Layer.provide(store)),
        (_, time) =>
          Effect.gen(function*() {
            yield* time.adjust("10 seconds")
            const handle = yield* client.add(Work, { id: "work", trigger: Trigger.every("365 days") })
            yield* handle.runNow()
            yield* time.adjust("900 millis")
            yield* time.adjust("200 millis")
            assert.deepStrictEqual(log, ["begins 00:00:11"])
            yield* handle.cancel((yield* handle.runs()).items[0]!.id)
            yield* time.adjust("11 seconds")
            assert.strictEqual(log[1], "interrupted 00:00:21")
          })
      )
    })
  })

  it.effect("interrupting the program drains it", () => {
    const log: Array<string> = []
    return inProduction(Layer.empty, (_, time) =>
      Effect.gen(function*() {
        const App = Layer.mergeAll(
          Work.toLayer(() => logged(log, Effect.sleep("10 seconds"))),
          Task.layerScheduled(Work, { id: "work", trigger: Trigger.now })
        )
        const program = yield* Effect.forkChild(
          Layer.launch(TaskScheduler.layer(App).pipe(Layer.provide(MemoryTaskStore.layer)))
        )
        yield* time.adjust("5 seconds")
        const ended = yield* Effect.forkChild(Fiber.interrupt(program))
        yield* time.adjust("20 seconds")
        assert.deepStrictEqual(log, ["begins 00:00", "done 00:00:10"])
        yield* Fiber.join(ended)
      }))
  })
})

describe("wake-ups", () => {
  it.effect("a store that only says that something changed is read again", () => {
    const listeners = new Set<(wake: Wake) => void>()
    const tell = () => listeners.forEach((listener) => listener({ due: null, ready: false, cancel: false }))
    const log: Array<string> = []
    return Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      const client = Context.get(
        yield* Layer.build(TaskSchedulerClient.layer().pipe(Layer.provide(Layer.succeed(TaskStore)(memory)))),
        TaskSchedulerClient.TaskSchedulerClient
      )
      const store = patched(
        () => ({ listen: (onWake) => Effect.sync(() => void listeners.add(onWake)) }),
        {},
        Effect.succeed(memory)
      )
      yield* isolated(
        Effect.gen(function*() {
          yield* TestScheduler.settle
          const handle = yield* client.add(Work, { id: "work", trigger: Trigger.at(at("00:10")) })
          tell()
          yield* TestScheduler.advance("601 seconds")
          assert.deepStrictEqual(log, ["begins 00:10"])
          yield* handle.cancel((yield* handle.runs()).items[0]!.id)
          tell()
          yield* TestScheduler.settle
          assert.deepStrictEqual(log.slice(1), ["interrupted 00:10:01"])
        }),
        TestScheduler.layer(Work.toLayer(() => logged(log, Effect.sleep("1 hour"))), { now, store })
      )
    })
  })

  it.effect("what this scheduler makes ready itself needs no wake-up", () => {
    const store = patched((store) => ({ listen: () => Effect.void, takeover: (options) => store.takeover(options) }))
    return isolated(
      Effect.gen(function*() {
        const runs = yield* TestScheduler.advance("1 minute")
        assert.strictEqual(runs.length, 3)
      }),
      TestScheduler.layer(
        Layer.mergeAll(
          Work.toLayer(() => Effect.sleep("10 seconds")),
          ...["a", "b", "c"].map((id) => Task.layerScheduled(Work, { id, trigger: Trigger.at(at("00:00:01")) }))
        ),
        { now, store, executors: Executors.layer({ default: Executor.layerFibers({ concurrency: 1 }) }) }
      )
    )
  })

  it.effect("a run given back by a lost lease is claimed in the same turn", () => {
    let lose = true
    const store = patched((store) => ({
      listen: () => Effect.void,
      commit: (changes) =>
        lose && changes.some((change) => change.runs.some((run) => run._tag === "Create"))
          ? Effect.andThen(
            Effect.andThen(store.commit(changes), Effect.sync(() => lose = false)),
            Effect.fail(unavailable("commit"))
          )
          : store.commit(changes)
    }))
    return isolated(
      Effect.gen(function*() {
        const runs = yield* TestScheduler.advance("32 seconds")
        assert.deepStrictEqual(runs.map((run) => [run.state, run.takeovers]), [["succeeded", 1]])
        assert.strictEqual((yield* told("RunReleased")).length, 1)
      }),
      TestScheduler.layer(
        Layer.mergeAll(
          Work.toLayer(() => Effect.void),
          Task.layerScheduled(Work, { id: "work", trigger: Trigger.at(at("00:00:01")) })
        ),
        { now, store }
      )
    )
  })

  it.effect("an executor that several stores share wakes all of them when it has room", () => {
    const stores = TaskStores.layer({ default: MemoryTaskStore.layer, other: MemoryTaskStore.layer })
    return isolated(
      Effect.gen(function*() {
        const runs = yield* TestScheduler.advance("1 minute")
        assert.deepStrictEqual(runs.map((run) => run.taskId).sort(), ["first", "second"])
      }),
      TestScheduler.layer(
        Layer.mergeAll(
          Work.toLayer(() => Effect.sleep("10 seconds")),
          Task.layerScheduled(Work, { id: "first", trigger: Trigger.at(at("00:00:01")) }),
          Task.layerScheduled(Work, { id: "second", store: "other", trigger: Trigger.at(at("00:00:02")) })
        ),
        { now, store: stores, executors: Executors.layer({ default: Executor.layerFibers({ concurrency: 1 }) }) }
      )
    )
  })

  it.effect("a handler that comes later begins what waits for it at once", () => {
    const log: Array<string> = []
    class Later extends Context.Service<Later, Effect.Effect<void, TaskRegistry.TaskAlreadyHandled>>()("test/Later") {}
    const App = Layer.effect(Later)(Effect.gen(function*() {
      const registry = yield* TaskRegistry.TaskRegistry
      const scope = yield* Effect.scope
      const layer = Work.toLayer(() => logged(log, Effect.void)).pipe(
        Layer.provide(Layer.succeed(TaskRegistry.TaskRegistry)(registry))
      )
      return Effect.asVoid(Layer.buildWithScope(layer, scope))
    }))
    return Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      const store = Layer.succeed(TaskStore)(memory)
      const client = Context.get(
        yield* Layer.build(TaskSchedulerClient.layer().pipe(Layer.provide(store))),
        TaskSchedulerClient.TaskSchedulerClient
      )
      yield* isolated(
        Effect.gen(function*() {
          yield* client.add(Work, { id: "work", trigger: Trigger.at(at("00:10")) })
          yield* TestScheduler.advance("15 minutes")
          assert.strictEqual(yield* count("RunStarted"), 0)
          yield* yield* Later
          yield* TestScheduler.settle
          assert.deepStrictEqual(log, ["begins 00:15", "done 00:15"])
        }),
        TestScheduler.layer(App, { now, store })
      )
    })
  })

  it.effect("a store that is not asked for anything is left alone", () => {
    const faults = FaultyStore.makeFaults()
    return isolated(
      Effect.gen(function*() {
        yield* TestScheduler.advance("1 hour")
        const calls = (operation: string) => faults.calls.get(operation) ?? 0
        const [due, claims, beats] = [calls("due"), calls("claim"), calls("heartbeat")]
        yield* TestScheduler.advance("2 hours")
        assert.strictEqual(calls("due") - due, 4)
        assert.strictEqual(calls("claim"), claims)
        assert.strictEqual(calls("heartbeat"), beats)
        const scheduler = yield* Scheduler
        yield* scheduler.pause
        yield* TestScheduler.advance("2 hours")
        assert.strictEqual(calls("due") - due, 4)
      }),
      TestScheduler.layer(
        Layer.mergeAll(
          Work.toLayer(() => Effect.void),
          Task.layerScheduled(Work, { id: "work", trigger: Trigger.every("1 hour") })
        ),
        { now, store: FaultyStore.layer(faults) }
      )
    )
  })

  it.effect("a run that is asked to stop is asked once", () => {
    const faults = FaultyStore.makeFaults()
    return isolated(
      Effect.gen(function*() {
        const handle = yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.now })
        yield* TestScheduler.advance("1 second")
        yield* handle.cancel((yield* handle.runs()).items[0]!.id)
        yield* TestScheduler.advance("4 seconds")
        assert.isAtMost(faults.calls.get("heartbeat")!, 2)
        const runs = yield* TestScheduler.advance("1 second")
        assert.deepStrictEqual(runs.map((run) => run.state), ["cancelled"])
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.uninterruptible(Effect.sleep("1 hour"))), {
        now,
        patience: 20,
        store: FaultyStore.layer(faults)
      })
    )
  })
})

describe("start, pause, close", () => {
  /** A store whose answer to one operation, once carried out, waits until it may come. */
  const gated = (
    operation: "due" | "commit" | "list" | "claim",
    shut: () => boolean,
    gate: Latch.Latch,
    calls: Array<string> = []
  ) =>
    patched((store) => {
      const wait = <A>(name: string, call: Effect.Effect<A, TaskStoreError>) =>
        Effect.suspend(() => {
          calls.push(name)
          return name === operation && shut()
            ? Effect.flatMap(Effect.exit(call), (exit) => Effect.andThen(gate.await, exit))
            : call
        })
      return {
        due: (options) => wait("due", store.due(options)),
        commit: (changes) => wait("commit", store.commit(changes)),
        claim: (options) => wait("claim", store.claim(options)),
        list: (query) => wait("list", store.list(query))
      }
    })

  it.effect("pausing waits for the turn in progress, which begins what it has claimed", () => {
    let shut = false
    const gate = Latch.makeUnsafe(false)
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        yield* scheduler.add(Work, { id: "work", trigger: Trigger.at(at("00:01")) })
        yield* TestScheduler.settle
        shut = true
        const advancing = yield* forked(TestScheduler.advance("1 minute"))
        while ((yield* (yield* TestScheduler.TestScheduler).now).epochMilliseconds < at("00:01")) yield* Effect.yieldNow
        for (let i = 0; i < 10; i++) yield* Effect.yieldNow
        const pausing = yield* forked(scheduler.pause)
        assert.strictEqual(yield* count("RunStarted"), 0)
        yield* gate.open
        yield* Fiber.join(pausing)
        yield* Fiber.join(advancing)
        assert.strictEqual(yield* count("RunStarted"), 1)
        assert.deepStrictEqual((yield* runsOf("work")).map((run) => [run.state, run.attempt]), [["succeeded", 1]])
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), { now, store: gated("commit", () => shut, gate) })
    )
  })

  it.effect("what was read while it was paused is read again when it goes on", () => {
    let shut = false
    const gate = Latch.makeUnsafe(false)
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        yield* scheduler.add(Work, { id: "work", trigger: Trigger.at(at("00:01")) })
        yield* TestScheduler.settle
        shut = true
        const advancing = yield* forked(TestScheduler.advance("1 minute"))
        while ((yield* (yield* TestScheduler.TestScheduler).now).epochMilliseconds < at("00:01")) yield* Effect.yieldNow
        for (let i = 0; i < 10; i++) yield* Effect.yieldNow
        const pausing = yield* forked(scheduler.pause)
        yield* gate.open
        yield* Fiber.join(pausing)
        yield* Fiber.join(advancing)
        assert.strictEqual(yield* count("RunStarted"), 0)
        yield* scheduler.resume
        assert.strictEqual((yield* TestScheduler.settle).length, 1)
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), { now, store: gated("due", () => shut, gate) })
    )
  })

  it.effect("a backlog does not keep it from closing", () => {
    let shut = false
    const gate = Latch.makeUnsafe(false)
    const calls: Array<string> = []
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        const test = yield* TestScheduler.TestScheduler
        yield* scheduler.addAll(
          Array.from(
            { length: 1_600 },
            (_, i) => Task.scheduled(Work, { id: `${i}`, trigger: Trigger.at(at("00:01")) })
          )
        )
        yield* TestScheduler.settle
        shut = true
        const advancing = yield* forked(Effect.ignore(TestScheduler.advance("1 minute")))
        while ((yield* test.now).epochMilliseconds < at("00:01")) yield* Effect.yieldNow
        for (let i = 0; i < 10; i++) yield* Effect.yieldNow
        const before = calls.filter((call) => call === "due").length
        const closing = yield* forked(test.shutdown)
        for (let i = 0; i < 10; i++) yield* Effect.yieldNow
        yield* gate.open
        yield* Fiber.join(closing)
        yield* Fiber.join(advancing)
        assert.strictEqual(calls.filter((call) => call === "due").length - before, 0)
        assert.strictEqual(yield* count("RunStarted"), 0)
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), { now, store: gated("due", () => shut, gate, calls) })
    )
  })

  it.effect("nor does a backlog of runs that end at once", () => {
    let shut = false
    const gate = Latch.makeUnsafe(false)
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        const test = yield* TestScheduler.TestScheduler
        yield* scheduler.addAll(
          Array.from({ length: 40 }, (_, i) => Task.scheduled(Work, { id: `${i}`, trigger: Trigger.at(at("00:01")) }))
        )
        yield* TestScheduler.settle
        shut = true
        const advancing = yield* forked(Effect.ignore(TestScheduler.advance("1 minute")))
        assert.strictEqual(yield* standsAt, "00:01")
        const closing = yield* forked(test.shutdown)
        for (let i = 0; i < 10; i++) yield* Effect.yieldNow
        yield* gate.open
        yield* Fiber.join(closing)
        yield* Fiber.join(advancing)
        assert.strictEqual(yield* count("RunStarted"), 10)
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), {
        now,
        executors: Executors.layer({ default: Executor.layerFibers({ concurrency: 5 }) }),
        store: gated("claim", () => shut, gate)
      })
    )
  })

  it.effect("a pause while startup tasks are fired holds, and one loop goes on after it", () => {
    let shut = false
    const gate = Latch.makeUnsafe(false)
    const calls: Array<string> = []
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        yield* scheduler.add(Work, { id: "work", trigger: Trigger.every("1 minute") })
        yield* scheduler.pause
        assert.strictEqual((yield* scheduler.status).state, "idle")
        shut = true
        const starting = yield* forked(scheduler.start)
        for (let i = 0; i < 10; i++) yield* Effect.yieldNow
        yield* scheduler.pause
        yield* gate.open
        yield* Fiber.join(starting)
        assert.strictEqual((yield* scheduler.status).state, "paused")
        yield* TestScheduler.advance("5 minutes")
        assert.strictEqual(calls.filter((call) => call === "due").length, 0)
        shut = false
        yield* scheduler.resume
        yield* scheduler.resume
        yield* TestScheduler.settle
        yield* scheduler.pause
        const before = calls.filter((call) => call === "due").length
        yield* TestScheduler.advance("5 minutes")
        assert.strictEqual(calls.filter((call) => call === "due").length, before)
        assert.deepStrictEqual(
          (yield* TestScheduler.events).flatMap(({ _tag }) => _tag.startsWith("Scheduler") ? [_tag] : []),
          ["SchedulerStarted", "SchedulerPaused", "SchedulerResumed", "SchedulerPaused"]
        )
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), {
        now,
        start: "manual",
        store: gated("list", () => shut, gate, calls)
      })
    )
  })

  it.effect("one started or resumed by the test itself stops at every instant that something is due", () =>
    isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        yield* scheduler.add(Work, { id: "work", trigger: Trigger.every("25 minutes") })
        yield* scheduler.start
        assert.deepStrictEqual(times(yield* TestScheduler.advance("1 hour")), ["00:25", "00:50"])
        yield* scheduler.pause
        yield* scheduler.resume
        assert.deepStrictEqual(times(yield* TestScheduler.advance("1 hour")), ["01:15", "01:40"])
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), { now, start: "manual" })
    ))

  it.effect("one that a handler resumes is not counted as that handler's work", () => {
    const Tick = Task.make("Tick")
    const gate = Latch.makeUnsafe(false)
    const App = Layer.mergeAll(
      Work.toLayer(() =>
        Effect.gen(function*() {
          const scheduler = yield* Scheduler
          yield* scheduler.pause
          yield* scheduler.resume
          // Work, during which time must stand still.
          yield* gate.await
        }) as Effect.Effect<void>
      ),
      Tick.toLayer(() => Effect.void),
      Task.layerScheduled(Work, { id: "work", trigger: Trigger.at(at("00:10")) }),
      Task.layerScheduled(Tick, { id: "tick", trigger: Trigger.every("1 minute") })
    )
    return isolated(
      Effect.gen(function*() {
        const advancing = yield* forked(TestScheduler.advance("1 hour"))
        assert.strictEqual(yield* standsAt, "00:10")
        yield* gate.open
        yield* Fiber.join(advancing)
        assert.strictEqual(yield* standsAt, "01:00")
      }),
      TestScheduler.layer(App, { now })
    )
  })

  it.effect("one that is paused and resumed while startup tasks are fired has one loop", () => {
    const gate = Latch.makeUnsafe(false)
    const calls: Array<string> = []
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        const due = () => calls.filter((call) => call === "due").length
        yield* scheduler.add(Work, { id: "work", trigger: Trigger.every("1 minute") })
        const starting = yield* forked(scheduler.start)
        for (let i = 0; i < 10; i++) yield* Effect.yieldNow
        yield* scheduler.pause
        yield* scheduler.resume
        yield* gate.open
        yield* Fiber.join(starting)
        assert.strictEqual((yield* TestScheduler.advance("5 minutes")).length, 5)
        yield* scheduler.pause
        const before = due()
        yield* (yield* Scheduler).add(Work, { id: "another", trigger: Trigger.now })
        yield* TestScheduler.advance("5 minutes")
        assert.strictEqual(due(), before)
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), {
        now,
        start: "manual",
        store: gated("list", () => true, gate, calls)
      })
    )
  })

  it.effect("a closing scheduler waits for nobody by default under virtual time", () =>
    isolated(
      Effect.gen(function*() {
        yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.now })
        yield* TestScheduler.advance("1 second")
        yield* TestScheduler.shutdown
        const [stopping] = yield* told("SchedulerStopping")
        const [stopped] = yield* told("SchedulerStopped")
        assert.isAtMost(stopped!.at.epochMilliseconds - stopping!.at.epochMilliseconds, 1)
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.sleep("10 seconds")), { now })
    ))

  it.effect("starting twice starts once", () => {
    let fired = 0
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        assert.strictEqual((yield* scheduler.status).startedAt?.epochMilliseconds, at("00:00"))
        yield* TestScheduler.advance("1 minute")
        yield* scheduler.start
        yield* scheduler.resume
        yield* TestScheduler.settle
        assert.strictEqual(fired, 1)
        assert.strictEqual((yield* scheduler.handle("work").snapshot).counters.extra, 1)
        assert.strictEqual((yield* scheduler.status).startedAt?.epochMilliseconds, at("00:00"))
        assert.deepStrictEqual(
          (yield* TestScheduler.events).flatMap(({ _tag }) => _tag.startsWith("Scheduler") ? [_tag] : []),
          ["SchedulerStarted"]
        )
      }),
      TestScheduler.layer(
        Layer.mergeAll(
          Work.toLayer(() => Effect.sync(() => void fired++)),
          Task.layerScheduled(Work, { id: "work", trigger: Trigger.startup })
        ),
        { now }
      )
    )
  })

  it.effect("one that never started owes nothing and says nothing when it closes", () => {
    const log: Array<string> = []
    return isolated(
      Effect.gen(function*() {
        const stream = yield* (yield* TestScheduler.TestScheduler).shutdown
        assert.deepStrictEqual(stream, [])
        assert.deepStrictEqual(log, [])
        assert.deepStrictEqual((yield* TestScheduler.events).filter(({ _tag }) => _tag.startsWith("Scheduler")), [])
      }),
      TestScheduler.layer(
        Layer.mergeAll(
          Work.toLayer(() => logged(log, Effect.void)),
          Task.layerScheduled(Work, { id: "work", trigger: Trigger.shutdown })
        ),
        { now, start: "manual" }
      )
    )
  })

  it.effect("a drain waits for all that run, and for what they answered to be stored", () => {
    const Other = Task.make("Other")
    const store = patched((store, time) => ({
      settle: (settlements, options) => slowly(store.settle(settlements, options), time, "settle", 3_000)
    }))
    return isolated(
      Effect.gen(function*() {
        const test = yield* TestScheduler.TestScheduler
        yield* TestScheduler.advance("1 second")
        yield* test.shutdown
        const [stopped] = yield* told("SchedulerStopped")
        assert.deepInclude(stopped, { drained: 2, interrupted: 0, detached: [] })
        const ended = yield* test.runs
        assert.deepStrictEqual(ended.map((run) => [run.taskId, run.state]), [["work", "succeeded"], [
          "other",
          "succeeded"
        ]])
        assert.strictEqual(stopped!.at.epochMilliseconds, at("00:00:23"))
      }),
      TestScheduler.layer(
        Layer.mergeAll(
          Work.toLayer(() => Effect.sleep("5 seconds")),
          Other.toLayer(() => Effect.sleep("20 seconds")),
          Task.layerScheduled(Work, { id: "work", trigger: Trigger.now }),
          Task.layerScheduled(Other, { id: "other", trigger: Trigger.now })
        ),
        { now, store, drainTimeout: "1 minute" }
      )
    )
  })

  it.effect("what is interrupted may clean up, and is given back before it closes; the deaf are named", () => {
    const Deaf = Task.make("Deaf")
    const log: Array<string> = []
    return Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      const store = patched(
        (store, time) => ({
          settle: (settlements, options) => slowly(store.settle(settlements, options), time, "settle", 8_000)
        }),
        {},
        Effect.succeed(memory)
      )
      yield* isolated(
        Effect.gen(function*() {
          const test = yield* TestScheduler.TestScheduler
          // So that a heartbeat falls on the end of the grace.
          yield* TestScheduler.advance("5 seconds")
          yield* test.shutdown
          const [stopped] = yield* told("SchedulerStopped")
          assert.strictEqual(stopped!._tag === "SchedulerStopped" && stopped!.interrupted, 2)
          const detached = stopped!._tag === "SchedulerStopped" ? stopped!.detached : []
          assert.strictEqual(detached.length, 1)
          assert.include(detached[0], "deaf")
          assert.strictEqual(yield* count("RunReleased"), 1)
          assert.deepStrictEqual(log, ["cleaned up"])
          const { items } = yield* memory.runs({ taskId: "work", limit: 10 })
          assert.deepStrictEqual(items.map((run) => [run.state, run.attempt]), [["ready", 0]])
        }),
        TestScheduler.layer(
          Layer.mergeAll(
            Work.toLayer(() =>
              Effect.onInterrupt(
                Effect.sleep("1 hour"),
                () => Effect.andThen(Effect.sleep("4 seconds"), Effect.sync(() => log.push("cleaned up")))
              )
            ),
            Deaf.toLayer(() => Effect.uninterruptible(Effect.sleep("1 minute"))),
            Task.layerScheduled(Work, { id: "work", trigger: Trigger.now }),
            Task.layerScheduled(Deaf, { id: "deaf", trigger: Trigger.now })
          ),
          { now, store, patience: 20, shutdownTimeout: 0 }
        )
      )
    })
  })

  it.effect("what the turn in progress has claimed is drained, too", () => {
    let slow = false
    const store = patched((store, time) => ({
      commit: (changes) => slow ? slowly(store.commit(changes), time, "engine", 3_000) : store.commit(changes)
    }))
    return isolated(
      Effect.gen(function*() {
        const test = yield* TestScheduler.TestScheduler
        yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.at(at("00:01")) })
        yield* TestScheduler.settle
        slow = true
        yield* TestScheduler.advance("61 seconds")
        assert.strictEqual(yield* count("RunStarted"), 0)
        yield* test.shutdown
        const [stopped] = yield* told("SchedulerStopped")
        assert.deepInclude(stopped, { drained: 1, interrupted: 0 })
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.sleep("5 seconds")), {
        now,
        store,
        patience: 20,
        drainTimeout: "1 minute"
      })
    )
  })

  it.effect("shutdown tasks run after one another; a deaf one is left behind and named; status says stopping", () => {
    const log: Array<string> = []
    const Bye = Task.make("Bye", { payload: { deaf: Schema.Boolean } })
    let state = ""
    const App = Layer.mergeAll(
      Bye.toLayer(Effect.fn(function*({ deaf }) {
        state = (yield* (yield* Scheduler).status).state
        const { taskId } = yield* CurrentRun
        yield* logged(
          log,
          deaf ? Effect.uninterruptible(Effect.sleep("10 minutes")) : Effect.sleep("2 seconds"),
          `${taskId} `
        )
      }) as never),
      Layer.effectDiscard(Scheduler.use((scheduler) =>
        Effect.forEach(["deaf", "b", "a"], (id) =>
          Effect.andThen(
            scheduler.add(Bye as never, { id, payload: { deaf: id === "deaf" }, trigger: Trigger.shutdown } as never),
            Effect.sleep(0)
          ))
      ))
    ) as Layer.Layer<Task.Handler<"Bye">>
    return isolated(
      Effect.gen(function*() {
        const test = yield* TestScheduler.TestScheduler
        yield* test.shutdown
        assert.deepStrictEqual(log.slice(0, 5), [
          "a begins 00:00",
          "a done 00:00:02",
          "b begins 00:00:02",
          "b done 00:00:04",
          "deaf begins 00:00:04"
        ])
        const [stopped] = yield* told("SchedulerStopped")
        assert.include(stopped!._tag === "SchedulerStopped" ? stopped!.detached[0] : "", "deaf")
        assert.strictEqual(state, "stopping")
      }),
      TestScheduler.layer(App, { now, patience: 20, shutdownTimeout: "10 seconds" })
    )
  })

  it.effect("startup tasks: all pages of them, none without a handler; one the store refuses stops no other", () => {
    const Other = Task.make("Other")
    const faults = FaultyStore.makeFaults()
    return Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      const client = Context.get(
        yield* Layer.build(TaskSchedulerClient.layer().pipe(Layer.provide(Layer.succeed(TaskStore)(memory)))),
        TaskSchedulerClient.TaskSchedulerClient
      )
      yield* client.add(Other, { id: "other", trigger: Trigger.startup })
      for (let i = 0; i < 502; i++) yield* client.add(Work, { id: `${i}`, trigger: Trigger.startup })
      faults.refuse = "7"
      yield* isolated(
        Effect.gen(function*() {
          yield* TestScheduler.settle
          assert.strictEqual((yield* TestScheduler.runs).length, 501)
          const [other] = yield* memory.get(["other"])
          assert.strictEqual(other!.row.counters.extra, 0)
        }),
        TestScheduler.layer(Work.toLayer(() => Effect.void), { now, store: FaultyStore.layer(faults, memory) })
      )
    })
  })

  it.effect("a startup task that changes meanwhile is tried again, and one that was replaced is another", () => {
    let conflicts = 1
    return Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      const client = Context.get(
        yield* Layer.build(TaskSchedulerClient.layer().pipe(Layer.provide(Layer.succeed(TaskStore)(memory)))),
        TaskSchedulerClient.TaskSchedulerClient
      )
      yield* client.add(Work, { id: "changed", trigger: Trigger.startup })
      yield* client.add(Work, { id: "replaced", trigger: Trigger.startup })
      const store = patched(
        (store) => ({
          commit: (changes) =>
            changes[0]?.id === "changed" && conflicts-- > 0
              ? Effect.succeed([{ _tag: "Conflict" }])
              : store.commit(changes),
          list: (query) =>
            query.event !== "startup" ?
              store.list(query) :
              Effect.tap(
                store.list(query),
                () =>
                  Effect.orDie(client.add(Work, { id: "replaced", trigger: Trigger.startup, onConflict: "replace" }))
              )
        }),
        {},
        Effect.succeed(memory)
      )
      yield* isolated(
        Effect.gen(function*() {
          const runs = yield* TestScheduler.settle
          assert.deepStrictEqual(runs.map((run) => run.taskId), ["changed"])
        }),
        TestScheduler.layer(Work.toLayer(() => Effect.void), { now, store })
      )
    })
  })

  it.effect("a startup run given back by a shutdown is run however late", () => {
    const log: Array<string> = []
    const Hello = Task.make("Hello", { misfireGrace: "10 seconds" })
    const App = Layer.mergeAll(
      Hello.toLayer(() => logged(log, Effect.sleep("1 minute"))),
      Task.layerScheduled(Hello, { id: "hello", trigger: Trigger.startup, onConflict: "keep" })
    )
    return Effect.gen(function*() {
      const store = Layer.succeed(TaskStore)(yield* MemoryTaskStore.make)
      yield* isolated(TestScheduler.advance("1 second"), TestScheduler.layer(App, { now, store }))
      yield* isolated(
        Effect.gen(function*() {
          yield* TestScheduler.advance("10 minutes")
          assert.deepStrictEqual((yield* TestScheduler.runs).map((run) => run.state), ["succeeded", "succeeded"])
        }),
        TestScheduler.layer(App, { now: "2026-01-01T05:00:00Z", store })
      )
    })
  })
})

describe("a store that fails", () => {
  it.effect("is asked less and less, and at once again when it fails anew", () => {
    const faults = FaultyStore.makeFaults()
    return isolated(
      Effect.gen(function*() {
        yield* TestScheduler.advance("5 seconds")
        const calls = () => faults.calls.get("due") ?? 0
        faults.down = true
        let before = calls()
        yield* TestScheduler.advance("1 minute")
        assert.isAtLeast(calls() - before, 6)
        assert.isAtMost(calls() - before, 25)
        faults.down = false
        yield* TestScheduler.advance("20 seconds")
        faults.down = true
        before = calls()
        yield* TestScheduler.advance("11 seconds")
        assert.isAtLeast(calls() - before, 5)
        faults.down = false
      }),
      TestScheduler.layer(
        Layer.mergeAll(
          Work.toLayer(() => Effect.void),
          Task.layerScheduled(Work, { id: "work", trigger: Trigger.every("10 seconds") })
        ),
        { now, store: FaultyStore.layer(faults) }
      )
    )
  })

  it.effect("has recovered when everything works again; outcomes are tried less and less", () => {
    const faults = FaultyStore.makeFaults()
    return isolated(
      Effect.gen(function*() {
        yield* TestScheduler.advance("59 seconds")
        faults.fail = "settle"
        yield* TestScheduler.advance("10 seconds")
        assert.isAtMost(faults.calls.get("settle")!, 10)
        faults.fail = undefined
        faults.down = true
        yield* TestScheduler.advance("55 seconds")
        faults.down = false
        faults.fail = "settle"
        yield* TestScheduler.advance("1 minute")
        assert.deepStrictEqual([yield* count("StoreUnavailable"), yield* count("StoreRecovered")], [1, 0])
        faults.fail = undefined
        yield* TestScheduler.advance("1 minute")
        assert.deepStrictEqual([yield* count("StoreUnavailable"), yield* count("StoreRecovered")], [1, 1])
      }),
      TestScheduler.layer(
        Layer.mergeAll(
          Work.toLayer(() => Effect.void),
          Task.layerScheduled(Work, { id: "work", trigger: Trigger.every("1 minute") })
        ),
        { now, store: FaultyStore.layer(faults) }
      )
    )
  })

  it.effect("time goes on while several results wait for it", () => {
    const faults = FaultyStore.makeFaults()
    return isolated(
      Effect.gen(function*() {
        yield* TestScheduler.advance("1 second")
        faults.fail = "settle"
        yield* TestScheduler.advance("15 seconds")
        faults.fail = undefined
        const runs = yield* TestScheduler.advance("10 seconds")
        assert.deepStrictEqual(runs.map((run) => run.state), ["succeeded", "succeeded", "succeeded"])
      }),
      TestScheduler.layer(
        Layer.mergeAll(
          Task.make("Slow", { payload: { seconds: Schema.Int } }).toLayer(({ seconds }) =>
            Effect.sleep(seconds * 1_000)
          ),
          Layer.effectDiscard(
            Scheduler.use((scheduler) =>
              scheduler.addAll(
                [3, 5, 9].map((seconds) =>
                  Task.scheduled(Task.make("Slow", { payload: { seconds: Schema.Int } }), {
                    id: `${seconds}`,
                    payload: { seconds },
                    trigger: Trigger.now
                  })
                )
              )
            )
          )
        ),
        { now, store: FaultyStore.layer(faults), patience: 200 }
      )
    )
  })

  it.effect("time goes on for others when a scheduler has closed without having stored its results", () => {
    const faults = FaultyStore.makeFaults()
    class Later extends Context.Service<
      Later,
      { readonly build: Effect.Effect<unknown, unknown>; readonly close: Effect.Effect<void> }
    >()(
      "test/Later"
    ) {}
    const log: Array<string> = []
    const App = Layer.mergeAll(
      Work.toLayer(() => logged(log, Effect.sleep("5 seconds"))),
      Task.layerScheduled(Work, {
        id: "work",
        trigger: Trigger.every("8 seconds"),
        onConflict: "keep",
        maxInstances: 9,
        whenBusy: "allow"
      })
    )
    return Effect.gen(function*() {
      const shared = yield* MemoryTaskStore.make
      const program = Layer.effect(Later)(Effect.gen(function*() {
        const context = yield* Effect.context<Scope.Scope>()
        const scope = yield* Scope.make()
        return {
          build: Layer.buildWithScope(
            TaskScheduler.layer(App, { drainTimeout: "1 second" }).pipe(
              Layer.provide(FaultyStore.layer(faults, shared))
            ),
            scope
          ).pipe(Effect.provideContext(context)) as Effect.Effect<unknown, unknown>,
          close: Effect.provideContext(Scope.close(scope, Exit.void), context)
        }
      }))
      yield* isolated(
        Effect.gen(function*() {
          const later = yield* Later
          yield* later.build
          yield* TestScheduler.advance("9 seconds")
          faults.fail = "settle"
          // One result waits for the store, and more come while it waits.
          yield* TestScheduler.advance("21 seconds")
          const closing = yield* Effect.forkChild(later.close, { startImmediately: true })
          yield* TestScheduler.advance("5 minutes")
          yield* Fiber.join(closing)
          yield* TestScheduler.advance("1 hour")
          assert.isAbove(log.length, 4)
        }),
        TestScheduler.layerProgram(program, { now, patience: 200 })
      )
    })
  })

  it.effect("a verdict that cannot be stored is tried again, and no faster than anything else", () => {
    const faults = FaultyStore.makeFaults()
    return Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      const store = patched(
        (store) => ({
          due: (options) =>
            Effect.map(store.due(options), (answer) => ({
              ...answer,
              // A row that makes deciding throw.
              tasks: answer.tasks.map((task) =>
                task.row.id === "bad" ? { ...task, row: { ...task.row, counters: null as never } } : task
              )
            }))
        }),
        {},
        Effect.succeed(FaultyStore.through(memory, faults))
      )
      yield* isolated(
        Effect.gen(function*() {
          yield* TestScheduler.advance("59 seconds")
          faults.fail = "quarantine"
          const before = faults.calls.get("due") ?? 0
          assert.deepStrictEqual((yield* TestScheduler.advance("30 seconds")).map((run) => run.taskId), ["good"])
          assert.isAtMost((faults.calls.get("due") ?? 0) - before, 30)
          assert.strictEqual(yield* count("StoreUnavailable"), 1)
          faults.fail = undefined
          const runs = yield* TestScheduler.advance("151 seconds")
          assert.deepStrictEqual(runs.map((run) => run.taskId), ["good", "good", "good"])
          assert.strictEqual(yield* count("StoreRecovered"), 1)
          assert.deepStrictEqual((yield* told("TaskQuarantined")).map((event) => "id" in event && event.id), ["bad"])
        }),
        TestScheduler.layer(
          Layer.mergeAll(
            Work.toLayer(() => Effect.void),
            Task.layerScheduled(Work, { id: "good", trigger: Trigger.every("1 minute") }),
            Task.layerScheduled(Work, { id: "bad", trigger: Trigger.every("1 minute") })
          ),
          { now, store }
        )
      )
    })
  })

  it.effect("a defect of one call stops neither evaluating nor settling", () => {
    const dies = { due: false, settle: false }
    const store = patched((store) => ({
      due: (options) => dies.due ? Effect.die(new Error("boom")) : store.due(options),
      settle: (settlements, options) => dies.settle ? Effect.die(new Error("boom")) : store.settle(settlements, options)
    }))
    return isolated(
      Effect.gen(function*() {
        assert.strictEqual((yield* TestScheduler.advance("1 minute")).length, 1)
        dies.due = true
        assert.strictEqual((yield* TestScheduler.advance("61 seconds")).length, 0)
        dies.due = false
        assert.strictEqual((yield* TestScheduler.advance("6 seconds")).length, 1)
        dies.settle = true
        yield* TestScheduler.advance("53 seconds")
        dies.settle = false
        yield* TestScheduler.advance("1 minute")
        const runs = yield* TestScheduler.advance("1 minute")
        assert.isTrue(
          runs.some((run) => run.takeovers === 1 && run.state === "succeeded") ||
            (yield* TestScheduler.runs).some((run) => run.takeovers === 1)
        )
      }),
      TestScheduler.layer(
        Layer.mergeAll(
          Work.toLayer(() => Effect.void),
          Task.layerScheduled(Work, { id: "work", trigger: Trigger.every("1 minute") })
        ),
        { now, store }
      )
    )
  })

  it.effect("a change that was a conflict is told once", () => {
    let conflict = false
    const store = patched((store) => ({
      commit: (changes) =>
        conflict
          ? Effect.sync(() => (conflict = false, changes.map(() => ({ _tag: "Conflict" as const }))))
          : store.commit(changes)
    }))
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        yield* scheduler.add(Work, { id: "work", trigger: Trigger.every("1 second"), misfireGrace: "10 seconds" })
        yield* scheduler.pause
        yield* TestScheduler.advance("1 minute")
        conflict = true
        yield* scheduler.resume
        yield* TestScheduler.settle
        const missed = yield* told("OccurrencesMissed")
        assert.deepStrictEqual(missed.map((event) => "count" in event && [event.count, event.exact]), [[49, true]])
        const snapshot = yield* Metric.snapshot
        const counted = snapshot.filter((metric) =>
          metric.id === "punctual_occurrences_total" && metric.attributes?.["outcome"] === "missed"
        )
        assert.deepStrictEqual(counted.map((metric) => (metric.state as { count: number }).count), [49])
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), { now, store })
    ).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  })

  it.effect("what a batch answers belongs to its task, though the batch was halved", () => {
    const faults = FaultyStore.makeFaults()
    faults.refuse = "4"
    const Named = Task.make("Named", { payload: { name: Schema.String } })
    const seen: Array<string> = []
    return isolated(
      Effect.gen(function*() {
        yield* (yield* Scheduler).addAll(
          Array.from(
            { length: 9 },
            (_, i) => Task.scheduled(Named, { id: `${i}`, payload: { name: `${i}` }, trigger: Trigger.at(at("00:01")) })
          )
        )
        yield* TestScheduler.advance("1 minute")
        assert.deepStrictEqual(seen.sort(), ["0 0", "1 1", "2 2", "3 3", "5 5", "6 6", "7 7", "8 8"])
      }),
      TestScheduler.layer(
        Named.toLayer(({ name }, run) => Effect.sync(() => void seen.push(`${run.taskId} ${name}`))),
        { now, store: FaultyStore.layer(faults) }
      )
    )
  })

  it.effect("outcomes of one batch are stored though one of them is refused", () => {
    const faults = FaultyStore.makeFaults()
    const gate = Deferred.makeUnsafe<void>()
    return isolated(
      Effect.gen(function*() {
        yield* (yield* Scheduler).addAll(
          Array.from({ length: 9 }, (_, i) => Task.scheduled(Work, { id: `${i}`, trigger: Trigger.now }))
        )
        yield* TestScheduler.advance("1 second")
        faults.refuse = "4"
        yield* Deferred.succeed(gate, undefined)
        const runs = yield* TestScheduler.settle
        assert.deepStrictEqual(runs.map((run) => run.taskId).sort(), ["0", "1", "2", "3", "5", "6", "7", "8"])
      }),
      TestScheduler.layer(Work.toLayer(() => Activity.idle(Deferred.await(gate))), {
        now,
        store: FaultyStore.layer(faults)
      })
    )
  })
})

describe("claims", () => {
  const Newer = Task.make("Work", { version: 2 })

  it.effect("ask for nothing that is not handled here, nor for a newer payload", () =>
    Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      const store = Layer.succeed(TaskStore)(memory)
      const client = Context.get(
        yield* Layer.build(TaskSchedulerClient.layer().pipe(Layer.provide(store))),
        TaskSchedulerClient.TaskSchedulerClient
      )
      yield* client.add(Newer, { id: "newer", trigger: Trigger.at(at("00:01")) })
      yield* client.add(Task.make("Unknown"), { id: "unknown", trigger: Trigger.at(at("00:01")) })
      yield* isolated(
        Effect.gen(function*() {
          yield* TestScheduler.advance("10 minutes")
          assert.strictEqual(yield* count("RunStarted"), 0)
          const { items } = yield* memory.runs({ limit: 10 })
          assert.deepStrictEqual(items.map((run) => [run.state, run.attempt]), [["ready", 0], ["ready", 0]])
          assert.deepStrictEqual(yield* memory.verdicts({ limit: 10 }), [])
        }),
        TestScheduler.layer(Work.toLayer(() => Effect.void), { now, store })
      )
    }))

  it.effect("ask no longer for an effect whose task is gone, or was refused", () => {
    let tags: ReadonlyMap<string, number> = new Map()
    const executors = Executors.layer({
      default: Layer.effect(Executor.Executor)(Effect.map(TaskRegistry.TaskRegistry, (registry) => {
        tags = registry.tags
        return { name: "own", tags: Effect.succeed(tags), capacity: 1, run: () => Effect.never }
      }))
    })
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        yield* scheduler.addEffect(Effect.void, { id: "a", trigger: Trigger.every("1 hour") })
        yield* Effect.flip(scheduler.addEffect(Effect.void, { id: "b", trigger: Trigger.never }))
        assert.deepStrictEqual([...tags.keys()], ["Work", "effect:default/a"])
        yield* scheduler.handle("a").remove()
        yield* TestScheduler.settle
        assert.deepStrictEqual([...tags.keys()], ["Work"])
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), { now, executors })
    )
  })

  it.effect("grace is for first attempts of the schedule: not for retries, nor for runs asked for", () => {
    const log: Array<string> = []
    const Flaky = Task.make("Flaky", {
      error: Schema.String,
      misfireGrace: "30 seconds",
      retry: { times: 1, schedule: Schedule.spaced("2 minutes") }
    })
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        const handle = yield* scheduler.add(Flaky, {
          id: "flaky",
          trigger: Trigger.every("30 days"),
          whenBusy: "queue"
        })
        yield* handle.runNow()
        yield* handle.runNow()
        yield* TestScheduler.advance("10 minutes")
        assert.deepStrictEqual(log, ["1 00:00", "2 00:03", "1 00:04", "2 00:07"])
        assert.deepStrictEqual((yield* handle.runs()).items.map((run) => run.state), ["failed", "failed"])
      }),
      TestScheduler.layer(
        Flaky.toLayer(Effect.fn(function*() {
          const { attempt } = yield* CurrentRun
          log.push(`${attempt} ${clock(yield* DateTime.now)}`)
          yield* Effect.sleep("1 minute")
          return yield* Effect.fail("no")
        })),
        { now }
      )
    )
  })

  it.effect("a retry of a run of the schedule is never too late", () => {
    const Flaky = Task.make("Flaky", {
      error: Schema.String,
      misfireGrace: "30 seconds",
      retry: { times: 1, schedule: Schedule.spaced("2 minutes") }
    })
    return isolated(
      Effect.gen(function*() {
        yield* (yield* Scheduler).add(Flaky, { id: "flaky", trigger: Trigger.at(at("00:01")) })
        const runs = yield* TestScheduler.advance("10 minutes")
        assert.deepStrictEqual(runs.map((run) => [run.state, run.attempt]), [["failed", 2]])
      }),
      TestScheduler.layer(Flaky.toLayer(() => Effect.fail("no")), { now })
    )
  })

  it.effect("a row that became unreadable while its run waited is set aside, and its run given back", () =>
    Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      yield* isolated(
        Effect.gen(function*() {
          const scheduler = yield* Scheduler
          yield* scheduler.add(Work, { id: "busy", trigger: Trigger.now })
          yield* TestScheduler.settle
          yield* scheduler.add(Work, { id: "bad", trigger: Trigger.at(at("00:00:01")) })
          yield* TestScheduler.advance("5 seconds")
          const [task] = yield* memory.get(["bad"])
          const { generation, id, revision } = task!.row
          yield* memory.commit([{
            id,
            generation,
            revision,
            set: { policy: "{\"v\":99}" },
            runs: [],
            now: at("00:00:05")
          }])
          yield* TestScheduler.advance("1 minute")
          assert.deepStrictEqual((yield* scheduler.quarantined()).map((verdict) => verdict.id), ["bad"])
          const { items } = yield* memory.runs({ taskId: "bad", limit: 10 })
          assert.deepStrictEqual(items.map((run) => [run.state, run.attempt]), [["ready", 0]])
          assert.strictEqual(yield* count("RunStarted"), 1)
        }),
        TestScheduler.layer(Work.toLayer(() => Effect.sleep("10 seconds")), {
          now,
          store: Layer.succeed(TaskStore)(memory),
          executors: Executors.layer({ default: Executor.layerFibers({ concurrency: 1 }) })
        })
      )
    }))

  it.effect("an unreadable payload is set aside before its run is given back: it is begun once", () =>
    Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      const Named = Task.make("Named", { payload: { name: Schema.String } })
      yield* isolated(
        Effect.gen(function*() {
          yield* (yield* Scheduler).add(Named, { id: "bad", payload: { name: "x" }, trigger: Trigger.at(at("00:01")) })
          const [task] = yield* memory.get(["bad"])
          const { generation, id, revision } = task!.row
          yield* memory.commit([{
            id,
            generation,
            revision,
            set: { payload: "{\"name\":7}" },
            runs: [],
            now: at("00:00")
          }])
          yield* TestScheduler.advance("10 minutes")
          assert.strictEqual(yield* count("RunStarted"), 1)
          assert.strictEqual(yield* count("RunReleased"), 1)
          assert.strictEqual(yield* count("TaskQuarantined"), 1)
        }),
        TestScheduler.layer(Named.toLayer(() => Effect.void), {
          now,
          store: patched(
            (store, time) => ({
              quarantine: (verdicts) => slowly(store.quarantine(verdicts), time, "settle", 3_000),
              settle: (settlements, options) => slowly(store.settle(settlements, options), time, "settle", 3_000)
            }),
            {},
            Effect.succeed(memory)
          )
        })
      )
    }))

  it.effect("an unreadable payload whose verdict cannot be stored is not begun again meanwhile", () =>
    Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      const faults = FaultyStore.makeFaults()
      const Named = Task.make("Named", { payload: { name: Schema.String } })
      yield* isolated(
        Effect.gen(function*() {
          yield* (yield* Scheduler).add(Named, { id: "bad", payload: { name: "x" }, trigger: Trigger.at(at("00:01")) })
          const [task] = yield* memory.get(["bad"])
          const { generation, id, revision } = task!.row
          const set = { payload: "{\"name\":7}" }
          yield* memory.commit([{ id, generation, revision, set, runs: [], now: at("00:00") }])
          faults.fail = "quarantine"
          yield* TestScheduler.advance("70 seconds")
          assert.strictEqual(yield* count("RunStarted"), 1)
          faults.fail = undefined
          yield* TestScheduler.advance("1 minute")
          assert.strictEqual(yield* count("RunStarted"), 1)
          assert.deepStrictEqual([yield* count("TaskQuarantined"), yield* count("StoreRecovered")], [1, 1])
        }),
        TestScheduler.layer(Named.toLayer(() => Effect.void), { now, store: FaultyStore.layer(faults, memory) })
      )
    }))

  it.effect("what could not be marked gives its place back, to other stores as well", () => {
    const Once = Task.make("Once", { delivery: "atMostOnce" })
    const stores = TaskStores.layer({
      default: patched((_, time) => ({
        start: () => slowly(Effect.fail(unavailable("start")), time, "engine", 3_000)
      })),
      other: MemoryTaskStore.layer
    })
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        yield* scheduler.add(Once, { id: "once", trigger: Trigger.at(at("00:01")) })
        yield* scheduler.add(Work, { id: "work", store: "other", trigger: Trigger.at(at("00:01:01")) })
        const runs = yield* TestScheduler.advance("64 seconds")
        assert.deepStrictEqual(runs.map((run) => run.taskId), ["work"])
      }),
      TestScheduler.layer(Layer.mergeAll(Once.toLayer(() => Effect.void), Work.toLayer(() => Effect.void)), {
        now,
        store: stores,
        executors: Executors.layer({ default: Executor.layerFibers({ concurrency: 1 }) })
      })
    )
  })

  it.effect("what could not be marked gives its place back", () => {
    const faults = FaultyStore.makeFaults()
    const Once = Task.make("Once", { delivery: "atMostOnce" })
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        faults.fail = "start"
        yield* scheduler.add(Once, { id: "once", trigger: Trigger.at(at("00:01")) })
        yield* TestScheduler.advance("61 seconds")
        assert.deepStrictEqual((yield* scheduler.status).executors.map(({ running }) => running), [0])
        yield* scheduler.add(Work, { id: "work", trigger: Trigger.now })
        assert.deepStrictEqual((yield* TestScheduler.settle).map((run) => run.taskId), ["work"])
        faults.fail = undefined
      }),
      TestScheduler.layer(Layer.mergeAll(Once.toLayer(() => Effect.void), Work.toLayer(() => Effect.void)), {
        now,
        store: FaultyStore.layer(faults),
        executors: Executors.layer({ default: Executor.layerFibers({ concurrency: 1 }) })
      })
    )
  })
})

describe("what an executor answers", () => {
  /** One run of a task; `run` is the executor. */
  const answering = <A>(
    run: Executor.Executor["Service"]["run"],
    test: Effect.Effect<A, unknown, TaskScheduler.TaskScheduler | TestScheduler.TestScheduler>,
    policy: object = {}
  ) =>
    isolated(
      Effect.gen(function*() {
        yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.now, ...policy })
        yield* TestScheduler.advance("1 second")
        return yield* test
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), { now, executors: executing(run), patience: 50 })
    )

  const cancel = Effect.gen(function*() {
    const [run] = yield* runsOf("work")
    yield* (yield* Scheduler).handle("work").cancel(run!.id)
  })

  const failed = { _tag: "Failed", exit: "{}", retryAfter: 1_000 } as const

  it.effect("a failure after it was asked to stop is not tried again", () =>
    answering(
      () => Effect.uninterruptible(Effect.as(Effect.sleep("3 seconds"), failed)),
      Effect.gen(function*() {
        yield* cancel
        const runs = yield* TestScheduler.advance("1 minute")
        assert.deepStrictEqual(runs.map((run) => [run.state, run.attempt]), [["cancelled", 1]])
        assert.strictEqual(yield* count("RunRetrying"), 0)
      })
    ))

  it.effect("what may begin once only is not tried again", () =>
    answering(
      () => Effect.as(Effect.sleep("3 seconds"), failed),
      Effect.gen(function*() {
        const runs = yield* TestScheduler.advance("1 minute")
        assert.deepStrictEqual(runs.map((run) => [run.state, run.attempt]), [["failed", 1]])
      }),
      { delivery: "atMostOnce" }
    ))

  it.effect("a retry that comes as it is asked to stop ends cancelled, and is told so", () => {
    // Its store hears of the request; the settlement is on its way.
    const store = patched((store, time) => ({
      settle: (settlements, options) =>
        Effect.andThen(
          Activity.asleep(time.clock.sleep(Duration.seconds(3)), time.activity, "settle"),
          store.settle(settlements, options)
        )
    }))
    return isolated(
      Effect.gen(function*() {
        yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.now })
        yield* TestScheduler.advance("1 second")
        yield* cancel
        yield* TestScheduler.advance("1 minute")
        assert.deepStrictEqual((yield* TestScheduler.runs).map((run) => run.state), ["cancelled"])
        assert.deepStrictEqual([yield* count("RunRetrying"), yield* count("RunLost")], [0, 0])
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), {
        now,
        store,
        executors: executing(() => Effect.succeed(failed))
      })
    )
  })

  it.effect("an interruption nobody asked for is a failed attempt", () =>
    answering(
      () => Effect.interrupt,
      Effect.gen(function*() {
        assert.deepStrictEqual((yield* TestScheduler.runs).map((run) => run.state), ["failed"])
      })
    ))

  it.effect("what dies while it is stopped was stopped", () =>
    answering(
      () => Effect.onInterrupt(Effect.sleep("1 hour"), () => Effect.die("boom")) as Effect.Effect<never>,
      Effect.gen(function*() {
        yield* cancel
        yield* TestScheduler.settle
        assert.deepStrictEqual((yield* runsOf("work")).map((run) => run.state), ["cancelled"])
      })
    ))

  it.effect("one that does not keep the timeout is interrupted by the engine", () =>
    answering(
      () => Effect.onInterrupt(Effect.sleep("1 hour"), () => Effect.void) as Effect.Effect<never>,
      Effect.gen(function*() {
        const runs = yield* TestScheduler.advance("40 seconds")
        assert.deepStrictEqual(runs.map((run) => run.state), ["timedOut"])
      }),
      { timeout: "10 seconds" }
    ))

  it.effect("a tag that is handled no longer is not the row's fault", () => {
    let asked = 0
    return answering(
      () =>
        Effect.succeed(
          asked++ === 0
            ? { _tag: "Unreadable", reason: "gone", unhandled: true }
            : { _tag: "Succeeded", exit: "{\"_tag\":\"Success\"}" }
        ),
      Effect.gen(function*() {
        assert.deepStrictEqual((yield* runsOf("work")).map((run) => [run.state, run.attempt]), [["succeeded", 1]])
        assert.deepStrictEqual(yield* (yield* Scheduler).quarantined(), [])
      })
    )
  })
})

describe("what is told", () => {
  const metric = (id: string, attributes: Record<string, string> = {}) =>
    Effect.map(
      Metric.snapshot,
      (snapshot) =>
        snapshot.filter((metric) =>
          metric.id === id && Object.entries(attributes).every(([key, value]) => metric.attributes?.[key] === value)
        ).map((metric) => {
          const state = metric.state as { readonly count?: number; readonly value?: number }
          return state.count ?? state.value
        })
    )

  it.effect("metrics: attempts, retries, lag of first attempts, run time, and what runs now", () => {
    const Flaky = Task.make("Flaky", {
      error: Schema.String,
      retry: { times: 2, schedule: Schedule.spaced("1 minute") }
    })
    return isolated(
      Effect.gen(function*() {
        yield* (yield* Scheduler).add(Flaky, { id: "flaky", trigger: Trigger.now })
        yield* TestScheduler.advance("2 seconds")
        assert.deepStrictEqual(yield* metric("punctual_running"), [1])
        yield* TestScheduler.advance("10 minutes")
        assert.deepStrictEqual(yield* metric("punctual_running"), [0])
        assert.deepStrictEqual(yield* metric("punctual_attempts_total"), [3])
        assert.deepStrictEqual(yield* metric("punctual_retries_total"), [2])
        assert.deepStrictEqual(yield* metric("punctual_run_lag_milliseconds"), [1])
        assert.deepStrictEqual(yield* metric("punctual_run_duration_milliseconds"), [3])
        assert.deepStrictEqual(yield* metric("punctual_runs_total", { state: "failed" }), [1])
        assert.strictEqual(yield* count("RunRetrying"), 2)
      }),
      TestScheduler.layer(Flaky.toLayer(() => Effect.andThen(Effect.sleep("30 seconds"), Effect.fail("no"))), { now })
    ).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  })

  it.effect("events: a task that finished, one that was cancelled before it began, when a run ended", () =>
    isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        yield* scheduler.add(Work, { id: "busy", trigger: Trigger.now })
        yield* TestScheduler.settle
        yield* scheduler.add(Work, {
          id: "work",
          trigger: Trigger.every("10 seconds").pipe(Trigger.upTo(2)),
          whenBusy: "cancelPrevious"
        })
        yield* TestScheduler.advance("25 seconds")
        assert.deepStrictEqual(
          (yield* told("RunEnded")).map((event) =>
            "run" in event && [event.run.taskId, event.run.state, clock(event.run.dueAt), clock(event.at)]
          ),
          [["work", "cancelled", "00:00:10", "00:00:20"]]
        )
        assert.deepStrictEqual(
          (yield* told("TaskFinished")).map((event) => "id" in event && [event.id, clock(event.at)]),
          [
            ["busy", "00:00"],
            ["work", "00:00:20"]
          ]
        )
        const runs = yield* TestScheduler.advance("3 minutes")
        assert.deepStrictEqual(runs.map((run) => [run.taskId, run.state]), [["busy", "succeeded"], [
          "work",
          "succeeded"
        ]])
        assert.deepStrictEqual((yield* told("RunEnded")).slice(1).map((event) => clock(event.at)), ["00:01", "00:02"])
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.sleep("1 minute")), {
        now,
        executors: Executors.layer({ default: Executor.layerFibers({ concurrency: 1 }) })
      })
    ))

  it("events: a range that was not counted to its end says so", () => {
    const range = { from: 0, to: 9, count: 7, exact: false, outcome: "missed", reason: "late", follows: null } as const
    assert.deepInclude(rangeEvent("default", "work", range, 9), { _tag: "OccurrencesMissed", count: 7, exact: false })
    assert.deepInclude(rangeEvent("default", "work", { ...range, exact: true }, 9), { exact: true })
  })

  it.effect("the end of a run is told to who waits for that one, not for another task's of the same key", () => {
    let minutes = 10
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        const add = scheduler.add(Work, { id: "work", trigger: Trigger.every("30 days") })
        const first = yield* (yield* add).runNow({ key: "k" })
        yield* TestScheduler.advance("1 minute")
        yield* scheduler.handle("work").remove()
        minutes = 1
        yield* (yield* add).runNow({ key: "k" })
        const waiting = yield* forked(Effect.exit(first.await))
        yield* TestScheduler.advance("2 minutes")
        assert.isUndefined(waiting.pollUnsafe())
        yield* TestScheduler.advance("10 minutes")
        yield* Fiber.join(waiting)
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.suspend(() => Effect.sleep(Duration.minutes(minutes)))), { now })
    )
  })

  it.effect("failures in a row: a success begins anew, and what was cancelled is no failure", () => {
    let runs = 0
    const Broken = Task.make("Broken", { error: Schema.String })
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        const handle = yield* scheduler.add(Broken, {
          id: "broken",
          trigger: Trigger.every("1 minute"),
          pauseOnFailure: 2
        })
        yield* TestScheduler.advance("6 minutes")
        assert.strictEqual((yield* handle.snapshot).state, "scheduled")
        yield* handle.update({ pauseOnFailure: 1 })
        yield* TestScheduler.advance("65 seconds")
        assert.strictEqual(runs, 7)
        yield* handle.cancel((yield* handle.runs()).items[0]!.id)
        yield* TestScheduler.settle
        assert.deepStrictEqual((yield* handle.runs()).items[0]!.state, "cancelled")
        assert.strictEqual((yield* handle.snapshot).state, "scheduled")
      }),
      TestScheduler.layer(
        Broken.toLayer(() =>
          Effect.suspend(() => ++runs === 7 ? Effect.sleep("1 hour") : runs % 2 === 0 ? Effect.void : Effect.fail("no"))
        ),
        { now }
      )
    )
  })

  it.effect("without a tracer a run has no span; with one, it has no parent but its adder", () => {
    const parents: Array<unknown> = []
    const App = Work.toLayer(() =>
      Effect.map(Effect.option(Effect.currentParentSpan), (span) => void parents.push(Option.getOrUndefined(span)))
    )
    const run = Effect.gen(function*() {
      yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.now })
      yield* TestScheduler.settle
    })
    return Effect.gen(function*() {
      yield* isolated(run, TestScheduler.layer(App, { now }))
      assert.deepStrictEqual(parents.splice(0), [undefined])
      const spans: Array<Tracer.Span> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      const layer = TestScheduler.layer(App, { now }).pipe(Layer.withSpan("program"))
      yield* isolated(Effect.provideService(run, Tracer.DisablePropagation, false), layer).pipe(
        Effect.provideService(Tracer.Tracer, tracer)
      )
      const span = spans.find((span) => span.name === "punctual.run Work")!
      assert.strictEqual(Option.getOrUndefined(span.parent)?.spanId, undefined)
    })
  })

  it("the parent that is stored has the standard's form, or is none", () => {
    const span = (traceId: string, spanId: string, sampled: boolean) =>
      Option.some(Tracer.externalSpan({ traceId, spanId, sampled }))
    assert.strictEqual(encodeParent(Option.none()), null)
    assert.strictEqual(encodeParent(span("not hexadecimal", "0123456789abcdef", true)), null)
    assert.strictEqual(encodeParent(span("0123456789abcdef0123456789abcdef", "short", true)), null)
    assert.strictEqual(
      encodeParent(span("0123456789abcdef0123456789abcdef", "0123456789abcdef", true)),
      "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
    )
    assert.strictEqual(
      encodeParent(span("0123456789abcdef0123456789abcdef", "0123456789abcdef", false)),
      "00-0123456789abcdef0123456789abcdef-0123456789abcdef-00"
    )
  })

  it.effect("a run of an adder that was not sampled is not sampled", () => {
    const sampled: Array<boolean> = []
    const tracer = Tracer.make({
      span: (options) => {
        sampled.push(
          ...(options.name.startsWith("punctual") && Option.isSome(options.parent)
            ? [options.parent.value.sampled]
            : [])
        )
        return new Tracer.NativeSpan(options)
      }
    })
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        for (const yes of [true, false]) {
          yield* Effect.withParentSpan(
            scheduler.add(Work, { id: `${yes}`, trigger: Trigger.now }),
            Tracer.externalSpan({
              traceId: "0123456789abcdef0123456789abcdef",
              spanId: "0123456789abcdef",
              sampled: yes
            })
          )
          yield* TestScheduler.settle
        }
        assert.deepStrictEqual(sampled, [true, false])
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), { now })
    ).pipe(Effect.provideService(Tracer.Tracer, tracer))
  })
})

describe("now and then", () => {
  const declared = (ids: ReadonlyArray<string>, trigger: Trigger.Trigger) =>
    Layer.effectDiscard(
      Scheduler.use((scheduler) => scheduler.addAll(ids.map((id) => Task.scheduled(Work, { id, trigger }))))
    )

  it.effect("finished tasks are forgotten once all about them is old, however many, and it is told", () => {
    const many = Array.from({ length: 1_100 }, (_, i) => `${i}`)
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        const client = scheduler
        yield* scheduler.add(Work, { id: "late", trigger: Trigger.at(at("2026-01-02T20:00:00Z")) })
        yield* TestScheduler.advance("20 hours")
        yield* scheduler.handle("0").update({ name: "of interest" })
        yield* TestScheduler.advance("15 hours")
        assert.deepStrictEqual((yield* client.list()).items.map((info) => info.id), ["0", "late"])
        assert.strictEqual(yield* count("TaskRemoved"), 1_099)
        // Its last evaluation counts, not only its last change.
        yield* TestScheduler.advance("25 hours")
        assert.deepStrictEqual((yield* client.list()).items.map((info) => info.id), ["late"])
        yield* TestScheduler.advance("2 days")
        assert.deepStrictEqual((yield* client.list()).items, [])
      }),
      TestScheduler.layer(Layer.mergeAll(Work.toLayer(() => Effect.void), declared(many, Trigger.now)), {
        now,
        retention: { finished: "1 day" }
      })
    )
  }, 20_000)

  it.effect("history is forgotten by age, however much there is", () =>
    isolated(
      Effect.gen(function*() {
        yield* TestScheduler.advance("1 day")
        yield* (yield* Scheduler).handle("work").pause()
        // Pruned at 31 h, 41 h and 51 h: more than a batch each time.
        yield* TestScheduler.advance("28 hours")
        assert.deepStrictEqual((yield* runsOf("work")).length, 0)
      }),
      TestScheduler.layer(
        Layer.mergeAll(Work.toLayer(() => Effect.void), declared(["work"], Trigger.every("1 minute"))),
        {
          now,
          retention: { runs: 100_000, age: "1 day" }
        }
      )
    ), 20_000)

  it.effect("a clock that is wrong for a moment moves nothing; one that stays behind moves all, many times", () => {
    const many = Array.from({ length: 600 }, (_, i) => `${i}`)
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        yield* TestScheduler.advance("5 hours")
        yield* scheduler.handle("paused").pause()
        yield* TestScheduler.jump("-3 hours")
        yield* TestScheduler.advance("70 minutes")
        yield* TestScheduler.jump("3 hours")
        yield* TestScheduler.advance("4 hours")
        assert.strictEqual(yield* count("ClockMovedBack"), 0)
        for (const round of [1, 2]) {
          yield* TestScheduler.jump("-30 hours")
          yield* TestScheduler.advance("3 hours")
          // The paused one has a cursor, too, and stays paused.
          assert.strictEqual(yield* count("ClockMovedBack"), round * (many.length + 1))
          const info = yield* scheduler.handle("paused").snapshot
          assert.strictEqual(info.state, "paused")
          assert.isTrue(Option.isNone(info.nextRunTime))
          const before = (yield* TestScheduler.runs).length
          yield* TestScheduler.advance("30 hours")
          // `every` has nothing before its anchor, and that is where the clock was set back to.
          assert.isAtLeast((yield* TestScheduler.runs).length - before, 10 * many.length)
          yield* scheduler.handle("paused").update({ name: `paused ${round}` })
        }
      }),
      TestScheduler.layer(
        Layer.mergeAll(Work.toLayer(() => Effect.void), declared([...many, "paused"], Trigger.every("1 hour"))),
        { now, retention: { runs: 1 } }
      )
    )
  }, 60_000)

  it.effect("a scheduler that starts under a clock that was set back moves what is far ahead, and only that", () =>
    Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      const store = Layer.succeed(TaskStore)(memory)
      const client = Context.get(
        yield* Layer.build(TaskSchedulerClient.layer().pipe(Layer.provide(store))),
        TaskSchedulerClient.TaskSchedulerClient
      )
      for (const [id, ahead] of [["far", "08:00"], ["near", "01:50"]] as const) {
        yield* client.add(Work, { id, trigger: Trigger.every("10 minutes") })
        const [task] = yield* memory.get([id])
        const { generation, revision } = task!.row
        yield* memory.commit([{
          id,
          generation,
          revision,
          set: { cursor: at(ahead), due: at(ahead) + 600_000, nominal: at(ahead) + 600_000, epoch: at(ahead) },
          runs: [],
          now: at("00:00")
        }])
      }
      yield* isolated(
        Effect.gen(function*() {
          yield* TestScheduler.advance("61 minutes")
          assert.deepStrictEqual((yield* told("ClockMovedBack")).map((event) => "id" in event && event.id), ["far"])
          const runs = yield* TestScheduler.advance("20 minutes")
          assert.deepStrictEqual([...new Set(runs.map((run) => run.taskId))], ["far"])
        }),
        TestScheduler.layer(Work.toLayer(() => Effect.void), { now, store })
      )
    }))

  it.effect("verdicts are looked at again: others' on what can be read, and those on tasks that are gone", () =>
    Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      const faults = FaultyStore.makeFaults()
      const damaged = "{\"v\":99}"
      const verdict = (id: string) =>
        Effect.flatMap(
          memory.get([id]),
          ([task]) =>
            memory.quarantine([{
              id,
              generation: task!.row.generation,
              reader: "another",
              reason: "a newer version",
              at: 0
            }])
        )
      const left = Effect.map(memory.verdicts({ limit: 10 }), (verdicts) => verdicts.map(({ id }) => id).sort())
      yield* isolated(
        Effect.gen(function*() {
          const scheduler = yield* Scheduler
          yield* TestScheduler.settle
          yield* scheduler.pause
          for (const id of ["good", "bad"]) yield* scheduler.add(Work, { id, trigger: Trigger.every("1 day") })
          const [task] = yield* memory.get(["bad"])
          const { generation, revision } = task!.row
          yield* memory.commit([{ id: "bad", generation, revision, set: { trigger: damaged }, runs: [], now: 0 }])
          yield* verdict("good")
          yield* verdict("bad")
          faults.refuse = "refused"
          yield* scheduler.resume
          yield* Effect.ignore(scheduler.add(Work, { id: "refused", trigger: Trigger.every("30 seconds") }))
          yield* TestScheduler.advance("50 minutes")
          assert.deepStrictEqual(yield* left, ["bad", "good", "refused"])
          yield* TestScheduler.advance("11 minutes")
          // Its own verdict stays: the row can be read, and yet the store refused its change.
          assert.deepStrictEqual(yield* left, ["bad", "refused"])
          const told = (yield* TestScheduler.events).filter(({ _tag }) => _tag === "TaskQuarantined")
          assert.deepStrictEqual(told.map((event) => "id" in event && event.id), ["refused"])
        }),
        TestScheduler.layer(Work.toLayer(() => Effect.void), { now, store: FaultyStore.layer(faults, memory) })
      )
      yield* verdict("refused")
      yield* verdict("bad")
      yield* isolated(
        Effect.gen(function*() {
          yield* TestScheduler.settle
          assert.deepStrictEqual(yield* left, ["bad"])
        }),
        TestScheduler.layer(Work.toLayer(() => Effect.void), { now, store: Layer.succeed(TaskStore)(memory) })
      )
    }))

  it.effect("goes on after a failure, and after a defect", () => {
    const faults = { fail: true, die: true }
    let pruned = 0
    const store = patched((store) => ({
      list: (query) => faults.fail && query.sort === "due" ? Effect.fail(unavailable("list")) : store.list(query),
      prune: (options) =>
        Effect.suspend(() => {
          pruned++
          return faults.die ? Effect.die(new Error("boom")) : store.prune(options)
        })
    }))
    return isolated(
      Effect.gen(function*() {
        yield* TestScheduler.advance("2 hours")
        yield* TestScheduler.advance("40 hours")
        assert.isAtLeast(pruned, 3)
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), { now, store })
    )
  })

  it.effect("forgets verdicts on tasks that are gone", () =>
    Effect.gen(function*() {
      const cleared: Array<number> = []
      const store = patched((store) => ({
        verdicts: () => Effect.succeed([{ id: "gone", generation: 77, reader: "another", reason: "?", at: 0 }]),
        clear: (generations) =>
          Effect.andThen(Effect.sync(() => cleared.push(...generations)), store.clear(generations))
      }))
      yield* isolated(
        TestScheduler.advance("1 second"),
        TestScheduler.layer(Work.toLayer(() => Effect.void), { now, store })
      )
      assert.deepStrictEqual(cleared, [77])
    }))
})

describe("options", () => {
  const refused: ReadonlyArray<readonly [string, object, RegExp]> = [
    ["an unknown one", { leese: "1 minute" }, /did you mean `lease`/],
    ["a zone nobody has", { timeZone: "Europe/Atlantis" }, /Europe\/Atlantis/],
    ["a lease below a second", { lease: "999 millis" }, /`lease` must be a duration from 1000 ms/],
    ["a lease of two years", { lease: "800 days" }, /`lease` must be a duration/],
    ["a lease that is none", { lease: "soon" }, /`lease` must be a duration/],
    [
      "a grace of more than half the lease",
      { lease: "10 seconds", interruptGrace: "5001 millis" },
      /at most half the lease \(5000 ms\)/
    ],
    ["a start that is none", { start: "later" }, /"auto", "manual" or "paused"/],
    ["less than no takeovers", { maxTakeovers: -1 }, /from 0 to 1000, not -1/],
    ["too many takeovers", { maxTakeovers: 1_001 }, /from 0 to 1000, not 1001/],
    ["half a takeover", { maxTakeovers: 1.5 }, /must be an integer/],
    ["a poll all the time", { pollInterval: "9 millis" }, /from 10 ms/],
    ["no time for a store", { storeTimeout: 0 }, /from 1 ms/],
    ["too much history", { retention: { runs: 1_000_001 } }, /`retention.runs` must be an integer/],
    ["an infinite drain", { drainTimeout: "Infinity" }, /`drainTimeout` must be a duration/],
    ["defaults that mean nothing", { defaults: { maxInstances: 0 } }, /maxInstances/]
  ]
  for (const [name, options, message] of refused) {
    it.effect(`refuses ${name}`, () =>
      Effect.gen(function*() {
        const exit = yield* Effect.exit(Effect.scoped(Layer.build(
          TestScheduler.layer(Work.toLayer(() => Effect.void), { now, ...options } as { readonly now: string })
        )))
        assert.isTrue(Exit.isFailure(exit))
        assert.match(Exit.isFailure(exit) ? String(exit.cause) : "", message)
      }))
  }

  const accepted: ReadonlyArray<object> = [
    { lease: "1 second" },
    { lease: "10 seconds", interruptGrace: "5 seconds" },
    { lease: "1500 millis", interruptGrace: 0 },
    { maxTakeovers: 0, pollInterval: "10 millis", storeTimeout: 1, drainTimeout: 0, retention: { runs: 0 } },
    { executors: undefined, lease: "366 days" }
  ]
  for (const options of accepted) {
    it.effect(`takes ${JSON.stringify(options)}`, () =>
      isolated(
        Effect.gen(function*() {
          yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.now })
          assert.strictEqual((yield* TestScheduler.settle).length, 1)
        }),
        TestScheduler.layer(Work.toLayer(() => Effect.void), { now, ...options } as { readonly now: string })
      ))
  }

  it.effect("fractions of a millisecond are rounded up", () => {
    const faults = FaultyStore.makeFaults()
    const leases: Array<number> = []
    const store = patched((store) => ({
      heartbeat: (options) => {
        leases.push(options.lease.until - options.now)
        return store.heartbeat(options)
      }
    }))
    return isolated(
      Effect.gen(function*() {
        yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.now })
        yield* TestScheduler.advance("1 minute")
        assert.deepStrictEqual([...new Set(leases)], [9_001])
        assert.strictEqual(faults.calls.size, 0)
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.sleep("1 hour")), { now, store, lease: "9000.4 millis" })
    )
  })

  it.effect("the registry is App's alone", () =>
    Effect.gen(function*() {
      const context = yield* Layer.build(TestScheduler.layer(Work.toLayer(() => Effect.void), { now }))
      assert.isTrue(Option.isNone(Context.getOption(context as Context.Context<never>, TaskRegistry.TaskRegistry)))
    }))
})

describe("virtual time", () => {
  const make = Effect.flatMap(Clock.Clock, (clock) => makeVirtualTime(clock as TestClock.TestClock))

  it.effect("counts by label: one below zero hides nothing else", () =>
    Effect.gen(function*() {
      const time = yield* make
      time.activity.begin("a")
      time.activity.end("a")
      time.activity.end("a")
      assert.strictEqual(time.busy(), 0)
      time.activity.begin("b")
      assert.strictEqual(time.busy(), 1)
      assert.deepStrictEqual(time.labels(), ["b"])
      let idle = false
      const fiber = yield* Effect.forkChild(Effect.andThen(time.idle, Effect.sync(() => idle = true)))
      yield* Effect.yieldNow
      time.activity.begin("a")
      time.activity.begin("a")
      yield* Effect.yieldNow
      assert.isFalse(idle)
      assert.deepStrictEqual([time.busy(), time.labels()], [2, ["b", "a"]])
      time.activity.end("b")
      time.activity.end("a")
      yield* Fiber.join(fiber)
      assert.isTrue(idle)
    }))

  it.effect("sleeping suspends a label, waking takes it up again", () =>
    Effect.gen(function*() {
      const time = yield* make
      time.activity.begin("a")
      const fiber = yield* Effect.forkChild(
        Effect.andThen(time.clock.sleep(Duration.millis(10)), Effect.never).pipe(
          Effect.provideService(Activity.Label, "a")
        ),
        { startImmediately: true }
      )
      assert.deepStrictEqual([time.busy(), time.nextSleeper()], [0, 10])
      yield* time.testClock.setTime(10)
      assert.deepStrictEqual([time.busy(), time.nextSleeper()], [1, Infinity])
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(time.busy(), 1)
    }))

  it.effect("knows the next of many sleepers, whatever order they come and go in", () =>
    Effect.gen(function*() {
      const time = yield* make
      const fibers = new Map<number, Fiber.Fiber<void>>()
      const next = () => fibers.size === 0 ? Infinity : Math.min(...fibers.keys())
      const sleep = (millis: number) =>
        Effect.map(
          Effect.forkChild(time.clock.sleep(Duration.millis(millis)), { startImmediately: true }),
          (fiber) => fibers.set(millis, fiber)
        )
      for (let i = 1; i <= 200; i++) {
        yield* sleep((i * 7919) % 1009 + 1)
        assert.strictEqual(time.nextSleeper(), next())
      }
      for (const millis of [...fibers.keys()]) {
        if (fibers.size % 3 === 0) yield* sleep(((fibers.size * 31) % 500) + 1_200 + fibers.size / 1_000)
        yield* Fiber.interrupt(fibers.get(millis)!)
        fibers.delete(millis)
        assert.strictEqual(time.nextSleeper(), next())
      }
    }))

  it.effect("a jump adds up, moves every reading of the wall clock, and neither sleepers nor the monotonic clock", () =>
    Effect.gen(function*() {
      const time = yield* make
      yield* time.testClock.setTime(1_000)
      const monotonic = time.clock.monotonicTimeNanosUnsafe()
      time.jump(5_000)
      time.jump(-2_000)
      assert.strictEqual(time.offset(), 3_000)
      assert.strictEqual(time.clock.currentTimeMillisUnsafe(), 4_000)
      assert.strictEqual(yield* time.clock.currentTimeMillis, 4_000)
      assert.strictEqual(time.clock.currentTimeNanosUnsafe(), 4_000_000_000n)
      assert.strictEqual(yield* time.clock.currentTimeNanos, 4_000_000_000n)
      assert.strictEqual(time.clock.monotonicTimeNanosUnsafe(), monotonic)
      assert.strictEqual(yield* time.clock.monotonicTimeNanos, monotonic)
      const fiber = yield* Effect.forkChild(time.clock.sleep(Duration.millis(10)), { startImmediately: true })
      assert.strictEqual(time.nextSleeper(), 1_010)
      yield* Fiber.interrupt(fiber)
    }))

  it.effect("stops at each instant that something sleeps until, for real work done there", () => {
    const gates = [1, 2, 3].map(() => Latch.makeUnsafe(false))
    let begun = 0
    const App = Layer.mergeAll(
      Work.toLayer(() => gates[begun++]!.await),
      Task.layerScheduled(Work, { id: "work", trigger: Trigger.every("1 minute").pipe(Trigger.upTo(3)) })
    )
    return isolated(
      Effect.gen(function*() {
        const advancing = yield* forked(TestScheduler.advance("10 minutes"))
        for (const [i, gate] of gates.entries()) {
          assert.strictEqual(yield* standsAt, `00:0${i + 1}`)
          assert.strictEqual(begun, i + 1)
          yield* gate.open
        }
        assert.strictEqual((yield* Fiber.join(advancing)).length, 3)
        assert.strictEqual(yield* standsAt, "00:10")
        yield* TestScheduler.jump("1 hour")
        yield* TestScheduler.advanceTo("2026-01-01T01:10:00Z")
        assert.strictEqual((yield* (yield* TestScheduler.TestScheduler).now).epochMilliseconds, at("01:10"))
      }),
      TestScheduler.layer(App, { now })
    )
  })

  it.effect("says so when it is used under another clock than it was built with", () =>
    Effect.gen(function*() {
      const context = yield* Layer.build(TestScheduler.layer(Work.toLayer(() => Effect.void), { now }))
      const other = yield* makeVirtualTime((yield* Clock.Clock) as TestClock.TestClock)
      const test = Context.get(context, TestScheduler.TestScheduler)
      const exit = yield* Effect.exit(
        Effect.provideService(test.advance("1 second"), Clock.Clock, Object.assign({ setTime: () => {} }, other.clock))
      )
      assert.match(Exit.isFailure(exit) ? String(exit.cause) : "", /NotVirtualTime|built under one test clock/)
    }))

  it.effect("what it has told does not change afterwards", () =>
    isolated(
      Effect.gen(function*() {
        const before = yield* TestScheduler.events
        const length = before.length
        yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.now })
        yield* TestScheduler.settle
        assert.strictEqual(before.length, length)
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), { now })
    ))

  it.effect("Activity.during holds it for real work outside the scheduler", () =>
    isolated(
      Effect.gen(function*() {
        const gate = Latch.makeUnsafe(false)
        const activity = yield* Lent
        yield* forked(Effect.provideService(Activity.during(gate.await, "outside"), Activity.Activity, activity))
        const advancing = yield* forked(TestScheduler.advance("1 minute"))
        assert.strictEqual(yield* standsAt, "00:00")
        yield* gate.open
        yield* Fiber.join(advancing)
        assert.strictEqual(yield* standsAt, "00:01")
      }),
      TestScheduler.layer(Layer.mergeAll(Work.toLayer(() => Effect.void), Layer.effect(Lent)(Activity.Activity)), {
        now
      })
    ))
})

class Lent extends Context.Service<Lent, Activity.Activity>()("test/Lent") {}
