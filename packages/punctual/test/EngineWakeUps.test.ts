/**
 * What wakes the engine, and what lets it sleep.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import * as Task from "../src/Task.ts"
import * as TaskRegistry from "../src/TaskRegistry.ts"
import { type Wake } from "../src/TaskStore.ts"
import * as TaskStores from "../src/TaskStores.ts"
import * as Simulation from "../src/testing/Simulation.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import { clientOf, count, isolated, logged, now, oneAtATime, Scheduler, storeOf, told, Work } from "./support/engine.ts"
import * as FaultyStore from "./support/FaultyStore.ts"
import { patched } from "./support/patchedStore.ts"
import { at } from "./utils.ts"

const Short = Task.make("Short")

/** So many turns of the event loop. */
const pass = async (count: number) => {
  for (let i = count; i > 0; i--) await new Promise((resolve) => setImmediate(resolve))
}

describe("wake-ups", () => {
  it.effect("one that was lost costs a poll, however often something else is due", () => {
    const often = Trigger.every("1 second")
    const App = Layer.mergeAll(
      Work.toLayer(() => Effect.void),
      Task.layerScheduled(Work, { id: "often", trigger: often, onConflict: "keep" }),
      Task.layerScheduled(Work, { id: "seldom", trigger: Trigger.every("1 day"), onConflict: "keep" })
    )
    const operations = [Simulation.operation("runNow", (scheduler) => scheduler.handle("seldom").runNow())]
    const deafWhileAsked: Simulation.Script = {
      seed: 1,
      skews: [0],
      latency: 0,
      duration: 20_000,
      steps: [{ at: 5_000, node: 0, fault: "deaf", for: 2_000 }, { at: 6_500, node: 0, operation: "runNow", draw: 1 }]
    }
    return Effect.gen(function*() {
      const { ledger } = yield* Simulation.replay(App, deafWhileAsked, {
        operations,
        scheduler: { pollInterval: 3_000 }
      })
      const claimed = ledger.entries.find((entry) => entry._tag === "Claimed" && entry.run.taskId === "seldom")
      assert.isDefined(claimed)
      assert.isAtMost(claimed!.at, 6_500 + 3_000)
    })
  })

  it.effect("a store that only says that something changed is read again", () => {
    const listeners = new Set<(wake: Wake) => void>()
    const tell = () => listeners.forEach((listener) => listener({ due: null, ready: false, cancel: false }))
    const log: Array<string> = []
    return Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      const client = yield* clientOf(memory)
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

  it.effect("one that comes as something else ends lets no virtual time pass over a heartbeat", () => {
    const listeners = new Set<(wake: Wake) => void>()
    const beats: Array<number> = []
    let turns = 0
    const store = patched((store) => ({
      listen: (onWake) => Effect.sync(() => void listeners.add(onWake)),
      heartbeat: (options) => {
        beats.push(options.lease.until)
        return Effect.andThen(Effect.promise(() => pass(3)), store.heartbeat(options))
      },
      // told of on one connection, answered on another: before it, or after
      settle: (settlements, options) =>
        Effect.andThen(
          Effect.promise(async () => {
            const tell = () => listeners.forEach((listener) => listener({ due: null, ready: false, cancel: true }))
            const apart = turns++ % 16 - 8
            await pass(1)
            void pass(Math.max(0, apart)).then(tell)
            await pass(Math.max(0, -apart))
          }),
          store.settle(settlements, options)
        )
    }))
    const App = Layer.mergeAll(
      Work.toLayer(() => Effect.sleep("1 day")),
      Short.toLayer(() => Effect.sleep("7 seconds"))
    )
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        yield* scheduler.add(Work, { id: "long", trigger: Trigger.now })
        yield* scheduler.add(Short, { id: "short", trigger: Trigger.every("1 minute") })
        yield* TestScheduler.advance("10 hours")
        // one may be under way as time moves to the next
        for (let k = 1; k < beats.length; k++) assert.isAtMost(beats[k]! - beats[k - 1]!, 20_000)
      }),
      TestScheduler.layer(App, { now, store })
    )
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
        { now, store, executors: oneAtATime }
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
            Effect.fail(FaultyStore.unavailable("commit"))
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
        { now, store: stores, executors: oneAtATime }
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
      const store = storeOf(memory)
      const client = yield* clientOf(memory)
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
