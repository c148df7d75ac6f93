/**
 * The engine as in production, without `TestScheduler`: it polls, cuts its sleeps, and does not believe that a store answers.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as TestClock from "effect/testing/TestClock"
import { makeVirtualTime, type VirtualTime } from "../src/internal/virtualTime.ts"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import * as Task from "../src/Task.ts"
import * as TaskScheduler from "../src/TaskScheduler.ts"
import * as TaskSchedulerClient from "../src/TaskSchedulerClient.ts"
import * as Trigger from "../src/Trigger.ts"
import { clientOf, logged, Work } from "./support/engine.ts"
import * as FaultyStore from "./support/FaultyStore.ts"
import { patched } from "./support/patchedStore.ts"
import { at } from "./utils.ts"

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
            ? Effect.fail(FaultyStore.unavailable("heartbeat"))
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

  it.effect("a scheduler tells of itself every ten seconds, and is stale thirty seconds after the last time", () => {
    const faults = FaultyStore.makeFaults()
    return inProduction(
      TaskScheduler.layer(Work.toLayer(() => Effect.void)).pipe(Layer.provide(FaultyStore.layer(faults))),
      (services, time) =>
        Effect.gen(function*() {
          const client = Context.get(services, TaskSchedulerClient.TaskSchedulerClient)
          const states = Effect.map(client.instances(), (all) => all.map(({ state }) => state))
          for (let i = 0; i < 60; i++) yield* time.adjust("1 second")
          // At its start, and six times since.
          assert.strictEqual(faults.calls.get("beat"), 7)
          faults.fail = "beat"
          for (let i = 0; i < 29; i++) yield* time.adjust("1 second")
          assert.deepStrictEqual(yield* states, ["alive"])
          yield* time.adjust("1 second")
          assert.deepStrictEqual(yield* states, ["stale"])
          faults.fail = undefined
          yield* time.adjust("10 seconds")
          assert.deepStrictEqual(yield* states, ["alive"])
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
      const client = yield* clientOf(memory)
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

  it.live("a program whose handler never ends closes, and it is named", () => {
    const said: Array<string> = []
    const begun = Latch.makeUnsafe(false)
    const Deaf = Work.toLayer(() => Effect.onInterrupt(Effect.andThen(begun.open, Effect.never), () => Effect.never))
    return Effect.gen(function*() {
      const program = yield* Effect.forkChild(
        Layer.launch(
          TaskScheduler.layer(Layer.merge(Deaf, Task.layerScheduled(Work, { id: "work", trigger: Trigger.now })), {
            drainTimeout: 0,
            interruptGrace: "1 millis"
          }).pipe(Layer.provide(MemoryTaskStore.layer))
        )
      )
      yield* begun.await
      yield* Fiber.interrupt(program)
      assert.strictEqual(said.length, 1)
      assert.include(said[0], "left behind: task work")
    }).pipe(Effect.provide(Logger.layer([Logger.make(({ message }) => said.push(String(message)))])))
  })
})
