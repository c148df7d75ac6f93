import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import type { TaskScheduler } from "../src/TaskScheduler.ts"
import * as Scheduler from "../src/TaskScheduler.ts"
import { TaskSchedulerClient } from "../src/TaskSchedulerClient.ts"
import * as Client from "../src/TaskSchedulerClient.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import {
  at,
  clock,
  counts,
  Echo,
  Fail,
  Handlers,
  hourly,
  nextTime,
  Refused,
  Slow,
  start,
  Tick,
  times
} from "./utils.ts"

/** A client and, once `run` is built, a scheduler, over one store. */
const together = <A, E>(
  test: (run: Effect.Effect<Context.Context<TaskScheduler>, unknown>) => Effect.Effect<
    A,
    E,
    TaskSchedulerClient | TestScheduler.TestScheduler
  >,
  options: Client.Options = {}
) => {
  /** Carries what the scheduler needs to be built later, under the same virtual time. */
  class Later extends Context.Service<Later, Effect.Effect<Context.Context<TaskScheduler>, unknown>>()("Later") {}
  const Program = Layer.mergeAll(
    Client.layer(options),
    Layer.effect(Later)(Effect.gen(function*() {
      const context = yield* Effect.context<Scope.Scope>()
      return Layer.buildWithScope(
        Scheduler.layer(Handlers, { drainTimeout: 0 }),
        Context.get(context, Scope.Scope)
      ).pipe(Effect.provideContext(context)) as Effect.Effect<Context.Context<TaskScheduler>, unknown>
    }))
  ).pipe(Layer.provideMerge(MemoryTaskStore.layer))
  return Effect.gen(function*() {
    return yield* test(yield* Later)
  }).pipe(Effect.provide(TestScheduler.layerProgram(Program, { now: start })))
}

describe("TaskSchedulerClient", () => {
  it.effect("adds what it does not handle; it runs once a scheduler with the handler is there", () =>
    together((run) =>
      Effect.gen(function*() {
        const client = yield* TaskSchedulerClient
        const handle = yield* client.add(Echo, { id: "a", payload: { text: "hi" }, trigger: hourly })
        yield* TestScheduler.advance("150 minutes")
        assert.deepStrictEqual(yield* TestScheduler.runs, [])
        const pending = yield* handle.snapshot
        assert.strictEqual(pending.state, "pending")
        assert.strictEqual(nextTime(pending), "01:00")
        yield* run
        const runs = yield* TestScheduler.advance("1 hour")
        assert.deepStrictEqual(times(runs), ["02:00", "03:00"])
        const info = yield* handle.snapshot
        assert.strictEqual(info.state, "scheduled")
        assert.deepStrictEqual(counts(info.counters), { ran: 2, coalesced: 1 })
      })
    ))

  it.effect("a change of the client is seen at once", () =>
    together((run) =>
      Effect.gen(function*() {
        const client = yield* TaskSchedulerClient
        yield* run
        const handle = yield* client.add(Tick, { id: "a", trigger: Trigger.every("6 hours") })
        yield* TestScheduler.advance("90 minutes")
        yield* handle.update({ nextRunTime: at("02:00") })
        assert.deepStrictEqual(times(yield* TestScheduler.advance("1 hour")), ["02:00"])
        yield* handle.pause("by the client")
        assert.deepStrictEqual(times(yield* TestScheduler.advance("1 day")), [])
        yield* handle.resume
        yield* handle.remove()
        assert.deepStrictEqual((yield* client.list()).items, [])
      })
    ))

  it.effect("awaits results and errors of runs that others execute", () =>
    together((run) =>
      Effect.gen(function*() {
        const client = yield* TaskSchedulerClient
        const slow = yield* client.add(Slow, { id: "slow", payload: { minutes: 10 }, trigger: Trigger.every("1 day") })
        const fail = yield* client.add(Fail, { id: "fail", payload: { why: "no" }, trigger: Trigger.every("1 day") })
        const first = yield* slow.runNow()
        const second = yield* fail.runNow()
        const results = yield* Effect.forkChild(
          Effect.all([first.await, Effect.flip(second.await)], { concurrency: 2 }),
          {
            startImmediately: true
          }
        )
        yield* run
        yield* TestScheduler.advance("11 minutes")
        const [minutes, error] = yield* Fiber.join(results)
        assert.strictEqual(minutes, 10)
        assert.instanceOf(error, Refused)
        const third = yield* slow.runNow()
        yield* TestScheduler.settle
        yield* third.cancel
        yield* TestScheduler.settle
        assert.strictEqual((yield* third.info).state, "cancelled")
        const ended = yield* Effect.flip(third.await)
        assert.strictEqual(ended._tag, "RunNotCompleted")
      })
    ))

  it.effect("reconciles, previews, explains and lists", () =>
    together((run) =>
      Effect.gen(function*() {
        const client = yield* TaskSchedulerClient
        yield* client.reconcile("web", [{ task: Tick, options: { id: "a", trigger: hourly } }])
        yield* run
        yield* TestScheduler.advance("1 hour")
        const handle = client.handle("a")
        assert.deepStrictEqual((yield* handle.preview(2)).map((point) => clock(point.due)), ["02:00", "03:00"])
        assert.strictEqual((yield* handle.explain(at("01:00"))).outcome, "ran")
        assert.strictEqual((yield* client.runs()).items.length, 1)
        assert.strictEqual(yield* client.removeAll({ owner: "web" }), 1)
      })
    ))

  it.effect("accepts any executor, since it knows none; reads instants in its zone; has defaults of its own", () =>
    together(() =>
      Effect.gen(function*() {
        const client = yield* TaskSchedulerClient
        const handle = yield* client.add(Tick, {
          id: "a",
          trigger: hourly,
          executor: "gpu",
          nextRunTime: "2026-01-01T09:00"
        })
        const info = yield* handle.snapshot
        assert.strictEqual(info.executor, "gpu")
        assert.strictEqual(nextTime(info), "08:00")
        assert.strictEqual(Option.getOrThrow(info.policy).maxInstances, 3)
      }), { timeZone: "Europe/Berlin", defaults: { maxInstances: 3 } }))

  it.effect("refuses options it does not know", () =>
    Effect.gen(function*() {
      const build = (options: object) => Effect.flip(Effect.scoped(Layer.build(Client.layer(options))))
      const error = yield* build({ timezone: "UTC" })
      assert.match(error.message, /did you mean `timeZone`/)
      assert.match((yield* build({ timeZone: "Mars/Olympus" })).message, /Mars/)
    }).pipe(Effect.provide(MemoryTaskStore.layer)))
})
