import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { CurrentRun } from "../src/CurrentRun.ts"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import { TaskScheduler } from "../src/TaskScheduler.ts"
import * as TaskStore from "../src/TaskStore.ts"
import * as TaskStores from "../src/TaskStores.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import { hourly, scheduled, times } from "./utils.ts"

describe("addEffect", () => {
  it.effect("schedules an effect with the services and references of where it was added", () =>
    scheduled(Effect.gen(function*() {
      class Greeting extends Context.Service<Greeting, string>()("Greeting") {}
      const scheduler = yield* TaskScheduler
      const log: Array<string> = []
      const effect = Effect.gen(function*() {
        const run = yield* CurrentRun
        log.push(`${yield* Greeting} ${run.taskId}`)
      })
      const handle = yield* scheduler.addEffect(effect, { id: "greet", trigger: hourly }).pipe(
        Effect.provideService(Greeting, "hello")
      )
      assert.deepStrictEqual(times(yield* TestScheduler.advance("2 hours")), ["01:00", "02:00"])
      assert.deepStrictEqual(log, ["hello greet", "hello greet"])
      const info = yield* handle.snapshot
      assert.deepInclude(info, { id: "greet", name: "greet", callable: "effect:default/greet" })
      yield* (yield* handle.runNow()).await
      assert.strictEqual(log.length, 3)
    })))

  it.effect("gives each run a scope of its own", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const log: Array<string> = []
      yield* scheduler.addEffect(
        Effect.acquireRelease(Effect.sync(() => log.push("open")), () => Effect.sync(() => log.push("close"))),
        { trigger: hourly }
      )
      yield* TestScheduler.advance("2 hours")
      assert.deepStrictEqual(log, ["open", "close", "open", "close"])
    })))

  it.effect("a failing effect is a failed run, and the next one comes", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      yield* scheduler.addEffect(Effect.fail("oops"), { trigger: hourly })
      assert.deepStrictEqual((yield* TestScheduler.advance("2 hours")).map((run) => run.state), ["failed", "failed"])
    })))

  it.effect("remove unregisters it: the id is free again", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const log: Array<string> = []
      const first = yield* scheduler.addEffect(Effect.sync(() => log.push("first")), { id: "a", trigger: hourly })
      const twice = yield* Effect.flip(scheduler.addEffect(Effect.void, { id: "a", trigger: hourly }))
      assert.strictEqual(twice._tag, "DuplicateTask")
      yield* TestScheduler.advance("1 hour")
      yield* first.remove()
      yield* scheduler.addEffect(Effect.sync(() => log.push("second")), { id: "a", trigger: hourly })
      yield* TestScheduler.advance("1 hour")
      assert.deepStrictEqual(log, ["first", "second"])
    })))

  it.effect("a handler goes with its task, whoever removes it; another declaration takes its place", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const log: Array<string> = []
      const add = (text: string, onConflict?: "keep" | "update" | "replace") =>
        scheduler.addEffect(Effect.sync(() => log.push(text)), { id: "a", trigger: hourly, onConflict })
      yield* add("first")
      yield* scheduler.handle("a").remove()
      yield* add("second")
      yield* add("not this", "keep")
      yield* TestScheduler.advance("1 hour")
      yield* add("third", "update")
      yield* TestScheduler.advance("1 hour")
      yield* add("fourth", "replace")
      yield* TestScheduler.advance("1 hour")
      yield* scheduler.removeAll()
      yield* add("fifth")
      yield* TestScheduler.advance("1 hour")
      assert.deepStrictEqual(log, ["second", "third", "fourth", "fifth"])
    })))

  it.effect("may remove itself", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      let count = 0
      const effect: Effect.Effect<void, unknown> = Effect.suspend(() =>
        ++count < 2 ? Effect.void : scheduler.handle("a").remove()
      )
      yield* scheduler.addEffect(effect, { id: "a", trigger: hourly })
      yield* TestScheduler.advance("5 hours")
      assert.strictEqual(count, 2)
      assert.deepStrictEqual((yield* scheduler.list()).items, [])
    })))

  it.effect("refuses what `add` refuses, and keeps no handler then", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const bad = (options: object) => Effect.flip(scheduler.addEffect(Effect.void, { id: "a", ...options } as never))
      assert.strictEqual((yield* bad({ trigger: Trigger.never }))._tag, "TriggerNeverFires")
      assert.strictEqual((yield* bad({ trigger: hourly, maxInstances: 0 }))._tag, "InvalidPolicy")
      assert.strictEqual((yield* bad({ trigger: hourly, every: 1 }))._tag, "InvalidOption")
      assert.strictEqual((yield* bad({ trigger: hourly, store: "nope" }))._tag, "UnknownStore")
      yield* scheduler.addEffect(Effect.void, { id: "a", trigger: hourly })
    })))

  it.effect.each(
    [
      ["durable", { durable: true, shared: false }],
      ["shared", { durable: false, shared: true }]
    ] as const
  )("a %s store refuses it; another store takes it", ([_, capabilities]) => {
    const durable = Layer.effect(TaskStore.TaskStore)(Effect.map(MemoryTaskStore.make, (store) => ({
      ...store,
      capabilities: { ...store.capabilities, ...capabilities }
    })))
    return scheduled(
      Effect.gen(function*() {
        const scheduler = yield* TaskScheduler
        const error = yield* Effect.flip(scheduler.addEffect(Effect.void, { id: "a", trigger: hourly }))
        assert.deepInclude(error, { _tag: "ClosureNotPersistable", id: "a", store: "default" })
        assert.match(error.message, /TaskStores\.layer/)
        const handle = yield* scheduler.addEffect(Effect.void, { id: "a", trigger: hourly, store: "memory" })
        assert.strictEqual(handle.store, "memory")
        assert.strictEqual((yield* TestScheduler.advance("1 hour")).length, 1)
        assert.deepStrictEqual((yield* scheduler.list()).items, [])
      }),
      { store: TaskStores.layer({ default: durable, memory: MemoryTaskStore.layer }) }
    )
  })
})
